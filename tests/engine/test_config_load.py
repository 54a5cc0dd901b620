"""What becomes of a file that is right: chains, routes, the server."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engine.config import ConfigError, Route, Server, check_exposure
from policies import (
    Candidate,
    Hedge,
    InOrder,
    LeastLoaded,
    Retry,
    Sequence,
    SilentSkip,
    Sticky,
    UnlimitedScope,
)
from tests.engine.catalogues import config


def auto(text: str = "", environ: Mapping[str, str] | None = None, **answering: str | None) -> list[str]:
    """The candidates of the built-in chain."""
    return [candidate.name for candidate in config(text, environ, **answering).chains["auto"].candidates]


class TestChains:
    """Candidates and policies."""

    def test_a_chain_without_policies_has_the_defaults(self) -> None:
        """Nobody who is resting, least loaded first, one after the other, and again when all have failed."""
        loaded = config('[chains.c]\ncandidates = ["paid/a/b:c", "free/*"]').chains["c"]
        assert loaded.candidates == (Candidate("paid", "a/b:c"), Candidate("free", "*"))
        assert loaded.policies == (SilentSkip(), LeastLoaded(), Sequence(), Retry())

    def test_aliases_become_ids(self) -> None:
        """In candidates and in the policies that name providers."""
        text = """
        [chains.c]
        candidates = ["dear/x", "free/y"]
        policies = [
          { kind = "unlimited-scope", for = ["dear"] },
          { kind = "in-order", priority = [["dear/x"], ["free"]] },
        ]
        """
        loaded = config(text).chains["c"]
        assert loaded.candidates[0] == Candidate("paid", "x")
        assert loaded.policies == (UnlimitedScope(("paid",)), InOrder((("paid/x",), ("free",))))

    def test_what_is_allowed_and_hardly_meant_is_said(self) -> None:
        """A policy's own warnings and a candidate listed twice, each with its line."""
        text = '[chains.c]\ncandidates = ["paid/x",\n "dear/x"]\npolicies = [{ kind = "hedge", extra_load = 0.01 }]'
        loaded = config(text)
        assert len(loaded.chains["c"].candidates) == 1
        assert loaded.warnings == (
            "c.toml:3: chains.c.candidates[1]: 'paid/x' is listed twice: it is asked once",
            "c.toml:4: chains.c.policies[0]: extra_load = 0.01 is less than the 0.08 of requests that exceed 'p92': the "
            "budget will refuse some hedges",
        )

    def test_a_policy_of_ones_own_loads_by_its_address(self) -> None:
        """`module:Class` with its arguments."""
        text = '[chains.c]\ncandidates = ["paid/x"]\npolicies = [{ kind = "policies:Hedge", after_s = 2 }]'
        assert config(text).chains["c"].policies == (Hedge(after_s=2.0),)


class TestAuto:
    """The built-in chain."""

    @pytest.mark.parametrize(
        ("text", "environ", "names"),
        [
            ("", {}, ["rehearsal/echo"]),
            ("", {"PAID_KEY": "k", "FREE_KEY": "k"}, ["free/free-coder", "paid/paid-coder"]),
            ("[providers.paid]", {}, ["paid/paid-coder"]),
            ("[providers.paid]\n[providers.free]", {"FREE_KEY": "k"}, ["free/free-coder"]),
            ("[providers.paid]\nenabled = false", {}, ["rehearsal/echo"]),
            ("[providers.rehearsal]", {}, ["rehearsal/echo"]),
            ("", {"GARDEN_KEY": "k"}, ["garden/tomato"]),
            ("", {"GARDEN_KEY": "k", "FREE_KEY": "k"}, ["free/free-coder", "garden/tomato"]),
            ("", {"TALKER_KEY": "k"}, ["talker/chat"]),
            ("[providers.talker]", {"TALKER_KEY": "k"}, ["talker/chat"]),
            ('[providers.mine]\nwire = "anthropic"\nbase_url = "http://x"', {}, ["mine/*"]),
            (
                '[providers.mine]\nwire = "anthropic"\nbase_url = "http://x"\nmodels = { m = {} }',
                {"FREE_KEY": "k"},
                ["mine/m", "free/free-coder"],
            ),
            ("", {"MODEL": "paid/m, dear/n ,vendor/o", "FREE_KEY": "k"}, ["paid/m", "paid/n", "paid/vendor/o"]),
            ("", {"MODEL": "paid/m", "AUTO_MODEL_ORDER": "free/n,free/n"}, ["free/n"]),
            ("", {"MODEL": " , ", "FREE_KEY": "k"}, ["free/free-coder"]),
            ("", {"MODEL": "gpt-4", "FREE_KEY": "k"}, ["free/free-coder"]),
        ],
    )
    def test_holds_whom_the_machine_can_ask(self, text: str, environ: dict[str, str], names: list[str]) -> None:
        """The environment's list, else who is usable, else whose variable is empty, else the rehearsal."""
        assert auto(text, environ) == names

    def test_a_variable_of_other_programs_is_no_mistake(self) -> None:
        """MODEL may be set for something else, so what cannot be understood in it is only said."""
        assert config("", {"MODEL": "gpt-4"}).warnings == (
            "environment: MODEL: 'gpt-4' is not 'provider/model': it is left out",
        )

    def test_what_is_local_is_asked_first_with_the_model_it_has_loaded(self) -> None:
        """And with whatever the client asks for where nobody knows."""
        assert auto("", {"FREE_KEY": "k"}, desk="llama") == ["desk/llama", "free/free-coder"]
        assert auto("", {"FREE_KEY": "k"}, desk=None) == ["desk/*", "free/free-coder"]
        assert auto("[providers.desk]", {"FREE_KEY": "k"}) == ["desk/*", "free/free-coder"]

    def test_is_hedged(self) -> None:
        """Nobody is asked twice as much as needed, and nobody is waited for in vain."""
        assert config().chains["auto"].policies == (SilentSkip(), Sticky(), LeastLoaded(), Hedge(), Retry())

    def test_an_unset_variable_is_named_by_its_candidate(self) -> None:
        """The chain holds whoever was meant, and the provider says what is missing."""
        loaded = config("[providers.paid]")
        (candidate,) = loaded.chains["auto"].candidates
        assert loaded.providers[candidate.provider].unusable_because == "PAID_KEY is not set (nor PAID_TOKEN)"


class TestRoutesAndServer:
    """The rest of a file."""

    @pytest.mark.parametrize("text", ["", "routes = []", '[chains.c]\ncandidates = ["paid/x"]'])
    def test_a_file_without_routes_sends_everything_to_auto(self, text: str) -> None:
        """So a key set in the environment is enough."""
        assert config(text).routes == (Route(match="*", chain="auto"),)

    def test_a_route_that_never_decides_is_said(self) -> None:
        """With the line of its glob; exact names win over globs, so they are not shadowed by one."""
        text = """\
[[routes]]
match = "*son*"
chain = "auto"
[[routes]]
match = "claude-sonnet"
chain = "auto"
[[routes]]
match = "claude-SONnet-*"
chain = "auto"
"""
        assert config(text).warnings == (
            "c.toml:8: routes[2].match: 'claude-SONnet-*' never decides: '*son*' stands above it and takes the same names "
            "(this route serves only while chain 'auto' has nobody usable)",
        )

    def test_vendors_of_the_file_lie_over_the_built_in_ones(self) -> None:
        """Prefix by prefix."""
        assert config('[vendors]\nmaker = "dear"\nown = "free"').vendors == {
            "vendor": "paid",
            "maker": "paid",
            "own": "free",
        }

    def test_the_server_table_arrives(self) -> None:
        """Sizes in bytes, the token from its variable."""
        text = '[server]\nbind = "[::1]:0"\nauth_token_env = "TOKEN"\nmax_body_mb = 0.5\nbody_s = 1\ndrain_s = 0\nwrite_s = 3'
        server = config(text, {"TOKEN": " secret "}).server
        assert (server.host, server.port, server.max_body_bytes) == ("::1", 0, 512 * 1024)
        assert (server.body_s, server.drain_s, server.write_s) == (1.0, 0.0, 3.0)
        assert server.token is not None
        assert (server.token.reveal(), server.token.source) == ("secret", "TOKEN")
        assert config().server == Server()
        assert config("", {"ANTHROPIC_AUTH_TOKEN": " "}).server.token is None

    @pytest.mark.parametrize(
        ("host", "open_to_all"),
        [
            ("127.0.0.1", False),
            ("127.8.8.8", False),
            ("localhost", False),
            ("::1", False),
            ("0.0.0.0", True),
            ("::", True),
        ],
    )
    def test_an_address_that_others_reach_takes_a_token(self, host: str, open_to_all: bool) -> None:
        """Or the operator's word."""
        assert (check_exposure(Server(host=host)) is not None) is open_to_all
        assert check_exposure(Server(host=host, insecure=True)) is None

    @pytest.mark.parametrize(
        ("text", "environ"),
        [('bind = "0.0.0.0:1"', {"ANTHROPIC_AUTH_TOKEN": "t"}), ('bind = "0.0.0.0:1"\ninsecure = true', {})],
    )
    def test_an_open_address_with_a_token_or_a_word_loads(self, text: str, environ: dict[str, str]) -> None:
        """The two ways out that the message names."""
        assert config(f"[server]\n{text}", environ).server.host == "0.0.0.0"

    def test_the_digest_is_of_the_text_alone(self) -> None:
        """The same file on a machine with other keys is the same file."""
        assert config("", {"PAID_KEY": "a"}).digest == config("", {"PAID_KEY": "b"}).digest != config("#").digest

    def test_a_mark_at_the_beginning_of_the_file_is_no_mistake(self) -> None:
        """Some editors write one, and lines are counted as without it."""
        assert config("\ufeff[server]\ninsecure = true").server.insecure
        with pytest.raises(ConfigError, match=r"^c\.toml:2: server\.insecure: "):
            config("\ufeff[server]\ninsecure = 1")
