"""What a provider says of a failure, without what it quotes of the request.

An error that repeats the offending message is of help to whoever wrote it, and goes on from there: into the error of another
candidate, a log, the list of recent requests on the dashboard. Keys are struck out elsewhere; this is about the prompt. It
cannot be found by its form, but it is known: it stands in the request. So any longer run of characters that stands there
as well is left out. A native refusal's own body still goes to the client as it came, for the client wrote the prompt. Pure.
"""

from __future__ import annotations

import json
from typing import overload

import attrs
import orjson

from engine._failure import Failure
from policies import FailureKind

#: The shortest run that counts as a quotation, in characters. Names of fields, types and most models are shorter.
LEAST = 20
#: The most of a text that is looked at; what is longer is cut.
MAX_TEXT = 600
_STEP = LEAST // 2
OMITTED = "[…]"
#: Failures that are told in our own words.
_OURS = frozenset(
    [
        FailureKind.CONNECT,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.RESET,
        FailureKind.FIRST_CONTENT_TIMEOUT,
        FailureKind.IDLE_TIMEOUT,
        FailureKind.EMPTY,
        FailureKind.MALFORMED,
        FailureKind.DEADLINE,
        FailureKind.BUG,
    ]
)


@overload
def without_prompt(failure: Failure, raw: bytes) -> Failure: ...
@overload
def without_prompt(failure: Failure | None, raw: bytes) -> Failure | None: ...
def without_prompt(failure: Failure | None, raw: bytes) -> Failure | None:
    """The failure, its message without what stands in the request's body `raw` too.

    Where the body has been let go, for its answer was under way, nobody can tell what is quoted: a provider's own words
    are left out but for the first, which names the kind of the error.
    """
    if failure is None or len(failure.message) < LEAST:
        return failure
    if not raw and failure.kind not in _OURS:
        message = f"{failure.message[:LEAST].partition(':')[0]}: {OMITTED}"
    else:
        message = unquoted(failure.message, raw)
    return failure if message == failure.message else attrs.evolve(failure, message=message)


def unquoted(text: str, raw: bytes) -> str:
    """`text` with each run of at least `LEAST` characters that stands in the JSON `raw` replaced by `OMITTED`.

    Every such run holds a whole block of half that length at a multiple of it, so few searches find all.
    """
    text = text[:MAX_TEXT]
    spellings = [[_plain(letter) for letter in text]]
    if not text.isascii():
        spellings.append([json.dumps(letter)[1:-1].encode() for letter in text])
    kept, at, done = list[str](), 0, 0
    while at + _STEP <= len(text):
        begin, end = max((_run(units, at, done, raw) for units in spellings), key=lambda run: run[1] - run[0])
        if end - begin >= LEAST:
            kept += [text[done:begin], OMITTED]
            done = end
        at = max(at + _STEP, end - end % _STEP)
    return "".join([*kept, text[done:]])


def _run(units: list[bytes], at: int, least: int, raw: bytes) -> tuple[int, int]:
    """From where to where the text around the block at `at` stands in `raw`; an empty run where the block does not."""
    block = b"".join(units[at : at + _STEP])
    start = raw.find(block)
    if start < 0:
        return at, at
    stop, begin, end = start + len(block), at, at + _STEP
    while begin > least and raw.endswith(units[begin - 1], 0, start):
        begin -= 1
        start -= len(units[begin])
    while end < len(units) and raw.startswith(units[end], stop):
        stop += len(units[end])
        end += 1
    return begin, end


def _plain(letter: str) -> bytes:
    """A letter as most clients write it in JSON."""
    try:
        return orjson.dumps(letter)[1:-1]
    except orjson.JSONEncodeError:  # half a pair of surrogates: it is in no body
        return b"\x00"
