"""Side requests of Claude Code whose answer is known beforehand, answered here.

Some versions ask a model whether there is quota, for a command's prefix, for a session's title. On a slow or limited
provider each takes a slot from the turn that a person waits for. The naive test looks for a word anywhere in the
conversation, and then a session in which somebody speaks of that word is answered with nonsense for ever. So each probe is
known by its whole shape: how many messages there are, that there are no tools, where the mark stands. What is not
certainly a probe goes to a model. Pure: a body in, a probe's name and its answer out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import orjson

from engine._commands import file_paths, prefix
from engine._request import Request
from engine._stream import JSON, MESSAGE_STOP, StreamEvent, block_stop, event
from engine.config import LocalAnswers

#: The provider that stands in the name of the candidate that answered: `local/quota`.
LOCAL = "local"
#: A question longer than this, in characters, is no probe for quota, whatever it says: one token is also what a classifier
#: of texts asks for, and its texts may speak of quotas.
_PROBE_CHARS = 32
TITLE = "Conversation"


@attrs.frozen(kw_only=True)
class LocalAnswer:
    """What to say, by which probe, and the tokens it is counted as."""

    probe: str
    text: str
    input_tokens: int
    output_tokens: int

    def events(self, request: Request) -> list[StreamEvent]:
        """The whole message."""
        message: JSON = {
            "id": f"msg_{request.id.removeprefix('req_')}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self.input_tokens, "output_tokens": 1},
        }
        delta = {"type": "text_delta", "text": self.text}
        said = [event({"type": "content_block_delta", "index": 0, "delta": delta}, content=True)] if self.text else []
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        usage = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        return [
            event({"type": "message_start", "message": message}),
            event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            *said,
            block_stop(0),
            event({"type": "message_delta", "delta": stop, "usage": usage}),
            MESSAGE_STOP,
        ]


def local_answer(body: JSON, enabled: LocalAnswers) -> LocalAnswer | None:
    """The answer to a probe that is to be answered here; None for everything else. The body has passed `parse`."""
    if body.get("tools"):
        return None  # no probe has tools, and what has some is somebody's turn
    for probe, reply, (input_tokens, output_tokens) in _PROBES:
        if getattr(enabled, probe) and (text := reply(body)) is not None:
            return LocalAnswer(probe=probe, text=text, input_tokens=input_tokens, output_tokens=output_tokens)
    return None


# One function per probe: the reply, or None for what is none.


def _quota(body: JSON) -> str | None:
    text = _only_text(body) if body.get("max_tokens") == 1 and not body.get("system") else ""
    return "Quota check passed." if "quota" in text.lower() and len(text) <= _PROBE_CHARS else None


def _prefix(body: JSON) -> str | None:
    text = _only_text(body)
    if "<policy_spec>" not in text or "Command:" not in text:
        return None
    return prefix(text.rpartition("Command:")[2])


def _title(body: JSON) -> str | None:
    system = _joined(body.get("system"))
    lower = system.lower()
    asked = "sentence-case title" in lower or (
        "return json" in lower and "field" in lower and ("coding session" in lower or "this session" in lower)
    )
    if not asked or "title" not in lower:
        return None
    schema = _schema(body)
    if schema is None and "json" not in lower:
        return TITLE
    fields = _named_fields(system) if schema is None else _required_fields(schema)
    return None if fields is None else orjson.dumps(dict.fromkeys(fields, TITLE)).decode()


def _suggestions(body: JSON) -> str | None:
    last: JSON = next((m for m in reversed(body["messages"]) if m.get("role") == "user"), {})
    return "" if any(t.lstrip().startswith("[SUGGESTION MODE:") for t in _texts(last.get("content"))) else None


def _filepaths(body: JSON) -> str | None:
    text, system = _only_text(body), _joined(body.get("system")).lower()
    asked = "filepaths" in text.lower() or any(words in system for words in _FILE_WORDS)
    before, _, rest = text.partition("Command:")
    command, found, _ = rest.partition("Output:")
    # Somebody's words before it make it somebody's question.
    return file_paths(command) if asked and found and not before.strip() else None


_FILE_WORDS = ("extract any file paths", "file paths that this command")
#: In the order in which they are tried, with the tokens each is counted as: input, output.
_PROBES: tuple[tuple[str, Callable[[JSON], str | None], tuple[int, int]], ...] = (
    ("quota", _quota, (10, 5)),
    ("prefix", _prefix, (100, 5)),
    ("title", _title, (100, 5)),
    ("suggestions", _suggestions, (100, 1)),
    ("filepaths", _filepaths, (100, 10)),
)


# What a title is asked to look like.

_QUOTED_KEY = re.compile(r"""["'`]([A-Za-z_]\w*)["'`]\s*(?::|fields?\b)""")


def _named_fields(system: str) -> list[str] | None:
    """The fields that a prompt names; None where one of them is not a title's."""
    named = list(dict.fromkeys(_QUOTED_KEY.findall(system))) or ["title"]
    return named if all("title" in name.lower() for name in named) else None


def _required_fields(schema: JSON) -> list[str] | None:
    """The title's fields of a JSON schema; None where it wants what a title cannot be."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return None
    titles = [name for name, kind in properties.items() if "title" in name.lower() and _is_text(kind)]
    wanted = required if isinstance(required, list) else []
    return titles if titles and all(name in titles for name in wanted) else None


def _is_text(kind: Any) -> bool:
    if not isinstance(kind, dict) or any(name in kind for name in ("enum", "const", "pattern", "format")):
        return False
    most = kind.get("maxLength")
    return kind.get("type") == "string" and not (type(most) is int and most < len(TITLE))


def _schema(body: JSON) -> JSON | None:
    output = body.get("output_config")
    wanted = output.get("format") if isinstance(output, dict) else None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    return schema if isinstance(schema, dict) else None


# Texts of a body.


def _only_text(body: JSON) -> str:
    """What the one message of the one user says; "" where there is more than that."""
    messages = body["messages"]
    if len(messages) != 1 or messages[0].get("role") != "user":
        return ""
    return _joined(messages[0].get("content"))


def _joined(content: Any) -> str:
    return "\n".join(_texts(content))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str):
            yield block["text"]
