"""Whether a model's text repeats what it was told, by files, pages and people.

A file can hold what looks like a call of a tool, and a model that is asked to show that file ends its answer with it. Taken
for a call it would be run: whoever wrote the file or the page would have had the call made by having it shown. What a
model wants done it says itself. So a call whose every line stands in what the model was told is a quotation. What the
model itself has said before does not count, since it may well make the same call again. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine import JSON

#: Lines of a text that are looked for, the longest ones: short ones stand everywhere, and each takes a walk through it all.
MAX_LINES = 16


def is_quoted(text: str, body: JSON) -> bool:
    """Whether `text` stands, line by line, in a text that the model was told with a request of this body."""
    lines = sorted({line.strip() for line in text.splitlines()} - {""}, key=len, reverse=True)[:MAX_LINES]
    if not lines:
        return False
    return any(all(line in each for line in lines) for each in _told(body))


def _told(body: JSON) -> Iterator[str]:
    """What came from outside: the users' messages with their results, and what a host's own tools have brought."""
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content")
        if message.get("role") == "assistant":
            blocks = content if isinstance(content, list) else ()
            content = [block for block in blocks if str(block.get("type")).endswith("_tool_result")]
        yield from _strings(content)


def _strings(value: Any) -> Iterator[str]:
    """All strings in a value of any depth."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
