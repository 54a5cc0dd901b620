"""What is wrong with a file, said so that a person can put it right.

The naive loader raises at the first mistake, so a file with five takes five rounds; and it quotes what it found, so a key
pasted into the wrong line ends in a log. Here mistakes are collected, each under the path of the value it is about, and
whatever might be a credential is described instead of quoted.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

import attrs

#: Where a value stands: table keys and list indexes from the top of the file.
Path = tuple[str | int, ...]


@attrs.frozen
class Problem:
    """One thing to put right. `line` counts from 1 and is 0 where there is no line, as in the environment."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """A configuration that must not be started. `problems` holds all there is to say, sorted by line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Findings:
    """What one reading of a file has turned up so far, each a path and a text; of the environment, a variable and a text."""

    def __init__(self) -> None:
        self._errors: list[tuple[Path, str]] = []
        self._warnings: list[tuple[Path, str]] = []
        self._environment_errors: list[tuple[str, str]] = []
        self._environment_warnings: list[tuple[str, str]] = []

    def error(self, path: Path, message: str) -> None:
        self._errors.append((path, message))

    def warn(self, path: Path, message: str) -> None:
        self._warnings.append((path, message))

    def error_in_environment(self, variable: str, message: str) -> None:
        self._environment_errors.append((variable, message))

    def warn_of_environment(self, variable: str, message: str) -> None:
        self._environment_warnings.append((variable, message))

    @property
    def located(self) -> bool:
        """Whether anything is to be said of a place in the file."""
        return bool(self._errors or self._warnings)

    def errors(self, file: str, line_of: Callable[[Path], int]) -> list[Problem]:
        """All errors in the order of the file; those of the environment come last."""
        return _placed(self._errors, file, line_of) + _unplaced(self._environment_errors)

    def warnings(self, file: str, line_of: Callable[[Path], int]) -> list[Problem]:
        """All warnings, likewise."""
        return _placed(self._warnings, file, line_of) + _unplaced(self._environment_warnings)


def _placed(found: list[tuple[Path, str]], file: str, line_of: Callable[[Path], int]) -> list[Problem]:
    problems = [Problem(file, line_of(path), show_path(path), _hushed(message)) for path, message in found]
    return sorted(problems, key=lambda problem: problem.line)


def _unplaced(found: list[tuple[str, str]]) -> list[Problem]:
    return [Problem("environment", 0, variable, _hushed(message)) for variable, message in found]


def _hushed(message: str) -> str:
    """The message without words that look like credentials: whoever wrote it, a policy of the user's own included."""
    return re.sub(r"[^\s'\"]+", lambda word: "(not shown)" if looks_secret(word[0]) else word[0], message)


def show_path(path: Path) -> str:
    """`chains.coding.policies[2]`; a key that is not a plain word is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) and not looks_secret(part) else f'"{quotable(part)}"'
            text += f".{plain}" if text else plain
    return text


#: What keys of known services begin with.
_PREFIX = re.compile(
    r"(sk|pk|rk|gsk|csk|hf|xai|nvapi|fw|tgp|ghp|gho|ghs|github_pat|glpat|flp|xox[abp]|bearer|basic)[-_ ]|AIza|AKIA|eyJ|ya29\.",
    re.IGNORECASE,
)
#: Long and unbroken: with digits among the letters it was hardly thought up by a person.
_RUN = re.compile(r"[A-Za-z0-9+=]{20,}")


def looks_secret(text: str) -> bool:
    """Whether a string might be a credential. Errs on the side of yes: it only decides what is quoted in a message."""
    if _PREFIX.match(text) and len(text) > 12:
        return True
    return any(re.search(r"\d", run) and re.search(r"[A-Za-z]", run) for run in _RUN.findall(text))


def quotable(text: str) -> str:
    """The text, or what may be said of it: no credentials, no novels, no control characters."""
    if looks_secret(text):
        return "(not shown)"
    clean = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return clean if len(clean) <= 60 else f"{clean[:57]}..."


def found(value: Any) -> str:
    """What stands in the file, for the second half of "expected ..., got ..."."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.12g}" if abs(value) < 1e15 or isinstance(value, float) else "a number beyond all use"
    if isinstance(value, str):
        return f"'{quotable(value)}'" if value else "an empty string"
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or a time"


def nearest(name: str, names: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where no name is near."""
    close = difflib.get_close_matches(name[:60].lower(), list(names), n=1)
    return f" (did you mean '{quotable(close[0])}'?)" if close else ""


def either(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
