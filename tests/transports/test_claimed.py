"""Answers of hosts that speak Anthropic's wire and are not Anthropic: whose thinking it is, and ids that may go anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from engine import StreamEvent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, pieces, reading
from tests.transports.anthropic_frames import END, START, STOP, delta, raw_of, start, stop, stream
from tests.transports.asks import ask, body
from tests.transports.chat.streams import ids_of, signatures
from transports import anthropic
from transports._anthropic import StreamError
from transports._claimed import MAX_CHARS
from transports._envelope import opened, seal

MADE_BEFORE = {"type": "tool_use", "id": "call_0123", "name": "read", "input": {}}


def signing(index: int, signature: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "signature_delta", "signature": signature}}


def run(sent: bytes, cut: int | None = None, *, open_lists: bool = False) -> list[StreamEvent]:
    """The events of an answer, in a conversation that has a call of id `call_0123`."""
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": [MADE_BEFORE]}]
    decoder = anthropic(ask(body(messages=messages), open_lists=open_lists)).decoder
    return [event for piece in pieces(sent, cut) for event in decoder.feed(piece)] + decoder.finish()


def at_every_cutting(sent: bytes) -> tuple[Reading, list[str]]:
    """What it reads as, the same at every cutting, and its signatures."""
    found = [run(sent, cut) for cut in CUTS]
    read = [reading(raw_of(events)) for events in found]
    assert [one.faults for one in read] == [[]] * len(CUTS)
    assert len({repr((one.blocks, signatures(events))) for one, events in zip(read, found, strict=True)}) == 1
    return read[0], signatures(found[0])


@pytest.mark.parametrize(
    ("deltas", "signature"),
    [([signing(0, "ab"), signing(0, "cd")], "abcd"), ([signing(0, "")], ""), ([], "")],
    ids=["in pieces", "empty", "none"],
)
def test_whatever_it_signs_with_goes_into_an_envelope(deltas: list[dict[str, Any]], signature: str) -> None:
    """And thinking that is not signed at all gets one, since clients drop it without."""
    sent = stream(START, start(0, "thinking"), delta(0, "hm ", "thinking"), delta(0, "so", "thinking"), *deltas, stop(0),
                  start(1), delta(1, "signature_delta"), stop(1), END, STOP)  # fmt: skip
    found, given = at_every_cutting(sent)
    assert (found.thinking, found.text) == ("hm so", "signature_delta")
    assert given == [seal("host/asked", {"signature": signature} if signature else None)]


def test_a_signature_that_stands_in_the_start_of_a_block() -> None:
    """It is part of it."""
    sent = stream(START, start(0, "thinking", signature="ab"), signing(0, "cd"), stop(0), END, STOP)
    assert at_every_cutting(sent)[1] == [seal("host/asked", {"signature": "abcd"})]


def test_hidden_thinking_goes_into_an_envelope() -> None:
    """It is as much its host's own."""
    sent = stream(START, start(0, "redacted_thinking", data="xyz"), stop(0), END, STOP)
    assert at_every_cutting(sent)[1] == [seal("host/asked", {"data": "xyz"})]


def test_ids_that_are_none_or_were_there_are_replaced() -> None:
    """Anthropic refuses a colon in one, and two alike."""
    blocks = [
        frame
        for n, id in enumerate(["functions.read:0", "call_0123", "toolu_good", "toolu_good", ""])
        for frame in (start(n, "tool_use", id=id), delta(n, "{}", "tool_use"), stop(n))
    ]
    ids = ids_of(at_every_cutting(stream(START, *blocks, END, STOP))[0])
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {"functions.read:0", "call_0123", ""}
    assert ids[2] == "toolu_good"


def test_a_whole_message_is_made_fit_likewise() -> None:
    """Given where a stream was asked for."""
    content = [{"type": "thinking", "thinking": "hm", "signature": "s"}, MADE_BEFORE]
    message = {**START["message"], "content": content, "stop_reason": "tool_use"}
    events = anthropic(
        ask(body(messages=[{"role": "user", "content": [MADE_BEFORE]}]), open_lists=False)
    ).decoder.whole(message)
    assert signatures(events) == [seal("host/asked", {"signature": "s"})]
    assert ids_of(reading(raw_of(events))) != ["call_0123"]


def test_anthropics_own_answer_is_left_as_it_is() -> None:
    """To the byte, but for the model's name."""
    sent = stream(START, start(0, "thinking"), signing(0, "ab"), stop(0), start(1, "tool_use", id="call_0123"), stop(1),
                  END, STOP)  # fmt: skip
    assert raw_of(run(sent, open_lists=True)) == sent.replace(b'"model":"m"', b'"model":"asked"')


def test_a_signature_without_end_is_not_kept() -> None:
    """What is held of it is bounded."""
    sent = stream(START, start(0, "thinking"), *[signing(0, "x" * 65536)] * 20, stop(0), END, STOP)
    (given,) = signatures(run(sent))
    sealed = opened(given)
    assert sealed is not None
    assert len(sealed.state.get("signature", "")) <= MAX_CHARS


def test_a_delta_that_is_none_is_a_broken_stream() -> None:
    """In a run that is relayed unread as well."""
    sent = stream(START, start(0, "thinking"), delta(0, "a", "thinking"))
    decoder = anthropic(ask(open_lists=False)).decoder
    decoder.feed(sent)
    broken = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"signature_delta":}}\n\n'
    )
    with pytest.raises(StreamError):
        decoder.feed(broken)
