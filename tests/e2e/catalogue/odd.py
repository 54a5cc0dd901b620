"""Faults that are no break at a place, each with its outcome: answers that are none, framing, order, encoding, time.

What the socket does for each is in `tricks`.
"""

from __future__ import annotations

import attrs

from tests.e2e.catalogue import tricks
from tests.e2e.catalogue.layout import Place
from tests.e2e.catalogue.outcomes import NotHere, Outcome, Outcomes, everywhere
from tests.e2e.catalogue.places import CALL, CALL_TEXT, CALLS, TEXT, TEXT_CALL
from tests.e2e.catalogue.telling import FOR_EVER_S
from tests.e2e.catalogue.tricks import Script
from tests.e2e.faults import Cut, Pause, Reset, Send
from tests.e2e.wire import Block, Text, Wire


@attrs.frozen
class Odd:
    """One such fault. `counts`: against the candidate's health. `what` is for the page."""

    name: str
    what: str
    script: Script
    outcome: Outcomes
    blocks: tuple[Block, ...] = TEXT
    counts: bool = True
    spares: frozenset[Wire] = frozenset()  #: wires on which it counts against nobody
    told: tuple[Block, ...] | None = None  #: the message that is told, where it is not the one that is due
    counted: bool = True  #: its prompt can be counted


_W, _F, _C = Outcome.WHOLE, Outcome.FALLBACK, Outcome.CONTINUED
_ONE = NotHere("there is no such frame")
_NO_INDEX = NotHere("blocks have no numbers")
_WHOLE_CALLS = NotHere("arguments are an object in JSON already")


_NAMELESS = tricks.replaced(b'"name":"get_weather"', b'"name":""')

ODD: tuple[Odd, ...] = (
    # Before there is an answer.
    Odd("closed-before-the-head", "closed without a byte", tricks.raw(b"", Cut()), everywhere(_F)),
    Odd("reset-before-the-head", "reset without a byte", tricks.raw(b"", Reset()), everywhere(_F)),
    Odd(
        "stall-before-the-head",
        "silence instead of a head",
        tricks.raw(b"", Pause(FOR_EVER_S)),
        everywhere(_F),
    ),
    Odd(
        "cut-in-the-head",
        "half a head, then closed",
        tricks.raw(b"HTTP/1.1 200 OK\r\ncontent-ty", Cut()),
        everywhere(_F),
    ),
    Odd(
        "reset-in-the-head",
        "half a head, then reset",
        tricks.raw(b"HTTP/1.1 200 OK\r\ncontent-ty", Reset()),
        everywhere(_F),
    ),
    Odd(
        "stall-in-the-head",
        "half a head, then silence",
        tricks.raw(b"HTTP/1.1 200 OK\r\n", Pause(FOR_EVER_S)),
        everywhere(_F),
    ),
    Odd(
        "no-http",
        "a greeting of another protocol",
        tricks.raw(b"220 mail.test ESMTP\r\n", Pause(FOR_EVER_S)),
        everywhere(_F),
    ),
    Odd(
        "endless-head",
        "a head without end",
        tricks.raw(b"HTTP/1.1 200 OK\r\nx-filler: " + b"x" * 70_000, Pause(FOR_EVER_S)),
        everywhere(_F),
    ),
    Odd(
        "status-400",
        "the request is refused as bad",
        tricks.status(400, "scripted: the field is not of this form"),
        everywhere(Outcome.REFUSED),
        counts=False,
    ),
    Odd("status-401", "the key is refused", tricks.status(401), everywhere(_F), counts=False),
    Odd("status-402", "out of money", tricks.status(402), everywhere(_F), counts=False),
    Odd("status-403", "not allowed", tricks.status(403), everywhere(_F), counts=False),
    Odd("status-404", "no such model", tricks.status(404), everywhere(_F), counts=False),
    Odd("status-408", "the provider's own timeout", tricks.status(408), everywhere(_F)),
    Odd("status-429", "rate limited", tricks.status(429), everywhere(_F)),
    Odd("status-500", "failed", tricks.status(500), everywhere(_F)),
    Odd("status-502", "a gateway's page", tricks.status(502, "Bad Gateway"), everywhere(_F)),
    Odd("status-503", "a gateway's page", tricks.status(503, "Service Unavailable"), everywhere(_F)),
    Odd("status-524", "a gateway's timeout", tricks.status(524, "A timeout occurred"), everywhere(_F)),
    Odd("status-529", "overloaded", tricks.status(529), everywhere(_F)),
    Odd("redirect", "moved to a sign-in page", tricks.answer("text/html", b"<a href=/login>", 302), everywhere(_F)),
    Odd("no-content", "status 204", tricks.raw(b"HTTP/1.1 204 No Content\r\n\r\n", Cut()), everywhere(_F)),
    # A 200 that is no stream.
    Odd(
        "html",
        "a sign-in page with status 200",
        tricks.answer("text/html", b"<!doctype html><title>Sign in</title>"),
        everywhere(_F),
    ),
    Odd(
        "plain-text",
        "a gateway's words with status 200",
        tricks.answer("text/plain", b"upstream connect error"),
        everywhere(_F),
    ),
    Odd("error-with-200", "the error object with status 200", tricks.error_with_200, everywhere(_F)),
    Odd("json-whole", "the whole answer as JSON where a stream was asked for", tricks.whole_json, everywhere(_W)),
    Odd("json-half", "half of it", tricks.half_json, everywhere(_F)),
    Odd("json-empty", "an empty object", tricks.answer("application/json", b"{}"), everywhere(_F)),
    Odd("json-nothing", "an empty body called JSON", tricks.answer("application/json", b""), everywhere(_F)),
    Odd("empty-body", "a stream with a length of 0", tricks.no_length, everywhere(_F)),
    Odd("no-type", "a right stream without a content type", tricks.no_type, everywhere(_W)),
    Odd("gzip", "compressed, which was not asked for", tricks.compressed(False), everywhere(_F)),
    Odd("gzip-cut", "compressed, and cut", tricks.compressed(True), everywhere(_F)),
    # Framing.
    Odd("no-chunk", "no chunk where one is due", tricks.no_chunk, everywhere(_F)),
    Odd(
        "chunk-size-in-text",
        "a chunk size that is no number",
        tricks.raw_in_text(b"zz\r\n"),
        everywhere(_C),
    ),
    Odd(
        "chunk-cut-in-text",
        "a chunk that is longer than what comes",
        tricks.raw_in_text(b"ffff\r\ndata"),
        everywhere(_C),
    ),
    Odd("short-of-its-length", "fewer bytes than the content length says", tricks.short_length, everywhere(_C)),
    Odd("until-close", "a right answer that ends with its connection", tricks.until_close, everywhere(_W)),
    Odd("until-close-in-text", "closed in a text that has no other end", tricks.until_close_in_text, everywhere(_C)),
    Odd("another-answer-behind", "bytes of a second answer behind the first", tricks.extra, everywhere(_W)),
    # Order and doubles.
    Odd(
        "begun-twice",
        "the opening frames twice",
        tricks.frames(tricks.begun_twice),
        everywhere(_W, gemini=_ONE, ollama=_ONE),
    ),
    Odd(
        "begun-again-in-text",
        "the opening frames again in the middle of a text",
        tricks.frames(tricks.begun_again_in_text),
        everywhere(_W, gemini=_ONE, ollama=_ONE),
    ),
    Odd(
        "block-begun-twice",
        "a block's start twice",
        tricks.frames(tricks.block_begun_twice),
        everywhere(_W, chat=_ONE, gemini=_ONE, ollama=_ONE),
    ),
    Odd(
        "block-never-begun",
        "no start of a block",
        tricks.frames(tricks.without("start")),
        everywhere(_W, chat=_ONE, gemini=_ONE, ollama=_ONE),
    ),
    Odd(
        "block-never-ended",
        "no end of a block",
        tricks.frames(tricks.without("stop")),
        everywhere(_W, chat=_ONE, gemini=_ONE, ollama=_ONE),
    ),
    Odd(
        "call-never-ended",
        "no end of a call",
        tricks.frames(tricks.without("stop")),
        everywhere(_W, chat=_ONE, gemini=_ONE, ollama=_ONE),
        blocks=CALL,
    ),
    Odd(
        "never-begun",
        "no opening frames",
        tricks.frames(tricks.without("opening")),
        everywhere(_W, gemini=_ONE, ollama=_ONE),
        counted=False,
    ),
    Odd(
        "indexes-with-gaps",
        "block numbers from 5",
        tricks.frames(
            tricks.by_wire(
                anthropic=tricks.replaced(b'"index":0', b'"index":5'),
                responses=tricks.replaced(b'"output_index":0', b'"output_index":5'),
                chat=tricks.replaced(b'"tool_calls":[{"index":1', b'"tool_calls":[{"index":7'),
            )
        ),
        everywhere(_W, gemini=_NO_INDEX, ollama=_NO_INDEX),
        blocks=CALLS,
    ),
    Odd(
        "one-index-for-two-calls",
        "two calls under one number",
        tricks.frames(
            tricks.by_wire(
                anthropic=tricks.replaced(b'"index":1', b'"index":0'),
                responses=tricks.replaced(b'"output_index":1', b'"output_index":0'),
                chat=tricks.replaced(b'"tool_calls":[{"index":1', b'"tool_calls":[{"index":0'),
            )
        ),
        everywhere(_W, gemini=_NO_INDEX, ollama=_NO_INDEX),
        blocks=CALLS,
    ),
    Odd(
        "no-reason",
        "the end without a stop reason",
        tricks.frames(
            tricks.by_wire(
                anthropic=lambda told: [d for d in tricks.data(told) if b"message_delta" not in d],
                chat=lambda told: [d for d in tricks.data(told) if b'"finish_reason":"stop"' not in d],
                ollama=tricks.replaced(b'"done_reason":"stop",', b""),
            )
        ),
        everywhere(
            _C, chat=_W, ollama=_W, gemini=NotHere("the end is the reason"), responses=NotHere("the end is the reason")
        ),
    ),
    Odd(
        "overlapping-blocks",
        "blocks that stand in each other's way",
        lambda told: iter([told.head, *map(Send, told.rendering.overlap(told.message))]),
        everywhere(_W),
        blocks=CALLS,
    ),
    Odd("text-after-a-call", "a text behind a call", tricks.as_told, everywhere(_W), blocks=CALL_TEXT),
    # Encoding.
    Odd("letters-torn", "writes that end inside a letter", tricks.split_letters, everywhere(_W)),
    Odd(
        "bad-letters",
        "bytes that are not UTF-8 in a text",
        tricks.frames(tricks.replaced("«größere»".encode(), b"\xff\xfe\xc3")),
        everywhere(_C),
    ),
    Odd("drip", "sixteen bytes a write", tricks.frame_by_frame(16), everywhere(_W)),
    Odd("all-at-once", "all in one write", tricks.at_once, everywhere(_W)),
    Odd("crlf", "lines that end in CR LF", tricks.frames(tricks.crlf), everywhere(_W)),
    Odd("byte-order-mark", "a mark before the first line", tricks.frames(tricks.marked), everywhere(_W, ollama=_F)),
    Odd(
        "comments-between",
        "comments or empty lines between all frames",
        lambda told: iter(
            [told.head, *(Send(part) for piece in told.pieces for part in (tricks.comment(told), piece.data))]
        ),
        everywhere(_W),
    ),
    Odd(
        "unknown-events",
        "frames of a kind that nobody knows",
        tricks.frames(
            tricks.by_wire(
                anthropic=tricks.with_between(b'event: weather\ndata: {"type":"weather","sky":"blue"}\n\n'),
                responses=tricks.with_between(
                    b'event: response.weather\ndata: {"type":"response.weather","sky":"blue"}\n\n'
                ),
                chat=tricks.with_between(b'data: {"object":"weather","choices":[]}\n\n'),
                gemini=tricks.with_between(b'data: {"sky":"blue"}\n\n'),
                ollama=tricks.with_between(b'{"sky":"blue"}\n'),
            )
        ),
        everywhere(_W),
    ),
    Odd("no-object-in-text", "a frame that is JSON and no object", tricks.no_object, everywhere(_C)),
    # Time and size.
    Odd("pause-in-text", "a pause within patience", tricks.paused, everywhere(_W)),
    Odd(
        "comments-for-ever",
        "comments and never any content",
        tricks.flood(Place("head"), tricks.comment),
        everywhere(_F),
    ),
    Odd(
        "comments-for-ever-in-text",
        "the same in the middle of a text",
        tricks.flood(tricks.IN_TEXT, tricks.comment),
        everywhere(_C),
    ),
    Odd("giant-frame", "a frame of 17 MiB without an end", tricks.giant(Place("head")), everywhere(_F)),
    Odd(
        "giant-frame-in-text",
        "the same in the middle of a text",
        tricks.giant(tricks.IN_TEXT),
        everywhere(_C),
    ),
    # Messages that say nothing, or nonsense.
    Odd("no-blocks", "a whole message without a block", tricks.as_told, everywhere(_F), told=()),
    Odd("empty-text", "a whole message with an empty text", tricks.as_told, everywhere(_F), told=(Text(""),)),
    Odd(
        "blank-text",
        "a whole message of white space",
        tricks.as_told,
        everywhere(_F, anthropic=_W),
        told=(Text(" \n "),),
    ),
    Odd(
        "rate-limit-in-the-stream",
        "the wire's error 429 in place of content",
        tricks.stated(429, "rate limit reached"),
        everywhere(_F),
    ),
    Odd(
        "key-refused-in-the-stream",
        "the wire's error 401 in place of content",
        tricks.stated(401, "invalid api key"),
        everywhere(_F),
        spares=frozenset({"gemini"}),
    ),
    Odd(
        "half-arguments",
        "a finished call whose arguments are half",
        tricks.frames(tricks.arguments('{"city": "Düs')),
        everywhere(_F, gemini=_WHOLE_CALLS, ollama=_WHOLE_CALLS),
        blocks=CALL,
    ),
    Odd(
        "half-arguments-after-text",
        "the same behind a text",
        tricks.frames(tricks.arguments('{"city": "Düs')),
        everywhere(_C, gemini=_WHOLE_CALLS, ollama=_WHOLE_CALLS),
        blocks=TEXT_CALL,
    ),
    Odd(
        "arguments-no-object",
        "a finished call whose arguments are a list",
        tricks.frames(tricks.arguments('["Düsseldorf"]')),
        everywhere(_F, gemini=_WHOLE_CALLS, ollama=_WHOLE_CALLS),
        blocks=CALL,
    ),
    Odd("call-without-a-name", "a call of nothing", tricks.frames(_NAMELESS), everywhere(_F), blocks=CALL),
)
