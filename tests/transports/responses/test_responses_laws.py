"""Laws of the Responses encoder, for whatever a client may send and for every accent of the catalogue."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Learned
from engine.config import Model, Thinking
from policies import Capabilities
from tests.transports.asks import body
from tests.transports.chat.histories import Told, histories, wishes
from tests.transports.chat.test_chat_laws import DEEP
from tests.transports.responses.asked import HOSTS, SPOKEN, Body, Host, read, thought
from transports._dialect import TooDeep
from transports.responses import openai_responses
from transports.responses._encoder import OPTIONAL

LAW = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def texts(sent: Body) -> str:
    """All that the input says in words, in order."""
    found = []
    for item in sent["input"]:
        parts = item.get("content", item.get("output", item.get("arguments", "")))
        parts = [{"text": parts}] if isinstance(parts, str) else parts
        found += [part["text"] for part in parts if "text" in part and part.get("type") != "reasoning_text"]
    return "\n".join(found)


def check_nothing_is_lost(told: Told, sent: Body) -> None:
    """Each text once and whole, those of user and assistant in the order in which they were said."""
    whole = texts(sent)
    places = []
    for text in (*told.said, *told.shown):
        text = text.replace("\0", "\ufffd").rstrip()
        assert whole.count(text) == 1, text
        places.append(whole.index(text))
    said = places[: len(told.said)]
    assert said == sorted(said)


@st.composite
def thoughtful(draw: st.DrawFn, host: Host) -> Told:
    """A conversation in which some of the thinking is this host's own, wherever it may stand."""
    told = draw(histories())
    for message in told.messages:
        if message["role"] == "assistant" and isinstance(message["content"], list):
            for place in draw(st.lists(st.integers(0, len(message["content"])), max_size=3)):
                text = draw(st.sampled_from(["", "why", "why|not", "|"]))
                author = draw(st.sampled_from([host.name, host.name, "other/m"]))
                message["content"].insert(place, thought(text, author))
    return told


@settings(LAW, max_examples=15)
@given(histories(), wishes())
def test_every_host_is_sent_what_a_strict_one_takes(told: Told, wish: Body) -> None:
    """And all that was said, in order; the request itself stays as it was."""
    fields = body(messages=told.messages, **wish)
    before = orjson.dumps(fields)
    for host in SPOKEN:
        asked = host.ask(fields, session="s")
        sent = read(asked)
        assert host.breaches(sent) == [], host
        check_nothing_is_lost(told, sent)
        assert orjson.dumps(asked.request.body) == before


@LAW
@given(st.data(), wishes(), st.sampled_from(HOSTS))
def test_reasoning_goes_back_where_it_is_taken(data: st.DataObject, wish: Body, host: Host) -> None:
    """Its own, right before what came of it; whatever the client has made of the conversation."""
    told = data.draw(thoughtful(host))
    wish |= {"thinking": {"type": "adaptive"}}
    sent = host.sent(body(messages=told.messages, **wish))
    assert host.breaches(sent) == []
    check_nothing_is_lost(told, sent)


@LAW
@given(histories(), wishes(), st.sampled_from(HOSTS), st.data())
def test_what_a_host_was_found_to_refuse_is_not_sent_again(
    told: Told, wish: Body, host: Host, data: st.DataObject
) -> None:
    """Any of the fields it can be without, any number of them, and parts of them. The rest still holds."""
    without = data.draw(st.frozensets(st.sampled_from(sorted(OPTIONAL)), max_size=6))
    asked = host.ask(body(messages=told.messages, **wish), learned=Learned(without=without), session="s")
    turn = openai_responses(asked)
    sent = orjson.loads(turn.body)
    inside = {name for one in (*sent["input"], *sent.get("tools", ())) for name in one}
    there = {*sent, *(f"reasoning.{name}" for name in sent.get("reasoning", {})), *inside}
    assert not there & without
    assert turn.optional <= there & OPTIONAL
    if "strict" in without:
        sent |= {"tools": [{**tool, "strict": False} for tool in sent["tools"]]} if "tools" in sent else {}
    assert host.breaches(sent) == []
    check_nothing_is_lost(told, sent)


@LAW
@given(histories(), wishes(), st.sampled_from(HOSTS), st.data())
def test_whatever_is_known_of_a_model(told: Told, wish: Body, host: Host, data: st.DataObject) -> None:
    """Also what no row of the catalogue says."""
    flags = st.sampled_from([None, True, False])
    can = Capabilities(
        images=data.draw(flags), documents=data.draw(flags), context=data.draw(st.sampled_from([None, 9000]))
    )
    efforts = st.sampled_from([(), ("none",), ("low", "max"), ("none", "high")])
    thinking = data.draw(
        st.none()
        | st.builds(Thinking, always=st.booleans(), toggle=st.booleans(), budget=st.booleans(), efforts=efforts)
    )
    known = Model(id=host.model, capabilities=can, thinking=thinking, temperature=data.draw(st.booleans()))
    twin = data.draw(st.sampled_from([None, False]))
    sent = host.sent(body(messages=told.messages, **wish), model_row=known, thinking=twin)
    assert host.breaches(sent) == []


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    return opening * depth + b'"x"' + closing * depth


@pytest.mark.parametrize("place", DEEP)
@pytest.mark.parametrize("depth", [30, 300, 900])
def test_what_is_too_deep_says_so(place: str, depth: int) -> None:
    """It can be read, to 1024 levels, and not always written: TooDeep, and nothing else."""
    (opening, closing), fields = DEEP[place]
    depth //= opening.count(b"{") + opening.count(b"[")
    raw = orjson.dumps(fields).replace(b'"?"', nested(opening, closing, depth))
    for host in (HOSTS[0], Host("openai", "gpt-5.5"), Host("xai", "x"), Host("kimi", "x")):
        try:
            assert host.breaches(read(host.ask(fields, raw=raw))) == []
        except TooDeep:
            assert depth > 30


STATES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "e", "reasoning", "id"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["reasoning", "item", "summary", "content", "type", "encrypted_content"]), inner
        )
    ),
    max_leaves=8,
)


@LAW
@given(STATES)
def test_an_envelope_of_anything_raises_nothing(state: Any) -> None:
    """It comes from the client, who may have written it."""
    from transports._envelope import seal

    block = {"type": "thinking", "thinking": "why", "signature": seal("host/somebody/something", {"reasoning": state})}
    call = {"type": "tool_use", "id": "toolu_1", "name": "n", "input": {}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": [block, call]}]
    read(HOSTS[0].ask(body(messages=messages, thinking={"type": "adaptive"})))
