"""What a page about a policy says, and how it is written.

Thirty pages by hand have thirty structures, and a default that changes in the code is wrong on one of them from then on. Here
a person writes what only a person can: what it is for, when not to use it, and two scenes. Arguments and defaults are read off
the class, the pictures are drawn by the program from requests that the engine has really run, on a clock of its own.
"""

from __future__ import annotations

import textwrap
import types
import typing
from collections.abc import Iterable, Iterator, Mapping

import attrs

from docs.policies._stage import Played, Scene
from policies import Phase, Policy, arguments
from policies._policy import _literal

#: What every request states, whichever policies its chain has: not repeated on each page.
ALWAYS = frozenset(
    [
        *("RequestAccepted", "PlanMade", "AttemptStarted", "TryStarted", "TryEnded", "FirstContent"),
        *("Committed", "AttemptEnded", "RequestFinished"),
    ]
)

PHASES = {
    Phase.LIFT: "Lift: whose limits are ignored",
    Phase.SELECT: "Select: who is out, and why",
    Phase.ORDER: "Order: who is asked first",
    Phase.PACE: "Pace: when the next starts",
    Phase.LIMITS: "Limits: how far a request may go",
    Phase.OUTCOME: "Outcome: what a failure means, and what makes a winner",
}


@attrs.frozen
class Field:
    """An argument: what is allowed, and what it does."""

    allowed: str
    does: str


@attrs.frozen(kw_only=True)
class Page:
    """One policy's page. `line` is its row in the index, `toml` a chain that has it, `events` name -> when it is stated, each
    seen in one of the two scenes."""

    line: str
    what: str
    use: str
    avoid: str
    fields: Mapping[str, Field] = attrs.field(factory=dict)
    toml: str
    good: Scene
    bad: Scene
    events: Mapping[str, str] = attrs.field(factory=dict)
    #: Events that none of the scenes shows.
    rarer: Mapping[str, str] = attrs.field(factory=dict)
    see: tuple[str, ...] = ()


def page(policy: type[Policy], it: Page, good: Played, bad: Played) -> str:
    """The page as Markdown."""
    return "\n".join(_lines(policy, it, good, bad)) + "\n"


def _lines(policy: type[Policy], it: Page, good: Played, bad: Played) -> Iterator[str]:
    kind = policy.kind()
    yield from (f"# {kind}", "", f"{it.line[0].upper()}{it.line[1:]}.", "", "## What", "", *_paragraphs(it.what), "")
    yield from (f"Phase: {policy.phase.name.lower()}.{_exclusive(policy)}", "")
    yield from ("## When to use it", "", *_paragraphs(it.use), "", *_paragraphs(f"Not: {it.avoid}"), "")
    yield from ("## Arguments", "", *_arguments(policy, it), "")
    yield from ("## In TOML", "", "```toml", it.toml.strip(), "```", "")
    yield from ("## On a good day", "", *_scene(it.good, good, f"{kind}-good"), "")
    yield from ("## On a bad day", "", *_scene(it.bad, bad, f"{kind}-bad"), "")
    yield from ("## Events", "", *_events(policy, it), "")
    yield from ("## See also", "", ", ".join(_link(name) for name in it.see) + ".")


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs, each broken anew into lines of the width that this documentation has."""
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        yield from ([""] if number else [])
        yield from textwrap.wrap(" ".join(paragraph.split()), 120, break_long_words=False, break_on_hyphens=False)


def _exclusive(policy: type[Policy]) -> str:
    return f" A chain has at most one {policy.exclusive} policy." if policy.exclusive else ""


def _arguments(policy: type[Policy], it: Page) -> Iterator[str]:
    fields = arguments(attrs.resolve_types(policy))
    if not fields:
        yield f'None: it is written `"{policy.kind()}"`.'
        return
    yield from ("| argument | type | default | allowed | what it does |", "|---|---|---|---|---|")
    for name, field in fields.items():
        default = "required" if field.default is attrs.NOTHING else _default(field.default)
        said = it.fields[name]
        yield f"| `{name}` | {type_words(field.type)} | {default} | {said.allowed} | {said.does} |"


def _default(value: object) -> str:
    value = () if isinstance(value, attrs.Factory) else value  # type: ignore[arg-type]
    return "none" if value is None else f"`{_literal(value)}`"


_WORDS: dict[object, str] = {int: "whole number", float: "number", str: "string", bool: "true or false"}


def type_words(kind: object) -> str:
    """A type as a writer of TOML would call it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_words(one) for one in inner if one is not type(None)))
    if origin is typing.Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in inner)
    if origin is tuple:
        return f"list of {_plural(type_words(inner[0]))}"
    if origin in (dict, Mapping) or origin is typing.get_origin(Mapping[str, str]):
        return f"table of {_plural(type_words(inner[1]))}"
    return _WORDS.get(kind, str(getattr(kind, "__name__", kind)))


def _plural(words: str) -> str:
    first, of, rest = words.partition(" of ")
    return f"{first}s{of}{rest}"


def _scene(scene: Scene, played: Played, name: str) -> Iterator[str]:
    yield from (*_paragraphs(scene.remark), "")
    if any(account["attempts"] for account in played.shown):
        yield from (f"![{' '.join(scene.remark.split())}](pictures/{name}.svg)", "")
    yield from ("```text", *played.picture, "```", "")
    yield from ("<details><summary>The chain of this picture</summary>", "", "``` toml", scene.toml.strip(), "```", "")
    yield "</details>"


#: What a policy leaves in the plan, by phase.
_IN_THE_PLAN = {
    Phase.LIFT: "the plan is made: it names whose limits are lifted",
    Phase.SELECT: "the plan is made: it has each candidate that was passed over, with the reason",
    Phase.ORDER: "the plan is made: its steps stand in this order",
    Phase.PACE: "the plan is made: each step says how long it is waited for",
    Phase.LIMITS: "the plan is made: it has the limits in force",
    Phase.OUTCOME: "the plan is made: it says what makes a winner and what a failure means",
}


def _events(policy: type[Policy], it: Page) -> Iterator[str]:
    yield from ("What tells of it, among [the events of a request](README.md#events):", "")
    yield from ("| event | when |", "|---|---|")
    told = {"PlanMade": _IN_THE_PLAN[policy.phase], **it.events, **it.rarer}
    yield from (f"| `{name}` | {when} |" for name, when in told.items())


def _link(name: str) -> str:
    """Another policy, or a page of the documentation by its path."""
    return f"[{name}]({name}.md)" if "/" not in name else f"[{name.rpartition('/')[2].removesuffix('.md')}]({name})"


_INTRODUCTION = """
A policy is a small frozen value with one pure method, `apply(plan, view) -> plan`. A chain lists some of them; for each
request they fold by phase, in the order of the tables below, whatever their order in the file. Only among order policies does
the first written decide, and the later ones break its ties. [Chains](../chains.md) puts them into a file, `hedgerow check`
prints the order in which a chain's policies are applied, and [`hedgerow explain`](../explain.md) what each of them said of
each candidate of a request.

These pages are written by `python -m docs.policies.make` from the code and from `sources/`; the pictures are of requests that
the engine has run against rehearsal providers, on a clock that jumps. Your own policy is an attrs class with a `phase` and an
`apply`: `{ kind = "module:Class" }`, or an entry point in the group `hedgerow.policies`.
"""
_READING = """
A lane for each attempt, all on one time axis. Thin is waiting, thick is streaming. At its end stands when the attempt began
and what became of it. Below are those passed over, what the policy said of each candidate, and what the client saw and when.
"""
_EVERY_REQUEST = """
Every request states, whichever policies its chain has: {always}. The pages name which of them tell of a policy, and what
it adds.
"""


def index(pages: Iterable[tuple[type[Policy], Page]]) -> str:
    """All of them, by phase."""
    found = list(pages)
    lines = ["# Policies", "", *_paragraphs(_INTRODUCTION), ""]
    for phase, title in PHASES.items():
        rows = [(policy.kind(), it.line) for policy, it in found if policy.phase is phase]
        if rows:
            lines += [f"## {title}", "", "| policy | what it does |", "|---|---|"]
            lines += [f"| [`{kind}`]({kind}.md) | {line} |" for kind, line in rows] + [""]
    always = ", ".join(f"`{name}`" for name in _always())
    lines += ["## Reading the pictures", "", *_paragraphs(_READING), ""]
    lines += ["## Events", "", *_paragraphs(_EVERY_REQUEST.format(always=always))]
    return "\n".join(lines) + "\n"


def _always() -> list[str]:
    first = ["RequestAccepted", "PlanMade", "AttemptStarted", "TryStarted", "FirstContent", "Committed"]
    return [*first, *sorted(ALWAYS.difference(first))]
