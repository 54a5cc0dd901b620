"""Another's message as the rest of one that has begun: one head, one end, indexes that go on, nothing twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._relay import Relay
from engine._shown import Shown
from engine._splice import Splice
from engine._stream import Kind, MalformedEvent, StreamEvent, event
from engine.testing import head, tail, text, thinking, tool
from tests.e2e.grammar import Reading

#: What was begun, and how it may be gone on with.
ONE = "Reading the first file now, since it has the names. "
TWO = "Then I write the note.\n"


def read(events: Iterable[StreamEvent]) -> Reading:
    """What a client makes of it, faults and all."""
    reading = Reading()
    for item in events:
        for payload in item.payloads():
            reading.take(payload)
    return reading


def spliced(shown: Sequence[StreamEvent], more: Sequence[StreamEvent]) -> tuple[Splice, Reading, list[StreamEvent]]:
    """A message that broke after `shown`, and what another's message makes of it, read event by event."""
    seen = Shown()
    seen.note(shown)
    found = seen.seen()
    assert found is not None
    splice, relay = Splice(found), Relay()
    out = [made for item in more for made in splice.feed(relay.feed([item]))]
    return splice, read([*shown, *out]), out


def arguments(n: int) -> str:
    return f'{{"a": {n}}}'


def kinds(reading: Reading) -> list[str]:
    return [block["type"] for block in reading.blocks]


OPEN = [head(input_tokens=90), *text(ONE, whole=False)]
WHOLE = [head(input_tokens=90), *text(ONE)]


class TestBlocks:
    """What goes where."""

    def test_an_open_text_goes_on_in_its_block(self) -> None:
        """Whatever index the other gave it."""
        for more in (text(TWO), [*thinking("hm"), *text(TWO, index=1)]):
            _, reading, out = spliced(OPEN, [head(id="msg_2"), *more, *tail()])
            assert (reading.faults, kinds(reading), reading.text) == ([], ["text"], ONE + TWO)
            assert out[0].kind is Kind.DELTAS

    def test_a_finished_text_is_followed_by_a_block_of_its_own(self) -> None:
        """At the next index."""
        _, reading, _ = spliced(WHOLE, [head(), *thinking("hm"), *text(TWO, index=1), *tail()])
        assert (reading.faults, kinds(reading), reading.text) == ([], ["text", "text"], ONE + TWO)

    @pytest.mark.parametrize("shown", [OPEN, WHOLE])
    @pytest.mark.parametrize("again", ["", ONE])
    def test_calls_take_the_next_indexes(self, shown: list[StreamEvent], again: str) -> None:
        """With or without a text before them, said again or not; what was open is closed first."""
        said = text(again) if again else []
        calls = [call for n in (0, 1) for call in tool(arguments(n), index=n + bool(again))]
        _, reading, _ = spliced(shown, [head(), *said, *calls, *tail("tool_use")])
        assert (reading.faults, kinds(reading)) == ([], ["text", "tool_use", "tool_use"])
        assert (reading.text, reading.stop_reason) == (ONE, "tool_use")
        assert reading.tools == [("Read", {"a": 0}), ("Read", {"a": 1})]

    def test_several_texts_stay_several(self) -> None:
        """Only the first of them meets the seam."""
        _, reading, _ = spliced(OPEN, [head(), *text(TWO), *text(ONE, index=1), *tail()])
        assert (reading.faults, [b["text"] for b in reading.blocks]) == ([], [ONE + TWO, ONE])

    def test_thinking_behind_the_text_is_left_out(self) -> None:
        """Also where it stands between text and call; what is sealed as well."""
        sealed = event(
            {"type": "content_block_start", "index": 2, "content_block": {"type": "redacted_thinking", "data": "x"}},
            content=True,
        )
        stop = event({"type": "content_block_stop", "index": 2})
        more = [*text(TWO), *thinking("hm", index=1), sealed, stop, *tool('{"a": 1}', index=3)]
        _, reading, _ = spliced(OPEN, [head(), *more, *tail("tool_use")])
        assert (reading.faults, kinds(reading)) == ([], ["text", "tool_use"])

    def test_a_text_that_came_with_its_start_is_taken(self) -> None:
        """As some hosts send it."""
        start = event(
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ONE + TWO}},
            content=True,
        )
        _, reading, _ = spliced(OPEN, [head(), start, event({"type": "content_block_stop", "index": 0}), *tail()])
        assert (reading.faults, reading.text) == ([], ONE + TWO)

    def test_unknown_events_pass(self) -> None:
        """They belong to no block."""
        odd = event({"type": "novel"})
        assert [e for e in spliced(OPEN, [head(), odd, *text(TWO), odd, *tail()])[2] if e.kind is Kind.OTHER] == [
            odd,
            odd,
        ]

    def test_what_is_no_delta_is_malformed(self) -> None:
        """It would else be shown as nothing."""
        bad = StreamEvent(Kind.DELTAS, b"event: content_block_delta\ndata: {x\n\n", content=True)
        with pytest.raises(MalformedEvent):
            spliced(OPEN, [head(), *text(whole=False), bad])


class TestWinning:
    """When it is a continuation."""

    def test_what_is_repeated_does_not_count(self) -> None:
        """The first new character does."""
        for n in range(1, len(ONE)):
            assert not spliced(OPEN, [head(), *text(ONE[:n], whole=False)])[0].committable
        assert spliced(OPEN, [head(), *text(ONE + "T", whole=False)])[0].committable

    def test_a_call_counts(self) -> None:
        """Once it is whole."""
        assert not spliced(OPEN, [head(), *tool('{"a"', whole=False)])[0].committable
        assert spliced(OPEN, [head(), *tool('{"a": 1}')])[0].committable

    def test_all_said_again_and_no_more_is_an_end(self) -> None:
        """The answer was whole. Some of the same words prove nothing, nor does silence within a sentence."""
        assert spliced(OPEN, [head(), *text(ONE), *tail()])[0].committable
        assert not spliced(OPEN, [head(), *text(ONE)])[0].committable
        within = [head(), *text(ONE + "Then", whole=False)]
        assert not spliced(within, [head(), *tail()])[0].committable
        assert not spliced(OPEN, [head(), *text(ONE[:30]), *tail()])[0].committable


class TestUsage:
    """What the client is told."""

    def end(self, output_tokens: int, **theirs: Any) -> dict[str, Any]:
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        usage = {"output_tokens": output_tokens, **theirs}
        last = event({"type": "message_delta", "delta": delta, "usage": usage})
        return spliced(OPEN, [head(input_tokens=500), *text(TWO), last])[1].usage

    def test_the_prompt_is_the_first(self) -> None:
        """Whatever the other says of its own."""
        assert self.end(5)["input_tokens"] == 90
        assert self.end(5, input_tokens=500, cache_read_input_tokens=400)["input_tokens"] == 90
        assert "cache_read_input_tokens" not in self.end(5, cache_read_input_tokens=400)

    def test_the_output_is_both(self) -> None:
        """Reported or not."""
        assert self.end(1000)["output_tokens"] > 1000
        assert 12 <= self.end(0)["output_tokens"] <= 30

    def test_what_was_not_received_is_left_out(self) -> None:
        """What was said again, and thinking."""
        again = spliced(OPEN, [head(), *text(ONE, TWO), *tail(output_tokens=20)])[1].usage["output_tokens"]
        new = spliced(OPEN, [head(), *text(TWO), *tail(output_tokens=8)])[1].usage["output_tokens"]
        assert abs(again - new) <= 4


_more = st.lists(st.sampled_from(["text", "thinking", "tool"]), max_size=4)


@given(st.lists(st.sampled_from(["text", "thinking"]), max_size=2), st.booleans(), _more, st.booleans(), st.data())
def test_any_message_goes_on_within_the_grammar(
    before: list[str], whole: bool, more: list[str], again: bool, data: st.DataObject
) -> None:
    """Texts and calls in order, once each."""

    def block(kind: str, index: int, words: str) -> list[StreamEvent]:
        match kind:
            case "thinking":
                return thinking("hm", index=index)
            case "tool":
                return tool(arguments(index), index=index)
        cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=3)))
        pieces = [words[a:b] for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True)]
        return text(*pieces, index=index)

    first = [item for n, kind in enumerate(before) for item in block(kind, n, f"Block number {n} of the first. ")]
    shown = [head(), *first, *text(ONE, index=len(before), whole=whole)]
    said = ([block("text", 0, ONE)] if again else []) + [
        block(kind, n + again, f" Block number {n} of the second.") for n, kind in enumerate(more)
    ]
    splice, reading, _ = spliced(shown, [head(), *(item for each in said for item in each), *tail("stop_sequence")])
    assert reading.faults == []
    assert reading.stop_reason == "stop_sequence"
    texts = [f"Block number {n} of the first. " for n, kind in enumerate(before) if kind == "text"]
    texts += [ONE, *(f" Block number {n} of the second." for n, kind in enumerate(more) if kind == "text")]
    assert reading.text.replace(" ", "") == "".join(texts).replace(" ", "")
    assert len(reading.tools) == more.count("tool")
    assert splice.fresh == (not {"text", "tool"}.isdisjoint(more))
