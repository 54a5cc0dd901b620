"""One exchange to those above, several rounds below: what the client sees, what the provider is asked, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from engine import Ask, AttemptError, Kind, StreamEvent
from engine._relay import Relay
from engine.config import WebTools
from engine.testing import HANG, Script, ScriptedTransport, answer, failing, head, script, tail, text, thinking, tool
from policies import FailureKind
from routes._aggregate import Aggregate
from tests.e2e.grammar import Reading
from tests.engine.stage import virtual
from tests.transports.asks import ask, body
from transports.web_tools import ServingWebTools
from transports.web_tools._blocks import Answered, Call, Found, Read, WebError, failed, fetched, searched
from transports.web_tools._offer import ServerTool

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
READ = {"name": "Read", "input_schema": {"type": "object"}}
ON = WebTools(enabled=True)


@attrs.define(eq=False)
class ScriptedWeb:
    """Finds one page for every query; a fetch of `slow` takes 9 s, of `never` for ever, of `bad` fails, of `bug` crashes."""

    uses: list[Call] = attrs.field(factory=list)

    async def use(self, call: Call, tool: ServerTool, settings: WebTools) -> Answered:
        self.uses.append(call)
        if call.kind == "web_search":
            return searched(call, [Found(title="T", url="https://a.test/", text=f"about {call.input.get('query')}")])
        match call.input.get("url"):
            case "slow":
                await trio.sleep(9)
            case "never":
                await trio.sleep_forever()
            case "bad":
                return failed(call, WebError("url_not_accessible", "status 404"))
            case "bug":
                raise RuntimeError("secret")
        return fetched(
            call, Read(url="https://a.test/", title="T", text="words", retrieved_at="2026-01-01T00:00:00+00:00")
        )


def calling(name: str = "web_search", arguments: str = '{"query":"q"}', *, index: int = 0) -> list[StreamEvent]:
    return tool(arguments, name=name, index=index)


def round_(*blocks: list[StreamEvent], stop: str = "tool_use", tokens: int = 5) -> list[StreamEvent]:
    return [head(), *(event for block in blocks for event in block), *tail(stop, output_tokens=tokens)]


SEARCHES = script(round_(calling()))
SAYS = script(answer("found ", "it"))


@attrs.define(eq=False)
class Had:
    """One exchange as it was had."""

    events: list[StreamEvent]
    inner: ScriptedTransport
    web: ScriptedWeb
    read_at: list[float]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [exchange.ask.request.body for exchange in self.inner.exchanges]

    @property
    def message(self) -> dict[str, Any]:
        """What the client puts together, after the strict grammar and the engine's own relay have passed it."""
        reading, whole, relay = Reading(), Aggregate(), Relay()
        shown = relay.feed(self.events)
        assert relay.error is None
        assert relay.malformed == ""
        for item in shown:
            for payload in item.payloads():
                reading.take(payload)
        reading.finish()
        assert reading.faults == []
        whole.feed(shown)
        return whole.message

    @property
    def kinds(self) -> list[str]:
        return [block["type"] for block in self.message["content"]]


async def have(asked: Ask, *scripts: Script, settings: WebTools = ON, leave_after: int | None = None) -> Had:
    """One exchange, read to its end, or left after so many reads."""
    inner, the_web = ScriptedTransport({"host": scripts}), ScriptedWeb()
    had = Had([], inner, the_web, [])
    try:
        async with ServingWebTools(inner, lambda: settings, the_web).open(asked) as upstream:
            while leave_after is None or len(had.read_at) < leave_after:
                events = await upstream.read()
                had.read_at.append(trio.current_time())
                if events is None:
                    break
                had.events += events
    finally:
        assert all(exchange.closed_at is not None for exchange in inner.exchanges)
    return had


def asking(*tools: Any, wire: str = "openai-chat", **fields: Any) -> Ask:
    return ask(body(tools=list(tools), **fields), wire=wire, open_lists=False)


async def test_a_search_is_one_message_of_call_result_and_answer(autojump_clock: Any) -> None:
    """Blocks as Anthropic's server gives them, tokens of both rounds, uses counted."""
    had = await have(asking(SEARCH), SEARCHES, SAYS)
    assert had.kinds == ["server_tool_use", "web_search_tool_result", "text"]
    call, result, said = had.message["content"]
    assert call["id"].startswith("srvtoolu_hedgerow_")
    assert (call["name"], call["input"]) == ("web_search", {"query": "q"})
    assert result["tool_use_id"] == call["id"]
    (found,) = result["content"]
    assert (found["type"], found["title"], found["url"]) == ("web_search_result", "T", "https://a.test/")
    assert said["text"] == "found it"
    usage = had.message["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (20, 10)
    assert usage["server_tool_use"] == {"web_search_requests": 1}
    assert had.message["stop_reason"] == "end_turn"


async def test_the_provider_is_offered_a_function_and_told_what_was_found(autojump_clock: Any) -> None:
    """The second round has the call and its result; what the client forced is not forced again."""
    choice = {"type": "tool", "name": "web_search", "disable_parallel_tool_use": True}
    had = await have(asking(SEARCH, READ, tool_choice=choice), SEARCHES, SAYS)
    first, second = had.bodies
    (offered, other) = first["tools"]
    assert (offered["name"], offered["input_schema"]["required"], other) == ("web_search", ["query"], READ)
    assert "type" not in offered
    assert first["tool_choice"] == choice
    assert second["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    called, told = second["messages"][-2:]
    assert called["content"] == [{"type": "tool_use", "id": "toolu_0", "name": "web_search", "input": {"query": "q"}}]
    assert told["content"][0]["tool_use_id"] == "toolu_0"
    assert "about q" in told["content"][0]["content"]
    assert "not instructions" in told["content"][0]["content"]


async def test_a_model_that_does_not_search_costs_one_round(autojump_clock: Any) -> None:
    """Its events go on as they came."""
    had = await have(asking(SEARCH), SAYS)
    assert had.events == SAYS.reading[0] or [e.raw for e in had.events] == [e.raw for e in answer("found ", "it")]
    assert len(had.bodies) == 1


async def test_text_and_thinking_flow_before_their_round_is_over(autojump_clock: Any) -> None:
    """And are part of the conversation in the next round, signature and all."""
    first = script([head(), *thinking("hm", index=0)], 3.0, [*text("let me ", "see", index=1)],
                   3.0, [*calling(index=2), *tail("tool_use")])  # fmt: skip
    had = await have(asking(SEARCH), first, SAYS)
    assert had.kinds == ["thinking", "text", "server_tool_use", "web_search_tool_result", "text"]
    assert had.read_at[:2] == [0.0, 3.0]
    (said,) = [m for m in had.bodies[1]["messages"] if m["role"] == "assistant"]
    assert [b["type"] for b in said["content"]] == ["thinking", "text", "tool_use"]
    assert said["content"][1]["text"] == "let me see"


async def test_what_was_found_is_shown_when_the_provider_speaks_of_it(autojump_clock: Any) -> None:
    """A later round that fails before content has shown nothing, so another candidate may begin again."""
    busy = script(asking=[failing(FailureKind.RATE_LIMITED)])
    inner, the_web = ScriptedTransport({"host": [SEARCHES, busy]}), ScriptedWeb()
    relay = Relay()

    async def read_on() -> None:
        async with ServingWebTools(inner, lambda: ON, the_web).open(asking(SEARCH)) as upstream:
            while True:
                relay.feed(await upstream.read() or [])

    with pytest.raises(AttemptError) as caught:
        await read_on()
    assert caught.value.failure.kind is FailureKind.RATE_LIMITED
    assert not relay.committable
    assert len(the_web.uses) == 1
    assert all(exchange.closed_at is not None for exchange in inner.exchanges)


async def test_a_first_round_that_is_refused_is_refused_on_entering(autojump_clock: Any) -> None:
    """As the transport itself would: repairs and keys hang on it."""
    serving = ServingWebTools(
        ScriptedTransport({"host": [script(asking=[failing(FailureKind.AUTH)])]}), lambda: ON, ScriptedWeb()
    )
    with pytest.raises(AttemptError):
        async with serving.open(asking(SEARCH)):
            pytest.fail("it was entered")


async def test_a_bug_below_stays_what_it_is(autojump_clock: Any) -> None:
    """Neither wrapped in a group nor taken for an end."""
    with pytest.raises(ZeroDivisionError):
        await have(asking(SEARCH), SEARCHES, script([head()], ZeroDivisionError()))


async def test_a_client_tool_beside_a_search_ends_the_message(autojump_clock: Any) -> None:
    """The search is made, the client's call is the client's: stop_reason tool_use, one round."""
    both = script(round_(calling(), tool('{"path":"/x"}', name="Read", index=1)))
    had = await have(asking(SEARCH, READ), both)
    assert had.kinds == ["server_tool_use", "web_search_tool_result", "tool_use"]
    assert had.message["content"][2]["input"] == {"path": "/x"}
    assert had.message["stop_reason"] == "tool_use"
    assert had.message["usage"]["server_tool_use"] == {"web_search_requests": 1}
    assert len(had.bodies) == 1


async def test_two_uses_of_one_round_run_side_by_side(autojump_clock: Any) -> None:
    """In the order of the calls, however long each takes."""
    two = script(round_(calling("web_fetch", '{"url":"slow"}'), calling("web_fetch", '{"url":"x"}', index=1)))
    had = await have(asking(FETCH), two, SAYS)
    assert had.kinds == ["server_tool_use", "web_fetch_tool_result"] * 2 + ["text"]
    assert [b["input"]["url"] for b in had.message["content"][::2][:2]] == ["slow", "x"]
    assert had.read_at[-1] == 9.0
    assert had.message["usage"]["server_tool_use"] == {"web_fetch_requests": 2}
    document = had.message["content"][1]["content"]
    assert (document["type"], document["content"]["source"]["data"]) == ("web_fetch_result", "words")


async def test_the_clocks_above_see_that_somebody_is_at_work(autojump_clock: Any) -> None:
    """PROGRESS every two seconds of a fetch, and of waiting for the next round; never for a provider that is silent."""
    slow = script(round_(calling("web_fetch", '{"url":"slow"}')))
    had = await have(asking(FETCH), slow, script(answer("x"), asking=[7.0]))
    assert max(b - a for a, b in zip(had.read_at, had.read_at[1:], strict=False)) <= 2.0
    with trio.move_on_after(60) as limit:
        async with ServingWebTools(
            ScriptedTransport({"host": [script([head()], HANG)]}), lambda: ON, ScriptedWeb()
        ).open(asking(FETCH)) as upstream:
            await upstream.read()
            await upstream.read()
    assert limit.cancelled_caught


async def test_uses_end_with_what_the_tool_allows_itself(autojump_clock: Any) -> None:
    """Beyond it the model reads why, and the client the code; the uses of rounds before count."""
    three = script(round_(calling(), calling(index=1), calling(index=2)))
    had = await have(asking({**SEARCH, "max_uses": 2}), three, SEARCHES, SAYS)
    results = [b["content"] for b in had.message["content"] if b["type"] == "web_search_tool_result"]
    assert [type(r) for r in results] == [list, list, dict, dict]
    assert results[2] == {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    assert len(had.web.uses) == 2
    assert had.message["usage"]["server_tool_use"] == {"web_search_requests": 2}
    assert had.bodies[1]["messages"][-1]["content"][2]["is_error"] is True


async def test_the_operators_number_of_uses_stands_above_the_tools(autojump_clock: Any) -> None:
    """Whichever is less."""
    had = await have(asking(SEARCH), SEARCHES, SEARCHES, SAYS, settings=WebTools(enabled=True, max_uses=1))
    assert len(had.web.uses) == 1


async def test_rounds_end_after_four(autojump_clock: Any) -> None:
    """The last may call nothing; a model that does all the same is told no, and the message says that it paused."""
    had = await have(asking(SEARCH), SEARCHES)
    assert len(had.bodies) == 4
    assert [b.get("tool_choice") for b in had.bodies] == [None, None, None, {"type": "none"}]
    assert len(had.web.uses) == 3
    assert had.message["stop_reason"] == "pause_turn"


async def test_the_time_of_the_tools_ends(autojump_clock: Any) -> None:
    """A page that never comes is unavailable, and the round after that is the last."""
    never = script(round_(calling("web_fetch", '{"url":"never"}')))
    had = await have(asking(FETCH), never, SAYS)
    assert had.read_at[-1] == 120.0
    assert had.message["content"][1]["content"]["error_code"] == "unavailable"
    assert had.bodies[1]["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(("url", "code"), [("bad", "url_not_accessible"), ("bug", "unavailable")])
async def test_a_use_that_fails_costs_the_use_and_not_the_turn(autojump_clock: Any, url: str, code: str) -> None:
    """A fault of ours as well, and its text goes nowhere."""
    had = await have(asking(FETCH), script(round_(calling("web_fetch", f'{{"url":"{url}"}}'))), SAYS)
    assert had.kinds == ["server_tool_use", "web_fetch_tool_result", "text"]
    assert had.message["content"][1]["content"] == {"type": "web_fetch_tool_result_error", "error_code": code}
    assert "secret" not in str(had.bodies)


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
async def test_a_call_that_the_end_of_the_answer_cut_is_left_out(autojump_clock: Any, stop: str) -> None:
    """There is no room for another round, and the stop reason stays."""
    had = await have(
        asking(SEARCH), script(round_(text("so far"), tool('{"que', name="web_search", index=1), stop=stop))
    )
    assert (had.kinds, had.message["stop_reason"]) == (["text"], stop)
    assert had.web.uses == []


async def test_later_rounds_may_answer_with_what_is_left(autojump_clock: Any) -> None:
    """Of the length that the client gave, less what was used; never less than 1024."""
    many = script(round_(calling(), tokens=3000))
    had = await have(asking(SEARCH, max_tokens=5000), many, many, SAYS)
    assert [b["max_tokens"] for b in had.bodies] == [5000, 2000, 1024]


async def test_an_answer_that_breaks_off_never_looks_whole(autojump_clock: Any) -> None:
    """In any round."""
    cut = script([head(), *text("half", whole=False)])
    for scripts in ([cut], [SEARCHES, cut]):
        had = await have(asking(SEARCH), *scripts)
        assert not any(event.kind is Kind.MESSAGE_STOP for event in had.events)


@pytest.mark.parametrize("reads", range(6))
def test_leaving_closes_everything_at_once(reads: int) -> None:
    """After any number of reads: in a round, in a search, between them."""

    async def leave() -> None:
        slow = script([head()], [*text("one")], [*calling("web_fetch", '{"url":"slow"}', index=1), *tail("tool_use")])
        await have(asking(FETCH), slow, script([head()], HANG), leave_after=reads)
        assert trio.current_time() <= 8.0

    virtual(leave)


def test_a_cancel_at_any_moment_leaves_nothing_open() -> None:
    """As a lost race cancels, also in the middle of a search."""

    async def cancelled() -> None:
        for at in (0.0, 0.5, 1.0, 3.0, 9.9, 12.0, 20.0):
            slow = script([head()], 1.0, [*calling("web_fetch", '{"url":"slow"}'), *tail("tool_use")])
            with trio.move_on_after(at):
                await have(asking(FETCH), slow, script([head()], HANG))

    virtual(cancelled)


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({}, WebTools()),
        ({"wire": "anthropic", "open_lists": True}, ON),
        ({"wire": "anthropic", "open_lists": False, "quirks": frozenset(["runs-web-tools"])}, ON),
    ],
    ids=["switched off", "Anthropic itself", "a row that says so"],
)
async def test_who_is_left_alone(autojump_clock: Any, fields: dict[str, Any], settings: WebTools) -> None:
    """The request goes on as it is: the tool with its type."""
    asked = ask(body(tools=[SEARCH]), **{"wire": "openai-chat", **fields})
    had = await have(asked, SAYS, settings=settings)
    assert had.inner.exchanges[0].ask is asked


@pytest.mark.parametrize(
    "tools",
    [[READ], [], None, 5, [5], [{"type": "web_search_20250305"}], [{**SEARCH, "name": 5}],
     [SEARCH, {**READ, "name": "web_search"}],
     [{**SEARCH, "type": "web_search"}], [{"type": "bash_20250124", "name": "bash"}]],
)  # fmt: skip
async def test_a_request_without_web_tools_is_left_alone(autojump_clock: Any, tools: Any) -> None:
    """Also one in which two tools have the name, and one that is malformed."""
    fields = body() if tools is None else body(tools=tools)
    asked = ask(fields, wire="openai-chat", open_lists=False)
    had = await have(asked, SAYS)
    assert had.inner.exchanges[0].ask is asked


ROUND = st.lists(st.sampled_from(["text", "think", "search", "fetch", "client", "blank"]), max_size=4)


@given(st.lists(ROUND, min_size=1, max_size=5), st.integers(1, 4), st.booleans())
def test_any_rounds_are_one_message_in_the_strict_grammar(rounds: list[list[str]], uses: int, singly: bool) -> None:
    """Whatever a model does in them: calls have their results, uses stay within bounds, the last end is the message's."""

    def blocks(kinds: Sequence[str]) -> list[list[StreamEvent]]:
        made: dict[str, Any] = {
            "text": lambda n: text("a", "b", index=n), "blank": lambda n: text(index=n),
            "think": lambda n: thinking("t", index=n), "search": lambda n: calling(index=n),
            "fetch": lambda n: calling("web_fetch", '{"url":"x"}', index=n),
            "client": lambda n: tool("{}", name="Read", index=n),
        }  # fmt: skip
        return [made[kind](n) for n, kind in enumerate(kinds)]

    async def run() -> Had:
        scripts = []
        for kinds in rounds:
            calls = any(kind in ("search", "fetch", "client") for kind in kinds)
            events = round_(*blocks(kinds), stop="tool_use" if calls else "end_turn")
            scripts.append(script(*([event] for event in events)) if singly else script(events))
        return await have(asking({**SEARCH, "max_uses": uses}, FETCH, READ), *scripts)

    had = virtual(run)
    content = had.message["content"]
    calls = [b["id"] for b in content if b["type"] == "server_tool_use"]
    assert calls == [b["tool_use_id"] for b in content if b["type"].startswith("web_")]
    assert len(set(calls)) == len(calls)
    assert sum(call.kind == "web_search" for call in had.web.uses) <= uses
    assert had.message["stop_reason"] in ("end_turn", "tool_use", "pause_turn")
    assert (had.message["stop_reason"] == "tool_use") == any(b["type"] == "tool_use" for b in content)
    assert had.message["usage"]["output_tokens"] == 5 * len(had.bodies)
