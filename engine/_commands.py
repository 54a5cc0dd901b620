"""Two questions that older Claude Codes asked a model about a shell command, answered by rule: its prefix, its files.

A rule that guesses answers every command. But the prefix decides what the client runs without asking its user, so a guess
that takes `a; b` for `a` gives leave to `b`. Here a command is judged only where it is one plain command: what holds an
operator, a line break or a quote that does not end is left to the model, and so is a program whose output names files in
ways of its own. Pure.
"""

from __future__ import annotations

import re
import shlex

#: What the client's policy calls a command that may hide another.
INJECTION = "command_injection_detected"
#: Programs whose second word says what they do.
_TWO_WORDS = frozenset(["git", "npm", "docker", "kubectl", "cargo", "go", "pip", "yarn"])
#: Programs that show names and not contents, and programs that show the contents of what they are given.
_LISTING = frozenset(["ls", "dir", "find", "tree", "pwd", "cd", "mkdir", "rmdir", "rm"])
_READING = frozenset(["cat", "head", "tail", "less", "more", "bat", "type"])
#: Flags whose next word is theirs and no file.
_READING_VALUES = frozenset(["-n", "-c", "--lines", "--bytes"])
_GREP_VALUES = frozenset(["-e", "-f", "-m", "-A", "-B", "-C"])
_GREP_PATTERNS = ("-e", "-f", "--regexp", "--file")

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def prefix(command: str) -> str | None:
    """The prefix a permission may be given for; None where a model should say."""
    command = command.strip()
    if not command:
        return "none"
    if "`" in command or "$(" in command:
        return INJECTION
    words = _plain(command)
    if words is None:
        return None
    start = next((n for n, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    if start == len(words):
        return "none"
    program, rest = words[start], words[start + 1 :]
    told = [*words[:start], program]
    if program in _TWO_WORDS and rest and not rest[0].startswith("-"):
        told.append(rest[0])
    return None if any(re.search(r"\s", word) or not word for word in told) else " ".join(told)


def file_paths(command: str) -> str | None:
    """The files whose contents a command has shown, as the client wants them; None where a model should say."""
    words = _plain(command.strip())
    if not words or any(mark in command for mark in ("`", "$")):
        return None
    program, rest = words[0].rpartition("/")[2], words[1:]
    if program in _LISTING:
        return _listed([])
    if program in _READING:
        return _listed(_positional(rest, _READING_VALUES if program in ("head", "tail") else frozenset()))
    if program == "grep":
        given = any(word.startswith(_GREP_PATTERNS) for word in rest)
        found = _positional(rest, _GREP_VALUES)
        return _listed(found if given else found[1:])
    return None


def _plain(command: str) -> list[str] | None:
    """The words of one plain command; None for what holds operators, line breaks or an open quote."""
    if "\n" in command or "\r" in command:
        return None
    try:
        reader = shlex.shlex(command, posix=True, punctuation_chars=True)
        reader.commenters = ""
        operators = [word for word in reader if word and set(word) <= set("();<>|&")]
        return None if operators else shlex.split(command)
    except ValueError:
        return None


def _positional(words: list[str], with_value: frozenset[str]) -> list[str]:
    out: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in with_value:
            skip = True
        elif not word.startswith("-"):
            out.append(word)
    return out


def _listed(paths: list[str]) -> str:
    return "\n".join(["<filepaths>", *paths, "</filepaths>"])
