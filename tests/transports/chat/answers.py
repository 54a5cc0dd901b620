"""Answers drawn at random, and every accent in which a host may give one.

A generator of streams tests whether a decoder survives; whether it understands, only one that knows what was meant. So an
answer is drawn first, text, thinking, calls, counts and an end, and then said: under any field, in any pieces, with any
of the habits that hosts have, as far as they leave it clear what is meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import attrs
import orjson
from hypothesis import strategies as st

from engine.config import Accent
from tests.transports.chat.streams import chunk

NAMES = ("read", "read_file", "ls", "write", "go")
#: Words that look like the framing, the tags or the JSON they stand in.
WORDS = (
    "a", " word", "\n", " ", '"', "\\", "\n\ndata: [DONE]\n\n", "[DONE]", "event: error\n", "<", "</think>", "<think>",
    "\u2028", "é", "\U0001f600", "{", "}", "]", ",", "null", ": keep\n\n", "\r\n",
)  # fmt: skip

SAYINGS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map("".join).filter(str.strip)
INPUTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["a", "b", "c d"]),
    SAYINGS | st.integers(0, 9) | st.lists(SAYINGS, max_size=2) | st.just({}),
    max_size=3,
)
#: Finish reasons, and the stop reason without and with calls.
FINISHES = {
    "stop": ("end_turn", "tool_use"),
    "tool_calls": ("end_turn", "tool_use"),
    "eos": ("end_turn", "tool_use"),
    "length": ("max_tokens", "max_tokens"),
    "content_filter": ("refusal", "refusal"),
}


@attrs.frozen
class Answer:
    """What is meant."""

    said: list[tuple[str, str]]  #: thinking and text in turn
    calls: list[tuple[str, dict[str, Any]]]
    finish: str
    prompt: int
    cached: int
    output: int

    def joined(self, kind: str) -> str:
        return "".join(text for one, text in self.said if one == kind)

    @property
    def stop(self) -> str:
        return FINISHES[self.finish][bool(self.calls)]

    @property
    def usage(self) -> dict[str, Any]:
        details = {"cached_tokens": self.cached}
        return {"prompt_tokens": self.prompt, "completion_tokens": self.output, "prompt_tokens_details": details}


@attrs.frozen
class Rendered:
    """A stream, as frames, and which of them brings the finish reason."""

    answer: Answer
    frames: list[bytes]
    end: int
    accent: Accent

    @property
    def body(self) -> bytes:
        return b"".join(self.frames)

    @property
    def open_until(self) -> int:
        """How many bytes may come without it being known that the answer is over."""
        return len(b"".join(self.frames[: self.end + 1]).rstrip()) - 1


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    said = draw(st.lists(st.tuples(st.sampled_from(["thinking", "text"]), SAYINGS), max_size=4))
    calls = draw(st.lists(st.tuples(st.sampled_from(NAMES), INPUTS), max_size=3))
    finish = draw(st.sampled_from(sorted(f for f in FINISHES if calls or f != "tool_calls")))
    if FINISHES[finish][0] in ("max_tokens", "refusal"):
        # A last call without arguments may have been cut.
        calls = [(name, given or {"a": 1}) for name, given in calls]
    prompt = draw(st.integers(1, 99))
    return Answer(said, calls, finish, prompt, draw(st.integers(0, prompt)), draw(st.integers(1, 99)))


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    """A text in pieces, none of them empty."""
    places = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=4))})
    return [text[a:b] for a, b in pairwise(places)]


def _thinking(draw: st.DrawFn, style: str, piece: str) -> dict[str, Any]:
    match style:
        case "details":
            return {"reasoning_details": [{"type": "reasoning.text", "text": piece}], "content": ""}
        case "parts":
            return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}
        case "both":
            return {"reasoning": piece, "reasoning_content": piece}
        case _:
            return {style: piece, "content": None}


FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "details", "parts", "both")


def _speech(draw: st.DrawFn, answer: Answer, *, may_tag: bool) -> tuple[list[dict[str, Any]], str]:
    """The deltas of text and thinking, and how tags are to be read."""
    first = answer.said[0] if answer.said else ("", "")
    tagged = (
        may_tag
        and first[0] == "thinking"
        and all(kind == "text" for kind, _ in answer.said[1:])
        and "</think>" not in first[1]
        and not first[1].startswith("\n")
        and not answer.joined("text")[:1].isspace()
        and draw(st.booleans())
    )
    if tagged:
        text = f"<think>\n{first[1]}</think>\n\n{answer.joined('text')}"
        return [{"content": piece} for piece in _cut(draw, text)], "leading"
    style = draw(st.sampled_from(FIELDS))
    deltas: list[dict[str, Any]] = []
    for kind, text in answer.said:
        for piece in _cut(draw, text):
            if kind == "thinking":
                deltas.append(_thinking(draw, style, piece))
            else:
                deltas.append({"content": [{"type": "text", "text": piece}] if draw(st.booleans()) else piece})
    plain = not answer.joined("text").lstrip().startswith("<")
    return deltas, "leading" if plain and draw(st.booleans()) else "off"


#: What says whose a fragment is: its index, both, its id, an id in the first of each call, or nothing.
STYLES = ("index", "index and id", "id", "zero", "bare")
ADDRESSED = ("index", "index and id", "id")


def _named(draw: st.DrawFn, name: str, entries: list[dict[str, Any]], *, addressed: bool) -> None:
    """Put a call's name where a host may put it."""
    style = draw(st.sampled_from(["first", "repeated", "pieces", "late"] if addressed else ["first", "repeated"]))
    if style == "pieces" and len(name) > 1 and len(entries) > 1:
        at = draw(st.integers(1, len(name) - 1))
        entries[0]["name"], entries[1]["name"] = name[:at], name[at:]
    elif style == "late":
        entries[-1]["name"] = name
    else:
        for entry in entries if style == "repeated" else entries[:1]:
            entry["name"] = name


def _fragments(draw: st.DrawFn, name: str, given: dict[str, Any], style: str) -> list[dict[str, Any]]:
    """The `function` objects of one call."""
    # By its id alone a call whose name comes late is no other than one whose id changes with each piece.
    addressed, told_apart = style in ("index", "index and id"), style != "bare"
    text = orjson.dumps(given).decode()
    match draw(st.sampled_from(["pieces", "whole", "object", "none" if not given else "whole"])):
        case "pieces":
            entries: list[dict[str, Any]] = [{"arguments": piece} for piece in _cut(draw, text)]
            if draw(st.booleans()):
                entries.insert(0, {"arguments": ""})
        case "whole":
            entries = [{"arguments": text}]
        case "object":
            entries = [{"arguments": given}]
        case _:
            # Where nothing tells two calls apart, only arguments end the first.
            entries = [{"arguments": draw(st.sampled_from(["", None, "{}"] if told_apart else ["{}"]))}]
    _named(draw, name, entries, addressed=addressed)
    return entries


def _calls(draw: st.DrawFn, answer: Answer) -> list[list[dict[str, Any]]]:
    """The entries of `tool_calls`, by delta. Only an index or an id in each entry lets two calls take turns."""
    style = draw(st.sampled_from(STYLES))
    addressed = style in ADDRESSED
    step = draw(st.sampled_from([1, 1, 3]))
    lines: list[list[dict[str, Any]]] = []
    for number, (name, given) in enumerate(answer.calls):
        line: list[dict[str, Any]] = [{"function": one} for one in _fragments(draw, name, given, style)]
        late = draw(st.integers(0, len(line) - 1))
        for place, entry in enumerate(line):
            if style in ("index", "index and id"):
                entry["index"] = number * step
            elif style == "zero":
                entry["index"] = 0
            if style == "id" or (style == "zero" and place == 0) or (style == "index and id" and place >= late):
                entry["id"] = f"call_{number}_abc"
        lines.append(line)
    order: list[dict[str, Any]] = []
    begun = 0
    while any(lines):
        ready = [at for at, line in enumerate(lines) if line and (at <= begun if addressed else not any(lines[:at]))]
        at = draw(st.sampled_from(ready))
        begun = max(begun, at + 1)
        order.append(lines[at].pop(0))
    return _grouped(draw, order) if style in ("index", "index and id") else [[entry] for entry in order]


def _grouped(draw: st.DrawFn, entries: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Neighbours in one delta, where they are of different calls."""
    groups: list[list[dict[str, Any]]] = []
    for entry in entries:
        if groups and all(other["index"] != entry["index"] for other in groups[-1]) and draw(st.booleans()):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return groups


def _counted(draw: st.DrawFn, answer: Answer, chunks: list[dict[str, Any]]) -> None:
    """Put the usage where a host may put it; the last chunk has the finish reason."""
    choice = chunks[-1]["choices"][0]
    match draw(st.sampled_from(["after", "with", "each", "choice", "groq"])):
        case "after":
            chunks.append({"choices": [], "usage": answer.usage})
        case "with":
            chunks[-1]["usage"] = answer.usage
        case "each":
            for at, one in enumerate(chunks):
                one["usage"] = {**answer.usage, "completion_tokens": answer.output if one is chunks[-1] else at}
        case "choice":
            choice["usage"] = answer.usage
        case _:
            chunks[-1]["x_groq"] = {"id": "req", "usage": answer.usage}


NOISE = (b": keep-alive", b"data:", b'event: ping\ndata: {"type":"ping"}', b'data: {"choices":[]}')


@st.composite
def streams(draw: st.DrawFn, meant: st.SearchStrategy[Answer] | None = None, *, tagged: bool = True) -> Rendered:
    """An answer, said in some accent. `tagged`: thinking may stand in the text, in tags."""
    answer = draw(answers() if meant is None else meant)
    speech, tags = _speech(draw, answer, may_tag=tagged)
    deltas: list[dict[str, Any]] = [*speech, *({"tool_calls": group} for group in _calls(draw, answer))]
    if draw(st.booleans()):
        content: str | None = draw(st.sampled_from(["", None]))
        deltas.insert(0, {"role": "assistant", "content": content})
    chunks = [chunk(**delta) for delta in deltas]
    together: bool = draw(st.booleans())
    if chunks and together:
        chunks[-1]["choices"][0]["finish_reason"] = answer.finish
    else:
        chunks.append(chunk(answer.finish))
    end_chunk = chunks[-1]
    _counted(draw, answer, chunks)
    frames, end = _framed(draw, chunks, end_chunk)
    return Rendered(answer, frames, end, Accent(think_tags="leading" if tags == "leading" else "off"))


def _framed(draw: st.DrawFn, chunks: Iterable[dict[str, Any]], last: dict[str, Any]) -> tuple[list[bytes], int]:
    prefix, eol = draw(st.sampled_from([b"data: ", b"data:"])), draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
    frames: list[bytes] = []
    end = 0
    for one in chunks:
        if draw(st.integers(0, 5)) == 0:
            frames.append(draw(st.sampled_from(NOISE)).replace(b"\n", eol) + eol * 2)
        if one is last:
            end = len(frames)
        frames.append(prefix + orjson.dumps(one) + eol * 2)
    if draw(st.integers(0, 3)):
        frames.append(prefix + b"[DONE]" + eol * draw(st.integers(0, 2)))
    return frames, end
