"""Nested requests: the envelope, its thread and prompt, the dearer mode, rotation with a summary, and the answer's lines."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import attrs
import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine import Ask, AttemptError, Kind, StreamEvent
from engine.config import Accent, Model, ThreadSettings
from policies import Price
from tests.recordings import CUTS, pieces, reading
from tests.transports.asks import ask, body
from tests.transports.zed.host import Host, lines, said
from transports import DIALECTS, AnthropicDecoder, SSEError, StreamError
from transports.gemini import GeminiDecoder
from transports.translate._tools import Toolbox
from transports.zed import nested, vendor_of
from transports.zed._decoder import ZedDecoder
from transports.zed._threads import KEPT, Threads, cut_at, kept, standing

CALL = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/a"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "text"}
TOOLS = [{"name": "Read", "input_schema": {"type": "object"}}]


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content) if isinstance(content[0], dict) else content[0]}


def assistant(*content: Any) -> dict[str, Any]:
    return {**user(*content), "role": "assistant"}


def loop(rounds: int, size: int = 10) -> list[dict[str, Any]]:
    """A prompt, and so many calls with results of so many characters."""
    turns: list[dict[str, Any]] = [user("do it")]
    for n in range(rounds):
        turns.append(assistant({**CALL, "id": f"toolu_{n}"}))
        turns.append(user({**RESULT, "tool_use_id": f"toolu_{n}", "content": "x" * size}))
    return turns


def asked(
    messages: list[dict[str, Any]] | None = None,
    *,
    session: str = "s",
    agent: str = "",
    model: str = "claude-sonnet-5",
    models: dict[str, Model] | None = None,
    thread: dict[str, Any] | None = None,
    **fields: Any,
) -> Ask:
    """A turn for the host; `thread` are its settings."""
    given = body(**({"messages": messages} if messages else {}), **fields)
    made = ask(
        given,
        model=model,
        session=session,
        wire="zed",
        paths=MappingProxyType({"messages": "/completions"}),
        models=MappingProxyType(models or {}),
        thread=ThreadSettings(**(thread or {})),
    )
    return attrs.evolve(made, request=attrs.evolve(made.request, agent=agent))


async def answered(host: Host, *asks: Ask) -> list[list[StreamEvent]]:
    """The events of each of these turns, one after the other, through one transport."""
    transport = host.transport
    found = []
    for one in asks:
        events: list[StreamEvent] = []
        async with transport.open(one) as upstream:
            while (batch := await upstream.read()) is not None:
                events += batch
        found.append(events)
    return found


def text_of(events: list[StreamEvent]) -> str:
    return reading(b"".join(e.raw for e in events if e.kind is not Kind.PROGRESS)).text


class TestEnvelope:
    async def test_a_messages_body_is_nested(self) -> None:
        """With thread, prompt, intent, mode, vendor and model around it, at the host's own address."""
        host = Host([said("hi")])
        [events] = await answered(host, asked(tools=TOOLS))
        assert text_of(events) == "hi"
        [envelope] = host.envelopes
        assert set(envelope) == {"thread_id", "prompt_id", "intent", "mode", "provider", "model", "provider_request"}
        assert (envelope["intent"], envelope["mode"], envelope["provider"]) == ("user_prompt", "normal", "anthropic")
        assert envelope["model"] == envelope["provider_request"]["model"] == "claude-sonnet-5"
        assert host.heads[0]["x-zed-client-supports-status-messages"] == "true"

    async def test_what_newer_servers_dropped_can_be_left_out(self) -> None:
        """Intent, mode and model are settings."""
        host = Host([said("hi")])
        await answered(host, asked(thread={"intent": False, "mode": "off", "name_model": False}))
        assert set(host.envelopes[0]) == {"thread_id", "prompt_id", "provider", "provider_request"}

    @pytest.mark.parametrize(
        ("model", "vendor"),
        [
            ("claude-opus-5", "anthropic"),
            ("gpt-5.5", "open_ai"),
            ("o3", "open_ai"),
            ("gemini-3.5-flash", "google"),
            ("grok-4.6", "x_ai"),
            ("unheard-of", "anthropic"),
        ],
    )
    def test_the_vendor_is_told_by_the_name(self, model: str, vendor: str) -> None:
        """Unless the file says whose models they are."""
        assert vendor_of(model, ThreadSettings()) == vendor
        assert vendor_of(model, ThreadSettings(upstream="x_ai")) == "x_ai"

    async def test_another_vendors_request_is_in_its_own_form(self) -> None:
        """And so is the answer."""
        chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
        host = Host([[chunk]])
        [events] = await answered(host, asked(model="grok-4.6"))
        assert text_of(events) == "hi"
        assert host.envelopes[0]["provider_request"]["messages"] == [{"role": "user", "content": "hi"}]

    def test_a_vendor_whose_wire_is_not_spoken_is_refused(self) -> None:
        """By name."""
        one, settings = asked(model="grok-4.6"), ThreadSettings()
        here = standing(one.request, Threads().of(one.request, "zed", settings, 0.0), settings, tokens=1, price=None)
        with pytest.raises(ValueError, match="openai-chat, which is not spoken"):
            nested(one, here, {"anthropic": DIALECTS["anthropic"]})


class TestThreads:
    async def test_a_session_is_a_thread(self) -> None:
        """A new prompt in it has a new id; results of a call belong to the prompt."""
        host = Host([said("hi")])
        later = [*loop(1), assistant("done"), user("and now?")]
        await answered(host, asked(), asked(loop(1)), asked(later), asked(session="other"))
        first, second, third, other = host.envelopes
        assert first["thread_id"] == second["thread_id"] == third["thread_id"] != other["thread_id"]
        assert first["prompt_id"] == second["prompt_id"] != third["prompt_id"]
        assert [e["intent"] for e in host.envelopes] == ["user_prompt", "tool_results", "user_prompt", "user_prompt"]

    async def test_an_agent_works_in_a_thread_of_its_own(self) -> None:
        """So that neither fills the other's."""
        host = Host([said("hi")])
        await answered(host, asked(), asked(agent="a1"), asked(agent="a2"))
        assert len({e["thread_id"] for e in host.envelopes}) == 3
        assert [e["intent"] for e in host.envelopes] == ["user_prompt", "subagent", "subagent"]

    async def test_without_a_session_the_beginning_tells_conversations_apart(self) -> None:
        """Two users are not one."""
        host = Host([said("hi")])
        longer = [user("a"), assistant("b"), user("c")]
        await answered(host, *(asked(m, session="") for m in ([user("a")], longer, [user("b")])))
        ids = [e["thread_id"] for e in host.envelopes]
        assert ids[0] == ids[1] != ids[2]

    async def test_a_prompt_has_so_many_calls(self) -> None:
        """Then the work goes on under another."""
        host = Host([said("hi")])
        never = {"auto_burn_mode_triggers": ()}
        await answered(host, asked(loop(24), thread=never), asked(loop(25), thread=never))
        assert host.envelopes[0]["prompt_id"] != host.envelopes[1]["prompt_id"]
        assert host.envelopes[0]["thread_id"] == host.envelopes[1]["thread_id"]

    async def test_a_thread_ends_with_its_time(self, autojump_clock: MockClock) -> None:
        """After 3600 s; the conversation goes on whole in another."""
        host = Host([said("hi")])
        transport = host.transport
        for wait in (0.0, 3600.0, 1.0):
            await trio.sleep(wait)
            async with transport.open(asked(loop(2))) as upstream:
                await upstream.read()
        ids = [e["thread_id"] for e in host.envelopes]
        assert ids[0] == ids[1] != ids[2]
        assert host.envelopes[2]["provider_request"] == host.envelopes[0]["provider_request"]

    def test_not_more_threads_are_kept_than_that(self) -> None:
        """The one that was used longest ago is forgotten, and so begins again."""
        threads = Threads()
        first = threads.of(asked(session="s0").request, "zed", ThreadSettings(), 0.0)
        assert threads.of(asked(session="s0").request, "zed", ThreadSettings(), 0.0) is first
        for n in range(1, KEPT + 1):
            threads.of(asked(session=f"s{n}").request, "zed", ThreadSettings(), 0.0)
        assert threads.of(asked(session="s0").request, "zed", ThreadSettings(), 0.0) is not first

    @pytest.mark.parametrize("code", ["thread_expired", "thread_not_found", "thread_corrupted", "thread_limit_reached"])
    @pytest.mark.parametrize("inside", [False, True])
    async def test_a_thread_that_the_host_has_lost_is_replaced(self, code: str, inside: bool) -> None:
        """Once, unseen, whether it says so by a status or in the stream."""
        failed = [{"status": {"failed": {"code": code, "message": "gone"}}}]
        host = Host([failed if inside else (400, code), said("hi")])
        [events] = await answered(host, asked())
        assert text_of(events) == "hi"
        assert host.envelopes[0]["thread_id"] != host.envelopes[1]["thread_id"]

    async def test_a_prompt_that_is_used_up_is_replaced(self) -> None:
        """In the same thread."""
        host = Host([(400, "tool_calls_limit_exceeded"), said("hi")])
        await answered(host, asked())
        assert host.envelopes[0]["thread_id"] == host.envelopes[1]["thread_id"]
        assert host.envelopes[0]["prompt_id"] != host.envelopes[1]["prompt_id"]

    @pytest.mark.parametrize("at", [1, -2])
    @pytest.mark.parametrize("summary", ["model", "digest"])
    async def test_a_conversation_that_cannot_be_written_is_the_clients_fault(self, summary: str, at: int) -> None:
        """More can be read than is written, and a rotation writes it too."""
        deep = orjson.loads(b"[" * 300 + b"]" * 300)
        one = asked(loop(40, 1000), thread={"max_context_tokens": 8000, "summary": summary})
        one.request.body["messages"][at]["content"][0]["input"] = {"a": deep}
        host = Host([said("summed up"), said("hi")])
        with pytest.raises(AttemptError, match="nested too deeply"):
            await answered(host, one)

    async def test_it_is_replaced_once(self) -> None:
        """A host that refuses again has failed."""
        host = Host([(400, "thread_expired")])
        with pytest.raises(AttemptError, match="thread_expired"):
            await answered(host, asked())
        assert len(host.envelopes) == 2

    async def test_another_refusal_is_one(self) -> None:
        """At once."""
        host = Host([(401, "unauthorized")])
        with pytest.raises(AttemptError):
            await answered(host, asked())
        assert len(host.envelopes) == 1


LONG = {"max_context_tokens": 2000, "auto_burn_mode_triggers": ()}


class TestRotation:
    async def test_a_full_thread_goes_on_in_another_with_a_summary(self) -> None:
        """Written by the model; what was summed up stays out of the turns that follow, and nothing else does."""
        host = Host([said("hi")])
        long = loop(20, 400)
        longer = [*long, assistant("well"), user("go on")]
        await answered(host, asked(long, thread=LONG), asked(longer, thread=LONG))
        summed, first, second = host.envelopes
        assert summed["intent"] == "thread_summarization"
        assert summed["thread_id"] != first["thread_id"] == second["thread_id"]
        sent = first["provider_request"]["messages"]
        assert "the summary" in orjson.dumps(sent[0]).decode()
        assert 2 < len(sent) < len(long)
        assert sent[-1]["content"][0]["content"] == "x" * 400
        assert second["provider_request"]["messages"][: len(sent)] == sent

    async def test_no_result_loses_its_call(self) -> None:
        """The cut falls before a call, or before the user's own words."""
        host = Host([said("hi")])
        await answered(host, asked(loop(20, 400), thread=LONG))
        blocks = [b for m in host.envelopes[-1]["provider_request"]["messages"] for b in m["content"]]
        calls = {b["id"] for b in blocks if b["type"] == "tool_use"}
        assert {b["tool_use_id"] for b in blocks if b["type"] == "tool_result"} == calls

    @pytest.mark.parametrize("summary", [(500, "upstream_http_error"), []])
    async def test_where_the_model_sums_nothing_up_a_digest_stands(self, summary: Any) -> None:
        """What was wanted and what was used."""
        host = Host([said("hi")], summary=summary)
        await answered(host, asked(loop(20, 400), thread=LONG))
        first = orjson.dumps(host.envelopes[-1]["provider_request"]["messages"][0]).decode()
        assert "The user said: do it" in first
        assert "Read /a" in first

    async def test_a_summary_may_be_made_without_the_model(self) -> None:
        """Then there is one request."""
        host = Host([said("hi")])
        await answered(host, asked(loop(20, 400), thread={**LONG, "summary": "digest"}))
        assert len(host.envelopes) == 1
        assert "The user said" in orjson.dumps(host.envelopes[0]["provider_request"]["messages"][0]).decode()

    async def test_a_summary_may_be_left_off(self) -> None:
        """Then everything goes out."""
        host = Host([said("hi")])
        await answered(host, asked(loop(20, 400), thread={**LONG, "summary": "off"}))
        assert len(host.envelopes[0]["provider_request"]["messages"]) == 41

    async def test_a_conversation_that_began_anew_is_not_cut(self) -> None:
        """The client has summed up by itself, or has gone back."""
        host = Host([said("hi")])
        other = [user("a new beginning"), assistant("yes"), user("go")]
        await answered(host, asked(loop(20, 400), thread=LONG), asked(other, thread=LONG))
        assert len(host.envelopes[-1]["provider_request"]["messages"]) == 3

    @given(st.lists(st.sampled_from(["u", "a", "r"]), min_size=1, max_size=30), st.integers(0, 500))
    def test_a_cut_keeps_the_end_and_divides_no_call_from_its_result(self, kinds: list[str], room: int) -> None:
        """Whatever the conversation."""
        made = {"u": user("words"), "a": assistant(CALL), "r": user(RESULT)}
        messages = [made[kind] for kind in kinds]
        cut = cut_at(messages, room)
        if cut is not None:
            assert 0 < cut.messages < len(messages)
            assert messages[cut.messages] is not made["r"]
            assert kept(messages, cut)[0]["role"] == "user"


class TestMode:
    async def mode(self, messages: list[dict[str, Any]] | None = None, **more: Any) -> Any:
        host = Host([said("hi")])
        await answered(host, asked(messages, **more))
        return host.envelopes[-1]["mode"]

    async def test_each_trigger(self) -> None:
        """A long prompt, many calls, much thinking."""
        assert await self.mode() == "normal"
        assert await self.mode([user("word " * 65_000)]) == "burn"
        assert await self.mode(loop(20), tools=TOOLS) == "burn"
        assert await self.mode(thinking={"type": "adaptive"}, output_config={"effort": "high"}) == "burn"
        assert await self.mode(thinking={"type": "enabled", "budget_tokens": 20_000}) == "burn"
        assert await self.mode(thinking={"type": "enabled", "budget_tokens": 2000}) == "normal"

    async def test_triggers_are_chosen(self) -> None:
        """None of them: never by itself."""
        assert await self.mode([user("word " * 65_000)], thread={"auto_burn_mode_triggers": ()}) == "normal"
        assert await self.mode(thread={"mode": "burn", "burn_word": "max"}) == "max"
        assert await self.mode([user("word " * 65_000)], thread={"mode": "normal"}) == "normal"

    async def test_a_dear_prompt_stays_normal(self) -> None:
        """Some 65,000 tokens at $2 a million are some $0.13."""
        models = {"claude-sonnet-5": Model(id="claude-sonnet-5", price=Price(input=2.0, output=10.0))}
        long = [user("word " * 65_000)]
        assert await self.mode(long, models=models, thread={"burn_max_usd": 0.15}) == "burn"
        assert await self.mode(long, models=models, thread={"burn_max_usd": 0.08}) == "normal"


def decoded(data: bytes, cut: int | None = None) -> list[StreamEvent]:
    one = ZedDecoder(AnthropicDecoder(model="m"), named_events=True)
    return [event for piece in pieces(data, cut) for event in one.feed(piece)] + one.finish()


PARTS = (b"\n", b'{"event":', b"{}", b'{"status":1}', b"[]", b'{"event":{"type":"x\\ny"}}', b"}", b'{"type":"ping"}')


class TestLines:
    @pytest.mark.parametrize("cut", CUTS)
    @pytest.mark.parametrize("wrapped", [True, False])
    def test_events_come_out_of_their_envelopes(self, cut: int | None, wrapped: bool) -> None:
        """And bare ones as they are, with news among them."""
        news: list[dict[str, Any]] = [{"status": "started"}, {"status": {"queued": {"position": 3}}}]
        data = lines([*news, *said("hello"), {"status": "stream_ended"}], wrapped=wrapped)
        found = reading(b"".join(e.raw for e in decoded(data, cut)))
        assert (found.faults, found.text, found.stop_reason) == ([], "hello", "end_turn")

    def test_a_failure_is_an_error(self) -> None:
        """With the host's code, what was said before it kept."""
        failed = {"status": {"failed": {"code": "upstream_http_error", "message": "529"}}}
        events = decoded(lines([*said("hello")[:3], failed]))
        assert any(e.kind is Kind.DELTAS for e in events)
        assert events[-1].kind is Kind.ERROR
        assert events[-1].payload["error"]["message"] == "upstream_http_error: 529"
        assert events[-1].payload["upstream"]["code"] == "upstream_http_error"

    @pytest.mark.parametrize("odd", [b"true", b"[1]", b"[" * 1000 + b"]" * 1000], ids=["true", "a list", "deep"])
    def test_a_failure_of_any_shape_is_an_error(self, odd: bytes) -> None:
        """However deep."""
        one = ZedDecoder(AnthropicDecoder(model="m"), named_events=True)
        events = one.feed(b'{"status":{"failed":%s}}\n' % odd)
        assert events[-1].payload["error"]["message"] == "the host has failed"

    async def test_a_failure_whose_code_is_too_deep_is_a_failure(self) -> None:
        """It has to be written again, without keys."""
        code = orjson.loads(b"[" * 250 + b"]" * 250)
        host = Host([[{"status": {"failed": {"code": code, "message": "gone"}}}]])
        with pytest.raises(AttemptError, match="gone"):
            await answered(host, asked())

    def test_a_line_that_is_cut_behind_the_end_takes_nothing_back(self) -> None:
        """Nor does one that was cut before it become an end."""
        chunk = {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}
        one = ZedDecoder(GeminiDecoder(toolbox=Toolbox.of({}, Accent())), named_events=False)
        events = one.feed(lines([chunk]) + b'{"status":"strea') + one.finish()
        assert reading(b"".join(e.raw for e in events)).text == "hi"
        assert one.complete
        cut = ZedDecoder(GeminiDecoder(toolbox=Toolbox.of({}, Accent())), named_events=False)
        cut.feed(b'{"event":{"cand')
        with pytest.raises(StreamError, match="not JSON"):
            cut.finish()

    def test_a_stream_that_breaks_off_is_not_complete(self) -> None:
        """Whatever the host says of its stream."""
        one = ZedDecoder(AnthropicDecoder(model="m"), named_events=True)
        one.feed(lines([*said("hello")[:3], {"status": "stream_ended"}]))
        one.finish()
        assert not one.complete

    @given(st.lists(st.binary(max_size=30) | st.sampled_from(PARTS), max_size=9))
    def test_anything_is_read_or_refused(self, parts: list[bytes]) -> None:
        """With an error of its own."""
        one = ZedDecoder(AnthropicDecoder(model="m"), named_events=True)
        try:
            for part in parts:
                one.feed(part)
            one.finish()
        except (StreamError, SSEError):
            pass
        assert not one.complete
