"""What becomes of a provider in a file that is right: usable or not, with which keys, where, and on what terms."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engine.config import Provider, Timeouts
from policies import (
    Adaptive,
    Breaker,
    Concurrency,
    Price,
    Unlimited,
    Window,
)
from tests.engine.catalogues import FREE, PAID, config


def provider(id: str, text: str = "", environ: Mapping[str, str] | None = None, **answering: str | None) -> Provider:
    """One provider of a loaded file."""
    return config(text, environ, **answering).providers[id]


class TestUsable:
    """A provider may be asked, or says the one thing that is missing."""

    @pytest.mark.parametrize(
        ("id", "text", "environ", "because"),
        [
            ("free", "", {"FREE_KEY": "k"}, ""),
            ("free", "", {}, "FREE_KEY is not set"),
            ("free", "", {"FREE_KEY": " , "}, "FREE_KEY is not set"),
            ("paid", "", {}, "PAID_KEY is not set (nor PAID_TOKEN)"),
            ("paid", "", {"PAID_TOKEN": "k"}, ""),
            ("paid", '[providers.dear]\nkeys_env = "OTHER"', {"PAID_KEY": "k"}, "OTHER is not set"),
            ("paid", '[providers.paid]\nkey_env = "OTHER"', {"OTHER": "k"}, ""),
            ("paid", "[providers.paid]\nenabled = false", {"PAID_KEY": "k"}, "it is switched off in the file"),
            (
                "free",
                "",
                {"FREE_KEY": '"k"'},
                "FREE_KEY holds characters that no key has: set it again, without quotes",
            ),
            ("talker", "", {"TALKER_KEY": "k"}, ""),
            ("signed", "", {"SIGNED_KEY": "k"}, "not supported: it needs signed requests"),
            ("anthropic", "", {}, "ANTHROPIC_API_KEY is not set"),
            (
                "anthropic",
                "",
                {"ANTHROPIC_API_KEY": "k"},
                "it counts only where the file names it: add [providers.anthropic]",
            ),
            ("anthropic", "[providers.anthropic]", {"ANTHROPIC_API_KEY": "k"}, ""),
            ("anthropic", '[chains.c]\ncandidates = ["anthropic/claude"]', {"ANTHROPIC_API_KEY": "k"}, ""),
            ("anthropic", "", {"ANTHROPIC_API_KEY": "k", "MODEL": "anthropic/claude"}, ""),
            ("garden", "", {"GARDEN_KEY": "k"}, ""),
            (
                "garden_go",
                "",
                {"GARDEN_KEY": "k"},
                "GARDEN_KEY is taken for 'garden': add [providers.garden_go] to use it here as well",
            ),
            ("garden_go", "[providers.garden_go]", {"GARDEN_KEY": "k"}, ""),
            (
                "desk",
                "",
                {},
                "nothing answers at http://localhost:1234: start it, or add [providers.desk] to count on it",
            ),
            ("desk", "[providers.desk]", {}, ""),
            ("desk", '[providers.desk]\nkeys_env = "LOST"', {}, "LOST is not set"),
            ("desk", "", {"DESK_HOST": "ftp://x"}, "DESK_HOST is not an address such as http://localhost:1234"),
            (
                "cloud",
                "",
                {"CLOUD_KEY": "k"},
                "CLOUD_RESOURCE is not set: it names the resource (or say fill.resource, or give a base_url)",
            ),
            ("cloud", "", {"CLOUD_KEY": "k", "CLOUD_RESOURCE": "mine"}, ""),
            ("cloud", '[providers.cloud]\nbase_url = "https://x.example"', {"CLOUD_KEY": "k"}, ""),
            ("mine", '[providers.mine]\nwire = "anthropic"\nbase_url = "http://x"', {}, ""),
            (
                "mine",
                '[providers.mine]\nwire = "openai-responses"\nbase_url = "http://x"',
                {},
                "",
            ),
            ("rehearsal", "", {}, ""),
        ],
    )
    def test_says_what_is_missing(self, id: str, text: str, environ: dict[str, str], because: str) -> None:
        """The reason is one sentence that names the variable or the table."""
        found = provider(id, text, environ)
        assert found.unusable_because == because
        assert found.usable is not bool(because)

    def test_a_local_runtime_that_answers_counts(self) -> None:
        """No table and no key are needed for what runs on this machine."""
        assert provider("desk", desk="m").usable
        assert provider("desk", desk=None).usable

    def test_a_model_on_another_wire_is_usable_there(self) -> None:
        """A host that speaks a wire for each model."""
        garden = provider("garden", "", {"GARDEN_KEY": "k"})
        assert garden.unusable_for("claude-x") == ""
        assert garden.unusable_for("tomato") == ""
        assert garden.on("tomato").wire == "zed"
        assert provider("garden").unusable_for("tomato") == "GARDEN_KEY is not set"


class TestKeys:
    """From variables to credentials."""

    def test_a_variable_may_hold_several_keys(self) -> None:
        """Commas and white space separate them; each stands once and says where it came from."""
        keys = provider("paid", "", {"PAID_KEY": "a, b\tc,,", "PAID_TOKEN": "b"}).keys
        assert [key.reveal() for key in keys] == ["a", "b", "c"]
        assert [key.source for key in keys] == ["PAID_KEY[1]", "PAID_KEY[2]", "PAID_KEY[3]"]

    def test_variables_of_the_file_replace_those_of_the_catalogue(self) -> None:
        """In the order of the file."""
        text = '[providers.paid]\nkeys_env = ["SECOND", "FIRST"]'
        keys = provider("paid", text, {"PAID_KEY": "x", "FIRST": "a", "SECOND": "b"}).keys
        assert [key.reveal() for key in keys] == ["b", "a"]

    def test_the_token_that_clients_show_is_never_shown_to_a_provider(self) -> None:
        """ANTHROPIC_AUTH_TOKEN guards the proxy, so it is not Anthropic's key too, unless the file says so."""
        environ = {"ANTHROPIC_AUTH_TOKEN": "ours"}
        loaded = config("[providers.anthropic]", environ)
        assert loaded.server.token is not None
        assert loaded.providers["anthropic"].keys == ()
        elsewhere = '[server]\nauth_token_env = "PROXY_TOKEN"\n[providers.anthropic]'
        taken = provider("anthropic", elsewhere, environ)
        assert [key.reveal() for key in taken.keys] == ["ours"]
        assert taken.auth == "bearer"

    def test_a_key_decides_how_it_is_sent(self) -> None:
        """Two kinds of key for one service are not mixed: the first variable that is set wins."""
        environ = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t"}
        found = provider("anthropic", '[server]\nauth_token_env = "P"\n[providers.anthropic]', environ)
        assert ([key.reveal() for key in found.keys], found.auth) == (["k"], "x-api-key")

    def test_a_runtime_without_a_key_sends_none(self) -> None:
        """A local runtime takes a key where there is one."""
        assert (provider("desk").auth, provider("desk").keyless) == ("none", True)
        keyed = provider("desk", "", {"DESK_KEY": "k"})
        assert (keyed.auth, keyed.keyless) == ("bearer", False)

    def test_auth_none_leaves_the_catalogues_variable_alone(self) -> None:
        """A gateway that adds the key itself gets none."""
        found = provider("paid", '[providers.paid]\nbase_url = "http://gw"\nauth = "none"', {"PAID_KEY": "k"})
        assert (found.keys, found.auth, found.usable) == ((), "none", True)


class TestEndpoint:
    """Where a provider is and how it is spoken to."""

    def test_the_first_wire_of_the_row_is_taken(self) -> None:
        """The catalogue's order is a preference."""
        garden = provider("garden")
        assert (garden.wire, garden.url("messages")) == ("anthropic", "https://garden.example/v1/messages")
        talker = provider("talker")
        assert (talker.wire, talker.url("messages")) == ("zed", "https://talker.example/v1/completions")

    def test_a_wire_of_the_file_is_taken_as_written(self) -> None:
        """Where the row has it."""
        found = provider("paid", '[providers.paid]\nwire = "zed"', {"PAID_KEY": "k"})
        assert found.wire == "zed"
        assert found.base_url == "https://paid.example/v1"
        assert found.usable

    def test_a_path_of_the_catalogue_may_be_absolute(self) -> None:
        """The models of one host are listed at another."""
        assert provider("paid").url("models") == "https://paid.example/list"
        assert provider("desk").url("models") == "http://localhost:1234/tags"

    def test_a_region_is_another_host_with_a_key_of_its_own(self) -> None:
        """The region's variable goes before the usual ones."""
        found = provider("paid", '[providers.paid]\nregion = "cn"', {"PAID_KEY": "a", "PAID_CN_KEY": "b"})
        assert found.url("messages") == "https://paid.example.cn/api/v1/messages"
        assert [key.reveal() for key in found.keys] == ["b", "a"]

    def test_a_region_decides_which_wires_there_are(self) -> None:
        """One that speaks another is asked on that, not sent to another host."""
        found = provider("paid", '[providers.paid]\nregion = "plan"', {"PAID_KEY": "a"})
        assert found.base_url == "https://plan.paid.example/v1"
        assert found.usable

    def test_a_base_url_of_the_file_comes_with_the_wires_own_paths(self) -> None:
        """Nothing of the catalogue's host is left."""
        found = provider("paid", '[providers.paid]\nbase_url = "http://gw:4000/llm/"')
        assert found.url("messages") == "http://gw:4000/llm/v1/messages"
        assert found.url("models") == "http://gw:4000/llm/v1/models"

    @pytest.mark.parametrize(
        ("wire", "written", "meant"),
        [
            ("anthropic", "http://x/v1", "http://x"),
            ("anthropic", "http://x/api/v1/messages", "http://x/api"),
            ("anthropic", "http://x/v10", "http://x/v10"),
            ("openai-chat", "http://x", "http://x/v1"),
            ("openai-chat", "http://x/v1/chat/completions", "http://x/v1"),
            ("openai-chat", "http://x/api/paas/v4", "http://x/api/paas/v4"),
            ("openai-responses", "http://x/v1/responses", "http://x/v1"),
            ("gemini", "http://x", "http://x/v1beta"),
            ("ollama", "http://x:1/api", "http://x:1"),
            ("ollama", "http://x:1/v1", "http://x:1"),
        ],
    )
    def test_a_v1_too_many_or_too_few_is_put_right_and_said(self, wire: str, written: str, meant: str) -> None:
        """What documentation quotes is seldom what an SDK calls its base URL."""
        loaded = config(f'\n[providers.mine]\nwire = "{wire}"\nbase_url = "{written}"')
        assert loaded.providers["mine"].base_url == meant
        assert [w.startswith("c.toml:4: providers.mine.base_url: ") and w.endswith(meant) for w in loaded.warnings] == (
            [] if written == meant else [True]
        )

    @pytest.mark.parametrize(
        ("value", "base"),
        [
            ("http://box:9/", "http://box:9"),
            ("http://box:9/v1", "http://box:9"),
            ("box:9", "http://box:9"),
            ("box", "http://box:1234"),
            ("0.0.0.0", "http://127.0.0.1:1234"),
            ("0.0.0.0:77", "http://127.0.0.1:77"),
            ("[::]:77", "http://[::1]:77"),
            ("https://box", "https://box"),
        ],
    )
    def test_a_local_runtimes_own_variable_says_where_it_is(self, value: str, base: str) -> None:
        """Also in the form in which the runtime reads it: what it listens on. The environment is not warned about."""
        loaded = config("", {"DESK_HOST": value})
        assert loaded.providers["desk"].base_url == base
        assert loaded.warnings == ()

    def test_a_hosted_runtime_is_not_local(self) -> None:
        """The same software at somebody else's address has a key to miss and no port to answer on."""
        found = provider("desk", '[providers.desk]\nbase_url = "https://desk.example.com"')
        assert (found.local, found.unusable_because) == (False, "DESK_KEY is not set")
        near = provider("desk", '[providers.desk]\nbase_url = "http://box.lan:1234"')
        assert (near.local, near.usable) == (True, True)

    def test_facts_of_the_anthropic_wire_stay_on_it(self) -> None:
        """What a host refuses in one format says nothing of another."""
        native = provider("paid")
        assert native.drop | native.quirks == {"document", "trailing-done"}
        other = provider("paid", '[providers.paid]\nwire = "zed"')
        assert not other.drop | other.quirks

    @pytest.mark.parametrize(
        ("base_url", "more", "open_lists"),
        [
            ("https://gw.example", "", True),
            ("https://api.anthropic.com", "", True),
            ("https://gw.example", "open_lists = false", False),
        ],
    )
    def test_a_host_of_ones_own_is_sent_everything_unless_told_otherwise(
        self, base_url: str, more: str, open_lists: bool
    ) -> None:
        """A gateway needs every field; a host that refuses some is told apart by `open_lists = false`."""
        text = f'[providers.mine]\nwire = "anthropic"\nbase_url = "{base_url}"\n{more}'
        assert provider("mine", text).open_lists is open_lists


class TestProviderTable:
    """What a table says on top of a row."""

    def test_scopes_have_their_defaults(self) -> None:
        """The catalogue's, else two at a time for what is local, else sixteen."""
        loaded = config('[providers.mine]\nwire = "anthropic"\nbase_url = "http://x"').providers
        assert loaded["free"].scope == Window(requests=40, per_s=60, concurrency=5)
        assert loaded["garden"].scope == loaded["rehearsal"].scope == Unlimited()
        assert loaded["desk"].scope == Concurrency(limit=2)
        assert loaded["paid"].scope == loaded["mine"].scope == Concurrency(limit=16)

    def test_the_file_decides_on_scope_and_breaker(self) -> None:
        """In both of their forms."""
        text = '[providers.free]\nscope = "unlimited"\nbreaker = "off"\n'
        text += (
            '[providers.paid]\nscope = { kind = "concurrency", limit = 3, per = "key" }\nbreaker = { failures = 3 }\n'
        )
        text += '[providers.desk]\nscope = "adaptive"\n'
        loaded = config(text).providers
        assert loaded["desk"].scope == Adaptive()
        assert (loaded["free"].scope, loaded["free"].breaker) == (Unlimited(), None)
        assert loaded["paid"].scope == Concurrency(limit=3, per="key")
        assert loaded["paid"].breaker == Breaker(failures=3)
        assert (loaded["garden"].breaker, loaded["rehearsal"].breaker) == (Breaker(), None)

    def test_models_of_the_file_lie_over_those_of_the_catalogue(self) -> None:
        """Field by field; a price of nothing is free."""
        text = "[providers.paid.models]\npaid-coder = { context = 5, images = true }\n"
        text += "new = { tools = false, price = { input = 0, output = 0.0 } }\n"
        text += "third = { price = { input = 1, output = 2, cache_read = 0.1 } }"
        models = provider("paid", text).models
        assert models["paid-coder"].capabilities.context == 5
        assert models["paid-coder"].capabilities.tools is True
        assert models["paid-coder"].price == PAID.price
        assert (models["new"].free, models["new"].price) == (True, None)
        assert models["third"].price == Price(input=1, output=2, cache_read=0.1)
        assert provider("free").models == {FREE.id: FREE}

    def test_the_rest_of_a_table_arrives(self) -> None:
        """Name, headers and timeouts."""
        text = (
            '[providers.paid]\nname = "Ours"\nheaders = { X-Team = "a b" }\ntimeouts = { connect_s = 1, write_s = 2.5 }'
        )
        found = provider("paid", text)
        assert (found.name, found.headers_for("m")) == ("Ours", (("X-Team", "a b"),))
        assert (found.timeouts_for("m"), found.named) == (Timeouts(connect_s=1.0, write_s=2.5), True)
        assert (provider("paid").timeouts_for("m").connect_s, provider("paid").named) == (8.0, False)

    def test_providers_of_the_file_come_first(self) -> None:
        """In its order, then the catalogue's."""
        text = '[providers.mine]\nwire = "anthropic"\nbase_url = "http://x"\n[providers.dear]'
        assert list(config(text).providers)[:3] == ["mine", "paid", "anthropic"]

    def test_a_second_rehearsal_may_play_another_provider(self) -> None:
        """It needs no address, and has what the built-in one has."""
        found = provider("slow", '[providers.slow]\nwire = "rehearsal"\nscope = { kind = "concurrency", limit = 1 }')
        assert (found.usable, found.scope, found.breaker, found.keyless) == (True, Concurrency(limit=1), None, True)
