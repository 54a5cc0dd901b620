"""What of an attempt may be shown, and when it may win."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine._relay as module
from engine._relay import Relay
from engine._shown import Shown
from engine._stream import CALLING, PING, PROGRESS, WORKING, Kind, StreamEvent, block_stop, error_event, event
from engine.testing import head, tail, text, thinking, tool
from policies import CommitPoint
from tests.recordings import reading

ARGUMENTS = ('{"path"', ': "a"}')


def raw(events: Sequence[StreamEvent]) -> bytes:
    return b"".join(item.raw for item in events)


def fed(relay: Relay, *events: StreamEvent) -> list[StreamEvent]:
    """What is released, event by event."""
    return [shown for item in events for shown in relay.feed([item])]


def after(*events: StreamEvent, commit_at: CommitPoint = "content") -> Relay:
    relay = Relay(commit_at)
    relay.feed(events)
    return relay


class TestShowing:
    """What is released, and when."""

    def test_text_and_thinking_pass_as_they_come(self) -> None:
        """The very events, each at once."""
        events = [head(), *thinking("hm"), *text("a", "b", index=1), *tail()]
        relay = Relay()
        for item in events:
            assert relay.feed([item]) == [item]
        assert (relay.started, relay.content, relay.finished, relay.stop_reason) == (True, True, True, "end_turn")

    def test_a_tool_call_is_held_until_it_is_whole(self) -> None:
        """Half a call is never seen: start, pieces and stop come out together."""
        relay, call = Relay(), tool(*ARGUMENTS, index=1)
        fed(relay, head(), *text("a"))
        for item in call[:-1]:
            assert relay.feed([item]) == []
            assert relay.holding
        assert relay.feed([call[-1]]) == call
        assert not relay.holding

    def test_a_batch_is_released_in_order(self) -> None:
        """Whatever it holds."""
        events = [head(), *text("a"), *tool(*ARGUMENTS, index=1), *text("b", index=2), *tail("tool_use")]
        assert Relay().feed(events) == events

    @pytest.mark.parametrize("pieces", [(), ("",), ("{}",), ('{"a"', ":1}")])
    def test_arguments_may_be_empty(self, pieces: tuple[str, ...]) -> None:
        """Some tools take none."""
        call = tool(*pieces)
        assert fed(after(head()), *call) == call

    def test_arguments_may_stand_in_the_start(self) -> None:
        """And nowhere else."""
        block = {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}}
        call = [event({"type": "content_block_start", "index": 0, "content_block": block}), block_stop(0)]
        assert fed(after(head()), *call) == call

    @pytest.mark.parametrize("pieces", [('{"a"',), ("[1]",), ("7",), ("null",), ("{}{}",)])
    def test_arguments_that_are_no_object_make_the_answer_malformed(self, pieces: tuple[str, ...]) -> None:
        """Nothing of the call is shown, whether another block follows or the end."""
        for rest in (text("b", index=1), tail("tool_use")):
            relay = after(head())
            assert fed(relay, *tool(*pieces), *rest) == []
            assert relay.malformed == "the arguments of a tool call are not JSON"

    @pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
    def test_a_call_cut_off_by_its_length_is_left_out(self, reason: str) -> None:
        """The stop reason explains it, and the rest of the message is good."""
        relay = after(head(), *text("a"))
        shown = fed(relay, *tool('{"a"', index=1), *tail(reason))
        assert [item.kind for item in shown] == [Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP]
        assert (relay.malformed, relay.finished, relay.committable) == ("", True, True)

    def test_pings_are_swallowed(self) -> None:
        """The reply knows when the client was last written to."""
        assert fed(Relay(), PING, head(), PING)[0].kind is Kind.MESSAGE_START
        assert len(fed(Relay(), PING, head(), PING)) == 1

    def test_unknown_events_pass_between_and_not_before_nor_within_a_held_call(self) -> None:
        """Where they would stand in the wrong place."""
        other, relay = event({"type": "later"}), Relay()
        assert relay.feed([other]) == []
        assert fed(relay, head(), other)[1:] == [other]
        call = tool(*ARGUMENTS)
        assert fed(relay, *call[:2], other, *call[2:]) == call

    def test_an_error_stops_it(self) -> None:
        """What comes after it is not looked at, also in the same read."""
        relay = Relay()
        shown = relay.feed([head(), *text("a"), error_event("overloaded_error", "busy"), *text("b", index=1), *tail()])
        assert [item.kind for item in shown][-1] is Kind.BLOCK_STOP
        assert relay.error == {"type": "overloaded_error", "message": "busy"}
        assert relay.feed(text("c", index=1)) == []
        assert not relay.finished

    def test_nothing_follows_the_end(self) -> None:
        """One message is all there is."""
        assert after(head(), *text("a"), *tail()).feed([head(), *text("b")]) == []

    @pytest.mark.parametrize("beyond", [False, True])
    def test_a_call_beyond_all_measure_is_malformed(self, monkeypatch: pytest.MonkeyPatch, beyond: bool) -> None:
        """What is held is bounded, to the byte, its first and its last event included."""
        call = tool('{"a":"', "x" * 1024**2, "x" * 1024**2, '"}')
        size = sum(item.size for item in call)
        monkeypatch.setattr(module, "MAX_TOOL_BYTES", size - 1 if beyond else size)
        relay = after(head())
        assert fed(relay, *call) == ([] if beyond else call)
        assert relay.malformed == ("a tool call of more than 2 MiB" if beyond else "")
        assert relay.content is not beyond

    def test_the_measure_is_taken_of_each_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Many calls may well be larger together."""
        calls = [tool('{"a":"', "x" * 1024**2, '"}', index=index) for index in range(3)]
        monkeypatch.setattr(module, "MAX_TOOL_BYTES", sum(item.size for item in calls[0]))
        relay = after(head())
        for call in calls:
            assert fed(relay, *call) == call

    @pytest.mark.parametrize("first", [(), ('{"a":',)], ids=["first", "later"])
    @pytest.mark.parametrize(
        ("data", "why"),
        [(b"{", "a delta that is not JSON"), (b"[]", "a malformed delta"), (b'{"delta":7}', "a malformed delta")],
    )
    def test_a_piece_of_a_call_that_is_no_delta_is_malformed(
        self, first: tuple[str, ...], data: bytes, why: str
    ) -> None:
        """It is looked into where it matters; nothing of the call is shown."""
        broken = StreamEvent(Kind.DELTAS, b"event: content_block_delta\ndata: %s\n\n" % data)
        relay = after(head())
        assert fed(relay, *tool(*first, whole=False), broken, block_stop(0), *tail("tool_use")) == []
        assert relay.malformed == f"{why} in a tool call"

    def test_who_has_merely_taken_the_request_produces_nothing(self) -> None:
        """The clocks go on; from what is held back they stop, and a call that is held is known as one."""
        assert not after(WORKING).producing
        assert (after(WORKING, PROGRESS).producing, after(WORKING, PROGRESS).calling) == (True, False)
        assert (after(CALLING).producing, after(CALLING).calling) == (True, True)

    def test_a_provider_is_producing_from_the_first_piece_of_a_call(self) -> None:
        """Its start is none, nor is an empty piece; content is always."""
        start, empty, piece, stop = tool("", "{}")
        relay = after(head(), start, empty)
        assert (relay.producing, relay.content) == (False, False)
        relay.feed([piece])
        assert (relay.producing, relay.content) == (True, False)
        relay.feed([stop])
        assert (relay.producing, relay.content) == (True, True)
        assert after(head(), *text("a", whole=False)).producing
        assert not after(head(), *text("", whole=False)).producing


class TestCommitting:
    """When an attempt may win."""

    @pytest.mark.parametrize(
        ("commit_at", "points"),
        [
            # head, thinking start/delta/stop, text start/delta/stop, call, message_delta, message_stop
            ("content", [False, False, True, True, True, True, True, True, True, True]),
            ("block", [False, False, False, True, True, True, True, True, True, True]),
            ("tool", [False, False, False, False, False, False, False, True, True, True]),
            ("message", [False] * 9 + [True]),
        ],
    )
    def test_each_point_is_reached_where_it_says(self, commit_at: CommitPoint, points: list[bool]) -> None:
        """Content, a whole block, a whole call, the whole message."""
        batches = [[head()], *([e] for e in thinking("hm")), *([e] for e in text("a", index=1))]
        batches += [tool(*ARGUMENTS, index=2), *([e] for e in tail("tool_use"))]
        relay, reached = Relay(commit_at), []
        for batch in batches:
            relay.feed(batch)
            reached.append(relay.committable)
        assert reached == points

    def test_every_point_is_in_the_table(self) -> None:
        """Of the policy's values none is without a meaning here."""
        assert {after(head(), *text("a"), *tail(), commit_at=at).committable for at in get_args(CommitPoint)} == {True}

    def test_empty_text_is_no_content(self) -> None:
        """Nor is a block that has only begun, nor half a call."""
        for events in (text(""), text("", whole=False), thinking(""), tool(*ARGUMENTS, whole=False)):
            relay = after(head(), *events)
            assert (relay.content, relay.committable) == (False, False)

    def test_a_block_that_comes_whole_is_content(self) -> None:
        """Redacted thinking has no deltas."""
        block = {"type": "redacted_thinking", "data": "eA=="}
        start = event({"type": "content_block_start", "index": 0, "content_block": block}, content=True)
        assert after(head(), start).committable

    @pytest.mark.parametrize(
        ("reason", "meant"),
        [("refusal", True), ("stop_sequence", True), ("pause_turn", True), ("model_context_window_exceeded", False),
         ("end_turn", False), ("max_tokens", False), ("tool_use", False)],
    )  # fmt: skip
    def test_an_empty_message_may_be_meant(self, reason: str, meant: bool) -> None:
        """A refusal is an answer; an end without a word is none."""
        for commit_at in get_args(CommitPoint):
            assert after(head(), *tail(reason), commit_at=commit_at).committable is meant


class TestUsage:
    """What the message cost."""

    def test_later_reports_overrule_earlier_ones(self) -> None:
        """They are cumulative; what they leave out stays."""
        usage = after(head(input_tokens=12), *text("a"), *tail(output_tokens=9)).usage
        assert (usage.input, usage.output, usage.reported) == (12, 9, True)

    def test_before_any_report_there_is_none(self) -> None:
        """And it says so."""
        assert not Relay().usage.reported


_blocks = st.lists(
    st.sampled_from(
        [lambda i: text("a", "b", index=i), lambda i: thinking("hm", index=i), lambda i: tool(*ARGUMENTS, index=i)]
    ),
    max_size=5,
)


@given(_blocks, st.lists(st.integers(1, 4), max_size=40), st.integers(0, 40))
def test_whatever_was_shown_can_be_ended_within_the_grammar(blocks: list, sizes: list[int], cut: int) -> None:  # type: ignore[type-arg]
    """Cut anywhere, batched anyhow: released blocks are whole or the last; a whole message is released whole."""
    events = [head(), *(item for i, make in enumerate(blocks) for item in make(i)), *tail()]
    relay, shown, rest = Relay(), list[StreamEvent](), events[:cut]
    for size in [*sizes, len(rest)]:
        shown += relay.feed(rest[:size])
        rest = rest[size:]
    if cut >= len(events):
        assert shown == events
    elif relay.started:
        assert events[: len(shown)] == shown
        seen = Shown()
        seen.note(shown)
        assert reading(raw([*shown, *seen.closing(1)])).faults == []
