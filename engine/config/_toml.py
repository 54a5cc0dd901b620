"""TOML in, and where each value stood.

tomllib forgets the lines. The usual way out is a second parser for everything, slower and with opinions of its own on what
TOML is. Here tomllib decides what the file says, and only a file that has something to be told about is parsed once more,
by tree-sitter, for the line of every key and list item.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.config._problems import ConfigError, Path, Problem, show_path

if TYPE_CHECKING:
    from tree_sitter import Node

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse(text: str, file: str) -> dict[str, Any]:
    """The file as nested dicts. Raises ConfigError with one problem for what is not TOML."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ConfigError([Problem(file, 1, "", "nested too deeply")]) from None
    except ValueError as error:
        place = _PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        column = f" (column {place[2]})" if place and place[2] else ""
        what = _plain(_PLACE.sub("", str(error))) if place else "a number too long to be read"
        raise ConfigError([Problem(file, line, "", f"not valid TOML: {what}{column}")]) from None


#: tomllib's words -> ours. It speaks of its own structures, and quotes keys, which may be credentials without their key.
_WORDS: tuple[tuple[str, str], ...] = (
    (r"Cannot declare (\(.*\)) twice", "the table {} is there twice"),
    (r"Cannot (?:mutate immutable|redefine) namespace (\(.*\))", "{} is complete already and cannot be added to"),
    (r"Cannot overwrite a value", "the key is there twice"),
    (r"Duplicate inline table key .*", "the key is there twice"),
    (r"Invalid value", "this is no value (strings stand in quotes)"),
    (r"Invalid statement", "expected 'key = value' or '[table]'"),
    (
        r"Invalid initial character for a key part",
        "this cannot begin a key (quote it, or remove what stands before it)",
    ),
    (r"Expected '=' after a key in a key/value pair", "expected '=' after the key"),
    (r"Expected newline or end of document after a statement", "expected the end of the line"),
    (r"Unclosed array", "a list is not closed: ']' is missing"),
    (r"Unclosed inline table", "an inline table is not closed: '}' is missing"),
    (r"Unterminated string", "a string is not closed: its quote is missing"),
)


def _plain(what: str) -> str:
    for pattern, words in _WORDS:
        if match := re.fullmatch(pattern, what):
            return words.replace("{}", f"'{show_path(ast.literal_eval(match[1]))}'") if match.groups() else words
    return what[:1].lower() + what[1:]


class Lines:
    """The line of every key and list item of a valid file, by path."""

    def __init__(self, text: str) -> None:
        from tree_sitter import Language, Parser  # only a file with a remark pays for this import
        from tree_sitter_toml import language

        tree = Parser(Language(language())).parse(text.removeprefix("\ufeff").encode("utf-8", "replace"))
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        for node in tree.root_node.named_children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def of(self, path: Path) -> int:
        """The line of a value, or of the nearest thing around it that the file spells out; 1 at worst."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _table(self, node: Node) -> None:
        header, *rest = [child for child in node.named_children if child.type != "comment"]
        path = self._resolved(_parts(header))
        if node.type == "table_array_element":
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            self._mark(path, header)
            path = (*path, index)
        self._mark(path, header)
        for child in rest:
            self._pair(child, path)

    def _resolved(self, parts: Path) -> Path:
        """A header's path: a list of tables on the way stands for its newest element; the last part names the list."""
        path: Path = ()
        for part in parts:
            path = self._newest(path)
            path = (*path, part)
        return path

    def _newest(self, path: Path) -> Path:
        return (*path, self._counts[path] - 1) if path in self._counts else path

    def _pair(self, node: Node, table: Path) -> None:
        pending: list[tuple[Node, Path]] = [(node, table)]
        while pending:
            item, path = pending.pop()
            if item.type == "pair":
                key, value = (child for child in item.named_children if child.type != "comment")
                for part in _parts(key):
                    path = (*path, part)
                    self._mark(path, key)
                pending += self._inside(value, path)

    def _inside(self, value: Node, path: Path) -> Iterator[tuple[Node, Path]]:
        """The pairs within a value, each with the path of the table it is in; list items are marked on the way."""
        stack = [(value, path)]
        while stack:
            node, where = stack.pop()
            children = [child for child in node.named_children if child.type != "comment"]
            if node.type == "inline_table":
                yield from ((child, where) for child in children)
            elif node.type == "array":
                for index, child in enumerate(children):
                    self._mark((*where, index), child)
                    stack.append((child, (*where, index)))

    def _mark(self, path: Path, node: Node) -> None:
        self._lines.setdefault(path, node.start_point.row + 1)


def _parts(key: Node) -> tuple[str, ...]:
    """A key as tomllib reads it, dots, quotes and escapes included."""
    parts: list[str] = []
    inner: Any = tomllib.loads(f"{(key.text or b'').decode()} = 0")
    while isinstance(inner, dict):
        [(part, inner)] = inner.items()
        parts.append(part)
    return tuple(parts)
