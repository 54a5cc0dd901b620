"""A text that breaks off is gone on with by the next candidate, inside the same message. All times are exact."""

from __future__ import annotations

import orjson
import pytest
import trio
from trio.testing import MockClock

from engine._events import AttemptEnded, AttemptStarted, Rescued
from engine._rescue import GO_ON
from engine._stream import CALLING, PING, Kind, StreamEvent
from engine.observers.recent import Recent
from engine.testing import (
    HANG,
    Act,
    RecordingReply,
    answer,
    failing,
    head,
    provider,
    script,
    tail,
    text,
    thinking,
    tool,
)
from policies import Concurrency, Deadline, FailureKind, Hedge, IdleTimeout, MaxAttempts, MaxInFlight, Race, Rescue
from tests.e2e.grammar import Reading
from tests.engine.stage import BROKEN, MakeScenario, finished, refusal_of, rest, take, unsound

BREAKS: dict[str, list[Act]] = {**BROKEN, "half a call": [tool('{"a":', index=1, whole=False)]}


def read(reply: RecordingReply) -> Reading:
    """What the client made of it; it must be sound."""
    assert unsound(reply) == []
    reading = Reading()
    for item in reply.events:
        for payload in item.payloads():
            reading.take(payload)
    return reading


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize(
    ("shown", "blocks"),
    [
        (text("The quick ", whole=False), 1),
        (text("The quick "), 2),
        ([*thinking("hm"), *text("The quick ", index=1, whole=False)], 2),
    ],
    ids=["open", "finished", "behind thinking"],
)
async def test_a_text_goes_on_however_it_broke(
    scenario: MakeScenario, autojump_clock: MockClock, shown: list[StreamEvent], blocks: int, how: str
) -> None:
    """One message, one end, which is the second's; the first is to blame."""
    breaking = BREAKS[how]
    if how == "half a call":
        shown = [*shown, *text(index=blocks - 1)[1:]] if shown[-1].kind is Kind.DELTAS else shown
        number = sum(e.kind is Kind.BLOCK_START for e in shown)
        breaking = [tool('{"a":', index=number, whole=False)]
        blocks = number + 1
    it = scenario(
        {"a": script([head(), *shown], 1.0, *breaking), "b": script(2.0, answer("brown ", "fox."))},
        IdleTimeout(s=7),
        bugs=how == "bug",
    )
    reply = await it.serve()
    at = 7.0 if how == "silence" else 1.0
    assert it.asked == [(0.0, "a"), (at, "b")]
    assert (reply.ending, reply.ended_at) == ("finish", at + 2.0)
    reading = read(reply)
    assert (reading.text, reading.stop_reason, len(reading.blocks)) == ("The quick brown fox.", "end_turn", blocks)
    assert (finished(it).outcome, finished(it).attempts, finished(it).candidate) == (
        "answered", 2, it.config.chains["coding"].candidates[1],
    )  # fmt: skip
    first, second = it.events(AttemptEnded)
    assert (first.ending, first.committed, first.counts, first.part) == ("failed", True, how != "bug", 0)
    assert (second.ending, second.committed, second.part) == ("won", True, 1)
    assert [e.hedge for e in it.events(AttemptStarted)] == [False, False]
    (rescued,) = it.events(Rescued)
    assert (rescued.candidate.provider, rescued.by.provider, rescued.part) == ("a", "b", 1)
    assert (rescued.shown_chars, rescued.state.split()[0]) == (10, "text")


async def test_the_next_is_asked_for_the_rest(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """With what was said, without the white space at its end, and all the fields that came; bytes and object agree."""
    it = scenario({"a": script([head(), *text("The quick ", whole=False)]), "b": script(answer("fox"))})
    await it.serve(it.request(system="s", tools=[{"name": "Read", "input_schema": {}}], new_field=1))
    first, second = (exchange.ask.request for exchange in it.transport.exchanges)
    assert second.body["messages"] == [
        *first.body["messages"],
        {"role": "assistant", "content": [{"type": "text", "text": "The quick"}]},
        {"role": "user", "content": GO_ON},
    ]
    same = {"messages", "max_tokens"}
    assert {k: v for k, v in second.body.items() if k not in same} == {
        k: v for k, v in first.body.items() if k not in same
    }
    assert orjson.loads(second.raw) == second.body
    assert second.need.input_tokens > first.need.input_tokens
    assert (first.continues, second.continues) == ("", "The quick ")
    assert first.body["messages"][-1]["role"] == "user"


async def test_a_call_that_was_held_back_may_be_made_by_the_next(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Once, whole, at the next index, with the stop reason that makes it run."""
    broken = script([head(), *text("Reading."), *tool('{"a":', index=1, whole=False)])
    going_on = script([head(), *text("Reading."), *tool('{"a": 1}', index=1), *tail("tool_use")])
    it = scenario({"a": broken, "b": going_on})
    reading = read(await it.serve())
    assert [block["type"] for block in reading.blocks] == ["text", "tool_use"]
    assert (reading.text, reading.tools, reading.stop_reason) == ("Reading.", [("Read", {"a": 1})], "tool_use")


async def test_the_client_is_told_of_the_first_prompt_and_of_all_it_received(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Its context meter stays right; each part has its own account."""
    words = "one two three four five six seven eight nine ten "
    it = scenario({"a": script([head(input_tokens=90), *text(words, whole=False)]), "b": script(answer("eleven"))})
    reading = read(await it.serve())
    assert reading.usage["input_tokens"] == 90
    assert 13 <= reading.usage["output_tokens"] <= 20
    assert [e.usage.input for e in it.events(AttemptEnded)] == [90, 10]


async def test_an_answer_may_break_more_than_once(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Each goes on from all that was shown, by whomever."""
    it = scenario(
        {
            "a": script([head(), *text("The ", whole=False)], 1.0),
            "b": script([head(), *text("The quick ", whole=False)], 1.0),
            "c": script([head(), *text("brown ", whole=False)], 1.0),
            "d": script(answer("fox.")),
        }
    )
    reading = read(await it.serve())
    assert (reading.text, len(reading.blocks)) == ("The quick brown fox.", 1)
    assert [e.part for e in it.events(Rescued)] == [1, 2, 3]
    assert [e.part for e in it.events(AttemptEnded)] == [0, 1, 2, 3]
    assert it.transport.exchanges[-1].ask.request.continues == "The quick brown "
    assert len(it.transport.exchanges[-1].ask.request.body["messages"]) == 3


@pytest.mark.parametrize(
    ("bad", "ill"),
    [
        (script(asking=[failing(FailureKind.CLIENT, status=400)]), False),
        (script(asking=[failing(FailureKind.SERVER, status=500)]), True),
        (script([head(), *tail()]), False),
        (script([head(), *tail("refusal")]), False),
        (script([head(), *text("The quick", whole=False)]), True),
        (script([head(), *text("The quick fox jumps"), *tail()]), False),
    ],
    ids=["refused", "failed", "empty", "declined", "only repeats, and breaks", "repeats less"],
)
async def test_who_cannot_go_on_is_passed_over(
    scenario: MakeScenario, autojump_clock: MockClock, bad: object, ill: bool
) -> None:
    """Its refusal is not the client's mistake, and an empty end is no end of this answer, nor a mark of ill health."""
    shown = text("The quick fox jumps over ", whole=False)
    it = scenario({"a": script([head(), *shown]), "b": bad, "c": script(answer("it"))})  # type: ignore[dict-item]
    reading = read(await it.serve())
    assert (reading.text, reading.stop_reason) == ("The quick fox jumps over it", "end_turn")
    assert it.events(Rescued)[0].by.provider == "c"
    assert [ended.counts for ended in it.events(AttemptEnded)] == [True, ill, False]


async def test_who_only_says_it_again_shows_that_it_was_whole(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Nothing is added but the end."""
    it = scenario({"a": script([head(), *text("The quick fox.", whole=False)]), "b": script(answer("The quick fox."))})
    reply = await it.serve()
    reading = read(reply)
    assert (reading.text, reading.stop_reason, reply.ending) == ("The quick fox.", "end_turn", "finish")


@pytest.mark.parametrize("whole", [False, True])
async def test_an_empty_end_is_believed_where_a_text_may_stop(
    scenario: MakeScenario, autojump_clock: MockClock, whole: bool
) -> None:
    """Nothing was left to say: the end that was missing is stated, and counts against nobody who states it."""
    it = scenario({"a": script([head(), *text("The quick fox.", whole=whole)]), "b": script([head(), *tail()])})
    reply = await it.serve()
    reading = read(reply)
    assert (reading.text, reading.stop_reason, reply.ending) == ("The quick fox.", "end_turn", "finish")
    assert [event.ending for event in it.events(AttemptEnded)] == ["failed", "won"]


@pytest.mark.parametrize(
    ("shown", "ending"),
    [
        (text("x", whole=False), "reset"),
        (text("x"), "refuse"),
        ([*text("x"), *tool('{"a":', index=1, whole=False)], "refuse"),
    ],
)
async def test_where_nobody_goes_on_the_end_is_honest(
    scenario: MakeScenario, autojump_clock: MockClock, shown: list[StreamEvent], ending: str
) -> None:
    """No end is made up, and nothing of those who failed is shown."""
    bad = script(1.0, asking=[failing(FailureKind.SERVER, status=500)])
    it = scenario({"a": script([head(), *shown]), "b": bad, "c": bad})
    reply = await it.serve()
    assert reply.ending == ending
    assert [e.kind for e in reply.events if e.kind in (Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP)] == []
    assert (finished(it).outcome, finished(it).candidate) == ("broken", it.config.chains["coding"].candidates[0])
    assert it.events(Rescued) == []


@pytest.mark.parametrize(
    ("shown", "ending"),
    [
        (thinking("hm"), "reset"),
        (thinking("hm", whole=False), "reset"),
        (tool('{"a": 1}'), "finish"),
        ([*text("x"), *tool('{"a": 1}', index=1)], "finish"),
        ([*text("x"), *thinking("hm", index=1, whole=False)], "refuse"),
        ([*text("x"), *tail()[:1]], "finish"),
    ],
)
async def test_nobody_is_asked_where_nobody_could_go_on(
    scenario: MakeScenario, autojump_clock: MockClock, shown: list[StreamEvent], ending: str
) -> None:
    """Thinking alone, a call that will run, an unfinished thought behind text, an answer that has its stop reason."""
    it = scenario({"a": script([head(), *shown]), "b": script(answer("b"))})
    reply = await it.serve()
    assert (reply.ending, it.asked) == (ending, [(0.0, "a")])
    assert unsound(reply) == []


async def test_a_chain_may_do_without(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Calls are then shown while they are written, and a break ends the answer."""
    call = tool('{"a":', "1}")
    it = scenario({"a": script([head(), *call[:2]], 1.0, [*call[2:], *tail("tool_use")])}, Rescue(mode="off"))
    reply = await it.serve()
    assert [at for at, _ in reply.writes] == [0.0, 1.0]
    assert read(reply).tools == [("Read", {"a": 1})]
    broken = scenario({"a": script([head(), *text("x", whole=False)]), "b": script(answer("b"))}, Rescue(mode="off"))
    assert ((await broken.serve()).ending, broken.asked) == ("reset", [(1.0, "a")])


@pytest.mark.parametrize("before", [[], tool('{"a": 1}')])
async def test_half_a_call_that_was_shown_is_not_closed(
    scenario: MakeScenario, autojump_clock: MockClock, before: list[StreamEvent]
) -> None:
    """It would be run as it stands."""
    half = tool('{"a":', index=1 if before else 0, whole=False)
    it = scenario({"a": script([head(), *before, *half])}, Rescue(mode="off"))
    reply = await it.serve()
    assert reply.ending == ("refuse" if before else "reset")
    assert reply.events[-1].kind is Kind.DELTAS


async def test_an_answer_in_a_set_form_is_not_gone_on_with(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Whoever is held to a schema begins the object anew."""
    it = scenario({"a": script([head(), *text('{"title": "Fix', whole=False)]), "b": script(answer("b"))})
    reply = await it.serve(it.request(output_config={"format": {"type": "json_schema", "schema": {}}}))
    assert (reply.ending, it.asked) == ("reset", [(0.0, "a")])


async def test_the_turn_has_one_deadline_and_one_number_of_attempts(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """However many write it."""
    half = script([head(), *text("x")], 6.0)
    late = scenario({"a": half, "b": script(HANG)}, Deadline(s=10))
    reply = await late.serve()
    assert (refusal_of(reply).type, reply.ended_at) == ("overloaded_error", 10.0)
    assert "deadline" in refusal_of(reply).message
    few = scenario({"a": half, "b": script(answer("b"))}, MaxAttempts(n=1))
    assert ((await few.serve()).ending, few.asked) == ("refuse", [(10.0, "a")])


async def test_an_answer_that_the_client_began_goes_on_as_one(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Its words and the model's are one turn of the assistant."""
    it = scenario({"a": script([head(), *text(" quick ", whole=False)]), "b": script(answer("fox"))})
    begun = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "The"}]
    reading = read(await it.serve(it.request(messages=begun)))
    assert reading.text == " quick fox"
    last = it.transport.exchanges[-1].ask.request.body["messages"][1:]
    assert last == [
        {"role": "assistant", "content": [{"type": "text", "text": "The quick"}]},
        {"role": "user", "content": GO_ON},
    ]


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, 90),
        ({"max_tokens": 20}, 20),
        ({"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 3000}}, 4000),
    ],
)
async def test_the_rest_is_as_long_as_what_is_left(
    scenario: MakeScenario, autojump_clock: MockClock, fields: dict[str, object], asked: int
) -> None:
    """But never too short to be asked for, nor for a budget of thinking."""
    words = "one two three four five six seven eight "
    it = scenario({"a": script([head(), *text(words, whole=False)]), "b": script(answer("nine"))})
    await it.serve(it.request(**fields))
    assert it.transport.exchanges[-1].ask.request.body["max_tokens"] == pytest.approx(asked, abs=4)


async def test_the_losers_of_the_first_commit_may_go_on(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """They had not failed. A hedge beside the one that goes on is a hedge like any other, and one of them wins."""
    it = scenario(
        {
            "a": script(1.0, [head(), *text("The quick ", whole=False)], 5.0),
            "b": [script(HANG), script(1.0, [head(), *text("brown "), *tail()])],
        },
        Race(width=2),
    )
    reading = read(await it.serve())
    assert reading.text == "The quick brown "
    assert sorted(it.asked) == [(0.0, "a"), (0.0, "b"), (6.0, "b")]


async def test_two_that_go_on_at_once_have_one_winner(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Who repeats first has not won; the first new word does."""
    again = script(0.5, [head(), *text("The quick ", whole=False)], 3.0, [*rest("fox")])
    it = scenario(
        {
            "a": script([head(), *text("The quick ", whole=False)], 1.0),
            "b": again,
            "c": script(1.0, answer("cat")),
        },
        Race(width=3),
        MaxInFlight(n=3),
    )
    reply = await it.serve()
    assert read(reply).text == "The quick cat"
    assert [e.by.provider for e in it.events(Rescued)] == ["c"]


async def test_pings_of_either_do_not_disturb(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """They belong to nobody's text."""
    it = scenario(
        {
            "a": script([head(), *text("The ", whole=False), PING]),
            "b": script([PING, head(), PING, *text("quick"), PING, *tail()]),
        }
    )
    reply = await it.serve()
    assert reply.said == "The quick"
    assert Kind.PING not in {e.kind for e in reply.events}


async def test_the_account_of_a_request_tells_of_it(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Who went on with whose text; the bills of both parts are in the total."""
    it = scenario({"a": script([head(), *text("The ", whole=False)]), "b": script(answer("fox"))})
    recent = Recent()
    it.bus.add(recent.fold)
    await it.serve()
    told = recent.explain("req_1")
    assert told is not None
    assert told["rescues"] == [
        {
            "part": 1,
            "from": "a/m",
            "from_attempt": 1,
            "by": "b/m",
            "by_attempt": 2,
            "state": "text open",
            "shown_chars": 4,
        }
    ]
    assert [row.get("part", 0) for row in told["attempts"]] == [0, 1]
    assert finished(it).totals.wasted == 0


@pytest.mark.parametrize("idle", [answer("Reading."), [head(), *tail()]], ids=["said again", "silence"])
@pytest.mark.parametrize("begun", [tool('{"a":', index=1, whole=False), [CALLING]], ids=["held here", "held before"])
async def test_a_call_that_was_begun_is_not_lost_to_an_early_end(
    scenario: MakeScenario, autojump_clock: MockClock, idle: list[StreamEvent], begun: list[StreamEvent]
) -> None:
    """The text looks whole, and the next says that it is; but a call was coming."""
    it = scenario(
        {
            "a": script([head(), *text("Reading."), *begun]),
            "b": script(idle),
            "c": script([head(), *tool('{"a": 1}'), *tail("tool_use")]),
        }
    )
    assert read(await it.serve()).tools == [("Read", {"a": 1})]


async def test_who_broke_calls_for_one_other_and_not_for_those_that_were_busy_before(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A failure before the commit found nobody free; what it called for is not made up for later, beside the budget."""
    going_on = script(5.0, answer("one two"))
    it = scenario(
        {
            "a": script(1.0, failing(FailureKind.SERVER)),
            "b": script(0.5, [head(), *text("one ", whole=False)], 20.0, failing(FailureKind.RESET)),
            "c": going_on,
            "d": going_on,
        },
        Hedge(after_s=0.6, extra_load=0.01),
        providers={id: provider(id, scope=Concurrency(limit=1)) for id in "cd"},
    )
    for _ in range(9):
        it.books.budget.withdraw("coding", 0.0)  # one is left, for b

    async def busy_for_a_while() -> None:
        await trio.sleep(0.3)
        permits = [await take(it, 2), await take(it, 3)]
        await trio.sleep(9.7)
        for permit in permits:
            permit.release(sent=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(busy_for_a_while)
        reply = await it.serve()
    assert it.asked == [(0.0, "a"), (0.6, "b"), (21.1, "c")]
    assert read(reply).text == "one two"


async def test_who_only_thinks_where_a_text_is_to_go_on_is_given_up(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Thinking is not shown there: after a minute without anything new the next is asked, and the thinker has failed."""
    thoughts = [act for _ in range(50) for act in (5.0, thinking("hm", whole=False)[1:])]
    it = scenario(
        {
            "a": script([head(), *text("The quick ", whole=False)], 1.0, failing(FailureKind.RESET)),
            "b": script([head(), *thinking("hm", whole=False)], *thoughts, HANG),
            "c": script(1.0, answer("brown fox.")),
        }
    )
    reply = await it.serve()
    assert reply.said == "The quick brown fox."
    assert reply.ended_at == 62.0
    failed = [str(e.failure) for e in it.events(AttemptEnded) if e.candidate.provider == "b"]
    assert failed == ["first content timeout: no content to show within 60 s"]
