"""The catalogue's accents: well-typed, though nothing checks them as they are read, and in agreement with the facts.

The facts are in `../shared/facts`, beside the repository; where that is absent, what needs them is skipped.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs
import orjson
import pytest

from engine.config import Accent, Model, Switch
from engine.config._accent import EFFORTS
from tests.transports.asks import body
from tests.transports.chat.hosts import CHAT_ROWS, UNKNOWN, Body, Host
from transports.chat._encoder import OPTIONAL

ACCENTS = {
    f"{id} {glob}".strip(): accent
    for id, row in CHAT_ROWS.items()
    for glob, accent in {"": row.chat, **row.chat_by_model}.items()
}
each_accent = pytest.mark.parametrize("name", ACCENTS)
HINTS = get_type_hints(Accent)


@each_accent
def test_an_accent_is_well_typed(name: str) -> None:
    """Each field a value of its type: a word of its list, a set of such words, a number, a table."""
    accent = ACCENTS[name]
    for field in attrs.fields(Accent):
        assert _is_of(getattr(accent, field.name), HINTS[field.name]), f"{field.name} = {getattr(accent, field.name)!r}"


def _is_of(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if origin is frozenset:
        return isinstance(value, frozenset) and all(_is_of(one, arguments[0]) for one in value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if arguments:  # a union
        return any(_is_of(value, one) for one in arguments)
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint if isinstance(hint, type) else value is hint


def test_the_check_of_types_finds_what_is_wrong() -> None:
    """A word that is on no list, a list for a set, a number for a word, true for a number."""
    wrong = {
        "cap": "max",
        "choices": frozenset(["any"]),
        "drop": ["stop"],
        "replay": 5,
        "stops": True,
        "top_k": 1,
        "switch": {},
    }
    good = {
        "cap": "max_tokens",
        "choices": frozenset(["auto"]),
        "drop": frozenset(["x"]),
        "stops": None,
        "switch": Switch(),
    }
    assert [name for name, value in wrong.items() if _is_of(value, HINTS[name])] == []
    assert [name for name, value in good.items() if not _is_of(value, HINTS[name])] == []


@each_accent
def test_an_accent_is_sane(name: str) -> None:
    """Bounds, known efforts, paths that hold together, and fields that can be refused and left out again."""
    accent = ACCENTS[name]
    assert accent.temperature_min < accent.temperature_max <= 2
    assert accent.stops is None or accent.stops > 0
    assert accent.required == "required" or "required" in accent.choices
    switch = accent.switch or Switch()
    assert set(switch.efforts) <= set(EFFORTS)
    assert list(switch.efforts) == sorted(switch.efforts, key=EFFORTS.index)
    assert switch.effort != switch.budget or not switch.effort
    for path in filter(None, (switch.effort, switch.budget)):
        parent, _, last = path.rpartition(".")
        assert path.count(".") <= 1
        assert last.isidentifier()
        for table in (switch.on, switch.off):
            assert not parent or isinstance(table.get(parent, {}), Mapping)
            assert parent or path not in table
    said = {
        *accent.extra,
        *switch.on,
        *switch.off,
        accent.session,
        switch.effort.partition(".")[0],
        switch.budget.partition(".")[0],
    }
    said -= {""}
    assert said <= OPTIONAL
    assert not accent.drop & {"model", "messages", "stream", "tools", accent.cap}
    assert accent.replay not in said, "one name for two things could not be refused apart"
    orjson.dumps({"extra": dict(accent.extra), "on": dict(switch.on), "off": dict(switch.off)})


def test_globs_are_in_small_letters_and_each_can_match() -> None:
    """Models are compared so; a glob behind a wider one would never be asked."""
    for id, row in CHAT_ROWS.items():
        globs = list(row.chat_by_model)
        assert globs == [glob.lower() for glob in globs]
        for number, glob in enumerate(globs):
            model = glob.replace("*", "").replace("[134]", "1").replace("[23]", "2")
            assert Host(id, model).accent == row.chat_by_model[glob], (id, number)


def test_an_override_has_what_it_does_not_override() -> None:
    """From its host; a row like another has that row's ways."""
    for row in CHAT_ROWS.values():
        for accent in row.chat_by_model.values():
            assert accent != row.chat or row.id == "openai"
            assert (accent.cap, accent.schema, accent.usage_option) == (
                row.chat.cap,
                row.chat.schema,
                row.chat.usage_option,
            )
    assert CHAT_ROWS["codestral"].chat == CHAT_ROWS["mistral"].chat


# The facts.

FACTS = Path(__file__).parents[3].parent / "shared" / "facts" / "providers.toml"
needs_facts = pytest.mark.skipif(
    not FACTS.exists(), reason="needs ../shared/facts/providers.toml, beside the repository"
)
#: Facts that are not followed, each with its reason.
NOT_FOLLOWED = {
    ("openai", "system_role"): "only models that reason want `developer`: it stands with those (`chat_by_model`)",
}


def _facts() -> Iterator[tuple[str, str, Any]]:
    if FACTS.exists():
        for row in tomllib.loads(FACTS.read_text("utf-8"))["provider"]:
            yield from (
                (row["id"], name, value) for name, value in row.items() if name in CHECKS and row["id"] in CHAT_ROWS
            )


def _tool_choice(accent: Accent) -> list[str]:
    return sorted(accent.required if choice == "required" else choice for choice in accent.choices)


#: A fact's name, and what an accent says of it.
CHECKS: Mapping[str, Any] = {
    "cap_field": lambda accent, fact: accent.cap == fact,
    "system_role": lambda accent, fact: accent.system_role == fact,
    "tool_choice": lambda accent, fact: _tool_choice(accent) == sorted(fact),
    "tool_id_rule": lambda accent, fact: accent.tool_ids == fact,
    "schema_profile": lambda accent, fact: accent.schema == fact,
    "stop_max": lambda accent, fact: accent.stops == fact,
    "temperature_max": lambda accent, fact: accent.temperature_max == fact,
    "usage_stream": lambda accent, fact: accent.usage_option == fact,
    "extra_stream": lambda accent, fact: dict(accent.extra) == orjson.loads(fact),
    "images": lambda accent, fact: (accent.images == "base64") == (fact == "base64-only"),
    "replay_field": lambda accent, fact: accent.replay == fact,
    "replay_rule": lambda accent, fact: (accent.replay_on == "every-turn") == (fact == "every-assistant-turn"),
    "thought_signature": lambda accent, fact: accent.thought_signatures == fact,
    "assistant_between_tool_and_user": lambda accent, fact: accent.bridge == fact,
    "output_excludes_reasoning": lambda accent, fact: accent.reasoning_beside == fact,
    "thinking_on": lambda accent, fact: _holds(accent.switch and accent.switch.on, orjson.loads(fact)),
    "thinking_off": lambda accent, fact: _holds(accent.switch and accent.switch.off, orjson.loads(fact)),
}


def _holds(table: Any, fact: Mapping[str, Any]) -> bool:
    """Whether a table says all that the fact says; it may say more."""
    return isinstance(table, Mapping) and all(
        _holds(table.get(k), v) if isinstance(v, Mapping) else table.get(k) == v for k, v in fact.items()
    )


@needs_facts
@pytest.mark.parametrize(("id", "name", "fact"), list(_facts()))
def test_a_row_agrees_with_the_facts(id: str, name: str, fact: Any) -> None:
    """Whatever was found out about a host."""
    agrees = CHECKS[name](CHAT_ROWS[id].chat, fact)
    assert agrees is ((id, name) not in NOT_FOLLOWED), f"{fact!r} against {CHAT_ROWS[id].chat}"


@needs_facts
def test_fields_that_a_host_drops_are_never_sent() -> None:
    """`drop_fields` of the facts, in a request that has them all."""
    wish = body(temperature=1, top_p=0.5, top_k=5, stop_sequences=["x"], metadata={"user_id": "u"})
    for row in tomllib.loads(FACTS.read_text("utf-8"))["provider"]:
        if row["id"] in CHAT_ROWS and "drop_fields" in row:
            out = Host(row["id"], UNKNOWN).sent(wish)
            assert out.keys().isdisjoint(row["drop_fields"]), row["id"]


def _models() -> list[tuple[Body, Model]]:
    if not FACTS.exists():
        return []
    rows = [m for m in tomllib.loads(FACTS.read_text("utf-8"))["model"] if m["provider"] in CHAT_ROWS]
    known = [(m, CHAT_ROWS[m["provider"]].models.get(m["id"])) for m in rows]
    return [(fact, model) for fact, model in known if model is not None]


#: Hosts to which reasoning does not go back, although the facts' list of models says so.
NOT_REPLAYED = {"together": "nothing is known of a field in which that host takes it; its answers use another"}


@needs_facts
def test_models_think_as_the_facts_say() -> None:
    """Switches, budgets, efforts, fixed temperatures; and whoever wants its reasoning back has a host that sends it."""
    for fact, model in _models():
        thinking = model.thinking
        assert thinking is not None, fact
        where = (fact["provider"], fact["id"])
        assert thinking.thinks == fact["reasoning"], where
        assert thinking.toggle == fact.get("thinking_toggle", False), where
        assert thinking.budget == fact.get("thinking_budget", False), where
        assert list(thinking.efforts) == fact.get("efforts", []), where
        assert thinking.replay == ("replay_field" in fact), where
        assert model.temperature == fact.get("temperature", True), where
        if thinking.replay and fact["provider"] not in NOT_REPLAYED:
            assert Host(*where).accent.replay == fact["replay_field"], where
