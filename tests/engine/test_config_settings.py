"""What a configuration may say of a provider and of its models: lengths, thinking, headers, time limits, proxies, keys."""

from __future__ import annotations

import attrs
import pytest

from engine.config import (
    CACHE_S,
    Accent,
    Catalogue,
    ConfigError,
    Endpoint,
    Listing,
    Provider,
    ThinkingWish,
    Timeouts,
    load,
)
from tests.engine.catalogues import small
from transports import load_catalogue

PAID = "[providers.paid]\n"


def catalogue() -> Catalogue:
    """The small one, with a host that has free models for everybody, and one with an accent."""
    commons = Listing(
        id="commons",
        name="Commons",
        wires={"openai-chat": Endpoint(base="https://commons.example/v1")},
        env=("COMMONS_KEY",),
        headers={"x-title": "ours"},
        public_key="public",
        public_models=("*-free", "pickle"),
    )
    accented = Listing(
        id="accented",
        name="Accented",
        aliases=("acc",),
        wires={"openai-chat": Endpoint(base="https://accented.example/v1")},
        env=("ACCENTED_KEY",),
        chat=Accent(stops=1),
        chat_by_model={"big-*": Accent(stops=2)},
    )
    known = small()
    rows = [row for row in known.providers.values() if row.id != "rehearsal"]
    return Catalogue.of([*rows, commons, accented], known.vendors)


def provider(id: str, text: str = "", environ: dict[str, str] | None = None) -> Provider:
    return load(text, file="c.toml", catalogue=catalogue(), environ=environ or {}).providers[id]


def wrong(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, file="c.toml", catalogue=catalogue(), environ=environ or {})
    return [str(problem) for problem in caught.value.problems]


class TestLengths:
    """`max_output_tokens`."""

    def test_the_model_stands_above_its_provider(self) -> None:
        """And the catalogue's own limit bounds both."""
        text = PAID + 'max_output_tokens = 4000\nmodels = { m = { max_output_tokens = 2000 }, "paid-coder" = {} }'
        found = provider("paid", text)
        assert (found.max_output("m"), found.max_output("other")) == (2000, 4000)
        assert provider("paid").max_output("other") is None

    def test_the_catalogue_is_a_limit_too(self) -> None:
        """Asking for more would be refused."""
        text = PAID + "models = { m = { max_output = 1000, max_output_tokens = 5000 } }"
        assert provider("paid", text).max_output("m") == 1000


class TestThinking:
    """`thinking = { enabled, budget }`."""

    def test_the_model_stands_above_its_provider(self) -> None:
        """Where neither speaks, the client decides."""
        text = PAID + "thinking = { budget = 2048 }\nmodels = { m = { thinking = { enabled = false } } }"
        found = provider("paid", text)
        assert found.thinking_for("m") == ThinkingWish(enabled=False)
        assert found.thinking_for("other") == ThinkingWish(enabled=True, budget=2048)
        assert provider("paid").thinking_for("m") is None

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("{ budget = 0 }", "thinking.budget: expected a whole number of tokens, at least 1, got 0"),
            ('{ enabled = "yes" }', "thinking.enabled: expected true or false, got 'yes'"),
            ("{ effort = 1 }", "thinking.effort: unknown key; available: enabled, budget"),
            ("true", "thinking: expected a table, got true"),
        ],
    )
    def test_a_mistake_is_named(self, value: str, text: str) -> None:
        """With its path."""
        assert wrong(PAID + f"thinking = {value}") == [f"c.toml:2: providers.paid.{text}"]


class TestHeaders:
    """`headers`, of a row, a provider and a model."""

    def test_the_models_stand_above_the_providers_and_those_above_the_rows(self) -> None:
        """By name, whatever its capitals."""
        text = (
            "[providers.commons]\nheaders = { X-Title = 'mine', x-a = '1' }\n"
            "models = { m = { headers = { X-A = '2', x-b = '3' } } }"
        )
        found = provider("commons", text, {"COMMONS_KEY": "k"})
        assert dict(found.headers_for("other")) == {"X-Title": "mine", "x-a": "1"}
        assert dict(found.headers_for("m")) == {"X-Title": "mine", "X-A": "2", "x-b": "3"}
        assert dict(provider("commons", "", {"COMMONS_KEY": "k"}).headers_for("m")) == {"x-title": "ours"}

    def test_a_models_header_is_no_place_for_a_key_either(self) -> None:
        """It is refused unread."""
        (told,) = wrong(PAID + 'models = { m = { headers = { authorization = "Bearer sk-1" } } }')
        assert told.startswith(
            "c.toml:2: providers.paid.models.m.headers.authorization: a key never stands in this file"
        )


class TestTimeouts:
    """`timeouts`."""

    def test_each_limit_is_the_models_the_providers_or_the_usual_one(self) -> None:
        """Field by field."""
        text = PAID + "timeouts = { connect_s = 1, idle_s = 90 }\nmodels = { m = { timeouts = { idle_s = 300 } } }"
        found = provider("paid", text)
        assert found.timeouts_for("m") == Timeouts(connect_s=1, write_s=10, idle_s=300)
        assert found.timeouts_for("other") == Timeouts(connect_s=1, write_s=10, idle_s=90)
        assert provider("paid").timeouts_for("m") == Timeouts(connect_s=8, write_s=10)

    def test_a_mistake_is_named(self) -> None:
        """With its path."""
        told = wrong(PAID + "timeouts = { connect = 1, idle_s = 0 }")
        assert told == [
            "c.toml:2: providers.paid.timeouts.connect: unknown key (did you mean 'connect_s'?); available: connect_s, "
            "write_s, first_content_s, idle_s",
            "c.toml:2: providers.paid.timeouts.idle_s: expected seconds, above 0 and at most a day, got 0",
        ]


class TestProxy:
    """`proxy` and `proxy_env`."""

    @pytest.mark.parametrize(
        "url", ["http://10.0.0.1:3128", "https://p.example:1", "socks5://[::1]:1080", "socks5h://h:1"]
    )
    def test_an_address_stands_in_the_file(self, url: str) -> None:
        """HTTP and SOCKS 5."""
        found = provider("paid", PAID + f'proxy = "{url}"')
        assert found.proxy is not None
        assert found.proxy.reveal() == url

    def test_one_with_a_password_comes_from_the_environment(self) -> None:
        """And is not in what is printed of the provider."""
        found = provider("paid", PAID + 'proxy_env = "CORP_PROXY"', {"CORP_PROXY": "http://me:pw@10.0.0.1:3128"})
        assert found.proxy is not None
        assert found.proxy.reveal() == "http://me:pw@10.0.0.1:3128"
        assert "pw@" not in repr(found)

    @pytest.mark.parametrize(
        ("text", "environ", "told"),
        [
            (
                'proxy = "http://me:pw@h:1"',
                {},
                "proxy: an address here holds no password: put it in an environment variable and name that in proxy_env",
            ),
            (
                'proxy = "10.0.0.1:3128"',
                {},
                "proxy: expected http://, https://, socks5:// or socks5h:// with a host and a port",
            ),
            ("proxy = 1", {}, "proxy: expected the address of a proxy, got 1"),
            ('proxy_env = "P"', {}, "proxy_env: P is not set: it holds the address of the proxy"),
            ('proxy_env = "P"', {"P": "nonsense"}, "proxy_env: P is not an address such as socks5://127.0.0.1:1080"),
            (
                'proxy = "http://h:1"\nproxy_env = "P"',
                {"P": "http://h:1"},
                "proxy_env: proxy says the same: keep one of them",
            ),
        ],
    )
    def test_a_mistake_is_named(self, text: str, environ: dict[str, str], told: str) -> None:
        """The address is not repeated where it may hold a password."""
        line = 1 + len(text.splitlines())
        assert wrong(PAID + text, environ) == [f"c.toml:{line}: providers.paid.{told}"]


class TestKeys:
    """Whose key goes where."""

    def test_the_clients_own_credential_is_passed_on_only_where_that_is_said(self) -> None:
        """Such a provider has no key of its own, and needs none."""
        found = provider("paid", PAID + 'auth = "client"', {"PAID_KEY": "k"})
        assert (found.auth, found.keys, found.usable) == ("client", (), True)

    def test_a_key_besides_is_a_contradiction(self) -> None:
        """One of them is meant."""
        assert wrong(PAID + 'auth = "client"\nkeys_env = "PAID_KEY"') == [
            "c.toml:2: providers.paid.auth: 'client' sends the client's own key, yet a variable with keys is named: "
            "remove one of them"
        ]

    def test_free_models_are_asked_with_the_public_key_where_the_host_is_named(self) -> None:
        """Only those, and only without a key of one's own."""
        found = provider("commons", "[providers.commons]")
        assert (found.usable, found.keyless, found.keys) == (True, True, ())
        assert dict(found.headers_for("a-free"))["authorization"] == "Bearer public"
        assert (found.unusable_for("a-free"), found.unusable_for("pickle")) == ("", "")
        assert found.unusable_for("a") == "without a key only its free models answer (*-free, pickle)"
        own = provider("commons", "[providers.commons]", {"COMMONS_KEY": "k"})
        assert (own.unusable_for("a"), [key.reveal() for key in own.keys]) == ("", ["k"])
        assert "authorization" not in dict(own.headers_for("a-free"))

    def test_a_chain_that_lists_the_host_names_it(self) -> None:
        """A candidate in the file is an order to ask it."""
        text = '[chains.c]\ncandidates = ["commons/a-free"]\n[[routes]]\nmatch = "*"\nchain = "c"'
        assert provider("commons", text).usable

    def test_nobodys_prompt_goes_to_a_free_host_unasked(self) -> None:
        """A machine without any key keeps its prompts, and its owner is told what would be enough."""
        why = provider("commons").unusable_because
        assert why == "COMMONS_KEY is not set; its free models need none: add [providers.commons]"
        off = "[providers.commons]\npublic_key = false"
        assert provider("commons", off).unusable_because == "COMMONS_KEY is not set"


class TestAccents:
    """`like`."""

    def test_a_row_brings_its_accent(self) -> None:
        """And those of its models."""
        found = provider("accented", "", {"ACCENTED_KEY": "k"})
        assert [found.accent(model).stops for model in ("small", "big-1", "BIG-2")] == [1, 2, 2]

    def test_a_provider_of_ones_own_may_speak_like_another(self) -> None:
        """By id or alias; without it, it is spoken to as the description has it."""
        text = '[providers.gw]\nwire = "openai-chat"\nbase_url = "http://gw/v1"\n'
        assert provider("gw", text).accent("m") == Accent()
        assert provider("gw", text + 'like = "acc"').accent("big-x").stops == 2

    def test_like_nobody_is_a_mistake(self) -> None:
        """With the nearest name."""
        text = '[providers.gw]\nwire = "openai-chat"\nbase_url = "http://gw/v1"\nlike = "acented"'
        assert wrong(text) == [
            "c.toml:4: providers.gw.like: unknown provider 'acented' (did you mean 'accented'?); a provider of the "
            "catalogue is expected"
        ]


def test_how_long_a_host_caches_is_the_catalogues_unless_the_file_says() -> None:
    """Five minutes where nobody says; and a time that is none is refused."""
    assert provider("paid", PAID).cache_s == CACHE_S == 300.0
    assert provider("paid", PAID + "cache_s = 3600").cache_s == 3600.0
    assert {id: load_catalogue().providers[id].cache_s for id in ("anthropic", "deepseek", "vllm")} == {
        "anthropic": 300.0,
        "deepseek": 3600.0,
        "vllm": 3600.0,
    }
    (message,) = wrong(PAID + "cache_s = 0")
    assert "c.toml:2: providers.paid.cache_s: expected seconds, above 0 and at most a day, got 0" in message


def test_a_provider_is_still_a_value() -> None:
    """Two readings are equal."""
    text = PAID + 'proxy = "http://h:1"\nthinking = { budget = 5 }\ntimeouts = { idle_s = 3 }'
    assert attrs.evolve(provider("paid", text), keys=()) == attrs.evolve(provider("paid", text), keys=())


OWN = '[providers.own]\nwire = "openai-responses"\nbase_url = "https://own.example/v1"\n'


class TestWebsocket:
    """`websocket`."""

    def test_is_off_unless_it_is_said(self) -> None:
        """A host is asked over HTTP."""
        assert not provider("own", OWN).websocket
        assert provider("own", OWN + "websocket = true").websocket

    @pytest.mark.parametrize("id", ["paid", "commons", "accented"])
    def test_only_one_wire_has_sockets(self, id: str) -> None:
        """Said with the place, the wire that it is, and the one that it must be."""
        wire = "anthropic" if id == "paid" else "openai-chat"
        assert wrong(f"[providers.{id}]\nwebsocket = true") == [
            f"c.toml:2: providers.{id}.websocket: only the wire openai-responses has sockets, and '{id}' is asked on {wire}"
        ]
        assert not provider(id, f"[providers.{id}]\nwebsocket = false").websocket

    def test_is_true_or_false(self) -> None:
        """Not a word that means one of them."""
        assert wrong(OWN + 'websocket = "yes"') == [
            "c.toml:4: providers.own.websocket: expected true or false, got 'yes'"
        ]

    def test_has_no_effect_with_a_proxy_and_says_so(self) -> None:
        """httpx speaks to proxies, and HTTP alone."""
        text = OWN + 'websocket = true\nproxy = "http://h:1"'
        warnings = load(text, file="c.toml", catalogue=catalogue(), environ={}).warnings
        assert warnings == (
            "c.toml:4: providers.own.websocket: it has no effect together with a proxy: requests go over HTTP",
        )

    def test_holds_for_those_models_of_a_host_that_are_asked_on_that_wire(self) -> None:
        """A host of several wires keeps its others as they are."""
        mixed = Listing(
            id="mixed",
            name="Mixed",
            wires={
                "openai-chat": Endpoint(base="https://mixed.example/v1"),
                "openai-responses": Endpoint(base="https://mixed.example/v1"),
            },
            wire_by_model={"gpt-*": "openai-responses"},
        )
        known = small()
        rows = [row for row in known.providers.values() if row.id != "rehearsal"]
        text = "[providers.mixed]\nwebsocket = true"
        config = load(text, file="c.toml", catalogue=Catalogue.of([*rows, mixed], known.vendors), environ={})
        found = config.providers["mixed"]
        assert not found.on("other").websocket
        assert found.on("gpt-5").websocket
