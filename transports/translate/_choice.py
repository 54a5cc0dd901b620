"""Which tool is to be called, as far as a host has a way to be told.

The wish has four forms, and hosts know some of them: what one has no word for is said by leaving the other tools out, by a
weaker form, or in a sentence of the system prompt, in this order.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

import attrs

from engine import JSON
from engine.config import Choice
from transports.translate._texts import word
from transports.translate._tools import sendable_name


@attrs.frozen(kw_only=True)
class Chosen:
    """`how` is the form, "" where nothing is to be said of it; `name` the tool that is meant, under its sent name.

    `alone`: the others are left out. `none`: all of them are. `words` is for the system prompt.
    """

    how: Literal["", "auto", "required", "named", "none"] = ""
    name: str = ""
    alone: bool = False
    none: bool = False
    words: str = ""


def chosen(body: JSON, names: Container[str], allowed: frozenset[Choice]) -> Chosen:
    """How a request's tools, sent under `names`, are to be chosen on a host that takes the `allowed` forms."""
    given = body.get("tool_choice")
    given = given if isinstance(given, dict) else {}
    name = sendable_name(word(given.get("name")))
    match given.get("type"):
        case "tool" if name in names:
            if "named" in allowed:
                return Chosen(how="named", name=name)
            if "required" in allowed:
                return Chosen(how="required", name=name, alone=True)
            return Chosen(name=name, alone=True, words=f"Call the tool {name} now.")
        case "any":
            if "required" in allowed:
                return Chosen(how="required")
            return Chosen(words="Answer by calling one of the tools.")
        case "none":
            return Chosen(how="none") if "none" in allowed else Chosen(none=True)
        case "auto" if "auto" in allowed:
            return Chosen(how="auto")
    return Chosen()


def one_at_a_time(body: JSON) -> bool:
    """Whether the client takes no two calls in one answer."""
    given = body.get("tool_choice")
    return isinstance(given, dict) and bool(given.get("disable_parallel_tool_use"))
