"""What holds for every file, right or wrong: it loads or says why, its lines are right, and it gives no secret away."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.config import Config, ConfigError, Secret, load
from engine.config._problems import looks_secret, show_path
from engine.config._toml import Lines
from tests.engine.catalogues import small

CATALOGUE = small()
QUICK = settings(deadline=None, max_examples=100)

SECTIONS = ["server", "providers", "chains", "routes", "vendors", "x"]
KEYS = [
    "bind", "auth_token_env", "insecure", "max_body_mb", "paid", "dear", "free", "mine", "rehearsal", "wire", "base_url",
    "region", "keys_env", "key_env", "auth", "enabled", "scope", "breaker", "headers", "models", "price", "input",
    "candidates", "policies", "match", "chain", "kind", "after", "after_s", "for", "priority", "n", "s", "c", "auto",
]  # fmt: skip
WORDS = [
    "127.0.0.1:1", "0.0.0.0:1", "anthropic", "openai-chat", "rehearsal", "http://x", "http://[", "cn", "unlimited", "off",
    "paid/x", "free/*", "mine/a/b", "auto", "c", "*", "a[", "hedge", "race", "window", "sequence", "in-order", "p92",
    "unlimited-scope", "max-wait", "commit-at", "sticky", "os:path", ":", "..:x", "os:", "A_KEY", "none",
]  # fmt: skip

words = st.sampled_from(WORDS) | st.text(max_size=8)
keys = st.sampled_from(KEYS) | st.text(max_size=5)
leaves = words | st.integers() | st.floats() | st.booleans() | st.dates() | st.datetimes() | st.times()
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
tables = st.dictionaries(keys, values, max_size=4)
files = st.dictionaries(
    st.sampled_from(SECTIONS),
    st.dictionaries(keys, tables | values, max_size=3) | st.lists(tables, max_size=2) | values,
)


def quoted(text: str) -> str:
    """A TOML basic string."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + '"'


def inline(value: Any) -> str:
    """Any value on one line of TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    if isinstance(value, int | float):
        return str(value)
    return str(value.isoformat())


def file_of(sections: dict[str, Any]) -> str:
    """A whole file, one line a section."""
    return "\n".join(f"{name} = {inline(value)}" for name, value in sections.items())


def tried(text: str) -> Config | ConfigError:
    """What loading comes to; anything but these two is a fault."""
    try:
        return load(text, file="c.toml", catalogue=CATALOGUE, environ={"PAID_KEY": "k"})
    except ConfigError as error:
        return error


@QUICK
@given(files)
def test_any_toml_loads_or_says_why(sections: dict[str, Any]) -> None:
    """Values of any type in any place raise nothing but ConfigError, with at least one problem in order of lines."""
    result = tried(file_of(sections))
    if isinstance(result, ConfigError):
        assert result.problems
        assert [p.line for p in result.problems] == sorted(p.line for p in result.problems)


@QUICK
@given(st.text() | st.text("[]{}=.,\"'#\n ab1-", max_size=40))
@example("\ud800 = 1")
@example("a = '\ud800'\nb = 1")
@example("\x00")
@example("a\r\n[[routes]]\r\n")
def test_any_text_loads_or_says_why(text: str) -> None:
    """Neither does anything that is no TOML."""
    tried(text)


BASE = """\
[server]
bind = "127.0.0.1:1"
auth_token_env = "PROXY_TOKEN"
[providers.paid]
keys_env = "PAID_KEY"
wire = "anthropic"
region = "cn"
auth = "bearer"
scope = { kind = "window", requests = 4, per_s = 60 }
breaker = { failures = 3 }
[providers.paid.headers]
x-team = "red"
[providers.mine]
wire = "anthropic"
base_url = "http://x"
[providers.mine.models.m]
context = 5
[chains.c]
candidates = ["paid/x", "mine/y"]
policies = ["silent-skip", { kind = "unlimited-scope", for = ["paid"] }, { kind = "hedge", at_least = "2x-median" }]
[[routes]]
match = "*"
chain = "c"
[vendors]
maker = "free"
"""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values of a tree."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


PLACES = list(places(tomllib.loads(BASE)))


@QUICK
@given(st.lists(st.sampled_from(PLACES), max_size=2), st.sampled_from([*PLACES, None]), words)
def test_what_loads_refers_to_nothing_that_is_not_there(gone: list[tuple[Any, ...]], changed: Any, word: str) -> None:
    """Whatever is taken out of a good file or replaced in it: every candidate has its provider, every route its chain."""
    tree = tomllib.loads(BASE)
    for place in (*gone, changed or ()):
        parent: Any = tree
        for part in place[:-1]:
            parent = parent[part] if isinstance(parent, dict) and part in parent else {}
        if place and isinstance(parent, dict):
            parent.pop(place[-1], None)
            if place == changed:
                parent[place[-1]] = word
    result = tried(file_of(tree))
    if isinstance(result, Config):
        assert {c.provider for chain in result.chains.values() for c in chain.candidates} <= result.providers.keys()
        assert {route.chain for route in result.routes} <= result.chains.keys()
        assert set(result.vendors.values()) <= result.providers.keys()
        assert result.providers["rehearsal"].usable
        assert all(chain.candidates and chain.policies for chain in result.chains.values())


prefixes = st.sampled_from(["sk-ant-api03-", "sk-", "gsk_", "hf_", "nvapi-", "ghp_", "AIza", "xai-", "Bearer ", ""])
secrets = st.builds(str.__add__, prefixes, st.from_regex(r"[A-Za-z][0-9][A-Za-z0-9]{22,40}", fullmatch=True))


@QUICK
@given(secrets, st.sampled_from(PLACES), st.booleans())
@example("sk-ant-api03-A00000000000000000000000", ("providers", "paid"), True)
@example("sk-ant-api03-A00000000000000000000000", ("chains", "c", "policies", 2, "at_least"), False)
def test_a_credential_in_the_wrong_place_is_never_repeated(secret: str, place: tuple[Any, ...], as_key: bool) -> None:
    """Whatever line it was pasted into, as a value or as a key: not in the error, not in a warning."""
    tree = tomllib.loads(BASE)
    parent: Any = tree
    for part in place[:-1]:
        parent = parent[part]
    if as_key and isinstance(parent, dict):
        parent[secret] = parent.pop(place[-1])
    else:
        parent[place[-1]] = secret
    result = tried(file_of(tree))
    said = str(result) if isinstance(result, ConfigError) else "\n".join(result.warnings)
    assert secret not in said
    assert secret not in (repr(result) if isinstance(result, ConfigError) else said)


@QUICK
@given(secrets, st.sampled_from(["PAID_KEY", "PROXY_TOKEN", "FREE_KEY", "ANTHROPIC_API_KEY"]))
def test_keys_of_the_environment_do_not_show_in_a_configuration(secret: str, variable: str) -> None:
    """Neither in its repr nor in that of any part, nor in the digest."""
    loaded = load(BASE, file="c.toml", catalogue=CATALOGUE, environ={variable: secret.replace(" ", "-")})
    secret = secret.replace(" ", "-")
    assert secret not in repr(loaded) + str(loaded)
    assert loaded.digest == load(BASE, file="c.toml", catalogue=CATALOGUE, environ={}).digest


def test_a_secret_is_not_told_by_comparing() -> None:
    """Neither equality nor hash depends on the value."""
    assert Secret("a", "V") == Secret("b", "V")
    assert [field.name for field in attrs.fields(Secret) if field.eq] == ["source"]


@pytest.mark.parametrize(
    "text",
    [
        "claude-sonnet-4-5", "nvidia/nemotron-3-super-120b-a12b:free", "meta-llama/llama-4-scout-17b-16e-instruct",
        "OPENROUTER_API_KEY", "least-lodaed", "http://10.0.0.7:8000/v1", "accounts/fireworks/models/glm-5p2", "*haiku*",
    ],
)  # fmt: skip
def test_honest_words_are_not_taken_for_credentials(text: str) -> None:
    """A message that hides what it is about helps nobody."""
    assert not looks_secret(text)


LINES = """\
a.b = 1

[x."y z"]   # comment
k = [ 1,    # comment
  { kind = "p", deep = [
    2 ] },
]
[[r]]
m = "*"
[r.sub]
q = 1
[[r]]
[[r.in]]
z = 1
[[r.in]]
"quo\\u0074ed".z = 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("a", "b"), 1),
        (("x", "y z"), 3),
        (("x", "y z", "k", 0), 4),
        (("x", "y z", "k", 1, "kind"), 5),
        (("x", "y z", "k", 1, "deep", 0), 6),
        (("r",), 8),
        (("r", 0, "m"), 9),
        (("r", 0, "sub", "q"), 11),
        (("r", 1), 12),
        (("r", 1, "in", 0, "z"), 14),
        (("r", 1, "in", 1), 15),
        (("r", 1, "in", 1, "quoted", "z"), 16),
        (("r", 1, "in", 1, "missing", "z"), 15),
        (("nowhere",), 1),
    ],
)
def test_every_value_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    """Dotted and quoted keys, inline tables, lists over several lines, lists of tables; else the nearest thing around."""
    assert Lines(LINES).of(path) == line


@QUICK
@given(files)
def test_lines_know_every_path_of_a_file(sections: dict[str, Any]) -> None:
    """Whatever tomllib reads from a file, the second parser has placed on the line of its section."""
    text = file_of(sections)
    lines = Lines(text)
    for number, (name, value) in enumerate(sections.items(), start=1):
        for path in places({name: value}):
            assert path in lines._lines, show_path(path)
            assert lines.of(path) == number
