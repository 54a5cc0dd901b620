"""Who may come in, and which candidate a credential names."""

from __future__ import annotations

import hmac
from types import MappingProxyType

import pytest

from engine.config import Chain, Config, Provider, Route, Secret, Server
from routes._auth import Admission, admit, without_ours

TOKEN = "sesame-\u00e9"


def config(token: str | None = TOKEN) -> Config:
    return Config(
        server=Server(token=Secret(token, "ANTHROPIC_AUTH_TOKEN") if token else None),
        providers=MappingProxyType({"zen": Provider(id="zen")}),
        chains=MappingProxyType({"auto": Chain(name="auto", candidates=())}),
        routes=(Route(match="*", chain="auto"),),
    )


def headers(**given: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in given.items()]


#: The token as curl sends it: UTF-8, where Node sends Latin-1.
IN_UTF8 = TOKEN.encode().decode("latin-1")
IN, OUT = Admission(True), Admission(False)

TABLE: list[tuple[dict[str, str], Admission]] = [
    ({"x_api_key": TOKEN}, IN),
    ({"authorization": f"Bearer {TOKEN}"}, IN),
    ({"authorization": f"bearer {TOKEN}"}, IN),
    ({"anthropic_auth_token": TOKEN}, IN),
    ({"x_api_key": f" {TOKEN} "}, IN),
    ({"x_api_key": IN_UTF8}, IN),
    ({"authorization": f"Bearer {IN_UTF8}:zen/glm"}, Admission(True, "zen/glm")),
    # Claude Code sends both when both are set; one that is right is enough.
    ({"x_api_key": "other", "authorization": f"Bearer {TOKEN}"}, IN),
    ({"x_api_key": TOKEN, "authorization": "Bearer other"}, IN),
    # A candidate behind the first colon; the rest may hold colons and slashes.
    ({"x_api_key": f"{TOKEN}:zen/glm"}, Admission(True, "zen/glm")),
    ({"authorization": f"Bearer {TOKEN}:zen/org/m:free"}, Admission(True, "zen/org/m:free")),
    ({"x_api_key": f"{TOKEN}:unheard/of"}, Admission(True, "unheard/of")),
    ({"x_api_key": f"{TOKEN}:"}, OUT),
    ({"x_api_key": TOKEN, "authorization": f"Bearer {TOKEN}:zen/glm"}, Admission(True, "zen/glm")),
    # Wrong.
    ({}, OUT),
    ({"x_api_key": ""}, OUT),
    ({"x_api_key": "other"}, OUT),
    ({"x_api_key": TOKEN[:-1]}, OUT),
    ({"x_api_key": TOKEN + "x"}, OUT),
    ({"x_api_key": TOKEN.upper()}, OUT),
    ({"x_api_key": "other:zen/glm"}, OUT),
    ({"x_api_key": ":zen/glm"}, OUT),
    ({"x_api_key": f"zen/glm:{TOKEN}"}, OUT),
    ({"authorization": TOKEN}, OUT),
    ({"authorization": f"Basic {TOKEN}"}, OUT),
    ({"authorization": "Bearer"}, OUT),
    ({"cookie": f"x-api-key={TOKEN}"}, OUT),
    ({"x_other": TOKEN}, OUT),
]


@pytest.mark.parametrize(("given", "admission"), TABLE)
def test_with_a_token_only_those_who_have_it_come_in(given: dict[str, str], admission: Admission) -> None:
    """In any of three headers, with or without a candidate."""
    assert admit(headers(**given), config()) == admission


@pytest.mark.parametrize(
    ("given", "forced"),
    [
        ({}, None),
        ({"x_api_key": "anything"}, None),
        ({"x_api_key": "anything:zen/glm"}, "zen/glm"),
        ({"authorization": "Bearer x:zen/org/m:free"}, "zen/org/m:free"),
        ({"x_api_key": "sk:ant:1"}, None),
        ({"x_api_key": "anything:unheard/of"}, None),
        ({"x_api_key": "anything:zen"}, None),
        ({"x_api_key": "anything:auto"}, "auto"),
        ({"x_api_key": "anything:anthropic/zen/glm"}, "anthropic/zen/glm"),
        ({"x_api_key": "plain", "authorization": "Bearer x:zen/glm"}, "zen/glm"),
    ],
)
def test_without_a_token_everybody_does(given: dict[str, str], forced: str | None) -> None:
    """And a candidate is only what names a provider: somebody's own key may hold a colon too."""
    assert admit(headers(**given), config(None)) == Admission(True, forced)


def test_a_token_with_a_colon_in_it_is_still_one() -> None:
    """The whole credential is looked at first."""
    assert admit(headers(x_api_key="se:same"), config("se:same")) == IN
    assert admit(headers(x_api_key="se"), config("se:same")) == OUT


def test_comparing_takes_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison with the token is the one of `hmac`, and a wrong credential is compared whole."""
    seen: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        seen.append((a, b))
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert admit(headers(x_api_key="other:zen/glm"), config()) == OUT
    assert seen == [(b"other:zen/glm", TOKEN.encode()), (b"other", TOKEN.encode())]
    seen.clear()
    assert admit(headers(x_api_key=TOKEN), config()) == IN
    assert seen == [(TOKEN.encode(), TOKEN.encode())]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"x_api_key": TOKEN}, []),
        ({"authorization": f"Bearer {TOKEN}"}, []),
        ({"x_api_key": f"{TOKEN}:zen/glm"}, []),
        ({"x_api_key": TOKEN, "authorization": "Bearer sk-ant-own"}, ["authorization"]),
        ({"x_api_key": "sk-ant-own", "anthropic_beta": "a"}, ["x-api-key", "anthropic-beta"]),
        ({"authorization": "Basic x"}, ["authorization"]),
    ],
)
def test_our_own_token_is_shown_to_nobody(given: dict[str, str], left: list[str]) -> None:
    """A client's other credential may be meant for a provider that is to have it."""
    assert [name.decode() for name, _ in without_ours(headers(**given), config())] == left
    assert len(without_ours(headers(**given), config(None))) == len(given)


def test_without_a_token_a_credential_goes_on_without_the_name_behind_it() -> None:
    """It is the client's own, for its provider, which would refuse it with a name in it."""
    given = headers(x_api_key="sk-ant-1:zen/glm", authorization="Bearer a:b", x_other="x:zen/glm")
    expected = headers(x_api_key="sk-ant-1", authorization="Bearer a:b", x_other="x:zen/glm")
    assert without_ours(given, config(None)) == expected
