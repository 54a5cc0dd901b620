"""What a request says to us: headers and a field of ours, what they mean, and that nobody else sees them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from engine import BadRequest, Named
from engine.config import Secret, Server
from policies import Hedge, InOrder, NoFallback, NoHedge, Race, SilentSkip
from routes._hatches import Hatches, of_body, of_headers, without
from server import Built
from tests.routes.asgi_driver import Exchange, ask, house, turn

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"


def header(name: str, value: str) -> tuple[bytes, bytes]:
    return f"x-hedgerow-{name}".encode(), value.encode()


SAID: list[tuple[list[tuple[bytes, bytes]], Hatches]] = [
    ([], Hatches()),
    ([(b"x-api-key", b"k"), (b"x-hedge", b"off")], Hatches()),
    ([header("fallback", "off")], Hatches(fallback=False)),
    ([header("fallback", " OFF "), header("hedge", "on")], Hatches(fallback=False, hedge=True)),
    ([header("hedge", "off"), header("hedge", "off")], Hatches(hedge=False)),
    ([header("model", "zen/glm")], Hatches(model=Named("zen/glm", "hatch", "header x-hedgerow-model"))),
]


@pytest.mark.parametrize(("headers", "meant"), SAID)
def test_headers_mean_what_they_say(headers: list[tuple[bytes, bytes]], meant: Hatches) -> None:
    """Three of them; others' headers are others'."""
    assert of_headers(headers) == meant


FIELDS: list[tuple[Any, Hatches]] = [
    ({}, Hatches()),
    ({"fallback": False, "hedge": True}, Hatches(fallback=False, hedge=True)),
    ({"model": "coding"}, Hatches(model=Named("coding", "hatch", "hedgerow.model"))),
]


@pytest.mark.parametrize(("field", "meant"), FIELDS)
def test_the_field_means_what_it_says(field: Any, meant: Hatches) -> None:
    """The same three, with true and false."""
    assert of_body({"hedgerow": field}) == meant


WRONG_HEADERS = [
    (
        header("falback", "off"),
        "header x-hedgerow-falback: there is no such header; there are x-hedgerow-model, x-hedgerow-f",
    ),
    (header("fallback", "never"), "header x-hedgerow-fallback: expected on or off"),
    (header("hedge", ""), "header x-hedgerow-hedge: expected on or off"),
    (header("model", " "), "header x-hedgerow-model: expected a name: provider/model, a chain, or an id of /v1/models"),
    (header("model", "m" * 257), "header x-hedgerow-model: expected at most 256 characters, got 257"),
    (header("\u00e9" * 300, "x"), "header x-hedgerow-"),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG_HEADERS)
def test_a_header_that_makes_no_sense_is_refused(wrong: tuple[bytes, bytes], told: str) -> None:
    """The place, and what is allowed there; never the value."""
    with pytest.raises(BadRequest) as refused:
        of_headers([wrong])
    assert str(refused.value).startswith(told)
    assert len(str(refused.value)) < 250


def test_a_header_given_twice_must_say_the_same() -> None:
    """Neither is more right than the other."""
    with pytest.raises(BadRequest, match="header x-hedgerow-hedge: given twice"):
        of_headers([header("hedge", "on"), header("hedge", "off")])


WRONG_FIELDS: list[tuple[Any, str]] = [
    (None, "hedgerow: expected an object such as"),
    ([], "hedgerow: expected an object such as"),
    ({"falback": False}, "hedgerow.falback: there is no such field; there are model, fallback, hedge"),
    ({"fallback": "off"}, "hedgerow.fallback: expected true or false"),
    ({"hedge": None}, "hedgerow.hedge: expected true or false"),
    ({"hedge": 0}, "hedgerow.hedge: expected true or false"),
    ({"model": 5}, "hedgerow.model: expected a name"),
    ({"model": ""}, "hedgerow.model: expected a name"),
    ({"model": "m" * 257}, "hedgerow.model: expected at most 256 characters"),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG_FIELDS)
def test_a_field_that_makes_no_sense_is_refused(wrong: Any, told: str) -> None:
    """The path, and what is allowed there."""
    with pytest.raises(BadRequest) as refused:
        of_body({"hedgerow": wrong})
    assert str(refused.value).startswith(told)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "hedge", "x"]), inner, max_size=3)
    ),
)


@given(_JSON)
def test_any_field_is_read_or_refused(field: Any) -> None:
    """And taken out of the body, whose bytes agree with it."""
    body = {"model": "m", "hedgerow": field}
    with suppress(BadRequest):
        of_body(body)
    rest, raw = without(body, b"as it came")
    assert (rest, orjson.loads(raw)) == ({"model": "m"}, {"model": "m"})
    assert without(rest, b"as it came") == (rest, b"as it came")


def test_the_field_stands_above_the_header() -> None:
    """It is this request's, where headers may be every request's of a client."""
    both = Hatches(fallback=True, model=Named("a", "hatch")).over(Hatches(fallback=False, hedge=False))
    assert both == Hatches(fallback=True, hedge=False, model=Named("a", "hatch"))
    assert both.policies == (NoHedge(),)
    assert Hatches(fallback=False, hedge=False).policies == (NoFallback(), NoHedge())


# Through the door.


def explained(built: Built, reply: Exchange) -> Any:
    """The account of a request."""
    return built.recent.explain(reply.header("request-id") or "")


async def asked(
    built: Built, field: Any = None, *headers: tuple[str, str], target: str = MESSAGES, **more: Any
) -> Exchange:
    body = turn(**({} if field is None else {"hedgerow": field}), **more)
    return await ask(built.app, "POST", target, body, headers=[(f"x-hedgerow-{n}", v) for n, v in headers])


FAILING = ("echo?fault=529", "echo?words=1")


@pytest.mark.parametrize("how", ["header", "field"])
async def test_without_fallback_the_first_failure_is_the_answer(
    how: str, autojump_clock: trio.testing.MockClock
) -> None:
    """And the plan says why nobody else was asked."""
    built = house(*FAILING)
    reply = await (asked(built, {"fallback": False}) if how == "field" else asked(built, None, ("fallback", "off")))
    told = explained(built, reply)
    assert reply.status == 503
    assert "overloaded" in reply.error[1]
    assert told["own_policies"] == ['"no-fallback"']
    assert [a["candidate"] for a in told["attempts"]] == ["rehearsal/echo?fault=529"]
    (skip,) = told["plan"]["skipped"]
    assert (skip["by"], skip["reason"]) == ("no-fallback", "fallback is off for this request")
    assert (await asked(built)).status == 200


@pytest.mark.parametrize("pace", [Hedge(after_s=1.0), Race(width=2)])
@pytest.mark.parametrize("how", ["header", "field"])
async def test_without_hedging_the_first_is_waited_for(
    pace: Hedge | Race, how: str, autojump_clock: trio.testing.MockClock
) -> None:
    """Whatever the chain's pace; what fails is still followed by the next."""
    built = house("echo?after_s=6&words=1", "echo?words=1", policies=(SilentSkip(), InOrder(), pace))
    reply = await (asked(built, {"hedge": False}) if how == "field" else asked(built, None, ("hedge", "off")))
    told = explained(built, reply)
    assert reply.header("x-hedgerow-candidate") == "rehearsal/echo?after_s=6&words=1"
    assert [step["patience_s"] for step in told["plan"]["steps"]] == [None, None]
    assert len(told["attempts"]) == 1
    assert (await asked(built)).header("x-hedgerow-candidate") == "rehearsal/echo?words=1"
    failing = house(*FAILING, policies=(SilentSkip(), InOrder(), pace))
    assert (await asked(failing, {"hedge": False})).status == 200


PRECEDENCE: list[tuple[str, str, Any, str, str]] = [
    # what the address, the token, the field and the header name; whom it comes to
    ("a", "b", {"model": "rehearsal/echo?words=4"}, "rehearsal/echo?words=3", "echo?words=4"),
    ("a", "b", None, "rehearsal/echo?words=3", "echo?words=3"),
    ("a", "b", {"hedge": True}, "", "echo?words=2"),
    ("a", "", None, "", "echo?words=1"),
    ("", "", None, "", "echo?words=5"),
]


@pytest.mark.parametrize(("address", "token", "field", "named", "candidate"), PRECEDENCE)
async def test_field_then_header_then_token_then_address_then_model(
    address: str, token: str, field: Any, named: str, candidate: str, autojump_clock: trio.testing.MockClock
) -> None:
    """The nearer to this one request, the higher."""
    built = house("echo?words=9")
    target = "/rehearsal:echo%3Fwords=1/v1/messages" if address else MESSAGES
    headers = [("x-hedgerow-model", named)] if named else []
    headers += [("x-api-key", "any:rehearsal/echo?words=2")] if token else []
    body = turn("rehearsal/echo?words=5", **({} if field is None else {"hedgerow": field}))
    reply = await ask(built.app, "POST", target, body, headers=headers)
    assert reply.header("x-hedgerow-candidate") == f"rehearsal/{candidate}"
    places = {
        "echo?words=4": "hedgerow.model: ",
        "echo?words=3": "header x-hedgerow-model: ",
        "echo?words=2": "token: ",
    }
    place = places.get(candidate, "address: " if address else "")
    assert explained(built, reply)["resolved_by"] == f"{place}provider/model"


async def test_a_token_of_the_servers_carries_a_name_behind_its_first_colon(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """At both doors, and in the list of models; a name of nobody is one only for those who have the token."""
    server = Server(token=Secret("sesame", "ANTHROPIC_AUTH_TOKEN"))
    app = house("echo?words=1", server=server).app
    named: dict[str, Any] = {"token": "sesame:rehearsal/echo?words=2"}
    reply = await ask(app, "POST", MESSAGES, turn(), **named)
    assert reply.header("x-hedgerow-candidate") == "rehearsal/echo?words=2"
    assert (await ask(app, "POST", COUNT, turn(), **named)).status == 200
    listed = (await ask(app, "GET", "/v1/models", **named)).json["data"]
    assert [entry["id"] for entry in listed] == ["anthropic/rehearsal/echo?words=2"]
    statuses = [(await ask(app, "POST", MESSAGES, turn(), token=f"{t}:nobody/m")).status for t in ("sesame", "other")]
    assert statuses == [404, 401]


@pytest.mark.parametrize("target", [MESSAGES, COUNT])
async def test_a_slip_is_a_400_that_names_its_place(target: str) -> None:
    """In a name, a key or a value; at both doors."""
    built = house()
    for reply, place in (
        (await asked(built, {"model": "mian"}, target=target), "hedgerow.model: 'mian' is neither"),
        (await asked(built, None, ("model", "mian"), target=target), "header x-hedgerow-model: 'mian' is neither"),
        (await asked(built, {"hedges": False}, target=target), "hedgerow.hedges: there is no such field"),
        (await asked(built, None, ("fallback", "no"), target=target), "header x-hedgerow-fallback: expected on or off"),
    ):
        assert (reply.status, reply.error[0]) == (400, "invalid_request_error")
        assert reply.error[1].startswith(place)
    assert built.recent.summaries() == []


async def test_counting_counts_what_will_be_sent() -> None:
    """Our field is not a part of it."""
    built = house()
    plain, hatched = await asked(built, target=COUNT), await asked(built, {"model": "main"}, target=COUNT)
    assert plain.json == hatched.json


async def test_an_address_or_token_that_names_nobody_is_not_counted_for() -> None:
    """It is what the turn will say."""
    reply = await ask(house().app, "POST", "/nobody:m/v1/messages/count_tokens", turn())
    assert (reply.status, reply.error[0]) == (404, "not_found_error")


async def test_a_body_that_cannot_be_written_again_is_refused() -> None:
    """It was read, at a depth that is not written."""
    body = turn().removesuffix(b"}") + b',"hedgerow":{},"deep":' + b"[" * 300 + b"]" * 300 + b"}"
    reply = await ask(house().app, "POST", MESSAGES, body)
    assert (reply.status, "nested too deeply" in reply.error[1]) == (400, True)
