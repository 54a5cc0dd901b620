"""Which thread and prompt a request belongs to, and when a thread is left for a new one.

The host counts by threads and prompts and refuses what has grown too long; the client knows neither, and sends its whole
conversation each time. So a session's main conversation and each of its agents are threads of their own, ids follow from
what they name, and what has been cut off from a conversation stays cut off in the turns that follow. Pure: the time is told.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from uuid import UUID

import attrs

from engine import JSON, Request
from engine.config import ThreadSettings
from policies import Price
from transports.translate._texts import blocks_of, written
from transports.zed._mode import burns

#: Threads that are known; the one that was used longest ago is forgotten.
KEPT = 1000
#: Bytes of JSON a token.
_BYTES_PER_TOKEN = 4


@attrs.frozen
class Standing:
    """Where a request stands: what its envelope says. `mode` is None where it says nothing of it."""

    thread_id: str
    prompt_id: str
    intent: str
    mode: str | None


@attrs.frozen
class Cut:
    """What was cut off from a conversation: how many messages, their digest, and the summary that stands for them."""

    messages: int
    digest: bytes
    summary: str


@attrs.define(eq=False)
class Thread:
    """One thread. Each rotation makes a new generation; `nudges` are prompts that the host wanted anew."""

    name: str
    began_at: float
    generation: int = 0
    nudges: int = 0
    cut: Cut | None = None

    @property
    def id(self) -> str:
        return _uuid(self.name, str(self.generation))


@attrs.define(eq=False)
class Threads:
    """All threads of one process, by session and agent."""

    _known: dict[str, Thread] = attrs.field(factory=dict)

    def of(self, request: Request, provider: str, settings: ThreadSettings, now: float) -> Thread:
        """The thread of a request, a new one where there is none or its time is over."""
        name = f"{provider}\0{_conversation(request)}\0{request.agent}"
        thread = self._known.pop(name, None) or Thread(name, now)
        self._known[name] = thread
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        if now - thread.began_at > settings.ttl_s:
            self.rotate(thread, now)
        if thread.cut is not None and not _continues(request.body["messages"], thread.cut):
            thread.cut = None  # the client has gone back, or has summed up by itself
        return thread

    def rotate(self, thread: Thread, now: float) -> None:
        """Leave the thread's id for a new one. What was cut off stays cut off."""
        thread.generation += 1
        thread.began_at = now


def standing(
    request: Request, thread: Thread, settings: ThreadSettings, *, tokens: int, price: Price | None
) -> Standing:
    """The envelope of a request in its thread. `tokens` is what of the conversation goes out."""
    messages = request.body["messages"]
    prompts, calls = _prompts(messages)
    burn = burns(request, settings, tokens=tokens, calls=calls, price=price)
    # A prompt may have so many calls; the work that needs more goes on under another.
    part = 0 if burn else calls // settings.calls_per_prompt
    mode = None if settings.mode == "off" else settings.burn_word if burn else "normal"
    return Standing(
        thread_id=thread.id,
        prompt_id=_uuid(thread.id, str(prompts), str(part), str(thread.nudges)),
        intent="subagent" if request.agent else "tool_results" if _holds_results(messages[-1]) else "user_prompt",
        mode=mode,
    )


def kept(messages: list[JSON], cut: Cut | None) -> list[JSON]:
    """The messages that go out: behind a cut, with the summary before them."""
    if cut is None:
        return messages
    rest = messages[cut.messages :]
    summary = [{"type": "text", "text": cut.summary}] if cut.summary else []
    if rest and rest[0].get("role") != "assistant":
        return [{**rest[0], "content": [*summary, *blocks_of(rest[0].get("content"))]}, *rest[1:]]
    return [{"role": "user", "content": summary or [{"type": "text", "text": "(continued)"}]}, *rest]


def tokens_of(messages: list[JSON]) -> int:
    """What messages weigh, roughly, in tokens. Raises TooDeep, as all do here that write them."""
    return len(written(messages)) // _BYTES_PER_TOKEN


def cut_at(messages: list[JSON], room: int, summary: str = "") -> Cut | None:
    """The cut behind which at most `room` tokens stay, the last exchange in any case; None where nothing can go.

    It falls where the assistant speaks, or the user without results, so that no result loses its call.
    """
    weight, best = 0, None
    for place in range(len(messages) - 1, 0, -1):
        weight += tokens_of([messages[place]])
        if weight > room and best is not None:
            break
        if messages[place].get("role") == "assistant" or not _holds_results(messages[place]):
            best = place
    return None if best is None else Cut(best, _digest(messages[:best]), summary)


def _continues(messages: list[JSON], cut: Cut) -> bool:
    return len(messages) > cut.messages and _digest(messages[: cut.messages]) == cut.digest


def _prompts(messages: list[JSON]) -> tuple[int, int]:
    """How many prompts the user has given, and how many calls were made since the last."""
    prompts = calls = 0
    for message in messages:
        kinds = [block.get("type") for block in blocks_of(message.get("content"))]
        if message.get("role") == "assistant":
            calls += kinds.count("tool_use")
        elif "tool_result" not in kinds:
            prompts, calls = prompts + 1, 0
    return prompts, calls


def _holds_results(message: JSON) -> bool:
    return _has(message, ("tool_result",))


def _has(message: JSON, kinds: Collection[str]) -> bool:
    return any(block.get("type") in kinds for block in blocks_of(message.get("content")))


def _conversation(request: Request) -> str:
    """What tells one conversation from another: the session, else how it began."""
    return request.session or _digest(request.body["messages"][:1]).hex()


def _digest(value: object) -> bytes:
    return blake2b(written(value), digest_size=16).digest()


def _uuid(*parts: str) -> str:
    return str(UUID(bytes=blake2b("\0".join(parts).encode(), digest_size=16).digest(), version=4))
