"""A conversation of Messages as the input of Responses: a flat list of items.

The list has no turns, and still its order binds: an output needs its call before it and a call its output behind it, and
reasoning stands right before what came of it or is refused. So each turn of the assistant is taken apart into units, a text
or a call with the reasoning that led to it, and each turn of the user begins with the outputs, one for each call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import attrs

from engine import JSON
from engine.config import ResponsesAccent
from policies import Capabilities
from transports.responses._content import Reader
from transports.responses._reasoning import restored
from transports.translate._ids import outbound
from transports.translate._texts import BEGINNING, GO_ON, INTERRUPTED, NOTHING, text_of, word, written
from transports.translate._tools import Toolbox, sendable_name
from transports.translate._turns import Turn, answered, turns


@attrs.frozen
class History:
    """Writes the input for one candidate. `replays`: its own reasoning goes back to it, `encrypted`: as it encrypted it."""

    accent: ResponsesAccent
    can: Capabilities
    toolbox: Toolbox
    author: str
    replays: bool = False
    encrypted: bool = True

    def items(self, messages: list[JSON]) -> list[JSON]:
        """The input, without the instructions."""
        out: list[JSON] = []
        calls: list[tuple[str, str]] = []  # ids of the last assistant turn's calls, theirs and the host's
        seen: Counter[str] = Counter()
        for turn in turns(messages):
            if turn.role == "assistant":
                items, calls = self._assistant(turn, seen)
                out += items
            else:
                out += self._user(turn, calls)
                calls = []
        out += [_output(id, INTERRUPTED) for _, id in calls]
        if not out:
            return [message("user", NOTHING)]
        if out[0].get("role") != "user":
            out.insert(0, message("user", BEGINNING))
        if out[-1].get("role") == "assistant":  # a beginning that is to be continued
            out.append(message("user", GO_ON))
        return out

    def _assistant(self, turn: Turn, seen: Counter[str]) -> tuple[list[JSON], list[tuple[str, str]]]:
        """Texts before calls, since hosts that turn items into messages have no place behind a call; ids of the calls."""
        theirs = [word(block.get("id")) for block in turn.blocks if block.get("type") == "tool_use"]
        ids = [outbound(_unlike(id, seen)) for id in theirs]
        said: list[JSON] = []
        called: list[JSON] = []
        reasoning: list[JSON] = []
        left = iter(ids)
        for block in turn.blocks:
            if block.get("type") in ("thinking", "redacted_thinking"):
                own = restored(block, self.author, self.accent, encrypted=self.encrypted) if self.replays else None
                reasoning += [own] if own is not None else []
            elif block.get("type") == "tool_use":
                called += [*reasoning, self._call(block, next(left))]
                reasoning = []
            elif (text := text_of(block)).strip():
                said += [*reasoning, _message("assistant", [{"type": "output_text", "text": text}])]
                reasoning = []
        # Reasoning that nothing came of is left out: it would be refused.
        return [*said, *called], list(zip(theirs, ids, strict=True))

    def _call(self, block: JSON, id: str) -> JSON:
        name, given = word(block.get("name")), block.get("input")
        arguments = self.toolbox.arguments_out(name, given if isinstance(given, dict) else {"value": given})
        text = written(arguments).decode()
        return {"type": "function_call", "call_id": id, "name": sendable_name(name), "arguments": text}

    def _user(self, turn: Turn, calls: list[tuple[str, str]]) -> Iterator[JSON]:
        """Outputs first, in the order of the calls; then what an output cannot hold; then the user's own words."""
        reader = Reader(self.accent, self.can)
        results, rest = answered(turn.blocks, [theirs for theirs, _ in calls])
        parts: list[JSON] = []
        for block in rest:
            if block.get("type") == "tool_result":
                output, shown = reader.output(block, 1)
                parts.append({"type": "input_text", "text": "[result of an earlier tool call]"})
                parts += [{"type": "input_text", "text": output}] if isinstance(output, str) else output
                parts += shown
            elif part := reader.part(block):
                parts.append(part)
        below: list[JSON] = []
        for number, ((_, id), result) in enumerate(zip(calls, results, strict=True), start=1):
            if result is None:
                yield _output(id, INTERRUPTED)
                continue
            output, shown = reader.output(result, number)
            yield _output(id, output)
            if shown:
                below += [{"type": "input_text", "text": f"[what tool result {number} shows]"}, *shown]
        if below or parts:
            yield _message("user", [*below, *parts])


def message(role: str, text: str) -> JSON:
    """A message of one text, of anybody but the assistant."""
    return _message(role, [{"type": "input_text", "text": text}])


def _message(role: str, content: list[JSON]) -> JSON:
    return {"type": "message", "role": role, "content": content}


def _output(id: str, output: str | list[JSON]) -> JSON:
    return {"type": "function_call_output", "call_id": id, "output": output}


def _unlike(id: str, seen: Counter[str]) -> str:
    """An id that no call of the input has yet: the list has no turns that would tell two alike apart."""
    one = id
    while seen[one]:
        one = f"{id}#{seen[id]}"
        seen[id] += 1
    seen[one] += 1
    return one
