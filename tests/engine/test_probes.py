"""Which requests are probes, what each is answered with, and what merely looks like one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine._commands import INJECTION, file_paths, prefix
from engine._probes import local_answer
from engine._request import Request, need_of, parse
from engine.config import LocalAnswers
from routes._aggregate import Aggregate
from tests.e2e.grammar import Reading

ALL = LocalAnswers(quota=True, prefix=True, title=True, suggestions=True, filepaths=True)
NONE = LocalAnswers(quota=False, prefix=False, title=False, suggestions=False, filepaths=False)

TITLE_PROMPT = "Generate a concise, sentence-case title (3-7 words) that captures the goal of this coding session."
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
POLICY = "<policy_spec># Bash prefix detection</policy_spec>\n"


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 512, "messages": list(messages), **fields}


def formatted(schema: Any) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "schema": schema}}


TOOL = {"name": "Read", "input_schema": {"type": "object"}}
FILES = "Command: cat a.py\nOutput: x = 1\n\nExtract the filepaths."

PROBES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "quota": ("quota", "Quota check passed.", body(user("quota"), max_tokens=1)),
    "quota, any case, in a block": (
        "quota", "Quota check passed.", body(user([{"type": "text", "text": "Check my QUOTA"}]), max_tokens=1)),
    "prefix": ("prefix", "git status", body(user(f"{POLICY}Command: git status --short"))),
    "prefix, the last command counts": ("prefix", "ls", body(user(f"{POLICY}Command: rm x\nCommand: ls -l"))),
    "prefix, injection": ("prefix", INJECTION, body(user(f"{POLICY}Command: git status`id`"))),
    "title, schema": ("title", '{"title":"Conversation"}',
                      body(user("fix it"), system=TITLE_PROMPT, output_config=formatted(SCHEMA))),
    "title, JSON in words": ("title", '{"title":"Conversation"}', body(
        user("x"), system=[{"type": "text", "text": 'Return JSON with a single "title" field for this coding session.'}])),
    "title, another field": ("title", '{"session_title":"Conversation"}', body(
        user("x"), system='Write a sentence-case title. Answer in JSON: {"session_title": "..."}')),
    "title, plain": ("title", "Conversation", body(user("x"), system=TITLE_PROMPT)),
    "title, empty tools": ("title", "Conversation", body(user("x"), system=TITLE_PROMPT, tools=[])),
    "suggestions": ("suggestions", "", body(
        user("hi"), {"role": "assistant", "content": "hello"}, user("[SUGGESTION MODE: what comes next?]"))),
    "suggestions in a block": ("suggestions", "", body(
        user([{"type": "text", "text": "reminder"}, {"type": "text", "text": "\n[SUGGESTION MODE: next]"}]))),
    "file paths": ("filepaths", "<filepaths>\na.py\n</filepaths>", body(user(FILES))),
    "file paths, asked in the system": ("filepaths", "<filepaths>\n</filepaths>", body(
        user("Command: ls\nOutput: a b"), system="Extract any file paths that this command reads or modifies.")),
}  # fmt: skip

NEAR_MISSES: dict[str, dict[str, Any]] = {
    "somebody asks about quotas": body(user("What is my disk quota?")),
    "a quota in a conversation": body(
        user("quota"), {"role": "assistant", "content": "?"}, user("quota"), max_tokens=1),
    "a quota in a long text": body(user("quota " * 50), max_tokens=1),
    "a classifier's text that speaks of quotas": body(
        user("My disk quota is full."), max_tokens=1, system="Is this a complaint? Answer Y or N."),
    "a question for one token": body(user("Does this mention a quota? Y or N: the house is blue"), max_tokens=1),
    "one token of something else": body(user("ping"), max_tokens=1),
    "quota from the assistant": body({"role": "assistant", "content": "quota"}, max_tokens=1),
    "quota with tools": body(user("quota"), max_tokens=1, tools=[TOOL]),
    "a policy without a command": body(user(POLICY)),
    "a command without a policy": body(user("Command: git status")),
    "a policy spoken of in a turn": body(user(f"{POLICY}Command: ls"), tools=[TOOL]),
    "a policy in a conversation": body(
        user(f"{POLICY}Command: ls"), {"role": "assistant", "content": "ls"}, user("and?")),
    "two commands in one": body(user(f"{POLICY}Command: git status; rm -rf /")),
    "a title with tools": body(user("x"), system=TITLE_PROMPT, tools=[TOOL]),
    "a title asked for by the user": body(user(TITLE_PROMPT)),
    "a system prompt that speaks of titles": body(user("x"), system="You write titles for books. Return JSON."),
    "a title and a branch": body(user("x"), system=(
        'Write a sentence-case title. Answer in JSON: {"title": "...", "branch": "..."}')),
    "a schema that wants more than a title": body(user("x"), system=TITLE_PROMPT, output_config=formatted(
        {"type": "object", "properties": {"title": {"type": "string"}, "n": {"type": "integer"}},
         "required": ["title", "n"]})),
    "a schema whose title is no text": body(user("x"), system=TITLE_PROMPT, output_config=formatted(
        {"type": "object", "properties": {"title": {"type": "object"}}})),
    "the mark of suggestions in an earlier turn": body(
        user("[SUGGESTION MODE: x]"), {"role": "assistant", "content": "y"}, user("go on")),
    "the mark of suggestions spoken of": body(user("what does [SUGGESTION MODE: mean?")),
    "the mark of suggestions in a tool's result": body(
        user([{"type": "tool_result", "tool_use_id": "t", "content": "[SUGGESTION MODE: x"}])),
    "the mark of suggestions with tools": body(user("[SUGGESTION MODE: x]"), tools=[TOOL]),
    "a command and its output, and no question": body(user("Command: cat a.py\nOutput: x")),
    "somebody asks about a program that shows file paths": body(
        user("My tool prints the filepaths wrongly, why?\nCommand: cat a.py\nOutput: x")),
    "file paths with tools": body(user(FILES), tools=[TOOL]),
    "file paths of a pipe": body(user("Command: cat a | sh\nOutput: x\nfilepaths")),
    "file paths of a program that is not known": body(user("Command: git diff\nOutput: x\nfilepaths")),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_is_known_and_answered(name: str) -> None:
    """By its whole shape, with the words its prompt asks for."""
    probe, text, asked = PROBES[name]
    found = local_answer(parse(orjson.dumps(asked)), ALL)
    assert found is not None
    assert (found.probe, found.text) == (probe, text)


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_looks_like_a_probe_goes_to_a_model(name: str) -> None:
    """One thing is different in each."""
    assert local_answer(parse(orjson.dumps(NEAR_MISSES[name])), ALL) is None


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_that_is_switched_off_goes_to_a_model(name: str) -> None:
    """Each by its own key, whatever the others say."""
    probe, _, asked = PROBES[name]
    others = {key: key != probe for key in ("quota", "prefix", "title", "suggestions", "filepaths")}
    assert local_answer(asked, NONE) is None
    assert local_answer(asked, LocalAnswers(**others)) is None


@pytest.mark.parametrize(
    ("probe", "counted"),
    [
        ("quota", (10, 5)),
        ("prefix", (100, 5)),
        ("title", (100, 5)),
        ("suggestions", (100, 1)),
        ("file paths", (100, 10)),
    ],
)
def test_the_answer_is_one_whole_message(probe: str, counted: tuple[int, int]) -> None:
    """In the strict grammar, under the requested name, with its tokens; put together it is the same answer."""
    _, text, asked = PROBES[next(name for name in PROBES if name.startswith(probe))]
    found = local_answer(asked, ALL)
    assert found is not None
    raw = orjson.dumps(asked)
    events = found.events(Request(id="req_1", model="m", body=asked, raw=raw, need=need_of(asked, raw)))
    reading, whole = Reading(), Aggregate()
    for item in events:
        for payload in item.payloads():
            reading.take(payload)
    reading.finish()
    whole.feed(events)
    assert reading.faults == []
    assert whole.message["content"] == [{"type": "text", "text": text}]
    assert (whole.message["model"], whole.message["stop_reason"]) == ("m", "end_turn")
    assert tuple(whole.message["usage"].values()) == counted


@pytest.mark.parametrize("hostile", [5, None, [], [5], {"a": 1}, "x", [{"type": "text", "text": 5}], [{"type": 5}]])
@pytest.mark.parametrize("field", ["system", "output_config", "content", "tools", "max_tokens"])
def test_a_body_of_any_shape_is_looked_at(field: str, hostile: Any) -> None:
    """Detection stands before everything else, and falls over nothing."""
    asked = body(user(hostile if field == "content" and isinstance(hostile, list | str) else "quota"))
    local_answer(asked | ({field: hostile} if field != "content" else {}), ALL)


@pytest.mark.parametrize(("command", "told"), [
    ("", "none"), ("A=1", "none"), ("git", "git"), ("git status", "git status"), ("git -C x status", "git"),
    ("npm run test", "npm run"), ("npm --silent", "npm"), ("docker ps -a", "docker ps"), ("cargo build", "cargo build"),
    ("pytest -q tests", "pytest"), ("A=1 B=2 make all", "A=1 B=2 make"), ("A=1 go test ./...", "A=1 go test"),
    ("echo 'a; b'", "echo"), ('echo "a | b"', "echo"),
    ("echo `id`", INJECTION), ("echo $(id)", INJECTION), ("git status\ncurl evil", None), ("git log | head", None),
    ("a && b", None), ("a & b", None), ("a > /etc/passwd", None), ("cat <(id)", None), ("echo 'open", None),
    ("A='x y' make", None), ("'a b' c", None),
])  # fmt: skip
def test_the_prefix_of_a_command(command: str, told: str | None) -> None:
    """One plain command has one; what may hide another is left to the model."""
    assert prefix(command) == told


@pytest.mark.parametrize(("command", "paths"), [
    ("ls -l src", []), ("find . -name x", []), ("rm a", []), ("cat a b", ["a", "b"]), ("cat -n 'a b'", ["a b"]),
    ("head -n 20 a", ["a"]), ("tail -f a", ["a"]), ("/bin/cat a", ["a"]), ("grep x a b", ["a", "b"]),
    ("grep -e x a", ["a"]), ("grep -A 3 x a", ["a"]), ("grep -rn x src", ["src"]), ("grep x", []),
])  # fmt: skip
def test_the_files_of_a_command(command: str, paths: list[str]) -> None:
    """Listing shows no contents; reading shows those of its arguments; grep of all but its pattern."""
    assert file_paths(command) == "\n".join(["<filepaths>", *paths, "</filepaths>"])


@pytest.mark.parametrize("command", ["", "git show x", "cat a; cat b", "cat $HOME/a", "cat `ls`", "cat 'a", "a\ncat b"])
def test_the_files_of_other_commands_are_the_models_to_name(command: str) -> None:
    """Nothing is guessed."""
    assert file_paths(command) is None
