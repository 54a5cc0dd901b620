"""Keys from the environment: lists, plurals, duplicates, whose limits count, and how much each may be used."""

from __future__ import annotations

import pytest

from engine.config import ConfigError, KeyLimit, Provider, load
from policies import Concurrency, Window
from tests.engine.catalogues import small
from transports import load_catalogue


def provider(id: str, environ: dict[str, str], text: str = "") -> Provider:
    return load(text, file="c.toml", catalogue=load_catalogue(), environ=environ).providers[id]


def told(found: Provider) -> list[tuple[str, str]]:
    return [(key.source, key.reveal()) for key in found.keys]


@pytest.mark.parametrize("between", [",", " ", "\n", ", ", ",\n", "\r\n", "\t", " ,, "])
def test_one_variable_holds_several_keys(between: str) -> None:
    """Commas, spaces and lines, in any mixture; each is known by its number."""
    found = provider("groq", {"GROQ_API_KEY": between.join(["k1", "k2", "k3"])})
    assert told(found) == [(f"GROQ_API_KEY[{n}]", f"k{n}") for n in (1, 2, 3)]


def test_several_variables_are_read_in_order_and_each_key_once() -> None:
    """A key that stands twice is one account."""
    text = '[providers.groq]\nkeys_env = ["A", "B", "C"]'
    found = provider("groq", {"A": "k2", "B": "k1,k2", "C": "k1 k3", "GROQ_API_KEY": "other"}, text)
    assert told(found) == [("A", "k2"), ("B[1]", "k1"), ("C[2]", "k3")]


def test_a_variable_named_in_the_file_has_no_plural() -> None:
    """What is written there is meant as it stands."""
    text = '[providers.groq]\nkeys_env = "MY_API_KEY"'
    found = provider("groq", {"MY_API_KEYS": "k1,k2"}, text)
    assert (found.keys, found.unusable_because) == ((), "MY_API_KEY is not set")


def rows_with_keys() -> list[tuple[str, str]]:
    rows = load_catalogue().providers.values()
    return [(row.id, v) for row in rows if not row.unsupported for v in row.env if v.endswith("_API_KEY")]


@pytest.mark.parametrize(("id", "variable"), rows_with_keys())
def test_every_row_reads_the_plural_of_its_variable(id: str, variable: str) -> None:
    """Alone, and beside the singular, whose key comes first."""
    table = f"[providers.{id}]"
    several = provider(id, {f"{variable}S": "k1, k2"}, table)
    assert told(several) == [(f"{variable}S[1]", "k1"), (f"{variable}S[2]", "k2")]
    both = provider(id, {f"{variable}S": "k1 k2", variable: "k2"}, table)
    assert told(both) == [(variable, "k2"), (f"{variable}S[1]", "k1")]


def test_a_regions_variable_has_its_plural() -> None:
    """It counts before the others, as its singular does."""
    found = provider("minimax", {"MINIMAX_CN_API_KEYS": "k1,k2"}, '[providers.minimax]\nregion = "cn"')
    assert [key.source for key in found.keys] == ["MINIMAX_CN_API_KEYS[1]", "MINIMAX_CN_API_KEYS[2]"]


def test_what_is_missing_is_named_in_the_singular() -> None:
    """One name to set is enough to read."""
    assert provider("groq", {}, "[providers.groq]").unusable_because == "GROQ_API_KEY is not set"


class TestWhoseLimits:
    """Several keys of a hosted service are several accounts."""

    def test_with_several_keys_a_rows_scope_counts_per_key(self) -> None:
        """The row's, and the one that every host has."""
        nim = provider("nvidia_nim", {"NVIDIA_NIM_API_KEYS": "k1,k2"})
        assert isinstance(nim.scope, Window)
        assert nim.scope.per == "key"
        assert provider("groq", {"GROQ_API_KEYS": "k1,k2"}).scope == Concurrency(limit=16, per="key")

    def test_with_one_key_it_counts_per_provider(self) -> None:
        """As before."""
        assert provider("groq", {"GROQ_API_KEY": "k1"}).scope == Concurrency(limit=16)

    def test_the_tables_word_stands(self) -> None:
        """Who writes a scope says what it counts."""
        text = '[providers.groq]\nscope = { kind = "concurrency", limit = 3 }'
        assert provider("groq", {"GROQ_API_KEYS": "k1,k2"}, text).scope == Concurrency(limit=3)

    def test_a_runtime_on_a_desk_is_one(self) -> None:
        """However many keys it takes."""
        found = provider("vllm", {"VLLM_API_KEY": "k1,k2"}, "[providers.vllm]")
        assert found.scope == Concurrency(limit=2)


class TestUsageLimit:
    """How much each key may be used."""

    @pytest.mark.parametrize(
        ("given", "limit"),
        [
            ("1000", KeyLimit(requests=1000)),
            ("{ requests = 50 }", KeyLimit(requests=50, per_s=86_400.0)),
            ("{ requests = 50, per_s = 3600 }", KeyLimit(requests=50, per_s=3600.0)),
        ],
    )
    def test_the_table_says_it(self, given: str, limit: KeyLimit) -> None:
        """A number is one of requests a day."""
        found = provider("groq", {"GROQ_API_KEY": "k"}, f"[providers.groq]\nkey_usage_limit = {given}")
        assert found.key_limit == limit

    @pytest.mark.parametrize(
        ("id", "variable"),
        [
            ("groq", "GROQ_KEY_USAGE_LIMIT"),
            ("open_router", "OPEN_ROUTER_KEY_USAGE_LIMIT"),
            ("open_router", "OPENROUTER_KEY_USAGE_LIMIT"),
            ("nvidia_nim", "NVIDIA_NIM_KEY_USAGE_LIMIT"),
        ],
    )
    def test_a_variable_says_it(self, id: str, variable: str) -> None:
        """By the provider's id, or by the name of its key; 0 is no limit."""
        assert provider(id, {variable: "70"}).key_limit == KeyLimit(requests=70)
        assert provider(id, {variable: "0"}).key_limit is None

    def test_the_table_stands_above_the_variable(self) -> None:
        """The file is the nearer word."""
        text = "[providers.groq]\nkey_usage_limit = 5"
        assert provider("groq", {"GROQ_KEY_USAGE_LIMIT": "7"}, text).key_limit == KeyLimit(requests=5)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("0", "key_usage_limit.requests: expected a whole number, at least 1, got 0"),
            (
                "true",
                "key_usage_limit: expected a number of requests a day or a table with requests and per_s, got true",
            ),
            (
                "{ requests = 5, per_s = 0 }",
                "key_usage_limit.per_s: expected seconds, above 0 and at most 31 days, got 0",
            ),
            ("{ per_s = 60 }", "key_usage_limit: requests is missing"),
        ],
    )
    def test_a_mistake_is_said(self, given: str, message: str) -> None:
        """Where, what was found, what is allowed."""
        with pytest.raises(ConfigError) as raised:
            load(f"[providers.paid]\nkey_usage_limit = {given}", file="c.toml", catalogue=small(), environ={})
        assert message in str(raised.value)

    @pytest.mark.parametrize("value", ["many", "-1", "1e3", "1_000"])
    def test_a_mistake_in_the_variable_is_said(self, value: str) -> None:
        """A limit that silently is none would cost somebody's money."""
        with pytest.raises(ConfigError, match=rf"^environment: GROQ_KEY_USAGE_LIMIT: .* got '{value}'$"):
            provider("groq", {"GROQ_KEY_USAGE_LIMIT": value})
