"""A request as data, and what routing must know of it.

A body is checked only for what routing stands on, measured once, and never changed. How many tokens its prompt is can only
be estimated here; see `_prompt` and `_estimates`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import orjson

from engine._names import Named
from engine._prompt import Prompt, measure
from engine._size import Estimate
from engine._stream import JSON
from policies import Need, Policy

#: The longest model name taken, in characters: it is kept with the request for as long as the request is told of.
MAX_MODEL_CHARS = 256


class BadRequest(Exception):
    """A body the client must change. The text names the field, says what was found and what is expected."""


@attrs.frozen(kw_only=True, eq=False)
class Request:
    """One turn, as it arrived. `raw` is the body's bytes, `body` the same parsed (never changed by anyone)."""

    id: str
    model: str
    body: JSON = attrs.field(repr=False)
    raw: bytes = attrs.field(repr=False)
    need: Need
    headers: tuple[tuple[bytes, bytes], ...] = attrs.field(default=(), repr=False)
    query: bytes = b""
    session: str = ""
    agent: str = ""
    #: A name from a header or field of ours, the token or the address; it stands above `model`.
    above: Named | None = None
    #: What this request forbids for itself; they are folded with the chain's.
    policies: tuple[Policy, ...] = ()
    accepted_at: float = 0.0
    #: The size of the prompt, and what is known of it from the turns before.
    prompt: Prompt | None = None
    estimate: Estimate | None = None
    #: The text that the client has been shown of the answer already, where this asks for the rest of it.
    continues: str = attrs.field(default="", repr=False)

    @property
    def stream(self) -> bool:
        return self.need.stream

    def without_body(self) -> Request:
        """What remains of it once nobody will be asked any more."""
        return attrs.evolve(self, body={}, raw=b"", continues="")


def parse(raw: bytes, *, counting: bool = False) -> JSON:
    """A body as JSON, its routing fields checked. Raises BadRequest naming the field.

    Only what routing stands on is checked. Everything else is the provider's to judge: a proxy that knows the fields of
    today rejects the client of tomorrow.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {_place(error)}") from None
    if not isinstance(body, dict):
        raise BadRequest(f"the body must be a JSON object, got {_name(body)}")
    for field, test, expected in _RULES:
        if counting and field in ("max_tokens", "stream"):
            continue
        if field not in body:
            if field == "stream":
                continue
            raise BadRequest(f"{field}: field required ({expected})")
        if not test(body[field]):
            raise BadRequest(f"{field}: expected {expected}, got {_name(body[field])}")
    if len(body["model"]) > MAX_MODEL_CHARS:
        raise BadRequest(f"model: expected at most {MAX_MODEL_CHARS} characters, got {len(body['model'])}")
    for i, message in enumerate(body["messages"]):
        if not isinstance(message, dict):
            raise BadRequest(f"messages[{i}]: expected an object, got {_name(message)}")
        if not isinstance(message.get("role"), str):
            raise BadRequest(
                f"messages[{i}].role: expected 'user', 'assistant' or 'system', got {_name(message.get('role'))}"
            )
        if not isinstance(message.get("content"), str | list):
            raise BadRequest(f"messages[{i}].content: expected a string or a list, got {_name(message.get('content'))}")
        _check_blocks(f"messages[{i}].content", message["content"])
    for field in ("system", "tools"):
        _check_blocks(field, body.get(field))
    return body


def _check_blocks(path: str, items: Any) -> None:
    """Where there is a list of blocks or tools, each is an object: it is looked into on its way out."""
    for i, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict):
            raise BadRequest(f"{path}[{i}]: expected an object, got {_name(item)}")
        if item.get("type") == "tool_result":
            _check_blocks(f"{path}[{i}].content", item.get("content"))


_RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("model", lambda v: isinstance(v, str) and v.strip() != "", "a model name"),
    ("messages", lambda v: isinstance(v, list) and v != [], "a list of at least one message"),
    ("max_tokens", lambda v: type(v) is int and v > 0, "a whole number above 0"),
    ("stream", lambda v: type(v) is bool, "true or false"),
)


def _name(value: Any) -> str:
    """What was found, without repeating what may be a prompt."""
    if value is None or isinstance(value, bool):
        return orjson.dumps(value).decode()
    if isinstance(value, int | float):
        return f"{value}"
    if isinstance(value, str | list) and not value:
        return "an empty string" if value == "" else "an empty list"
    return next((text for kind, text in _NAMES if isinstance(value, kind)), type(value).__name__)


_NAMES = ((str, "a string"), (list, "a list"), (dict, "an object"))


def _place(error: orjson.JSONDecodeError) -> str:
    reason = error.msg.split(":")[0]
    return f"{reason} at line {error.lineno}, column {error.colno}"


def need_of(body: JSON, raw: bytes, prompt: Prompt | None = None) -> Need:
    """What the body asks of a candidate. `prompt` is its size, where it was measured already."""
    prompt = prompt or measure(body, raw)
    choice = body.get("tool_choice")
    thinking = body.get("thinking")
    output = body.get("output_config")
    max_tokens = body.get("max_tokens", 0)
    return Need(
        input_tokens=prompt.tokens,
        max_tokens=max_tokens if type(max_tokens) is int else 0,
        stream=body.get("stream") is True,
        tools=bool(body.get("tools")),
        images=prompt.images > 0,
        documents=prompt.documents > 0,
        thinking=isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive"),
        forced_tool=isinstance(choice, dict) and choice.get("type") in ("any", "tool"),
        structured=isinstance(output, dict) and output.get("format") is not None,
    )
