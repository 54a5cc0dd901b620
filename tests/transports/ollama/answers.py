"""An answer, and the ways in which Ollama may give it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import attrs
from hypothesis import strategies as st

from tests.transports.ollama.lines import body, call, done, line


@attrs.frozen
class Answer:
    """What is meant."""

    said: list[tuple[str, str]]
    calls: list[tuple[str, dict[str, Any]]]
    finish: str
    prompt: int
    output: int

    def joined(self, kind: str) -> str:
        return "".join(text for one, text in self.said if one == kind)

    @property
    def stop(self) -> str:
        return "max_tokens" if self.finish == "length" else "tool_use" if self.calls else "end_turn"


@st.composite
def told(draw: st.DrawFn, answer: Answer) -> bytes:
    """A stream that says it: in pieces, with the calls together or apart, with lines that say nothing."""
    lines: list[Any] = []
    for kind, text in answer.said:
        places = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=3))})
        field = "content" if kind == "text" else kind
        lines += [line(**{field: text[a:b]}) for a, b in pairwise(places)]
    entries = [
        call(name, given, **({"id": f"call_{n}_abcdef"} if draw(st.booleans()) else {}))
        for n, (name, given) in enumerate(answer.calls)
    ]
    if draw(st.booleans()):
        lines += [line(tool_calls=entries)] if entries else []
    else:
        lines += [line(tool_calls=[entry]) for entry in entries]
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from([b"\n", b"  \r\n", line()])))
    return body(*lines, done(answer.finish, answer.prompt, answer.output))
