"""Three laws of the anthropic decoder, for messy streams of every sort.

A generator writes streams with every fault that was seen in the wild, in any mixture: overlapping blocks, interleaved
tools, index gaps, indexes used twice, missing starts, stops and ends, late deltas, a second head, noise in between. For
all of them the grammar that comes out is strict, nothing is lost or reordered within a block, and neither the cutting
into reads nor the shortcut for runs of deltas changes a byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import attrs
import orjson
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine import Kind, StreamEvent
from tests.recordings import payloads, reading
from tests.transports.anthropic_frames import END, START, STOP, decoded, delta, frame, raw_of, start, stop
from transports._anthropic import AnthropicDecoder

#: Pieces of text that look like the framing they stand in.
TRICKY = [
    "a", " word", '"index":0,', '"index": 0}', "event: content_block_delta\n", '\n\ndata: {"', '\\"', "}\n\n", "\u2028",
    "\u0085", '"', "[DONE]", "data: [DONE]\n\n",
]  # fmt: skip


@attrs.define
class Source:
    """One block as a host means it: its pieces in order. A tool's pieces are those of one JSON object."""

    kind: str
    index: int
    pieces: list[str]


@attrs.define
class Mess:
    """A messy stream and what it means."""

    sources: list[Source]
    frames: list[bytes]


def _arguments(texts: list[str]) -> list[str]:
    """The JSON of an object with these texts in it, in as many pieces."""
    if not texts:
        return []
    whole = orjson.dumps({"a": texts}).decode()
    size = -(-len(whole) // len(texts))
    return [whole[at : at + size] for at in range(0, len(whole), size)]


@st.composite
def sources(draw: st.DrawFn) -> list[Source]:
    found = []
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["text", "thinking", "tool_use"]))
        texts = draw(st.lists(st.sampled_from(TRICKY), max_size=5))
        if kind != "tool_use":
            texts = [f"<{number}.{i}>{text}" for i, text in enumerate(texts)]
        index = draw(st.sampled_from([number, number, number, number + 3, 0]))
        found.append(Source(kind, index, _arguments(texts) if kind == "tool_use" else texts))
    return found


NOISE: list[bytes] = [
    b": keep-alive\n\n",
    frame({"type": "ping"}),
    frame({"type": "later_event", "index": 0}),
    frame(START),
    frame({**END, "delta": {"stop_reason": None}, "usage": {"output_tokens": 2}}),
    b"data: [DONE]\n\n",
    b"\n",
]


@st.composite
def messes(draw: st.DrawFn) -> Mess:
    """Blocks of a message with their events interleaved, some events missing or late, and noise between them."""
    blocks = draw(sources())
    lines: list[list[dict[str, Any]]] = []
    for source in blocks:
        alone = [other.index for other in blocks].count(source.index) == 1
        events = [start(source.index, source.kind), *(delta(source.index, text, source.kind) for text in source.pieces)]
        if source.kind != "tool_use" and alone and draw(st.integers(0, 5)) == 0:
            del events[0]
        if draw(st.integers(0, 3)) or not alone:
            late = source.kind != "tool_use" and alone and draw(st.booleans())
            place = draw(st.integers(1, len(events))) if late and events else len(events)
            if alone or draw(st.booleans()):
                events.insert(place, stop(source.index))
        lines.append(events)
    spaced = draw(st.booleans())
    frames = [frame(START)] if draw(st.integers(0, 4)) else []
    while any(lines):
        # A host that numbers two blocks alike sends the one after the other; nobody could tell them apart else.
        ready = [
            i for i, line in enumerate(lines)
            if line and not any(lines[j] and blocks[j].index == blocks[i].index for j in range(i))
        ]  # fmt: skip
        frames.append(frame(lines[draw(st.sampled_from(ready))].pop(0), spaced=spaced))
        if draw(st.integers(0, 5)) == 0:
            frames.append(draw(st.sampled_from(NOISE)))
    frames += draw(st.sampled_from([[END, STOP], [END], [STOP], [END, END, STOP]]).map(lambda p: list(map(frame, p))))
    frames += draw(st.lists(st.sampled_from([b"data: [DONE]\n\n", frame(START), frame(STOP)]), max_size=2))
    if draw(st.integers(0, 4)) == 0:
        frames = [text.replace(b"\n", b"\r\n") for text in frames]
    return Mess(blocks, frames)


@st.composite
def cuttings(draw: st.DrawFn, body: bytes) -> list[bytes]:
    places = draw(st.lists(st.integers(0, len(body)), max_size=20))
    return [body[a:b] for a, b in pairwise(sorted({0, len(body), *places}))]


def without_shortcut(chunks: Iterable[bytes]) -> list[list[StreamEvent]]:
    class Slow(AnthropicDecoder):
        def _as_run(self, piece: bytes) -> StreamEvent | None:
            return None

    decoder = Slow()
    return [*(decoder.feed(chunk) for chunk in chunks), decoder.finish()]


def _says(events: Iterable[StreamEvent]) -> tuple[bytes, bool]:
    """The bytes up to here, and whether there was content."""
    events = list(events)
    return raw_of(events), any(event.content for event in events)


LAW = settings(deadline=None, max_examples=150)


class TestLaws:
    """For any messy stream."""

    @LAW
    @given(messes())
    def test_the_grammar_is_strict(self, mess: Mess) -> None:
        """Whatever the host did, a client that forgives nothing has nothing to forgive."""
        raw = raw_of(decoded(mess.frames))
        assert not raw or reading(raw).faults == []

    @LAW
    @given(messes())
    def test_nothing_is_lost_or_reordered_within_a_block(self, mess: Mess) -> None:
        """Each piece of text comes out once, after those before it; each call with all of its arguments.

        What breaks off is another matter: there, nothing may look finished (`test_anthropic_decoder.py`).
        """
        events = decoded(mess.frames)
        assume(Kind.ERROR not in {event.kind for event in events})
        found = reading(raw_of(events))
        for number, source in enumerate(mess.sources):
            if source.kind != "tool_use":
                said = found.text if source.kind == "text" else found.thinking
                assert [said.count(f"<{number}.{i}>") for i in range(len(source.pieces))] == [1] * len(source.pieces)
                places = [said.index(piece) for piece in source.pieces]
                assert places == sorted(places)
        expected = [orjson.loads("".join(s.pieces) or "{}") for s in mess.sources if s.kind == "tool_use"]
        calls = [given_input for _, given_input in found.tools]
        assert sorted(map(repr, calls)) == sorted(map(repr, expected))

    @LAW
    @given(st.data())
    def test_the_cutting_changes_nothing(self, data: st.DataObject) -> None:
        """The same bytes come out, wherever the reads end."""
        mess = data.draw(messes())
        body = b"".join(mess.frames)
        assert raw_of(decoded(data.draw(cuttings(body)))) == raw_of(decoded(mess.frames))

    @LAW
    @given(st.data())
    def test_the_shortcut_changes_nothing(self, data: st.DataObject) -> None:
        """With it and without it: the same bytes, and content noticed in the same read."""
        body = b"".join(data.draw(messes()).frames)
        chunks = data.draw(cuttings(body))
        fast, slow = AnthropicDecoder(), without_shortcut(chunks)
        batches = [*(fast.feed(chunk) for chunk in chunks), fast.finish()]
        for end in range(1, len(batches) + 1):
            told = _says(event for batch in batches[:end] for event in batch)
            assert told == _says(event for batch in slow[:end] for event in batch)

    @LAW
    @given(messes())
    def test_an_event_holds_one_thing(self, mess: Mess) -> None:
        """Kinds tell the truth: the engine never looks into the bytes to see."""
        for event in decoded([b"".join(mess.frames)]):
            told = list(payloads(event.raw))
            if event.kind is Kind.DELTAS:
                assert {payload["type"] for payload in told} == {"content_block_delta"}
                assert len({payload["index"] for payload in told}) == 1
                assert list(event.payloads()) == told
            else:
                assert told == [event.payload]
