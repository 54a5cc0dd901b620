"""What the scripted upstream says: a pure function from a request to a message.

Canned answers in a fixed order would break as soon as a client asks twice, asks in another order or sends a side
request (title, sub-agent). So the conversation itself carries the script: the newest `[[name argument]]` in a user text
says which one runs, and the tool results after it say how far it has come. The function has no memory, so the same
request always gets the same answer, whichever upstream is asked, and a text that broke off elsewhere is continued.

    [[say WORDS]]          text
    [[think WORDS]]        thinking, then text
    [[loop IN OUT]]        Read IN; Bash: append what was read to OUT, one line; then say what came back
    [[both IN OUT]]        the same two calls in one message
    [[climb N OUT]]        N messages of thinking, text and a Bash call that appends a line to OUT; then say how far it came
    [[run COMMAND]]        Bash, then say what came back, and whether as an error
    [[find TOOL]]          look a deferred tool up with ToolSearch, then say whether it is offered now
    [[look PNG]]           Read an image, then say what arrived
    [[paper PDF]]          Read a PDF, then say the word in it that begins with `word-`, or that a file arrived
    [[images]]             say which images stand in the user's own message
    [[agent WORDS]]        one sub-agent, which is told to say WORDS
    [[recall]]             repeat the texts the assistant has said before in this conversation
    [[search WORDS]]       call web_search where it was offered, then say how much of what was found came back
    [[web WORDS]]          call Claude Code's WebSearch, whose side request then runs [[search WORDS]]; say what came back
    [[weather CITY]]       call get_weather when that tool was offered (SDK tests), then say its result
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from .wire import Block, Text, Thinking, ToolUse

_MARK = re.compile(r"\[\[([a-z]+)(?:\s+([^\]]*))?\]\]")


@attrs.frozen
class ToolResult:
    """A tool result as the upstream sees it: text parts joined, images as (media type, length of the base64 text)."""

    text: str
    images: tuple[tuple[str, int], ...]
    is_error: bool


@attrs.frozen
class Turn:
    """Where the newest script stands: its name and argument, and what has happened since it was asked for.

    `results` are the tool results, `begun` the assistant's text after the last of them: not empty only where somebody
    asks for a text that broke off to be continued.
    """

    name: str
    argument: str
    results: tuple[ToolResult, ...]
    begun: str


@attrs.frozen
class Ask:
    """A request as the scripts see it; `agent` is the sub-agent's id, if it is one."""

    body: Mapping[str, Any]
    agent: str = ""

    @property
    def is_title(self) -> bool:
        """Claude Code's request for a conversation title: no tools, one JSON-schema field `title`."""
        schema = ((self.body.get("output_config") or {}).get("format") or {}).get("schema") or {}
        return not self.body.get("tools") and "title" in (schema.get("properties") or {})

    @property
    def tool_names(self) -> frozenset[str]:
        """The names of the tools that were offered."""
        return frozenset(str(tool.get("name")) for tool in self.body.get("tools") or ())

    def turn(self) -> Turn:
        """The newest script; where there is none its name is "" and its argument the last user text."""
        name, argument, begun, last = "", "", "", ""
        results: list[ToolResult] = []
        for role, part in _parts(self.body):
            kind = part.get("type")
            if role == "assistant" and kind == "text":
                begun += part["text"]
            elif role == "user" and kind == "tool_result":
                results, begun = [*results, _result(part)], ""
            elif role == "user" and kind == "text":
                last = part["text"]
                for mark in _MARK.finditer(last):
                    name, argument, begun, results = mark[1], (mark[2] or "").strip(), "", []
        return Turn(name, argument, tuple(results), begun) if name else Turn("", last, (), "")

    def said(self) -> tuple[str, ...]:
        """The assistant's texts so far."""
        parts = _parts(self.body)
        return tuple(part["text"] for role, part in parts if role == "assistant" and part.get("type") == "text")

    def images(self) -> tuple[tuple[str, int], ...]:
        """The images in user messages themselves."""
        return _images(part for role, part in _parts(self.body) if role == "user")


def answer(ask: Ask) -> tuple[Block, ...]:
    """The blocks of the answer to `ask`, without the text it has begun where something is left to say.

    Raises KeyError on a script name that does not exist.
    """
    if ask.is_title:
        return (Text(json.dumps({"title": "A scripted conversation"})),)
    turn = ask.turn()
    blocks = _SCRIPTS[turn.name](ask, turn)
    first = blocks[0]
    if not turn.begun or not isinstance(first, Text) or not first.text.startswith(turn.begun):
        return blocks
    rest = first.text.removeprefix(turn.begun)
    return (Text(rest), *blocks[1:]) if rest else blocks[1:] or blocks


def _say(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    who = "sub-agent: " if ask.agent else ""
    return (Text(f"{who}{turn.argument}"),)


def _plain(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    return (Text(f"You said: {turn.argument[-200:]}"),)


def _think(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    return (Thinking("The user wants some words. I shall give them."), Text(turn.argument))


def _append(word: str, path: str) -> ToolUse:
    command = f"printf '%s\\n' {shlex.quote(word)} >> {shlex.quote(path)} && echo appended"
    return ToolUse("Bash", {"command": command, "description": "Append one line"})


def _loop(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    source, target = turn.argument.split()
    if not turn.results:
        return (Text("I read the file first."), ToolUse("Read", {"file_path": source}))
    if len(turn.results) == 1:
        found = re.search(r"word-\w+", turn.results[0].text)
        return (_append(found[0] if found else "nothing-read", target),)
    return (Text(f"The loop is over: {turn.results[1].text.strip()}"),)


def _both(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    source, target = turn.argument.split()
    if not turn.results:
        return (ToolUse("Read", {"file_path": source}), _append("both", target))
    return (Text("Both came back: " + " | ".join(result.text.strip()[:80] for result in turn.results)),)


def _climb(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    height, target = turn.argument.split()
    step = len(turn.results) + 1
    if step > int(height):
        return (Thinking("That was the last step."), Text(f"Climbed {len(turn.results)} steps"))
    return (Thinking(f"Step {step} comes next."), Text(f"Now step {step}."), _append(f"step-{step}", target))


def _run(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    if not turn.results:
        return (ToolUse("Bash", {"command": turn.argument, "description": "Run it"}),)
    result = turn.results[0]
    return (Text(f"{'It failed' if result.is_error else 'It ran'}: {result.text.strip()}"),)


def _find(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    if not turn.results:
        return (ToolUse("ToolSearch", {"query": f"select:{turn.argument}", "max_results": 1}),)
    return (Text(f"{turn.argument} is {'there' if turn.argument in ask.tool_names else 'not there'}"),)


def _look(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    if not turn.results:
        return (ToolUse("Read", {"file_path": turn.argument}),)
    return (Text(f"I see {_listed(turn.results[0].images)}"),)


def _paper(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    if not turn.results:
        return (ToolUse("Read", {"file_path": turn.argument}),)
    told = [part for role, part in _parts(ask.body) if role == "user"]
    if found := re.search(r"word-\w+", json.dumps(told)):
        return (Text(f"I read {found[0]}"),)
    return (Text("I was given a file" if '"type": "document"' in json.dumps(told) else "I was given nothing"),)


def _show(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    return (Text(f"I see {_listed(ask.images())}"),)


def _agent(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    if not turn.results:
        brief = {"description": "Say words", "prompt": f"[[say {turn.argument}]]", "subagent_type": "general-purpose"}
        return (ToolUse("Agent", {**brief, "run_in_background": False}),)
    return (Text(f"The agent answered: {turn.results[0].text.strip()}"),)


def _recall(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    return (Text("I said: " + " / ".join(ask.said())),)


def _weather(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    if "get_weather" not in ask.tool_names:
        return (Text("No weather tool was offered"),)
    if not turn.results:
        return (Text("I ask."), ToolUse("get_weather", {"city": turn.argument}))
    return (Text(f"The weather: {turn.results[0].text}"),)


def _search(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    if "web_search" not in ask.tool_names:
        return (Text("No web search was offered"),)
    if not turn.results:
        return (ToolUse("web_search", {"query": turn.argument}),)
    return (Text("I found: " + " ".join(re.findall(r"https?://\S+", turn.results[0].text))),)


def _web(ask: Ask, turn: Turn) -> tuple[Block, ...]:
    if not turn.results:
        return (ToolUse("WebSearch", {"query": f"[[search {turn.argument}]]"}),)
    return (Text(f"It says: {turn.results[0].text}"),)


_SCRIPTS: Mapping[str, Callable[[Ask, Turn], tuple[Block, ...]]] = {
    "": _plain,
    "agent": _agent,
    "both": _both,
    "climb": _climb,
    "find": _find,
    "images": _show,
    "look": _look,
    "loop": _loop,
    "paper": _paper,
    "recall": _recall,
    "run": _run,
    "say": _say,
    "search": _search,
    "think": _think,
    "weather": _weather,
    "web": _web,
}


def _parts(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for message in body.get("messages") or ():
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
        for part in parts:
            yield message["role"], part


def _result(part: Mapping[str, Any]) -> ToolResult:
    content = part.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    text = "\n".join(piece["text"] for piece in parts if piece.get("type") == "text")
    return ToolResult(text, _images(parts), bool(part.get("is_error")))


def _images(parts: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    sources = [part["source"] for part in parts if part.get("type") == "image"]
    return tuple((source["media_type"], len(source["data"])) for source in sources if source["type"] == "base64")


def _listed(images: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{media} of {size} characters" for media, size in images) or "no image"
