"""Counting by the host: what is sent, what is taken for a number, and what is said of a host that does not count."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import attrs
import httpx
import orjson
import pytest

from engine import Ask, AttemptError
from policies import FailureKind
from tests.transports.asks import ask, body
from transports._counting import DOORS, HTTPCounter
from transports._errors import mark_stale

PATHS = MappingProxyType({"messages": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"})


@attrs.define(eq=False)
class Host(httpx.AsyncBaseTransport):
    """Answers one after the other; the last again and again."""

    answers: list[httpx.Response | Exception]
    asked: list[httpx.Request] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def says(status: int = 200, **fields: Any) -> httpx.Response:
    return httpx.Response(status, json=fields)


def asked_of(**more: Any) -> Ask:
    return ask(**{"paths": PATHS, **more})


async def counted(answer: httpx.Response | Exception, *others: httpx.Response, **more: Any) -> tuple[int, Host]:
    host = Host([answer, *others])
    return await HTTPCounter(lambda _: host).count(asked_of(**more)), host


async def refused(answer: httpx.Response | Exception) -> FailureKind:
    with pytest.raises(AttemptError) as raised:
        await counted(answer)
    return raised.value.failure.kind


async def test_a_host_is_asked_at_its_door_with_its_key() -> None:
    """The address for counting, the credential of a turn, and its number is the answer."""
    tokens, host = await counted(says(input_tokens=4321), key="sk-1")
    (request,) = host.asked
    assert tokens == 4321
    assert str(request.url) == "http://host.test/v1/messages/count_tokens"
    assert request.headers["x-api-key"] == "sk-1"
    assert request.headers["anthropic-version"] == "2023-06-01"


async def test_anthropic_is_sent_what_the_client_sent() -> None:
    """With the query, byte for byte where only the model agrees."""
    raw = b'{"model": "asked",  "messages": [{"role": "user", "content": "hi"}], "tomorrow": 1}'
    _, host = await counted(says(input_tokens=1), raw=raw, query=b"beta=true", open_lists=True)
    assert host.asked[0].content == raw
    assert str(host.asked[0].url).endswith("count_tokens?beta=true")


async def test_its_model_is_the_candidates() -> None:
    """As in a turn."""
    _, host = await counted(says(input_tokens=1), fields=body(), model="other", open_lists=True)
    assert orjson.loads(host.asked[0].content)["model"] == "other"


async def test_another_host_is_sent_what_a_prompt_is_made_of() -> None:
    """Reduced as a turn is, without what only an answer needs; a count has no limit on one."""
    given = {
        "model": "asked",
        "messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "x"}],
        "system": [{"type": "text", "text": "x-anthropic-billing-header: 1\nbe brief"}],
        "tools": [{"name": "t", "input_schema": {}, "defer": 1}],
        "thinking": {"type": "adaptive"},
        "metadata": {"user_id": "u"},
        "context_management": {},
    }
    _, host = await counted(says(input_tokens=1), fields=given, open_lists=False)
    sent = orjson.loads(host.asked[0].content)
    assert set(sent) == {"model", "messages", "system", "tools", "thinking"}
    assert sent["system"] == [{"type": "text", "text": "be brief"}]
    assert sent["tools"] == [{"name": "t", "input_schema": {}}]
    assert [m["role"] for m in sent["messages"]] == ["user"]


@pytest.mark.parametrize("answer", [{"input_tokens": 0}, {"input_tokens": "9"}, {"input_tokens": True}, {}, {"x": 1}])
async def test_what_is_no_count_is_none(answer: dict[str, Any]) -> None:
    """A host with another idea of the door has none."""
    assert await refused(says(**answer)) is FailureKind.MALFORMED


@pytest.mark.parametrize("text", [b"", b"<html>", b"[1]", b"12"])
async def test_what_is_no_object_is_none(text: bytes) -> None:
    """Nor a page, nor a bare number."""
    assert await refused(httpx.Response(200, content=text)) is FailureKind.MALFORMED


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, FailureKind.GONE),
        (405, FailureKind.GONE),
        (501, FailureKind.GONE),
        (400, FailureKind.CLIENT),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.SERVER),
        (401, FailureKind.AUTH),
    ],
)
async def test_a_refusal_says_whether_there_is_a_door(status: int, kind: FailureKind) -> None:
    """And repeats nothing of what the host wrote."""
    assert await refused(says(status, error={"message": "sk-1 is wrong"})) is kind


async def test_a_stale_connection_is_asked_again_once() -> None:
    """It had been used before and died before any byte."""
    stale, dead = httpx.ReadError("gone"), httpx.ConnectError("refused")
    mark_stale(stale)
    tokens, host = await counted(stale, says(input_tokens=7))
    assert (tokens, len(host.asked)) == (7, 2)
    assert await refused(dead) is FailureKind.CONNECT


def test_a_wire_without_a_door_is_not_asked() -> None:
    """Nor a host without the path."""
    counter = HTTPCounter(lambda _: Host([says()]))
    assert counter.speaks(asked_of().provider)
    assert not counter.speaks(asked_of(wire="openai-chat").provider)
    assert not counter.speaks(ask().provider)
    assert set(DOORS) == {"anthropic", "gemini"}


async def test_gemini_is_asked_in_its_own_form() -> None:
    """The prompt alone, at the model's own address, with the key of that wire."""
    paths = MappingProxyType({"messages": "/x", "count_tokens": "/models/{model}:countTokens"})
    tokens, host = await counted(
        says(totalTokens=321), fields=body(system="be brief"), model="gemini-3.5-flash", key="k-1", wire="gemini",
        auth="x-goog-api-key", paths=paths,
    )  # fmt: skip
    (request,) = host.asked
    assert (tokens, str(request.url)) == (321, "http://host.test/models/gemini-3.5-flash:countTokens")
    assert request.headers["x-goog-api-key"] == "k-1"
    inside = orjson.loads(request.content)["generateContentRequest"]
    assert set(inside) == {"model", "contents", "systemInstruction"}
