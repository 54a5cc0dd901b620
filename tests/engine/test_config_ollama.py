"""`num_ctx` and `keep_alive`: what is told to Ollama alone, and chooses its wire."""

from __future__ import annotations

import pytest

from engine.config import Catalogue, ConfigError, Endpoint, Listing, Provider, load
from tests.engine.catalogues import small

TABLE = "[providers.lama]\n"


def catalogue() -> Catalogue:
    """The small one, with a runtime that speaks its own wire among others."""
    lama = Listing(
        id="lama",
        name="Lama",
        wires={
            "anthropic": Endpoint(base="http://localhost:11434"),
            "openai-chat": Endpoint(base="http://localhost:11434/v1"),
            "ollama": Endpoint(base="http://localhost:11434"),
        },
        local=True,
        quirks=frozenset(["truncates-silently", "no-signature"]),
        base_url_env=("LAMA_HOST",),
    )
    known = small()
    rows = [row for row in known.providers.values() if row.id != "rehearsal"]
    return Catalogue.of([*rows, lama], known.vendors)


def provider(text: str, id: str = "lama", **environ: str) -> Provider:
    return load(text, file="c.toml", catalogue=catalogue(), environ=environ).providers[id]


def wrong(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, file="c.toml", catalogue=catalogue(), environ={})
    return [str(problem) for problem in caught.value.problems]


class TestTheWire:
    """Which one is asked."""

    def test_without_a_word_it_is_the_first(self) -> None:
        """Which needs no translation."""
        found = provider(TABLE)
        assert (found.wire, found.wire_of("qwen3"), found.num_ctx_for("qwen3")) == ("anthropic", "anthropic", None)

    @pytest.mark.parametrize("said", ["num_ctx = 65536", 'keep_alive = "30m"', "keep_alive = -1"])
    def test_what_only_its_own_can_carry_chooses_it(self, said: str) -> None:
        """For all models."""
        found = provider(TABLE + said)
        assert found.wire == "ollama"
        assert found.on("qwen3").url("messages", "qwen3") == "http://localhost:11434/api/chat"

    def test_a_model_can_choose_it_for_itself(self) -> None:
        """By its very name, capitals and brackets among it; the others are asked as before."""
        found = provider(TABLE + 'models = { "Qwen3[x]:8b*" = { num_ctx = 8192 }, plain = { context = 9000 } }')
        assert found.wire == "anthropic"
        assert {m: found.wire_of(m) for m in ("Qwen3[x]:8b*", "qwen3[x]:8b*", "qwen3x:8b", "plain")} == {
            "Qwen3[x]:8b*": "ollama",
            "qwen3[x]:8b*": "ollama",
            "qwen3x:8b": "anthropic",
            "plain": "anthropic",
        }
        assert found.on("Qwen3[x]:8b*").wire == "ollama"
        assert found.on("Qwen3[x]:8b*").url("messages") == "http://localhost:11434/api/chat"
        assert found.unusable_for("Qwen3[x]:8b*") == ""

    def test_another_address_keeps_the_choice(self) -> None:
        """From the file or the environment, put right for the wire."""
        text = TABLE + 'base_url = "http://box:11434/v1"\nnum_ctx = 4096'
        assert provider(text).url("messages") == "http://box:11434/api/chat"
        text = TABLE + 'base_url = "http://box:11434"\nmodels = { m = { num_ctx = 4096 } }'
        assert provider(text).on("m").url("messages") == "http://box:11434/api/chat"
        assert provider(text).on("other").url("messages") == "http://box:11434/v1/messages"
        assert (
            provider(TABLE + "num_ctx = 4096", LAMA_HOST="0.0.0.0:8000").url("messages")
            == "http://127.0.0.1:8000/api/chat"
        )

    def test_a_provider_of_ones_own_names_it(self) -> None:
        """As any other wire."""
        text = '[providers.box]\nwire = "ollama"\nbase_url = "http://box:11434"\nnum_ctx = 4096\n'
        found = provider(text, "box")
        assert (found.url("messages"), found.num_ctx_for("m")) == ("http://box:11434/api/chat", 4096)

    def test_what_is_the_hosts_own_goes_with_it_to_the_wires_where_it_is_silent(self) -> None:
        """On its own it is asked to speak."""
        assert provider(TABLE).quirks == {"truncates-silently", "no-signature"}
        assert provider(TABLE + 'wire = "openai-chat"').quirks == {"truncates-silently"}
        assert provider(TABLE + "num_ctx = 4096").quirks == frozenset()
        assert provider(TABLE + "models = { m = { num_ctx = 4096 } }").on("m").quirks == frozenset()


class TestTheWindow:
    """What a model is loaded with is what it holds."""

    def test_it_is_the_window_that_everybody_reckons_with(self) -> None:
        """Also of models that nobody has written down; the model's own word stands."""
        found = provider(TABLE + "num_ctx = 65536\nmodels = { small = { num_ctx = 8192 }, named = { tools = true } }")
        windows = {m: found.model(m).capabilities.context for m in ("any", "small", "named")}
        assert windows == {"any": 65_536, "small": 8192, "named": 65_536}
        assert {m: found.num_ctx_for(m) for m in windows} == windows

    def test_it_is_no_wider_than_the_models_own(self) -> None:
        """Ollama loads none beyond that."""
        found = provider(TABLE + "num_ctx = 65536\nmodels = { m = { context = 32768 } }")
        assert found.model("m").capabilities.context == 32_768

    def test_how_long_a_model_is_kept(self) -> None:
        """The model's own word stands, a zero too."""
        found = provider(TABLE + 'keep_alive = "24h"\nmodels = { m = { keep_alive = 0 } }')
        assert (found.keep_alive_for("m"), found.keep_alive_for("x")) == (0, "24h")


class TestMistakes:
    """What nothing can be done with."""

    def test_beside_another_wire(self) -> None:
        """Under the name of the key, for the provider and for a model."""
        text = '[providers.lama]\nwire = "anthropic"\nnum_ctx = 4096\n[providers.lama.models.m]\nkeep_alive = "5m"\n'
        why = "it is sent on the ollama wire alone, and wire says 'anthropic': remove one of them"
        assert wrong(text) == [
            f"c.toml:3: providers.lama.num_ctx: {why}",
            f"c.toml:5: providers.lama.models.m.keep_alive: {why}",
        ]

    def test_where_there_is_no_such_wire(self) -> None:
        """It would be forgotten in silence."""
        assert wrong("[providers.paid]\nnum_ctx = 4096\n") == [
            "c.toml:2: providers.paid.num_ctx: it is sent on the ollama wire alone, which 'paid' is not asked on: remove it"
        ]

    def test_a_wire_that_is_missing_is_missed_once(self) -> None:
        """Not once more for what would need it."""
        (problem,) = wrong('[providers.box]\nbase_url = "http://box:1"\nnum_ctx = 4096\n')
        assert "needs wire" in problem

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("num_ctx = 0", "a whole number of tokens, at least 1"),
            ('num_ctx = "64k"', "a whole number of tokens, at least 1"),
            ('keep_alive = "soon"', "a duration such as '30m' or '24h', or a number of seconds (-1: for ever)"),
            ('keep_alive = "5"', "a duration such as '30m' or '24h', or a number of seconds (-1: for ever)"),
            ("keep_alive = -2", "a duration such as '30m' or '24h', or a number of seconds (-1: for ever)"),
            ("keep_alive = true", "a duration such as '30m' or '24h', or a number of seconds (-1: for ever)"),
        ],
    )
    def test_a_value_that_is_none(self, said: str, expected: str) -> None:
        """With what may stand there."""
        (problem,) = wrong(TABLE + said)
        assert f"expected {expected}, got" in problem
