"""Laws of the chat decoder, for any answer in any accent, and for whatever is none.

However an answer is said and wherever the reads end, it means the same; what breaks off never looks whole; and nothing
that a host sends, made up, damaged or random, gets past the grammar or out of the decoder as another exception than its own.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Kind, StreamEvent
from engine.config import Accent
from tests.e2e.grammar import Reading
from tests.recordings import payloads
from tests.transports.chat.answers import NAMES, WORDS, Rendered, streams
from tests.transports.chat.streams import DONE, decoder, frame, ids_of, raw_of, read_events, signatures, toolbox
from transports._anthropic import StreamError
from transports._envelope import opened
from transports._sse import SSEError

TOOLS = toolbox(*NAMES)
LAW = settings(deadline=None, max_examples=50)


@st.composite
def cuttings(draw: st.DrawFn, body: bytes) -> list[bytes]:
    places = draw(st.lists(st.integers(0, len(body)), max_size=20))
    return [body[a:b] for a, b in pairwise(sorted({0, len(body), *places}))]


def said(chunks: list[bytes], **settings: Any) -> tuple[list[StreamEvent], bool, bool]:
    """The events, whether the answer is complete, and whether it failed."""
    one = decoder(**{"toolbox": TOOLS, **settings})
    events: list[StreamEvent] = []
    try:
        for piece in chunks:
            events += one.feed(piece)
        events += one.finish()
    except (StreamError, SSEError):
        return events, one.complete, True
    return events, one.complete, False


def unfinished(events: list[StreamEvent]) -> Reading:
    """What events say that need not have come to an end."""
    found = Reading()
    for payload in payloads(raw_of(events)):
        found.take(payload)
    return found


class TestMeaning:
    """For any answer in any accent."""

    @LAW
    @given(st.data())
    def test_it_means_what_was_meant(self, data: st.DataObject) -> None:
        """Wherever the reads end."""
        stream: Rendered = data.draw(streams())
        answer = stream.answer
        events, complete, failed = said(data.draw(cuttings(stream.body)), accent=stream.accent)
        found = read_events(events)
        assert (failed, found.faults, found.error) == (False, [], None)
        assert found.text == answer.joined("text")
        assert found.thinking == answer.joined("thinking")
        assert found.tools == answer.calls
        assert found.stop_reason == answer.stop
        assert found.usage["output_tokens"] == answer.output
        assert found.usage["input_tokens"] == answer.prompt - answer.cached
        assert found.usage["cache_read_input_tokens"] == answer.cached
        assert complete is bool(answer.said or answer.calls)

    @LAW
    @given(st.data())
    def test_thinking_is_signed_and_details_come_back(self, data: st.DataObject) -> None:
        """Once at the end of each block; with the text put back the details are the thinking."""
        stream: Rendered = data.draw(streams())
        accent = Accent(think_tags=stream.accent.think_tags, replay="reasoning_details")
        events, _, _ = said([stream.body], accent=accent)
        blocks = [block for block in read_events(events).blocks if "thinking" in block["type"]]
        details = ""
        for block, signature in zip(blocks, signatures(events), strict=True):
            sealed = opened(signature)
            assert sealed is not None
            for detail in sealed.state.get("details", []):
                details += detail.get("text", block.get("thinking"))
        assert details in ("", stream.answer.joined("thinking"))

    @LAW
    @given(streams(), st.sets(st.sampled_from(["call_0_abc", "call_1_abc", "toolu_7_0", "toolu_7_1"])))
    def test_ids_are_valid_unlike_and_new(self, stream: Rendered, taken: set[str]) -> None:
        """Every call has one that may stand in the conversation."""
        events, _, _ = said([stream.body], accent=stream.accent, taken=lambda: taken, message_id="msg_7")
        ids = ids_of(read_events(events))
        assert len(set(ids)) == len(ids) == len(stream.answer.calls)
        assert not taken & set(ids)
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", id) for id in ids)

    @LAW
    @given(streams())
    def test_an_event_holds_one_thing(self, stream: Rendered) -> None:
        """Kinds tell the truth: the engine never looks into the bytes to see."""
        events, _, _ = said(stream.frames, accent=stream.accent)
        for event in events:
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

    @LAW
    @given(st.data())
    def test_what_breaks_off_never_looks_whole(self, data: st.DataObject) -> None:
        """Nothing before the finish reason makes an end; and what was said by then stands."""
        stream: Rendered = data.draw(streams())
        part = stream.body[: data.draw(st.integers(0, stream.open_until))]
        events, complete, _ = said(data.draw(cuttings(part)), accent=stream.accent)
        assert not complete
        assert not {event.kind for event in events} & {Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP}
        found = unfinished(events)
        assert found.faults == []
        assert stream.answer.joined("text").startswith(found.text)
        assert stream.answer.joined("thinking").startswith(found.thinking)
        assert found.tools == []

    @LAW
    @given(st.data())
    def test_nothing_ends_before_the_last_frame(self, data: st.DataObject) -> None:
        """While reads may still come, only `[DONE]` is an end."""
        stream: Rendered = data.draw(streams())
        one = decoder(toolbox=TOOLS, accent=stream.accent)
        part = stream.body[: data.draw(st.integers(0, stream.open_until))]
        events = [event for piece in data.draw(cuttings(part)) for event in one.feed(piece)]
        assert Kind.MESSAGE_STOP not in {event.kind for event in events}
        assert not one.complete


KEYS = (
    "choices", "delta", "message", "error", "usage", "x_groq", "content", "type", "thinking", "text", "tool_calls",
    "function", "index", "id", "name", "arguments", "code", "detail", "reasoning", "reasoning_details", "finish_reason",
    "refusal", "custom", "input", "extra_content", "signature", "data", "function_call", "prompt_tokens", "summary",
    "completion_tokens", "native_finish_reason", "stop_reason",
)  # fmt: skip
SCRAPS = (
    "stop",
    "tool_calls",
    "length",
    "read",
    "{",
    "}",
    "{}",
    '{"a":1}',
    "[",
    '"',
    "<think>",
    "</think>",
    "[DONE]",
    "error",
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats(allow_nan=False) | st.sampled_from([*SCRAPS, *WORDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)
ENTRIES = st.fixed_dictionaries(
    {}, optional={"index": st.integers(0, 1) | JSONS, "id": JSONS, "function": st.fixed_dictionaries(
        {}, optional={"name": st.sampled_from(NAMES) | JSONS, "arguments": st.sampled_from(SCRAPS) | JSONS}) | JSONS,
        "custom": JSONS, "extra_content": JSONS},
)  # fmt: skip
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": st.sampled_from([*SCRAPS, *WORDS]) | JSONS, "reasoning": st.sampled_from(WORDS) | JSONS, "refusal": JSONS,
        "tool_calls": st.lists(ENTRIES, max_size=3), "reasoning_details": JSONS, "function_call": JSONS,
    },
)  # fmt: skip
CHUNKS = JSONS | st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"delta": DELTAS}, optional={"finish_reason": st.sampled_from(SCRAPS), "usage": JSONS}
            ),
            max_size=2,
        )
    },
    optional={"usage": JSONS},
)
ACCENTS = st.builds(
    Accent,
    think_tags=st.sampled_from(["leading", "implied", "off"]),
    replay=st.sampled_from(["", "reasoning_details"]),
    thought_signatures=st.booleans(),
    reasoning_beside=st.booleans(),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good stream with some bytes changed, frames lost, doubled or moved."""
    frames = list(draw(streams()).frames)
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


def check_survived(events: list[StreamEvent], *, complete: bool, failed: bool) -> None:
    """Strict grammar as far as it goes; an end only where there was one."""
    found = unfinished(events)
    assert found.faults == []
    ended = Kind.MESSAGE_STOP in {event.kind for event in events}
    assert complete is (ended and bool(found.blocks))
    assert not (failed and ended)
    assert not any(not str(block.get("text", block.get("thinking", "x"))).strip() for block in found.blocks)


class TestHostility:
    """For whatever a host may send."""

    @LAW
    @given(damaged(), ACCENTS, st.data())
    def test_damaged_streams(self, body: bytes, accent: Accent, data: st.DataObject) -> None:
        """The grammar holds up to the failure."""
        events, complete, failed = said(data.draw(cuttings(body)), accent=accent)
        check_survived(events, complete=complete, failed=failed)

    @settings(deadline=None, max_examples=80)
    @given(st.lists(CHUNKS.map(frame) | st.just(DONE) | st.just(b"event: error\n"), max_size=6), ACCENTS)
    def test_any_json(self, frames: list[bytes], accent: Accent) -> None:
        """It is an answer, an error, or refused."""
        events, complete, failed = said(frames, accent=accent)
        check_survived(events, complete=complete, failed=failed)

    @LAW
    @given(JSONS.filter(lambda value: isinstance(value, dict)) | st.fixed_dictionaries(
        {"choices": st.lists(st.fixed_dictionaries({"message": DELTAS, "finish_reason": st.sampled_from(SCRAPS)}), min_size=1)}
    ), ACCENTS)  # fmt: skip
    def test_any_answer(self, answer: Any, accent: Accent) -> None:
        """Given whole."""
        one = decoder(toolbox=TOOLS, accent=accent)
        try:
            events = one.whole(answer)
        except StreamError:
            return
        check_survived(events, complete=one.complete, failed=False)

    @LAW
    @given(
        st.lists(
            st.binary(max_size=20) | st.sampled_from([b"data: ", b"\n\n", b"{", b"}", DONE, b"event: error"]),
            max_size=9,
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
            '{"choices":[{"delta":{"content":%s},"finish_reason":"stop"}]}',
            '{"choices":[{"delta":{"reasoning_details":[{"text":"a","x":%s}]},"finish_reason":"stop"}]}',
            '{"choices":[{"delta":{"tool_calls":[{"function":{"name":"read","arguments":{"a":%s}}}]}}]}',
            '{"choices":[{"delta":{"tool_calls":[{"extra_content":%s,"function":{"name":"read"}}]}}]}',
            '{"choices":[{"delta":{"tool_calls":[{"custom":{"name":"read","input":%s}}]}}]}',
            '{"error":%s}',
            '{"error":{"message":"busy","x":%s}}',
            '{"detail":%s}',
            '{"usage":%s}',
        ],
    )
    def test_any_depth(self, around: str, depth: int) -> None:
        """Nobody's stack is exhausted, and what is given out can be written again."""
        body = b"data: %s\n\ndata: [DONE]\n\n" % (around % ("[" * depth + "]" * depth)).encode()
        accent = Accent(replay="reasoning_details", thought_signatures=True)
        events, complete, failed = said([body], accent=accent)
        check_survived(events, complete=complete, failed=failed)
        for event in events:
            orjson.dumps(event.payload)
