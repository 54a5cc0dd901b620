"""A conversation of Messages as a conversation of chat completions.

Block by block the two look alike. They differ in what may follow what: here each call is answered by one message of its
own, right behind the calls and before anything else, nobody else's result may stand there, and two turns of one role are
refused by some hosts and read as two people by some models. Claude Code sends all of that: results behind text, results
that were never made, system entries in the middle, user after user. So the conversation is first brought into turns, and
each turn is written whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import attrs

from engine import JSON
from engine.config import Accent
from policies import Capabilities
from transports._envelope import opened
from transports.chat._content import Reader
from transports.translate._texts import BEGINNING, GO_ON, INTERRUPTED, NOTHING, text_of, word, written
from transports.translate._tools import Toolbox, sendable_name
from transports.translate._turns import Turn, answered, distinct, turns

_BRIDGE = "Understood."
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}", re.ASCII)
#: Asks Gemini to do without the signature that a call from elsewhere cannot have.
_NO_SIGNATURE = {"google": {"thought_signature": "skip_thought_signature_validator"}}


@attrs.frozen
class History:
    """Writes messages for one candidate. `replays` says whether its own reasoning goes back to it."""

    accent: Accent
    can: Capabilities
    toolbox: Toolbox
    author: str
    replays: bool = False

    def messages(self, messages: list[JSON]) -> list[JSON]:
        """The chat messages, without the system prompt."""
        out: list[JSON] = []
        calls: list[tuple[str, str]] = []  # ids of the last assistant turn's calls, theirs and the host's
        made = 0
        for turn in turns(messages):
            if turn.role == "assistant":
                message, calls = self._assistant(turn, made)
                made += len(calls)
                out.append(message)
            else:
                out += self._user(turn, calls)
                calls = []
        out += [self._missing(id) for _, id in calls]
        if out and out[0]["role"] == "assistant":
            out.insert(0, {"role": "user", "content": BEGINNING})
        return self._ended(out)

    # One turn.

    def _assistant(self, turn: Turn, made: int) -> tuple[JSON, list[tuple[str, str]]]:
        texts = [text_of(block) for block in turn.blocks if block.get("type") != "tool_use"]
        used = [block for block in turn.blocks if block.get("type") == "tool_use"]
        text = "\n\n".join(text for text in texts if text.strip())
        theirs = [word(block.get("id")) for block in used]
        ids = [self._id(id, made + n, used[n]) for n, id in enumerate(distinct(theirs))]
        message: JSON = {"role": "assistant", "content": text}
        if used:
            message["tool_calls"] = [self._call(block, id) for block, id in zip(used, ids, strict=True)]
            for number, extra in self._extras(turn.blocks):
                message["tool_calls"][number]["extra_content"] = extra
            if not text and self.accent.null_content:
                message["content"] = None
        if self.replays and (used or self.accent.replay_on == "every-turn"):
            self._replay(message, turn.blocks)
        return message, list(zip(theirs, ids, strict=True))

    def _call(self, block: JSON, id: str) -> JSON:
        name, given = word(block.get("name")), block.get("input")
        arguments = self.toolbox.arguments_out(name, given if isinstance(given, dict) else {"value": given})
        text = written(arguments).decode()
        return {"id": id, "type": "function", "function": {"name": sendable_name(name), "arguments": text}}

    def _user(self, turn: Turn, calls: list[tuple[str, str]]) -> Iterator[JSON]:
        """Results first, in the order of the calls; then what a tool message cannot hold; then the user's own words."""
        reader = Reader(self.accent, self.can)
        results, rest = answered(turn.blocks, [theirs for theirs, _ in calls])
        parts: list[JSON] = []
        for block in rest:
            if block.get("type") == "tool_result":
                text, shown = reader.result(block, 1)
                parts += [{"type": "text", "text": f"[result of an earlier tool call]\n{text}"}, *shown]
            elif part := reader.part(block):
                parts.append(part)
        below: list[JSON] = []
        answers: list[JSON] = []
        for number, ((_, id), result) in enumerate(zip(calls, results, strict=True), start=1):
            if result is None:
                answers.append(self._missing(id))
                continue
            text, shown = reader.result(result, number)
            answers.append({"role": "tool", "tool_call_id": id, "content": text})
            if shown:
                below += [{"type": "text", "text": f"[what tool result {number} shows]"}, *shown]
        if answers and parts and self.accent.text_after_results == "fold":
            parts = self._folded(answers[-1], parts)
        yield from answers
        if below or parts:
            if answers and self.accent.bridge:
                yield {"role": "assistant", "content": _BRIDGE}
            yield {"role": "user", "content": reader.content([*below, *parts])}

    def _folded(self, answer: JSON, parts: list[JSON]) -> list[JSON]:
        """Texts go to the end of the last tool message, so that the model's reasoning is not taken for an old turn's."""
        texts = [part["text"] for part in parts if part["type"] == "text"]
        answer["content"] = "\n\n".join([answer["content"], *texts])
        return [part for part in parts if part["type"] != "text"]

    def _missing(self, id: str) -> JSON:
        return {"role": "tool", "tool_call_id": id, "content": INTERRUPTED}

    def _ended(self, out: list[JSON]) -> list[JSON]:
        """An assistant turn at the end is a beginning to be continued, which this wire says in different ways."""
        if not out:
            return [{"role": "user", "content": NOTHING}]
        if out[-1]["role"] != "assistant":
            return out
        match self.accent.prefill:
            case "prefix" | "partial" as flag:
                out[-1] = {**out[-1], flag: True}
            case "instruct":
                out.append({"role": "user", "content": GO_ON})
        return out

    # What must come back.

    def _replay(self, message: JSON, blocks: list[JSON]) -> None:
        """The reasoning of an assistant turn, where its host wants it back."""
        thoughts = [b for b in blocks if b.get("type") == "thinking" and isinstance(b.get("thinking"), str)]
        text = "\n".join(block["thinking"] for block in thoughts if block["thinking"].strip())
        match self.accent.replay:
            case "reasoning_content" | "reasoning" as field:
                message[field] = text
            case "reasoning_details":
                if details := self._details(blocks):
                    message["reasoning_details"] = details
            case "parts" if text:
                thought = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
                said = [{"type": "text", "text": message["content"]}] if message["content"] else []
                message["content"] = [thought, *said]
            case "tags" if text:
                message["content"] = f"<think>\n{text}\n</think>\n\n{message['content'] or ''}"

    def _details(self, blocks: list[JSON]) -> list[JSON]:
        """The details as the host gave them: from its own envelopes, the text put back where it was taken out."""
        found: list[JSON] = []
        for block in blocks:
            sealed = opened(block.get("signature") or block.get("data"))
            if sealed is None or sealed.author != self.author:
                continue
            for detail in _objects(sealed.state.get("details")):
                bare = (
                    block.get("type") == "thinking" and detail.get("type") == "reasoning.text" and "text" not in detail
                )
                found.append({**detail, "text": block.get("thinking", "")} if bare else detail)
        return found

    def _extras(self, blocks: list[JSON]) -> Iterator[tuple[int, JSON]]:
        """What must go back with this turn's calls, by the call's place: what came with them, where they came from here.

        The first of the calls that others made goes without a signature, which must be said; the rest need none.
        """
        if not self.accent.thought_signatures:
            return
        found: dict[int, JSON] = {}
        place = 0
        for block in blocks:
            sealed = opened(block.get("data"))
            if block.get("type") == "tool_use":
                place += 1
            elif sealed is not None and sealed.author == self.author and isinstance(sealed.state.get("calls"), dict):
                # The calls of an answer stand behind what came with them, numbered from there.
                found |= {place + int(n): x for n, x in sealed.state["calls"].items() if n.isdecimal() and len(n) < 5}
        found = {n: extra for n, extra in found.items() if n < place and isinstance(extra, dict)}
        yield from (found or {0: _NO_SIGNATURE}).items()

    def _id(self, id: str, number: int, block: JSON) -> str:
        """A call's id in the form of the host. The same id always gives the same, so that caches hold."""
        match self.accent.tool_ids:
            case "alnum9":
                digest = blake2b(id.encode(), digest_size=8).digest()
                return _alphanumeric(int.from_bytes(digest, "big"), 9)
            case "kimi":
                return f"functions.{sendable_name(word(block.get('name')))}:{number}"
        return id if _TOOL_ID.fullmatch(id) else f"call_{blake2b(id.encode(), digest_size=12).hexdigest()}"


def _objects(value: Any) -> list[JSON]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _alphanumeric(number: int, length: int) -> str:
    out = ""
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        out += _ALPHABET[digit]
    return out
