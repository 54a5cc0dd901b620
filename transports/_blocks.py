"""Content blocks of a Messages answer: one that is being filled, and one that is given whole.

A block could be taken for its JSON object. But which index the provider gave it, which one the client sees, and whether
it may be ended early are no part of that object, and a host that sends blocks whole must be relayed to clients that read
them in pieces.
"""

from __future__ import annotations

import attrs
import orjson

from engine import JSON


@attrs.define(eq=False)
class Lane:
    """One block. `theirs` is the provider's index, `ours` the one the client sees."""

    theirs: int
    ours: int
    block: JSON
    deltas: list[JSON] = attrs.field(factory=list)
    stopped: bool = False
    filled: bool = False
    waiting: int = 0  #: what is held back of it, in bytes

    @property
    def divisible(self) -> bool:
        """Whether the block may be ended early and continued as another: text can, the arguments of a call cannot."""
        return self.block.get("type") in ("text", "thinking", "redacted_thinking")


def brings_content(block: JSON) -> bool:
    """Whether a block's start already holds what is worth committing to."""
    match block.get("type"):
        case "text" | "thinking" as kind:
            return bool(block.get(kind))
        case "tool_use":
            return False
        case kind:
            return kind == "redacted_thinking" or bool(block.get("content") or block.get("input"))


def taken_apart(block: JSON) -> tuple[JSON, list[JSON]]:
    """A finished block as its empty start and its deltas."""
    match block.get("type"):
        case "text":
            deltas = [{"type": "text_delta", "text": _string(block.get("text", ""))}]
            citations = block.get("citations") or []
            deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
            return {**block, "text": "", **({"citations": []} if citations else {})}, deltas
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": _string(block.get("thinking", ""))}]
            if block.get("signature"):
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            text = orjson.dumps(block.get("input") or {}).decode()
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text}]
        case _:
            return block, []


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
