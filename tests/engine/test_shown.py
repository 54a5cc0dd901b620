"""What the client has seen of a message: how it may end, what somebody else may go on from, and when it is let go."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine._shown as module
from engine._relay import Relay
from engine._shown import Ending, Shown
from engine._stream import Kind, StreamEvent, event
from engine.testing import head, tail, text, thinking, tool
from tests.recordings import reading

ARGUMENTS = ('{"path"', ': "a"}')


def raw(events: Sequence[StreamEvent]) -> bytes:
    return b"".join(item.raw for item in events)


def released(*events: StreamEvent) -> list[StreamEvent]:
    """What a relay makes of them."""
    relay = Relay()
    return [shown for item in events for shown in relay.feed([item])]


def after(*events: StreamEvent) -> Shown:
    shown = Shown()
    shown.note(released(*events))
    return shown


class TestEnding:
    """When the provider breaks."""

    @pytest.mark.parametrize(
        ("events", "ending"),
        [
            ([], Ending.RESET),
            ([head()], Ending.RESET),
            (text("a", whole=False), Ending.RESET),
            (thinking("hm"), Ending.RESET),
            ([*thinking("hm"), *text("a", index=1, whole=False)], Ending.RESET),
            (text("a"), Ending.ERROR),
            ([*thinking("hm"), *text("a", index=1)], Ending.ERROR),
            ([*text("a"), *tool(*ARGUMENTS, index=1, whole=False)], Ending.ERROR),
            ([*text("a"), *tool('{"a', index=1)], Ending.ERROR),
            (tool(*ARGUMENTS, whole=False), Ending.RESET),
            (tool(*ARGUMENTS), Ending.CLOSE),
            ([*tool(*ARGUMENTS), *text("a", index=1, whole=False)], Ending.CLOSE),
        ],
    )
    def test_what_was_released_decides(self, events: list[StreamEvent], ending: Ending) -> None:
        """Nothing finished: silence. Text finished: an apology. A call finished: it will run, so the message ends."""
        assert after(head(), *events).ending() is ending

    @pytest.mark.parametrize(
        "rest",
        [
            [],
            text("b", index=1),
            text("b", index=1, whole=False),
            tool('{"a"', index=1, whole=False),
            tool(*ARGUMENTS, index=1),
        ],
    )
    def test_closing_makes_a_whole_message(self, rest: list[StreamEvent]) -> None:
        """The open block ends, the reason is the call; half a call is left out."""
        shown = released(head(), *tool(*ARGUMENTS), *rest)
        found = reading(raw([*shown, *after(head(), *tool(*ARGUMENTS), *rest).closing(7)]))
        assert (found.faults, found.stop_reason) == ([], "tool_use")

    def test_closing_after_the_reason_adds_none(self) -> None:
        """Only the end was missing."""
        events = [head(), *tool(*ARGUMENTS), *tail("tool_use")[:1]]
        assert [item.kind for item in after(*events).closing(7)] == [Kind.MESSAGE_STOP]
        assert reading(raw(released(*events)) + raw(tail()[1:])).faults == []


class TestGoingOn:
    """What somebody else may go on from."""

    @pytest.mark.parametrize(
        ("events", "texts", "open", "next"),
        [
            (text("a", "b", whole=False), ("ab",), 0, 1),
            (text("a", "b"), ("ab",), None, 1),
            ([*thinking("hm"), *text("a", index=1, whole=False)], ("a",), 1, 2),
            ([*text("a"), *text("b", index=1, whole=False)], ("a", "b"), 1, 2),
            ([*text("a"), *tool('{"a', index=1, whole=False)], ("a",), None, 1),
        ],
    )
    def test_text_is(self, events: list[StreamEvent], texts: tuple[str, ...], open: int | None, next: int) -> None:
        """With the place at which it goes on, and what the client was told of the prompt."""
        seen = after(head(input_tokens=12), *events).seen()
        assert seen is not None
        assert [block["text"] for block in seen.blocks] == list(texts)
        assert (seen.open, seen.next) == (open, next)
        assert seen.usage["input_tokens"] == 12
        assert 1 <= seen.output_tokens <= 5

    @pytest.mark.parametrize(
        "events",
        [
            [],
            thinking("hm"),
            text("", whole=False),
            text(" ", whole=False),
            [*text("a"), *thinking("hm", index=1, whole=False)],
            [*text("a"), *tool(*ARGUMENTS, index=1)],
            [*text("a"), *tail()[:1]],
        ],
    )
    def test_nothing_else_is(self, events: list[StreamEvent]) -> None:
        """No text, an unfinished block that needs its author, a call that will run, a message that has its reason."""
        assert after(head(), *events).seen() is None

    def test_a_search_of_the_host_is_with_its_result(self) -> None:
        """Without it, nobody else can have it."""
        block = {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}}
        call = [
            event({"type": "content_block_start", "index": 1, "content_block": block}),
            event(
                {
                    "type": "content_block_delta",
                    "index": 1,
                    "delta": {"type": "input_json_delta", "partial_json": '{"query": "x"}'},
                }
            ),
            event({"type": "content_block_stop", "index": 1}),
        ]
        found = {"type": "web_search_tool_result", "tool_use_id": "x", "content": []}
        result = [
            event({"type": "content_block_start", "index": 2, "content_block": found}),
            event({"type": "content_block_stop", "index": 2}),
        ]
        assert after(head(), *text("a"), *call[:2]).seen() is None
        assert after(head(), *text("a"), *call).seen() is None
        seen = after(head(), *text("a"), *call, *result, *text("b", index=3, whole=False)).seen()
        assert seen is not None
        called = {**block, "input": {"query": "x"}}
        assert seen.blocks == ({"type": "text", "text": "a"}, called, found, {"type": "text", "text": "b"})
        assert (seen.text, seen.open, seen.next) == ("a\n\nb", 3, 4)

    def test_a_block_that_nobody_knows_is_not(self) -> None:
        """What it means is between the client and its author."""
        start = event({"type": "content_block_start", "index": 1, "content_block": {"type": "new"}})
        stop = event({"type": "content_block_stop", "index": 1})
        assert after(head(), *text("a"), start, stop).seen() is None


class TestLettingGo:
    """Frames are kept as long as they may be needed."""

    @pytest.mark.parametrize("last", [tool(*ARGUMENTS, index=1), tail()[:1]])
    def test_a_call_or_the_reason_lets_go(self, last: list[StreamEvent]) -> None:
        """Once, at that very moment."""
        shown = Shown()
        shown.note([head(), *text("a"), *last[:-1]] if len(last) > 1 else [head(), *text("a")])
        assert shown.keeping
        shown.note([*last[-1:], *text("b", index=2)])
        assert (shown.keeping, shown._kept) == (False, [])

    def test_too_much_text_lets_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Thinking does not count, since it is not kept."""
        monkeypatch.setattr(module, "MAX_KEPT_BYTES", 1200)
        shown = after(head(), *thinking("hm" * 1000), *text("a" * 800, index=1, whole=False))
        assert shown.keeping
        shown.note(text("a" * 400, index=1, whole=False)[1:])
        assert (shown.keeping, shown.seen(), shown.ending()) == (False, None, Ending.RESET)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=20))
def test_the_text_is_read_back_from_its_frames(pieces: list[str]) -> None:
    """Whatever it says."""
    seen = after(head(), *text(*pieces, whole=False)).seen()
    assert (seen.text if seen else "") == ("".join(pieces) if "".join(pieces).strip() else "")
