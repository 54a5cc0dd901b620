"""Whether a tool call is one that its client can run, and how many of an answer's are not."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from engine._calls import Calls
from engine._events import AttemptEnded
from engine._relay import Relay
from engine.testing import Script, failing, head, script, tail, tool
from policies import FailureKind, Sequence
from tests.engine.stage import MakeScenario

READ = {
    "name": "Read",
    "input_schema": {
        "type": "object",
        "required": ["path"],
        "properties": {
            "path": {"type": "string"},
            "limit": {"type": "integer"},
            "ratio": {"type": ["number", "null"]},
            "all": {"type": "boolean"},
            "parts": {"type": "array"},
            "options": {"type": "object"},
            "any": {"anyOf": [{"type": "string"}]},
            "odd": {"type": ["string", 3]},
            "new": {"type": "int128"},
        },
    },
}


def bad(name: Any, arguments: dict[str, Any], tools: Any = (READ,)) -> bool:
    """Whether this one call counts as bad."""
    calls = Calls(list(tools) if isinstance(tools, tuple) else tools)
    calls.came(name, arguments)
    assert calls.whole == 1
    return bool(calls.bad)


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": ""},
        {"path": "a", "limit": 3, "ratio": 1.5, "all": False, "parts": [], "options": {}},
        {"path": "a", "limit": 3.0, "ratio": None},
        {"path": "a", "ratio": 1},
        {"path": "a", "any": 3, "odd": 3, "new": 3, "unheard of": 3},
    ],
)
def test_a_call_that_fits_its_schema_is_good(arguments: dict[str, Any]) -> None:
    """Where the schema says nothing plain of a field, nothing is said against the call."""
    assert not bad("Read", arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"limit": 3},
        {"path": 3},
        {"path": None},
        {"path": "a", "limit": "3"},
        {"path": "a", "limit": 3.5},
        {"path": "a", "limit": True},
        {"path": "a", "ratio": "1"},
        {"path": "a", "all": 1},
        {"path": "a", "parts": {}},
        {"path": "a", "options": []},
    ],
)
def test_a_missing_field_and_one_of_another_type_are_bad(arguments: dict[str, Any]) -> None:
    """A truth value is no number, and a number in quotes is none either."""
    assert bad("Read", arguments)


def test_a_tool_that_is_not_on_offer_is_bad() -> None:
    """Whatever its arguments, and whatever is in the place of the tools."""
    assert bad("read", {"path": "a"})
    assert bad(None, {})
    odd: list[Any] = [None, 3, {}, [3], [{}], [{"name": 3}], []]
    for tools in odd:
        assert bad("Read", {}, tools)


@pytest.mark.parametrize(
    "schema",
    [None, 3, {}, {"required": 3, "properties": 3}, {"required": [3], "properties": {"path": 3}}, {"properties": {}}],
)
def test_a_tool_without_a_schema_takes_anything(schema: Any) -> None:
    """Those of the client's own vendor have none; an odd one says nothing against a call."""
    assert not bad("bash", {"path": 1}, [{"name": "bash", "input_schema": schema}])


def relayed(*events: Any) -> Calls:
    """The calls of an answer."""
    relay = Relay(tools=[READ])
    for item in events:
        relay.feed([item])
    return relay.calls


def test_an_answers_calls_are_counted_as_they_come_whole() -> None:
    """Good and bad; a call that is still coming is none yet."""
    good, wrong = tool('{"path": "a"}'), tool('{"path": 1}', index=1)
    assert (relayed(head(), *good, *wrong, *tail("tool_use")).whole, relayed(head(), *good, *wrong).bad) == (2, 1)
    assert relayed(head(), *good[:-1]).whole == 0


def test_arguments_that_are_not_json_are_a_bad_call_unless_the_answer_was_cut_short() -> None:
    """Its length limit is the request's, and no fault in calling."""
    half = tool('{"path": "a')
    calls = relayed(head(), *half, *tail("tool_use"))
    assert (calls.whole, calls.bad) == (1, 1)
    assert relayed(head(), *half, *tail("max_tokens")).whole == 0
    both = relayed(head(), *half, *tool('{"path": "a"}', index=1))
    assert (both.whole, both.bad) == (1, 1)


async def test_an_attempt_ends_with_its_calls(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Held against the tools of the request, whichever way the attempt ends."""
    broken = script([head(), *tool('{"path": ', index=0), *tail("tool_use")])
    whole = script([head(), *tool('{"path": "a"}'), *tool('{"limit": 3}', index=1), *tail("tool_use")])
    it = scenario({"a": broken, "b": whole}, Sequence())
    await it.serve(it.request(tools=[READ]))
    ends = {end.candidate.provider: end for end in it.events(AttemptEnded)}
    assert {p: (end.ending, end.tool_calls, end.tool_errors) for p, end in ends.items()} == {
        "a": ("failed", 1, 1),
        "b": ("won", 2, 1),
    }


async def test_a_call_that_a_dialect_could_not_put_together_counts_too(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """On translated wires arguments are looked at before they are relayed; the failure says what it was."""
    spoilt = Script(asking=(failing(FailureKind.MALFORMED, "the arguments of a call are not JSON", bad_call=True),))
    it = scenario({"a": spoilt, "b": script([head(), *tool('{"path": "a"}'), *tail("tool_use")])}, Sequence())
    for _ in range(8):
        await it.serve(it.request(tools=[READ]))
    candidates = {c.provider: c.name for c in it.config.chains["coding"].candidates}
    assert it.books.tool_errors.rate(candidates["b"], 0) == 0.0
    assert it.books.tool_errors.rate(candidates["a"], 0) is None  # four failures have opened its breaker
    for _ in range(4):
        it.books.tool_errors.fold(next(e for e in it.events(AttemptEnded) if e.candidate.provider == "a"))
    assert it.books.tool_errors.rate(candidates["a"], 0) == 1.0
