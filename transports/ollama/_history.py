"""A conversation of Messages as a conversation of Ollama's.

A message there is a text, with pictures beside it, thinking beside it and calls beside it. A result stands in a message of
its own that names the tool, and a picture in a result has no place in that: models look for pictures where the user
speaks. What may follow what is for each model's own template to say, and templates drop what they do not expect without a
word; so the order is the one that every template knows: calls, their results in the same order, then the user.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from engine import JSON
from policies import Capabilities
from transports._envelope import opened
from transports.translate._ids import outbound
from transports.translate._texts import (
    BEGINNING,
    GO_ON,
    INTERRUPTED,
    NO_OUTPUT,
    NOTHING,
    blocks_of,
    document_text,
    text_of,
    word,
)
from transports.translate._tools import Toolbox, sendable_name
from transports.translate._turns import Turn, answered, distinct, turns


@attrs.frozen
class _Call:
    """An earlier call: its id as the client has it and as it goes out, and the tool's name for the host."""

    theirs: str
    id: str
    name: str


@attrs.define
class _Said:
    """What goes into one message: texts, and the pictures beside them."""

    texts: list[str] = attrs.field(factory=list)
    images: list[str] = attrs.field(factory=list)

    def message(self) -> JSON:
        message: JSON = {"role": "user", "content": "\n\n".join(text for text in self.texts if text.strip())}
        if self.images:
            message["images"] = self.images
        return message


@attrs.frozen
class History:
    """Writes messages for one candidate. `replays` says whether its own thinking goes back to it."""

    can: Capabilities
    toolbox: Toolbox
    author: str
    replays: bool = False

    def messages(self, messages: list[JSON]) -> list[JSON]:
        """The messages, without the system prompt."""
        out: list[JSON] = []
        calls: list[_Call] = []  # of the assistant's last turn
        for turn in turns(messages):
            if turn.role == "assistant":
                message, calls = self._assistant(turn)
                out.append(message)
            else:
                out += self._user(turn, calls)
                calls = []
        out += [_result(call, INTERRUPTED) for call in calls]
        if not out:
            return [{"role": "user", "content": NOTHING}]
        if out[0]["role"] == "assistant":
            out.insert(0, {"role": "user", "content": BEGINNING})
        if out[-1]["role"] == "assistant" and self.toolbox.accent.prefill != "keep":
            out.append({"role": "user", "content": GO_ON})
        return out

    def _assistant(self, turn: Turn) -> tuple[JSON, list[_Call]]:
        used = [block for block in turn.blocks if block.get("type") == "tool_use"]
        texts = [text_of(block) for block in turn.blocks if block.get("type") != "tool_use"]
        theirs = [word(block.get("id")) for block in used]
        calls = [
            _Call(word(block.get("id")), outbound(id), sendable_name(word(block.get("name"))))
            for block, id in zip(used, distinct(theirs), strict=True)
        ]
        message: JSON = {"role": "assistant", "content": "\n\n".join(text for text in texts if text.strip())}
        # Templates show thinking within a tool loop, and leave it out of turns that are over.
        if used and self.replays and (thought := self._thought(turn.blocks)):
            message["thinking"] = thought
        if used:
            message["tool_calls"] = [self._call(block, call) for block, call in zip(used, calls, strict=True)]
        return message, calls

    def _call(self, block: JSON, call: _Call) -> JSON:
        name, given = word(block.get("name")), block.get("input")
        arguments = self.toolbox.arguments_out(name, given if isinstance(given, dict) else {"value": given})
        return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}

    def _thought(self, blocks: list[JSON]) -> str:
        """The thinking of a turn that this candidate has thought itself."""
        own = []
        for block in blocks:
            sealed = opened(block.get("signature")) if block.get("type") == "thinking" else None
            if sealed is not None and sealed.author == self.author and isinstance(block.get("thinking"), str):
                own.append(block["thinking"])
        return "\n".join(text for text in own if text.strip())

    def _user(self, turn: Turn, calls: list[_Call]) -> Iterator[JSON]:
        """Results first, in the order of the calls; then the pictures in them; then the user's own words."""
        results, rest = answered(turn.blocks, [call.theirs for call in calls])
        said = _Said()
        for number, (call, result) in enumerate(zip(calls, results, strict=True), start=1):
            if result is None:
                yield _result(call, INTERRUPTED)
                continue
            text, images = self._result(result, number)
            yield _result(call, text)
            if images:
                said.texts.append(f"[what tool result {number} shows]")
                said.images += images
        for block in rest:
            if block.get("type") == "tool_result":
                text, images = self._result(block, 1)
                said.texts.append(f"[result of an earlier tool call]\n{text}")
                said.images += images
            else:
                self._say(said, block)
        if said.images or any(text.strip() for text in said.texts):
            yield said.message()

    def _result(self, block: JSON, number: int) -> tuple[str, list[str]]:
        """A tool result as text, and the pictures in it."""
        said = _Said()
        for inner in blocks_of(block.get("content")):
            before = len(said.images)
            self._say(said, inner)
            if len(said.images) > before:
                said.texts.append(f"[image {len(said.images)} of result {number}, shown below]")
        text = "\n".join(text for text in said.texts if text.strip()) or NO_OUTPUT
        if block.get("is_error") and not text.startswith("Error"):
            text = f"Error: {text}"
        return text, said.images

    def _say(self, said: _Said, block: JSON) -> None:
        """One block of a user's message: a picture where it can be one, else its words."""
        match block.get("type"):
            case "image":
                self._show(said, block.get("source"))
            case "document":
                said.texts.append(document_text(block))
            case _:
                said.texts.append(text_of(block))

    def _show(self, said: _Said, source: Any) -> None:
        source = source if isinstance(source, dict) else {}
        if self.can.images is False:
            said.texts.append("[an image stood here; this model cannot see images]")
        elif source.get("type") == "base64" and isinstance(source.get("data"), str) and source["data"]:
            said.images.append(source["data"])
        elif source.get("type") == "url" and isinstance(source.get("url"), str):
            said.texts.append(f"[an image stood here, at {source['url']}; this host fetches none]")
        else:
            said.texts.append("[an image stood here, in a form that only Anthropic can read]")


def _result(call: _Call, text: str) -> JSON:
    return {"role": "tool", "tool_name": call.name, "tool_call_id": call.id, "content": text}
