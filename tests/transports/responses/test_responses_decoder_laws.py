"""Laws of the Responses decoder, for any answer however it is said, and for whatever is none."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Kind, StreamEvent
from tests.e2e.grammar import Reading
from tests.recordings import payloads
from tests.transports.asks import body as asking
from tests.transports.chat.answers import NAMES, WORDS
from tests.transports.chat.streams import DONE, ids_of, raw_of, read_events, signatures, toolbox
from tests.transports.responses.asked import HOSTS, read
from tests.transports.responses.events import decoder, frame
from tests.transports.responses.replies import Reply, replies
from transports._anthropic import StreamError
from transports._envelope import opened
from transports._sse import SSEError
from transports.responses import ResponsesDecoder
from transports.responses._gather import HANDLERS

TOOLS = toolbox(*NAMES)
LAW = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def cuttings(draw: st.DrawFn, body: bytes) -> list[bytes]:
    places = draw(st.lists(st.integers(0, len(body)), max_size=20))
    return [body[a:b] for a, b in pairwise(sorted({0, len(body), *places}))]


def said(chunks: list[bytes], **settings: Any) -> tuple[list[StreamEvent], bool, bool]:
    """The events, whether the answer is complete, and whether it failed."""
    one = decoder(**{"toolbox": TOOLS, **settings})
    events: list[StreamEvent] = []
    try:
        for chunk in chunks:
            events += one.feed(chunk)
        events += one.finish()
    except (StreamError, SSEError):
        return events, one.complete, True
    return events, one.complete, any(event.kind is Kind.ERROR for event in events)


def unfinished(events: list[StreamEvent]) -> Reading:
    """What was said, where the stream may have broken off."""
    found = Reading()
    for payload in payloads(raw_of(events)):
        found.take(payload)
    return found


def content(found: Reading) -> list[tuple[str, Any]]:
    return [
        (
            block["type"],
            (block["name"], block["input"])
            if block["type"] == "tool_use"
            else block.get("text", block.get("thinking")),
        )
        for block in found.blocks
    ]


@LAW
@given(replies(), st.data())
def test_an_answer_means_the_same_however_it_is_said(reply: Reply, data: st.DataObject) -> None:
    """Blocks in order, calls, stop reason, counts: whatever the events repeat or leave out, wherever the reads end."""
    events, complete, failed = said(data.draw(cuttings(reply.body)))
    found = read_events(events)
    assert not failed
    assert found.faults == []
    assert content(found) == reply.blocks
    assert found.stop_reason == reply.stop
    assert complete is bool(reply.blocks)
    assert found.usage["input_tokens"] + found.usage["cache_read_input_tokens"] == reply.prompt
    assert (found.usage["cache_read_input_tokens"], found.usage["output_tokens"]) == (reply.cached, reply.output)


@LAW
@given(replies())
def test_one_object_at_a_time_is_the_same(reply: Reply) -> None:
    """Without framing, as over a socket."""
    one = decoder(toolbox=TOOLS)
    events: list[StreamEvent] = []
    for text in reply.frames:
        if text != DONE:
            events += one.take(orjson.loads(text.partition(b"data: ")[2]))
    assert raw_of(events) != b""
    assert content(read_events(events)) == reply.blocks


@LAW
@given(replies(), st.sets(st.sampled_from(["call_0_abc", "call_1_abc", "toolu_7_0"])))
def test_ids_are_valid_unlike_and_new(reply: Reply, taken: set[str]) -> None:
    """Every call has one that may stand in the conversation."""
    ids = ids_of(read_events(said([reply.body], taken=lambda: taken, message_id="msg_7")[0]))
    assert len(set(ids)) == len(ids)
    assert not taken & set(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", id) for id in ids)


@LAW
@given(replies(), st.data())
def test_what_breaks_off_never_looks_whole(reply: Reply, data: st.DataObject) -> None:
    """Nothing before the terminal event makes an end; no call is shown, and what was said by then stands."""
    last = max(n for n, text in enumerate(reply.frames) if text != DONE)
    last -= reply.frames[last] == reply.frames[last - 1]  # the end may come twice
    limit = len(b"".join(reply.frames[: last + 1]).rstrip()) - 1
    part = reply.body[: data.draw(st.integers(0, limit))]
    events, complete, _ = said(data.draw(cuttings(part)))
    assert not complete
    assert not {event.kind for event in events} & {Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP}
    found = unfinished(events)
    assert found.faults == []
    assert found.tools == []
    whole = [(kind, text) for kind, text in reply.blocks if kind in ("text", "thinking")]
    assert "".join(text for kind, text in whole if kind == "text").startswith(found.text)
    assert "".join(text for kind, text in whole if kind == "thinking").startswith(found.thinking)


@LAW
@given(replies())
def test_reasoning_comes_back_as_it_was_given(reply: Reply) -> None:
    """From the blocks that a client sends back to the item that the host has sent, where that was encrypted."""
    events, _, _ = said([reply.body], author="host/somebody/something")
    found = read_events(events)
    thoughts = [block for block in found.blocks if "thinking" in block["type"]]
    blocks: list[Any] = []
    for block, signature in zip(thoughts, signatures(events), strict=True):
        assert opened(signature) is not None
        sealed = "data" if block["type"] == "redacted_thinking" else "signature"
        blocks.append({**{k: v for k, v in block.items() if k in ("type", "thinking")}, sealed: signature})
    call = {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": [*blocks, call]}]
    sent = read(HOSTS[0].ask(asking(messages=messages, thinking={"type": "adaptive"})))
    back = [[part["text"] for part in item["summary"]] for item in sent["input"] if item["type"] == "reasoning"]
    assert back == [list(item.parts) for item in reply.items if item.kind == "reasoning" and item.hidden]


@LAW
@given(replies())
def test_an_event_holds_one_thing(reply: Reply) -> None:
    """Kinds tell the truth: the engine never looks into the bytes to see."""
    for event in said(reply.frames)[0]:
        told = list(payloads(event.raw))
        if event.kind is Kind.PROGRESS:
            assert told == []
        elif event.kind is Kind.DELTAS:
            assert list(event.payloads()) == told
            assert len({payload["index"] for payload in told}) == 1
            texts = [p["delta"].get("text") or p["delta"].get("thinking") for p in told]
            assert event.content is any(texts)
        else:
            assert told == [event.payload]


KEYS = (
    "type", "item", "response", "delta", "text", "part", "output_index", "item_id", "content_index", "summary_index", "id",
    "content", "summary", "arguments", "input", "name", "call_id", "status", "error", "code", "message", "usage", "output",
    "incomplete_details", "reason", "encrypted_content", "refusal", "sequence_number", "input_tokens_details",
    "cached_tokens",
)  # fmt: skip
SCRAPS = (
    "message", "reasoning", "function_call", "custom_tool_call", "output_text", "reasoning_text", "summary_text", "refusal",
    "completed", "incomplete", "failed", "in_progress", "max_output_tokens", "read", "{}", "{", '{"a":1}', "error", "x",
)  # fmt: skip
JSONS: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats(allow_nan=False) | st.sampled_from([*SCRAPS, *WORDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["output_text", "refusal", "reasoning_text", "summary_text"])},
    optional={"text": st.sampled_from(WORDS) | JSONS, "refusal": JSONS},
)
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "later"]) | JSONS},
    optional={
        "id": st.sampled_from(["a", "b"]) | JSONS, "content": st.lists(PARTS, max_size=2) | JSONS,
        "summary": st.lists(PARTS, max_size=2) | JSONS, "encrypted_content": JSONS, "status": st.sampled_from(SCRAPS) | JSONS,
        "name": st.sampled_from(NAMES) | JSONS, "call_id": JSONS, "arguments": st.sampled_from(SCRAPS) | JSONS, "input": JSONS,
    },
)  # fmt: skip
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(SCRAPS) | JSONS, "output": st.lists(ITEMS, max_size=3) | JSONS, "usage": JSONS,
        "error": JSONS, "incomplete_details": JSONS, "id": JSONS,
    },
)  # fmt: skip
TYPES = st.sampled_from(
    [*HANDLERS, "response.created", "response.completed", "response.incomplete", "response.failed", "error", "later"]
)
EVENTS = JSONS | st.fixed_dictionaries(
    {"type": TYPES},
    optional={
        "output_index": st.integers(0, 2) | JSONS, "item_id": st.sampled_from(["a", "b"]) | JSONS, "item": ITEMS,
        "delta": st.sampled_from([*SCRAPS, *WORDS]) | JSONS, "part": PARTS | JSONS, "text": JSONS, "arguments": JSONS,
        "content_index": st.integers(0, 1) | JSONS, "summary_index": st.integers(0, 1) | JSONS,
        "response": RESPONSES | JSONS, "error": JSONS, "sequence_number": st.integers(0, 3) | JSONS,
    },
)  # fmt: skip


def check_survived(events: list[StreamEvent], *, complete: bool, failed: bool) -> None:
    """Strict grammar as far as it goes; an end only where there was one."""
    found = unfinished(events)
    assert found.faults == []
    ended = Kind.MESSAGE_STOP in {event.kind for event in events}
    assert complete is (ended and bool(found.blocks))
    assert not (failed and ended)
    assert not any(not str(block.get("text", block.get("thinking", "x"))).strip() for block in found.blocks)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good stream with some bytes changed, frames lost, doubled or moved."""
    frames = list(draw(replies()).frames)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(frames) - 1))
        match draw(st.sampled_from(["byte", "lost", "doubled", "moved", "half"])):
            case "byte" if frames[at]:
                place = draw(st.integers(0, len(frames[at]) - 1))
                with_it = draw(st.sampled_from([b'"', b"{", b"}", b"0", b"\n", b"", b"\xff", b"\\", b",", b"n"]))
                frames[at] = frames[at][:place] + with_it + frames[at][place + 1 :]
            case "lost" if len(frames) > 1:
                del frames[at]
            case "doubled":
                frames.insert(at, frames[at])
            case "moved":
                frames.insert(draw(st.integers(0, len(frames) - 1)), frames.pop(at))
            case "half":
                frames[at] = frames[at][: len(frames[at]) // 2]
    return b"".join(frames)


class TestHostility:
    """For whatever a host may send."""

    @LAW
    @given(damaged(), st.data())
    def test_damaged_streams(self, body: bytes, data: st.DataObject) -> None:
        """The grammar holds up to the failure."""
        events, complete, failed = said(data.draw(cuttings(body)))
        check_survived(events, complete=complete, failed=failed)

    @settings(LAW, max_examples=60)
    @given(st.lists(EVENTS.map(frame), max_size=6))
    def test_any_json(self, frames: list[bytes]) -> None:
        """It is an answer, an error, or refused."""
        events, complete, failed = said(frames)
        check_survived(events, complete=complete, failed=failed)

    @LAW
    @given(RESPONSES | JSONS.filter(lambda value: isinstance(value, dict)))
    def test_any_answer(self, answer: Any) -> None:
        """Given whole."""
        one = decoder(toolbox=TOOLS)
        try:
            events = one.whole(answer)
        except StreamError:
            return
        check_survived(events, complete=one.complete, failed=False)

    @LAW
    @given(
        st.lists(
            st.binary(max_size=20) | st.sampled_from([b"data: ", b"\n\n", b"{", b"}", b"event: error"]), max_size=9
        )
    )
    def test_any_bytes(self, chunks: list[bytes]) -> None:
        """They are no answer."""
        events, complete, failed = said(chunks)
        check_survived(events, complete=complete, failed=failed)

    @pytest.mark.parametrize("depth", [100, 253, 254, 255, 300, 1000, 1023, 1024, 100_000])
    @pytest.mark.parametrize(
        "around",
        [
            '{"type":"response.output_text.delta","delta":%s}',
            '{"type":"response.output_item.done","item":{"type":"reasoning","x":%s,"encrypted_content":"e"}}',
            '{"type":"response.output_item.done","item":{"type":"function_call","name":"read","arguments":{"a":%s}}}',
            '{"type":"response.output_item.done","item":{"type":"message","content":%s}}',
            '{"type":"response.failed","response":{"error":{"message":"busy","x":%s}}}',
            '{"type":"error","error":%s}',
            '{"type":"later","x":%s}',
            '{"type":"response.created","response":{"usage":%s}}',
        ],
    )
    def test_any_depth(self, around: str, depth: int) -> None:
        """Nobody's stack is exhausted, and what is given out can be written again."""
        end = b'data: {"type":"response.completed","response":{}}\n\n'
        body = b"data: %s\n\n" % (around % ("[" * depth + "]" * depth)).encode()
        events, complete, failed = said([body + end])
        check_survived(events, complete=complete, failed=failed)
        for event in events:
            orjson.dumps(event.payload)

    @pytest.mark.parametrize(
        ("payload", "numbered", "of_what"),
        [
            ({"type": "response.output_item.added", "item": {"type": "message"}}, "output_index", "items"),
            ({"type": "response.output_item.added", "item": {"type": "function_call"}}, "output_index", "items"),
            ({"type": "response.output_text.delta", "delta": "x"}, "content_index", "parts"),
            ({"type": "response.reasoning_text.delta", "delta": "x"}, "content_index", "parts"),
            ({"type": "response.function_call_arguments.delta", "delta": "x" * (1 << 20)}, "n", "MiB"),
            ({"type": "response.output_text.delta", "delta": "x" * (1 << 20), "output_index": 1}, "n", "MiB"),
        ],
    )
    def test_what_is_held_is_bounded(self, payload: Any, numbered: str, of_what: str) -> None:
        """Items without end, parts without end, a call and a waiting text that grow for ever."""
        one = decoder()
        one.take({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning"}})
        with pytest.raises(StreamError, match=of_what):
            endless(one, payload, numbered)


def endless(one: ResponsesDecoder, payload: Any, numbered: str) -> None:
    """An event again and again, each with a number of its own."""
    for number in range(3000):
        one.take({"output_index": 1, **payload, numbered: number})
