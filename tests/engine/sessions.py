# ruff: noqa: RUF001 - full-width marks are what texts in other languages have
"""Sessions as Claude Code sends them, made up from a seed: a system prompt, twenty tools, and a history that grows.

The texts are real ones: the standard library's source, this repository's documentation, listings, numbers, and sentences in
other languages. A provider's own count is a tokenizer over what a model would be given of them.
"""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from engine import JSON

Tokenizer = Callable[[str], int]

_SENTENCES = (
    "代理服务器在收到请求之后，会根据策略选择一个候选者，并且在必要时启动第二个。如果第一个失败，则立即尝试下一个。",
    "プロキシは要求を受け取ると、方針に従って候補を選び、必要であれば二つ目を始めます。",
    "Прокси получает запрос, выбирает кандидата по правилам и при необходимости запускает второго.",
    "Der Vermittler nimmt die Anfrage an, wählt einen Kandidaten und startet bei Bedarf einen zweiten; Größe, Übermaß.",
    "El intermediario recibe la petición, elige un candidato según las reglas y, si hace falta, empieza otro.",
)


@cache
def _sources() -> tuple[list[str], list[str]]:
    library = Path(sysconfig.get_paths()["stdlib"])
    names = ("argparse", "ast", "calendar", "csv", "datetime", "difflib", "inspect", "subprocess", "shutil", "tarfile")
    code = [(library / f"{name}.py").read_text("utf-8") for name in names]
    prose = [path.read_text("utf-8") for path in sorted((Path(__file__).parents[2] / "docs").rglob("*.md"))]
    return code, prose


class Session:
    """One session. `bodies(turns)` gives what is sent turn by turn."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.code, self.prose = _sources()
        self.system = [
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": self._prose(14_000)},
        ]
        self.tools = [self._tool(n) for n in range(20)]

    def bodies(self, turns: int) -> Iterator[JSON]:
        messages: list[JSON] = [{"role": "user", "content": [self._text(self._prose(3_000)), self._text(self._said())]}]
        for turn in range(turns):
            yield {
                "model": "m", "max_tokens": 32_000, "stream": True, "messages": list(messages), "system": self.system,
                "tools": self.tools, "metadata": {"user_id": "u"},
            }  # fmt: skip
            messages += self._exchange(turn)

    def _exchange(self, turn: int) -> list[JSON]:
        """What the model says and what comes back: a call and its result, or a word of the user's."""
        said = self._text(self._said())
        if self.draw.random() < 0.2:
            return [{"role": "assistant", "content": [said]}, {"role": "user", "content": [self._text(self._said())]}]
        id = f"toolu_{turn:03}{self.draw.getrandbits(64):016x}"
        kind = self.draw.random()
        if kind < 0.35:
            given: JSON = {"file_path": f"/home/me/project/src/module_{turn}.py"}
            result = "\n".join(f"{n:>6}\t{line}" for n, line in enumerate(self._code(self._size()).split("\n"), 1))
        elif kind < 0.6:
            given = {"command": "ls -la src && grep -rn TODO .", "description": "Look around"}
            result = self._listing()
        elif kind < 0.85:
            given = {"file_path": "/home/me/x.py", "old_string": self._code(600), "new_string": self._code(900)}
            result = "The file /home/me/x.py has been updated."
        else:
            given = {"query": self._said()[:60]}
            result = self._foreign(self._size())
        call = {"type": "tool_use", "id": id, "name": f"tool_{turn % 20}", "input": given}
        back = {"type": "tool_result", "tool_use_id": id, "content": result}
        return [{"role": "assistant", "content": [said, call]}, {"role": "user", "content": [back]}]

    def _size(self) -> int:
        return int(min(20_000, 400 * 2 ** (6 * self.draw.random())))

    def _text(self, text: str) -> JSON:
        return {"type": "text", "text": text}

    def _said(self) -> str:
        return self._foreign(300) if self.draw.random() < 0.2 else self._prose(self.draw.randrange(60, 900))

    def _prose(self, size: int) -> str:
        return self._cut(self.draw.choice(self.prose), size)

    def _code(self, size: int) -> str:
        return self._cut(self.draw.choice(self.code), size)

    def _cut(self, text: str, size: int) -> str:
        begin = self.draw.randrange(max(1, len(text) - size))
        return text[begin : begin + size]

    def _foreign(self, size: int) -> str:
        out = ""
        while len(out) < size:
            out += self.draw.choice(_SENTENCES)
        return out

    def _listing(self) -> str:
        rows = self.draw.randrange(5, 120)
        return "\n".join(
            f"-rw-r--r-- 1 me me {self.draw.randrange(10**6):>7} Nov {self.draw.randrange(1, 30):>2} 12:01 "
            f"src/{self.draw.getrandbits(40):x}/file_{n}.py" for n in range(rows)
        )  # fmt: skip

    def _tool(self, number: int) -> JSON:
        fields: JSON = {
            f"argument_{n}": {
                "type": self.draw.choice(["string", "number", "boolean"]),
                "description": self._prose(160),
            }
            for n in range(4)
        }
        schema = {"type": "object", "properties": fields, "required": ["argument_0"], "additionalProperties": False}
        return {"name": f"tool_{number}", "description": self._prose(1_500), "input_schema": schema}


def counted(body: JSON, tokenizer: Tokenizer) -> int:
    """What a provider with this tokenizer says of a body: its texts, its schemas, and a few tokens around each."""
    total = 7 + sum(tokenizer(block["text"]) for block in body["system"])
    total += sum(9 + tokenizer(orjson.dumps(tool).decode()) for tool in body["tools"])
    for message in body["messages"]:
        total += 4 + sum(_block(block, tokenizer) for block in message["content"])
    return total


def _block(block: dict[str, Any], tokenizer: Tokenizer) -> int:
    match block["type"]:
        case "text":
            return tokenizer(block["text"])
        case "tool_use":
            return 12 + tokenizer(block["name"]) + tokenizer(orjson.dumps(block["input"]).decode())
        case _:
            return 10 + tokenizer(block["content"])
