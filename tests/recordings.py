"""Recorded answers of real providers, and what a right reader finds in them.

Copies in the repository would go stale and carry other people's licences along. The recordings stand beside it, in
`../shared/streams`; where that folder is absent, each test that wants one skips and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from tests.e2e.grammar import Reading

STREAMS = Path(__file__).parents[1].parent / "shared" / "streams"

#: Ways to cut a body: None is whole, 0 is event by event, any other number is bytes a piece.
CUTS = (None, 0, 1, 7, 1400)

_OF_BLOCKS = ("content_block_start", "content_block_delta", "content_block_stop")
_KNOWN_EVENTS = {*_OF_BLOCKS, "message_start", "message_delta", "message_stop", "ping", "error"}
_KNOWN_DELTAS = frozenset(["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta"])


@attrs.frozen(kw_only=True)
class Recording:
    """One recorded answer; `expect` holds text, tools, stop, reasoning, usage, error."""

    file: str
    status: int
    stream: bool
    headers: dict[str, str]
    expect: dict[str, Any] = attrs.field(repr=False)

    @property
    def body(self) -> bytes:
        return (STREAMS / self.file).read_bytes()


@cache
def _rows() -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (STREAMS / "index.jsonl").read_bytes().splitlines()]


def recordings(wire: str, *, stream: bool, status: int | None = None) -> list[Any]:
    """The recorded answers on a wire, as parameters of a test; one that skips where the folder is absent."""
    if not (STREAMS / "index.jsonl").is_file():
        absent = pytest.mark.skip(reason="needs the recorded answers in ../shared/streams, beside the repository")
        return [pytest.param(None, marks=absent, id="absent")]
    found = [
        Recording(
            file=row["file"],
            status=row["status"] or 200,
            stream=row["stream"],
            headers={name.lower(): value for name, value in (row["headers"] or {}).items()},
            expect=row["expect"],
        )
        for row in _rows()
        if row["wire"] == wire and row["stream"] is stream
    ]
    wanted = (recording for recording in found if status in (None, recording.status))
    return [pytest.param(recording, id=recording.file) for recording in wanted]


def pieces(body: bytes, cut: int | None) -> Iterator[bytes]:
    """A body cut up, as one of `CUTS` says."""
    if cut is None:
        yield body
    elif cut == 0:
        yield from re.findall(rb".+?(?:\r?\n){2,}|.+\Z", body, re.S)
    else:
        yield from (body[at : at + cut] for at in range(0, len(body), cut))


def payloads(raw: bytes) -> Iterator[dict[str, Any]]:
    """The data objects of a stream in plain form, read independently of the product; event and type must agree."""
    for text in raw.split(b"\n\n")[:-1]:
        event, data = text.split(b"\n")
        payload = orjson.loads(data.removeprefix(b"data:"))
        assert event.removeprefix(b"event:").strip().decode() == payload["type"]
        yield payload
    assert not raw or raw.endswith(b"\n\n")


def reading(raw: bytes) -> Reading:
    """What a stream says, held against the strict grammar; events and deltas that nobody knows are left out."""
    found = Reading()
    for payload in payloads(raw):
        kind = payload["type"]
        unknown = kind == "content_block_delta" and payload["delta"].get("type") not in _KNOWN_DELTAS
        if kind in _KNOWN_EVENTS and not unknown:
            found.take(payload)
    found.finish()
    return found
