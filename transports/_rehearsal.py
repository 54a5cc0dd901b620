"""The provider that is always there: in process, really streaming, with no model behind it.

A machine without a key could be met with an error, and its owner would learn nothing about whether the rest works. The
rehearsal provider runs the whole path, says plainly what it is and what to set, and plays every fault on request, so that
a chain can be watched before it is trusted. A model's name is its script: `echo?after_s=6&fault=429&retry_after=30`; with
`times=2` the first two requests meet the fault, and later ones do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import attrs
import trio

from engine import JSON, MESSAGE_STOP, Ask, AttemptError, Failure, Quota, StreamEvent, block_stop, error_event, event
from policies import FailureKind

#: Faults before any event: what a provider's answer to the request would have been.
_STATUSES: dict[str, FailureKind] = {
    "400": FailureKind.CLIENT,
    "401": FailureKind.AUTH,
    "402": FailureKind.QUOTA,
    "404": FailureKind.GONE,
    "429": FailureKind.RATE_LIMITED,
    "500": FailureKind.SERVER,
    "503": FailureKind.OVERLOADED,
    "529": FailureKind.OVERLOADED,
}
_BREAKS: dict[str, FailureKind] = {
    "refused": FailureKind.CONNECT,
    "reset": FailureKind.RESET,
    "html": FailureKind.MALFORMED,
}
#: Candidates whose faults are counted.
REMEMBERED = 1000
FAULTS = (*_STATUSES, *_BREAKS, "empty", "error-event", "silence", "cut")


@attrs.frozen(kw_only=True)
class Script:
    """How a rehearsal model behaves. Times in seconds, except the gap between words."""

    after_s: float = 0.0
    fault: str = ""
    retry_after: float | None = None
    times: int | None = None
    words: int | None = None
    gap_ms: float = 15.0

    @classmethod
    def of(cls, model: str) -> Script:
        """From a model's name. Raises ValueError naming what is wrong with it."""
        _, _, query = model.partition("?")
        values: dict[str, float | int | str | None] = {}
        for name, text in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
            if name not in _PARSERS:
                raise ValueError(f"'{name}' is no part of a rehearsal script; known: {', '.join(_PARSERS)}")
            try:
                values[name] = _PARSERS[name](text)
            except ValueError:
                raise ValueError(f"'{name}' of a rehearsal script: expected 0 or more, got '{text}'") from None
        script = cls(**values)  # type: ignore[arg-type]
        if script.fault and script.fault not in FAULTS:
            raise ValueError(f"unknown fault '{script.fault}'; known: {', '.join(FAULTS)}")
        return script


def _amount(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value


_PARSERS: dict[str, Callable[[str], float | int | str]] = {
    "after_s": _amount,
    "fault": str,
    "retry_after": _amount,
    "times": lambda text: int(_amount(text)),
    "words": lambda text: int(_amount(text)),
    "gap_ms": _amount,
}


@attrs.define(eq=False)
class Rehearsal:
    """The transport of wire `rehearsal`. `advice` is what a person should do to get a real answer."""

    advice: str = "Set a provider's key and start again."
    _faults: Counter[str] = attrs.field(factory=Counter)

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[_Performance]:
        try:
            script = Script.of(ask.candidate.model)
        except ValueError as error:
            raise AttemptError(Failure(kind=FailureKind.CLIENT, message=str(error), status=400)) from error
        if script.times is not None and script.fault:
            script = self._healing(ask.candidate.name, script, script.times)
        kind = _STATUSES.get(script.fault) or _BREAKS.get(script.fault)
        if kind is not None:
            await trio.sleep(script.after_s)
            status = int(script.fault) if script.fault in _STATUSES else None
            message = f"rehearsed fault '{script.fault}'"
            raise AttemptError(Failure(kind=kind, message=message, status=status, retry_after_s=script.retry_after))
        await trio.lowlevel.checkpoint()
        yield _Performance(script, ask, self.advice)

    def _healing(self, name: str, script: Script, times: int) -> Script:
        """The script with its fault for the first `times` requests alone. Names are the clients', so few are remembered."""
        if len(self._faults) >= REMEMBERED and name not in self._faults:
            self._faults.clear()
        self._faults[name] += 1
        return script if self._faults[name] <= times else attrs.evolve(script, fault="")


class _Performance:
    """One scripted answer."""

    via = "process"
    quota: Quota = ()

    def __init__(self, script: Script, ask: Ask, advice: str) -> None:
        self._script = script
        self._events = _events(script, ask, advice)
        self._begun = False

    async def read(self) -> list[StreamEvent] | None:
        script = self._script
        if script.fault == "silence":
            await trio.sleep_forever()
        if not self._begun:
            self._begun = True
            await trio.sleep(script.after_s)
            return [] if script.fault == "empty" else [next(self._events)]
        if script.fault == "empty":
            return None
        await trio.sleep(script.gap_ms / 1000)
        return [found] if (found := next(self._events, None)) is not None else None


def _events(script: Script, ask: Ask, advice: str) -> Iterator[StreamEvent]:
    """The message, event by event. A cut answer stops halfway, without a word."""
    words = _words(script, ask, advice)
    usage = {"input_tokens": ask.request.need.input_tokens, "output_tokens": 1}
    yield _message_start(ask, usage)
    if script.fault == "error-event":
        yield error_event("overloaded_error", "rehearsed fault 'error-event'")
        return
    yield event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for i, word in enumerate(words):
        if script.fault == "cut" and i >= len(words) / 2:
            return
        delta = {"type": "text_delta", "text": word}
        yield event({"type": "content_block_delta", "index": 0, "delta": delta}, content=True)
    if script.fault == "cut":
        return
    yield block_stop(0)
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": len(words)}})
    yield MESSAGE_STOP


def _message_start(ask: Ask, usage: JSON) -> StreamEvent:
    message: JSON = {
        "id": f"msg_{ask.request.id.removeprefix('req_')}",
        "type": "message",
        "role": "assistant",
        "model": ask.request.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return event({"type": "message_start", "message": message})


def _words(script: Script, ask: Ask, advice: str) -> list[str]:
    if script.words is not None:
        return [f"word{i} " for i in range(script.words)]
    said = _last_text(ask.request.body)
    echo = f' You said: "{said}"' if said else ""
    text = (
        "Hedgerow is running, and no language model is behind this answer: it comes from the built-in rehearsal "
        f"provider. {advice}{echo}"
    )
    return [word + " " for word in text.split(" ")]


def _last_text(body: JSON, limit: int = 80) -> str:
    """The end of what the user wrote last, on one line."""
    for message in reversed(body["messages"]):
        content = message["content"]
        texts = [content] if isinstance(content, str) else [b.get("text") for b in content if isinstance(b, dict)]
        found = [t for t in texts if isinstance(t, str) and t.strip() and not t.lstrip().startswith("<")]
        if message["role"] == "user" and found:
            line = " ".join(found[-1].split())
            return line if len(line) <= limit else line[: limit - 1] + "…"
    return ""
