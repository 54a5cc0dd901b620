"""Hypothesis strategies for whatever a client may send: what Claude Code does send, and wilder.

What is sent carries marks, so that a law can tell what became of it: each text is a mark with something behind it, and
`Told` says which marks must be found again and in which order. Conversations are made of exchanges that look real (calls,
then some of their results in any order, something typed between) and of messages of any sort, mixed. Ids and names come
from small pools, since independent ones would never meet.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from transports._envelope import seal

Block = dict[str, Any]

#: What a text may have in it that looks like something else, or is hard to write.
TRICKY = [
    "", " ", "a", "\n\n", "é", "\u2028", "🙂", "\0", "\\u0000", "\\\0", '"cache_control"', "<think>x</think>", "Error: x",
    "\x7f\x1b[0m", "{}", "data: [DONE]\n\n", "\ufffd", "x" * 300,
]  # fmt: skip
BLANK = ["", " ", "\n\t "]
IDS = ["toolu_1", "toolu_1", "toolu_2", "toolu_2#1", "functions.Read:0", "", "é" * 50, "x" * 300, 7, None]
NAMES = ["Read", "Bash", "mcp__a.b__c", "Grep" * 20, "", "é", None]
SIGNATURES = [
    "",
    "EqQBCg",
    "gAAAAA",
    None,
    seal("host/somebody/something"),
    seal("other/m", {"details": [{"type": "x"}]}),
]
NESTED: dict[str, Any] = {
    "type": "tool_result",
    "tool_use_id": "toolu_1",
    "content": [{"type": "text", "text": "nested"}],
}
SOURCES = [
    {"type": "base64", "media_type": "image/png", "data": "AAAA"},
    {"type": "url", "url": "https://example.com/a.png"},
    {"type": "file", "file_id": "file_1"},
    {},
    None,
    "x",
]


@attrs.define
class Told:
    """A conversation, and what of it must be found again. `said` in this order, `shown` in any, each of them once."""

    messages: list[Block] = attrs.field(factory=list)
    said: list[str] = attrs.field(factory=list)
    shown: list[str] = attrs.field(factory=list)
    marks: int = 0

    def mark(self, draw: st.DrawFn) -> str:
        self.marks += 1
        return f"⟦{self.marks}⟧{draw(st.sampled_from(TRICKY))}"

    def say(self, draw: st.DrawFn) -> str:
        self.said.append(self.mark(draw))
        return self.said[-1]

    def show(self, draw: st.DrawFn) -> str:
        self.shown.append(self.mark(draw))
        return self.shown[-1]

    def hint(self, found: list[str], draw: st.DrawFn) -> str:
        """A text that may be written otherwise, inside JSON: only its mark must be found."""
        text = self.mark(draw)
        found.append(text[: text.index("⟧") + 1])
        return text


_SPECIES = [
    "text",
    "text",
    "text",
    "blank",
    "image",
    "document",
    "search_result",
    "unknown",
    "typeless",
    "server",
    "upload",
]


def _block(draw: st.DrawFn, told: Told, where: list[str]) -> Block:
    """A block that anybody may send. What it says is put down in `where`."""

    def say() -> str:
        where.append(told.mark(draw))
        return where[-1]

    match draw(st.sampled_from(_SPECIES)):
        case "text":
            block = {"type": "text", "text": say()}
            return {**block, "cache_control": {"type": "ephemeral"}} if draw(st.booleans()) else block
        case "blank":
            return {"type": "text", "text": draw(st.sampled_from([*BLANK, None, 3]))}
        case "image":
            return {"type": "image", "source": draw(st.sampled_from(SOURCES))}
        case "document":
            text = draw(st.sampled_from(["", "text", "content", "blocks"]))
            about = {"title": draw(st.sampled_from(["T", "", None]))}
            if text == "text":
                return {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": say()},
                    **about,
                }
            if text:
                inner: Any = say() if text == "content" else [{"type": "text", "text": say()}, {"type": "image"}]
                return {"type": "document", "source": {"type": "content", "content": inner}, **about}
            return {"type": "document", "source": draw(st.sampled_from(SOURCES)), **about}
        case "search_result":
            return {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": say()}],
                    "citations": {"enabled": True}}  # fmt: skip
        case "unknown":
            return {"type": "later_block", "cache_control": {"type": "ephemeral"}, "text": told.hint(where, draw)}
        case "typeless":
            return {"text": say()}
        case "server":
            found = {
                "type": "web_search_result",
                "title": told.hint(where, draw),
                "encrypted_content": "RQ",
                "url": "http://x",
            }
            error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
            return draw(st.sampled_from([
                {"type": "server_tool_use", "id": "srv_1", "name": "web_search",
                 "input": {"query": found["title"]}},
                {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [found, error]},
            ]))  # fmt: skip
        case _:
            return {"type": "container_upload", "file_id": "file_1"}


def _thought(draw: st.DrawFn) -> Block:
    signature = draw(st.sampled_from(SIGNATURES))
    if draw(st.booleans()):
        return {"type": "redacted_thinking", "data": signature}
    text = draw(st.sampled_from(["", " ", "thought", "🙂\0", None]))
    return {"type": "thinking", "thinking": text} | ({"signature": signature} if signature is not None else {})


def _call(draw: st.DrawFn, told: Told) -> Block:
    given = draw(st.sampled_from(["object", "object", "object", "list", "text", "none", "absent"]))
    block = {"type": "tool_use", "id": draw(st.sampled_from(IDS)), "name": draw(st.sampled_from(NAMES))}
    match given:
        case "object":
            block["input"] = {"path": told.hint(told.shown, draw), "type": "t", "cache_control": {"n": [1, None]}}
        case "list":
            block["input"] = [told.hint(told.shown, draw)]
        case "text":
            block["input"] = draw(st.sampled_from(["", "{}", "text\0"]))
        case "none":
            block["input"] = None
    return block


def _result(draw: st.DrawFn, told: Told, id: Any) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": id}
    match draw(st.sampled_from(["text", "list", "list", "empty", "blank", "none", "absent", "object"])):
        case "text":
            block["content"] = told.show(draw)
        case "list":
            block["content"] = [_block(draw, told, told.shown) for _ in range(draw(st.integers(0, 3)))]
            if draw(st.booleans()):
                block["content"].append({"type": "tool_reference", "tool_name": "Grep"})
            if draw(st.integers(0, 4)) == 0:
                block["content"].append(NESTED)
        case "empty":
            block["content"] = []
        case "blank":
            block["content"] = draw(st.sampled_from(BLANK))
        case "none":
            block["content"] = None
        case "object":
            block["content"] = {"type": "text", "text": told.show(draw)}
    if draw(st.booleans()):
        block["is_error"] = draw(st.booleans())
    return block


def _message(draw: st.DrawFn, told: Told) -> None:
    role = draw(st.sampled_from(["user", "user", "assistant", "assistant", "system", "later"]))
    if draw(st.booleans()):
        blank = draw(st.integers(0, 3)) == 0
        told.messages.append({"role": role, "content": draw(st.sampled_from(BLANK)) if blank else told.say(draw)})
        return
    blocks: list[Block] = []
    for _ in range(draw(st.integers(0, 4))):
        sort = draw(st.sampled_from(["any", "any", "call", "result", "thought"]))
        if sort == "call" and role == "assistant":
            blocks.append(_call(draw, told))
        elif sort == "result" and role != "assistant":
            blocks.append(_result(draw, told, draw(st.sampled_from(IDS))))
        elif sort == "thought":
            blocks.append(_thought(draw))
        else:
            blocks.append(_block(draw, told, told.said))
    told.messages.append({"role": role, "content": blocks})


def _exchange(draw: st.DrawFn, told: Told) -> None:
    """Calls, and some of their results in any order, with anything that may stand before, behind and between."""
    blocks = [_thought(draw)] if draw(st.booleans()) else []
    if draw(st.booleans()):
        blocks.append({"type": "text", "text": told.say(draw)})
    calls = [_call(draw, told) for _ in range(draw(st.integers(1, 3)))]
    behind = [{"type": "text", "text": told.say(draw)}] if draw(st.integers(0, 3)) == 0 else []
    told.messages.append({"role": "assistant", "content": [*blocks, *calls, *behind]})
    if draw(st.integers(0, 3)) == 0:
        told.messages.append({"role": "system", "content": draw(st.sampled_from(["", "typed"])) and told.say(draw)})
    ids = draw(st.permutations([call["id"] for call in calls]))
    ids = ids[: draw(st.integers(0, len(ids)))]
    results: list[Block] = []
    for id in ids:
        if draw(st.integers(0, 4)) == 0:
            results.append({"type": "text", "text": told.say(draw)})
        results.append(_result(draw, told, id))
    apart = [[result] for result in results] if draw(st.booleans()) else [results]
    told.messages += [{"role": "user", "content": content} for content in apart]
    if draw(st.booleans()):
        told.messages.append({"role": "system", "content": [{"type": "text", "text": told.say(draw)}]})


@st.composite
def histories(draw: st.DrawFn) -> Told:
    """A conversation of one to six parts."""
    told = Told()
    for _ in range(draw(st.integers(1, 6))):
        (_exchange if draw(st.booleans()) else _message)(draw, told)
    return told


#: Values that a keyword of a schema may have, rightly or wrongly.
_ODD = [
    None,
    True,
    False,
    0,
    1.5,
    "",
    "string",
    "object",
    [],
    {},
    ["string", "null"],
    [True],
    {"type": "string"},
    "#/$defs/A",
]
_KEYWORDS = [
    "type", "properties", "items", "required", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs", "definitions",
    "additionalProperties", "patternProperties", "prefixItems", "not", "if", "then", "format", "default", "description",
    "minimum", "exclusiveMinimum", "minLength", "pattern", "nullable", "propertyNames", "$schema", "title", "examples",
]  # fmt: skip
_REFERENCES = ["#", "#/$defs/A", "#/$defs/B", "#/definitions/A", "#/nowhere", "other.json", 5]


def schemas() -> st.SearchStrategy[Any]:
    """JSON schemas, some right and some with keywords that hold what they should not."""
    leaves = st.sampled_from(
        [{}, {"type": "string"}, {"type": ["integer", "null"]}, {"enum": ["a", 1, None]}, {"const": 5}, True]
    )
    return st.recursive(leaves, _bigger, max_leaves=12)


def _bigger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(["a", "type", "type_", "A", "B"]), inner, max_size=3)
    some = st.lists(inner, max_size=3)
    right = st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", ["object", "null"], ["string", "array"]]),
            "properties": named,
            "required": st.lists(st.sampled_from(["a", "type", "gone"]), max_size=2),
            "items": inner | some,
            "anyOf": some,
            "allOf": some,
            "$defs": named,
            "additionalProperties": inner,
            "$ref": st.sampled_from(_REFERENCES),
            "enum": st.lists(st.sampled_from(["a", "b", 1, None]), max_size=3),
            "description": st.just("d"),
        },
    )
    return right | st.dictionaries(st.sampled_from(_KEYWORDS), inner | st.sampled_from(_ODD), max_size=4)


@st.composite
def tools(draw: st.DrawFn) -> list[Block]:
    """Tools of every sort: with schemas of any shape, deferred, run by servers, nameless."""
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3)):
        schema = draw(schemas() | st.sampled_from([{"type": "object", "properties": {"path": {"type": "string"}}}]))
        tool = {"name": name, "description": draw(st.sampled_from(["d", "", None])), "input_schema": schema}
        found.append(
            tool | draw(st.sampled_from([{}, {}, {"cache_control": {}}, {"defer_loading": True}, {"strict": True}]))
        )
    server = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    return [*found, server] if draw(st.booleans()) else found


@st.composite
def wishes(draw: st.DrawFn) -> Block:
    """The fields beside the messages: what Claude Code sends, and what it does not."""
    choice = draw(st.sampled_from(["auto", "any", "none", "tool", "later"]))
    named = {"type": choice, "name": draw(st.sampled_from([*NAMES, "web_search"]))}
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    fields: Block = {
        "system": draw(st.sampled_from([
            None, "", " ", "be brief", [], 5,
            [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1;"}, {"type": "text", "text": "sys"}],
        ])),
        "tools": draw(tools() | st.sampled_from([None, [], {"a": 1}, "x"])),
        "tool_choice": draw(st.sampled_from([None, "auto", named, named | {"disable_parallel_tool_use": True}])),
        "thinking": draw(st.sampled_from([
            None, {"type": "adaptive", "display": "updates"}, {"type": "disabled"}, {"type": "later"}, "x",
            {"type": "enabled", "budget_tokens": 31_999}, {"type": "enabled", "budget_tokens": "x"},
        ])),
        "output_config": draw(st.sampled_from([
            None, {"effort": "max"}, {"effort": 3}, {"effort": "high", "format": {"type": "json_schema", "schema": schema}},
            {"format": {"schema": 5}}, "x",
        ])),
        "temperature": draw(st.sampled_from([None, 0, 1, 1.5, -1, 9, True, "x"])),
        "top_p": draw(st.sampled_from([None, 0.5, "x"])),
        "top_k": draw(st.sampled_from([None, 5, 1.5])),
        "stop_sequences": draw(st.sampled_from([None, [], ["a"], ["", " ", 3], list("abcdefghijklmnopqrstuvw"), "x"])),
        "max_tokens": draw(st.sampled_from([1, 1000, 32_000, 10**9])),
        "metadata": {"user_id": "{}"}, "context_management": {"edits": []}, "safeguards": {}, "betas": ["x"],
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}
