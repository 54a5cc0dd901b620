"""Web searches and fetched pages in a conversation: what they say to a host that has no such blocks.

They stand in an assistant's turn, the call and its result side by side, which no other wire knows. Left out, the model
answers as if it had never searched, and searches again. To a host that may search now they go as what they are there, a
call and its result; to every other in words. What was searched for by this proxy goes in words to Anthropic too, whose
server would miss its own seal on it. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from engine import JSON
from transports._envelope import opened, seal

#: How the ids of calls begin that were served here, and what a body holds where there are some.
SERVED_HERE = "srvtoolu_hedgerow_"
SERVED_IN_BODY = b'"srvtoolu_hedgerow_'
_CALL = "server_tool_use"
_RESULTS = ("web_search_tool_result", "web_fetch_tool_result")
_TOOLS = ("web_search", "web_fetch")
_SEALER = "web"
#: What is told of one text, in characters: it comes from the client.
_MAX_CHARS = 200_000


def sealed_text(text: str) -> str:
    """A text as `encrypted_content`: it comes back with the history, and only this proxy can read it."""
    return seal(_SEALER, {"text": text})


def words_of(block: JSON) -> str | None:
    """A web search, a fetched page or their call in words; None for every other block."""
    kind = block.get("type")
    if kind == _CALL and _text(block.get("name")) in _TOOLS:
        given = block.get("input")
        given = given if isinstance(given, dict) else {}
        if block["name"] == "web_search":
            return f"[searched the web for: {_text(given.get('query'))}]"
        return f"[fetched the page {_text(given.get('url'))}]"
    if kind == "web_search_tool_result":
        return f"[results of a web search]\n{result_text(block)}"
    if kind == "web_fetch_tool_result":
        return f"[a page from the web]\n{result_text(block)}"
    return None


def result_text(block: JSON) -> str:
    """What a result block tells a model."""
    content = block.get("content")
    if isinstance(content, list):
        found = [_found(n, one) for n, one in enumerate((c for c in content if isinstance(c, dict)), start=1)]
        return "\n".join(found) or "(nothing was found)"
    content = content if isinstance(content, dict) else {}
    if code := _text(content.get("error_code")):
        return f"failed: {code}"
    document = content.get("content")
    document = document if isinstance(document, dict) else {}
    source = document.get("source")
    source = source if isinstance(source, dict) else {}
    data = source.get("data") if source.get("type") == "text" else None
    head = " ".join(filter(None, (_text(document.get("title")), _text(content.get("url")))))
    return f"{head}\n{_text(data) or '(its content is not text)'}".strip()


def _found(number: int, one: JSON) -> str:
    if one.get("type") == "web_search_tool_result_error":
        return f"failed: {_text(one.get('error_code'))}"
    heading = " ".join(filter(None, (f"{number}.", _text(one.get("title")), _text(one.get("url")))))
    sealed = opened(one.get("encrypted_content"))
    said = _text(sealed.state.get("text")) if sealed is not None else ""
    return f"{heading}\n   {said}" if said else heading


def without_ours(content: list[JSON]) -> list[JSON]:
    """Content in which everything that was served here is words."""
    return [_in_words(block) if _is_ours(block) else block for block in content]


def paired(messages: list[JSON], names: Collection[str]) -> list[JSON]:
    """A conversation in which the searches and pages of the tools `names` are calls and their results."""
    out: list[JSON] = []
    for message in messages:
        content = message.get("content")
        if message.get("role") != "assistant" or not isinstance(content, list) or not any(map(_is_call, content)):
            out.append(message)
        else:
            out += _split(content, names)
    return out


def _split(content: list[JSON], names: Collection[str]) -> Iterator[JSON]:
    """One assistant's turn as several: its results stand between them, as the user's, each right behind its call."""
    results = {_text(block.get("tool_use_id")): block for block in reversed(content) if block.get("type") in _RESULTS}
    paired: set[str] = set()
    said: list[JSON] = []
    called: list[str] = []
    due = False
    for block in content:
        id = _text(block.get("id"))
        answered = _text(block.get("tool_use_id")) if block.get("type") in _RESULTS else None
        if answered is not None and answered in paired:
            due = due or answered in called
            continue
        if due:
            yield from _exchange(said, called, results)
            said, called, due = [], [], False
        if _is_call(block) and _text(block.get("name")) in names and id in results and id not in paired:
            paired.add(id)
            called.append(id)
            given = block.get("input")
            said.append(
                {"type": "tool_use", "id": id, "name": block["name"], "input": given if isinstance(given, dict) else {}}
            )
        else:
            said.append(block if words_of(block) is None else _in_words(block))
    if said:
        yield from _exchange(said, called, results)


def _exchange(said: list[JSON], called: list[str], results: dict[str, JSON]) -> Iterator[JSON]:
    yield {"role": "assistant", "content": said}
    if called:
        told = [{"type": "tool_result", "tool_use_id": id, "content": result_text(results[id])} for id in called]
        yield {"role": "user", "content": told}


def _in_words(block: JSON) -> JSON:
    return {"type": "text", "text": words_of(block) or "…"}


def _is_call(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == _CALL


def _is_ours(block: JSON) -> bool:
    id = block.get("id") if block.get("type") == _CALL else block.get("tool_use_id")
    return block.get("type") in (_CALL, *_RESULTS) and isinstance(id, str) and id.startswith(SERVED_HERE)


def _text(value: Any) -> str:
    return value[:_MAX_CHARS] if isinstance(value, str) else ""
