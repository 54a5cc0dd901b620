"""Answers that break after the commit, or are empty: what the client has seen decides. All times are exact."""

from __future__ import annotations

from typing import ClassVar

import attrs
import pytest
from trio.testing import MockClock

from engine._events import AttemptEnded
from engine._stream import Kind, StreamEvent
from engine.testing import RecordingReply, Script, answer, failing, head, script, tail, text, thinking, tool
from policies import Deadline, FailureKind, IdleTimeout, Phase, Plan, Policy, View
from tests.engine.stage import BROKEN, MakeScenario, finished, refusal_of

# Breaking after the commit.

SEEN: dict[str, tuple[list[StreamEvent], str, int]] = {
    "thinking, open": (thinking("hm", whole=False), "reset", 3),
    "thinking, finished": (thinking("hm"), "reset", 4),
    "text, open": (text("x", whole=False), "reset", 3),
    "text, finished": (text("x"), "refuse", 4),
    "text, and half a tool call": ([*text("x"), *tool('{"a":', index=1, whole=False)], "refuse", 4),
    "thinking, and half a tool call": ([*thinking("x"), *tool('{"a":', index=1, whole=False)], "reset", 4),
    "text, and one open": ([*text("x"), *text("y", index=1, whole=False)], "refuse", 6),
    "a whole tool call": (tool('{"a": 1}'), "finish", 6),
    "a whole tool call, and half a one": ([*tool('{"a": 1}'), *tool('{"b":', index=1, whole=False)], "finish", 6),
    "a whole tool call, and text": ([*tool('{"a": 1}'), *text("x", index=1, whole=False)], "finish", 9),
    "all but the stop": ([*tool('{"a": 1}'), tail("tool_use")[0]], "finish", 6),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("seen", SEEN)
async def test_what_the_client_has_seen_decides_how_a_broken_answer_ends(
    scenario: MakeScenario, autojump_clock: MockClock, seen: str, how: str
) -> None:
    """Where nobody else is left to go on. The failure is stated, and half a tool call is never shown."""
    shown, ending, count = SEEN[seen]
    if how == "error event" and ending == "reset":
        ending = (
            "refuse"  # measured: Claude Code then asks at once without streaming, and another candidate answers unseen
        )
    it = scenario(
        {"a": script([head(), *shown], 1.0, *BROKEN[how])},
        IdleTimeout(s=7),
        bugs=how == "bug",
    )
    reply = await it.serve()
    assert reply.ending == ending
    assert reply.ended_at == (7.0 if how == "silence" else 1.0)
    assert it.asked == [(0.0, "a")]
    assert len(reply.events) == count
    last = finished(it)
    assert (last.outcome, last.status) == ("broken", 200)
    assert last.detail
    (ended,) = it.events(AttemptEnded)
    assert (ended.ending, ended.committed, ended.counts) == ("failed", True, how != "bug")
    if ending == "refuse":
        assert refusal_of(reply).type == "overloaded_error"
    if ending == "finish":
        stops = [e.payload["delta"]["stop_reason"] for e in reply.events if e.kind is Kind.MESSAGE_DELTA]
        assert stops == ["tool_use"]


@pytest.mark.parametrize("call", ['{"a":', '{"a": 1}x', "[1]"])
async def test_a_tool_call_whose_arguments_do_not_parse_is_never_shown(
    scenario: MakeScenario, autojump_clock: MockClock, call: str
) -> None:
    """Before the commit another candidate answers; after it the answer breaks."""
    before = script([head(), *tool(call), *tail("tool_use")])
    it = scenario({"a": before, "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    after = scenario({"a": script([head(), *text("x")], 1.0, [*tool(call, index=1), *tail("tool_use")])})
    reply = await after.serve()
    assert reply.ending == "refuse"
    assert [e.kind for e in reply.events][-1] is Kind.BLOCK_STOP
    assert len(reply.events) == 4


# JSON.


@pytest.mark.parametrize("how", ["reset", "cut", "error event", "silence", "bug"])
@pytest.mark.parametrize("shown", [text("half"), tool('{"a": 1}'), thinking("hm")], ids=["text", "tool", "thinking"])
async def test_a_json_request_starts_again_on_the_next_step_when_the_winner_breaks(
    scenario: MakeScenario, autojump_clock: MockClock, shown: list[StreamEvent], how: str
) -> None:
    """The client has seen nothing of it, so nothing of it remains."""
    it = scenario(
        {"a": script([head(), *shown], 1.0, *BROKEN[how]), "b": script(2.0, answer("whole"))},
        IdleTimeout(s=7),
        bugs=how == "bug",
    )
    reply = await it.serve(it.request(stream=False))
    at = 7.0 if how == "silence" else 1.0
    assert it.asked == [(0.0, "a"), (at, "b")]
    assert reply.said == "whole"
    assert (reply.ending, reply.ended_at, reply.discards) == ("finish", at + 2.0, 1)
    assert [w.candidate.provider for w in reply.winners] == ["a", "b"]
    assert (finished(it).outcome, finished(it).attempts) == ("answered", 2)


async def test_a_json_request_whose_every_winner_breaks_is_refused(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """With what each of them said."""
    half = script([head(), *text("half")], 1.0, failing(FailureKind.RESET, "gone"))
    it = scenario({"a": half, "b": half})
    reply = await it.serve(it.request(stream=False))
    refusal = refusal_of(reply)
    assert (refusal.status, reply.writes, reply.ended_at) == (503, [], 2.0)
    assert "a/m: reset: gone; b/m: reset: gone" in refusal.message


async def test_a_json_request_has_280_seconds(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """There are no pings in one to keep the client patient."""
    drip = [act for _ in range(100) for act in (10.0, text("x", whole=False)[1:])]
    it = scenario({"a": script([head(), *text("x", whole=False)], *drip)})
    reply = await it.serve(it.request(stream=False))
    assert (refusal_of(reply).status, reply.ended_at) == (504, 280.0)


# Empty answers.

EMPTY = script([head(), *tail()])


async def test_an_empty_whole_message_falls_to_the_next(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It is a failure as long as there is somebody else."""
    it = scenario({"a": EMPTY, "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert "0 a failed: empty answer" in it.story


@pytest.mark.parametrize("stream", [True, False])
async def test_an_empty_whole_message_is_better_than_none(
    scenario: MakeScenario, autojump_clock: MockClock, stream: bool
) -> None:
    """At the last resort it is the answer, whole."""
    no = script(asking=[failing(FailureKind.SERVER, status=500)])
    it = scenario({"a": EMPTY, "b": no})
    reply = await it.serve(it.request(stream=stream))
    assert reply.ending == "finish"
    assert [e.kind for e in reply.events] == [Kind.MESSAGE_START, Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP]
    assert [w.candidate.provider for w in reply.winners] == ["a"]
    assert finished(it).outcome == "answered"


@pytest.mark.parametrize("empty", [script(), script([head()]), script([head(), *text(whole=False)])])
async def test_an_answer_that_ends_without_content_is_a_failure_and_no_last_resort(
    scenario: MakeScenario, autojump_clock: MockClock, empty: Script
) -> None:
    """It was not even whole."""
    it = scenario({"a": empty})
    assert refusal_of(await it.serve()).status == 503
    assert "0 a failed: empty answer" in it.story


@pytest.mark.parametrize("reason", ["refusal", "pause_turn", "stop_sequence"])
async def test_an_empty_message_that_is_meant_wins(
    scenario: MakeScenario, autojump_clock: MockClock, reason: str
) -> None:
    """A model that refuses has answered."""
    it = scenario({"a": script([head(), *tail(reason)]), "b": script(answer("b"))})
    reply = await it.serve()
    assert reply.ending == "finish"
    assert it.asked == [(0.0, "a")]


@attrs.frozen
class Mistaken(Policy):
    """Somebody's own, with a fault in it."""

    phase: ClassVar[Phase] = Phase.ORDER

    def apply(self, plan: Plan, view: View) -> Plan:
        raise KeyError("the prompt, perhaps")


async def test_a_policy_that_raises_costs_an_honest_answer_and_nothing_else(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The request that was accepted is finished, no book keeps anything of it, and the text of the error is not told."""
    it = scenario({"a": script(answer("a"))}, Mistaken(), bugs=1)
    told = refusal_of(await it.serve(attrs.evolve(it.request(), session="s")))
    assert (told.status, told.should_retry) == (500, False)
    assert told.message == "a policy of chain 'coding' has raised KeyError; where is in the server's log"
    assert (finished(it).outcome, finished(it).status, finished(it).attempts) == ("refused", 500, 0)
    assert len(it.books.affinity) == 0
    assert it.asked == []


async def test_a_turn_given_up_while_its_end_is_being_taken_has_one_end(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A slow client's last write outlasts the deadline; the message is whole, and nothing is added to it."""
    it = scenario({"a": script(answer("whole"))}, Deadline(s=5.0))
    reply = await it.serve(reply=RecordingReply(write_s=9.0))
    assert [event.kind for event in reply.events].count(Kind.MESSAGE_STOP) == 1
    assert (reply.ending, finished(it).outcome, finished(it).status) == ("finish", "answered", 200)
