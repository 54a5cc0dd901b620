"""A stream put together into one message, for clients that asked for no stream."""

from __future__ import annotations

import itertools
from time import process_time
from typing import Any

import orjson
import pytest
import trio

from engine import PING, AttemptError, StreamEvent, event
from engine._relay import Relay
from routes import _aggregate
from routes._aggregate import Aggregate
from tests.recordings import CUTS, Recording, pieces, recordings
from tests.routes.asgi_driver import ask, house, turn
from tests.transports.anthropic_frames import END, START, STOP, decoded, delta, start, stop, stream
from transports._anthropic import AnthropicDecoder


def message(events: list[StreamEvent]) -> dict[str, Any]:
    aggregate = Aggregate()
    for item in events:
        aggregate.feed([item])
    whole = Aggregate()
    whole.feed(events)
    assert whole.message == aggregate.message
    return whole.message


def of(*parts: dict[str, Any]) -> dict[str, Any]:
    return message([event(part) for part in (START, *parts, END, STOP)])


class TestBlocks:
    """What deltas amount to."""

    def test_text_is_joined(self) -> None:
        """Piece by piece or as a run of several."""
        assert of(start(0), delta(0, "a"), delta(0, "b\u2028"), stop(0))["content"] == [
            {"type": "text", "text": "ab\u2028"}
        ]
        run = decoded(
            [stream(START, start(0), delta(0, "a")), stream(*[delta(0, x) for x in "bcd"]), stream(END, STOP)]
        )
        assert message(run)["content"] == [{"type": "text", "text": "abcd"}]

    def test_thinking_keeps_its_signature(self) -> None:
        """Which a provider wants back."""
        signature = {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "signature_delta", "signature": "c2ln"},
        }
        (block,) = of(start(0, "thinking"), delta(0, "h", "thinking"), delta(0, "m", "thinking"), signature)["content"]
        assert block == {"type": "thinking", "thinking": "hm", "signature": "c2ln"}

    @pytest.mark.parametrize(("texts", "given"), [((), {}), (("",), {}), (('{"a"', ": [1]}"), {"a": [1]})])
    def test_arguments_are_parsed(self, texts: tuple[str, ...], given: dict[str, Any]) -> None:
        """Once they are whole."""
        (block,) = of(start(0, "tool_use"), *[delta(0, text, "tool_use") for text in texts], stop(0))["content"]
        assert block == {"type": "tool_use", "id": "toolu_0", "name": "read", "input": given}

    def test_arguments_of_one_call_do_not_run_into_the_next(self) -> None:
        """Each block begins anew."""
        calls = of(
            start(0, "tool_use"), delta(0, '{"a":1}', "tool_use"), stop(0), start(1, "tool_use"), stop(1),
        )["content"]  # fmt: skip
        assert [block["input"] for block in calls] == [{"a": 1}, {}]

    def test_citations_are_collected(self) -> None:
        """In order, on the block they belong to."""
        cites = [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {"n": n}}}
            for n in (1, 2)
        ]
        (block,) = of(start(0, citations=None), delta(0, "a"), *cites, stop(0))["content"]
        assert block == {"type": "text", "text": "a", "citations": [{"n": 1}, {"n": 2}]}

    def test_unknown_deltas_are_kept_in_their_block(self) -> None:
        """Strings grow, anything else is replaced."""
        later = [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "later_delta", "note": text, "n": n}}
            for n, text in enumerate(("a", "b"))
        ]
        (block,) = of(start(0, "later_block", note=""), *later, stop(0))["content"]
        assert block == {"type": "later_block", "note": "ab", "n": 1}

    def test_whole_blocks_stay_whole(self) -> None:
        """Results of server tools come in their start."""
        (block,) = of(start(0, "web_search_tool_result", tool_use_id="s", content=[{"url": "u"}]), stop(0))["content"]
        assert block == {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]}


class TestSize:
    """However long the answer, it takes time and memory in proportion, and there is an end to it."""

    def test_many_small_pieces_are_copied_once(self) -> None:
        """Four times the pieces take about four times as long: adding each to the text so far takes sixteen times."""
        piece = event(delta(0, "word " * 40))

        def taken_s(count: int) -> float:
            aggregate = Aggregate()
            aggregate.feed([event(START), event(start(0))])
            began_s = process_time()
            for _ in range(count):
                aggregate.feed([piece])
            assert len(aggregate.message["content"][0]["text"]) == count * 200
            return process_time() - began_s

        least_s = min(taken_s(10_000) for _ in range(3))
        assert min(taken_s(40_000) for _ in range(2)) < 10 * least_s

    @pytest.mark.parametrize("kind", ["text", "thinking", "tool_use"])
    def test_there_is_a_limit(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of whatever the message is made."""
        monkeypatch.setattr(_aggregate, "MAX_MESSAGE_BYTES", 1 << 20)
        aggregate = Aggregate()
        aggregate.feed([event(START), event(start(0, kind))])
        piece = event(delta(0, "x" * 1000, kind))
        with pytest.raises(AttemptError, match="more than 1 MiB in one JSON answer; ask for a stream"):
            aggregate.feed(itertools.repeat(piece, 1100))

    async def test_an_answer_beyond_it_is_a_failed_attempt(
        self, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The next candidate is asked; where there is none, the client is told what happened."""
        monkeypatch.setattr(_aggregate, "MAX_MESSAGE_BYTES", 1 << 20)
        endless, short = "echo?words=1000000&gap_ms=0", "echo?words=1&gap_ms=0"
        reply = await ask(house(endless, short).app, "POST", "/v1/messages", turn(stream=False))
        assert (reply.status, reply.header("x-hedgerow-candidate")) == (200, f"rehearsal/{short}")
        reply = await ask(house(endless).app, "POST", "/v1/messages", turn(stream=False))
        assert reply.status >= 500
        assert "more than 1 MiB in one JSON answer" in reply.error[1]


class TestMessage:
    """What stands around the blocks."""

    def test_the_end_completes_the_beginning(self) -> None:
        """Reason and counts; what is null takes nothing back, and unknown fields come along."""
        end = {**END, "usage": {"output_tokens": 7, "input_tokens": None}, "context_management": {"applied_edits": []}}
        assert message([event(part) for part in (START, end, STOP)]) == {
            **START["message"],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 7},
            "context_management": {"applied_edits": []},
        }

    def test_pings_and_unknown_events_add_nothing(self) -> None:
        """A message has no place for them."""
        assert message([PING, event(START), event({"type": "later"}), PING, event(END)]) == of()

    def test_the_events_are_left_as_they_are(self) -> None:
        """They may be shown to somebody else as well."""
        events = [event(part) for part in (START, start(0), delta(0, "a"), stop(0), END, STOP)]
        before = orjson.dumps([item.payload for item in events])
        message(events)
        assert orjson.dumps([item.payload for item in events]) == before


@pytest.mark.parametrize("recording", recordings("anthropic-messages", stream=False, status=200))
def test_recorded_messages_come_back_as_they_were(recording: Recording) -> None:
    """Taken apart into a stream and put together again."""
    body = orjson.loads(recording.body)
    put_together = message(AnthropicDecoder().whole(body))
    assert {name: put_together.get(name) for name in body} == {**body, "usage": put_together["usage"]}
    given = {name: count for name, count in body["usage"].items() if count is not None}
    assert {name: put_together["usage"].get(name) for name in given} == given


@pytest.mark.parametrize("recording", recordings("anthropic-messages", stream=True))
def test_recorded_streams_amount_to_what_they_say(recording: Recording) -> None:
    """Text, reasoning, calls, stop reason and usage, however the stream was cut; a call that was cut off is left out."""
    expect = recording.expect
    found = [message(Relay().feed(decoded(pieces(recording.body, cut)))) for cut in CUTS if cut != 1]
    assert all(one == found[0] for one in found)
    blocks = found[0]["content"]
    assert "".join(b["text"] for b in blocks if b["type"] == "text") == (expect["text"] or "")
    assert "".join(b["thinking"] for b in blocks if b["type"] == "thinking") == (expect["reasoning"] or "")
    assert [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"] == [
        (tool["name"], orjson.loads(tool["arguments"] or "{}")) for tool in expect["tools"] if _parses(tool)
    ]
    assert found[0]["stop_reason"] == expect["stop"]
    assert {name: found[0]["usage"].get(name) for name in expect["usage"]} == expect["usage"]


def _parses(tool: dict[str, Any]) -> bool:
    try:
        orjson.loads(tool["arguments"] or "{}")
    except orjson.JSONDecodeError:
        return False
    return True
