"""A provider asked for its list: where, with which key, page by page, and what is said when it does not work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import httpx
import orjson
import pytest
import trio
from trio.testing import MockClock

from engine.config import Provider, load
from transports import ListingFailed, list_models, load_catalogue
from transports._listing import MAX_PAGE_BYTES, MAX_PAGES, PATIENCE_S

CATALOGUE = load_catalogue()
KEY = "sk-0123456789abcdef"


@attrs.define(eq=False)
class Host(httpx.AsyncBaseTransport):
    """A host that answers each request as `manner` says: a status and a value, an exception, or a silence."""

    manner: Callable[[httpx.Request], Any]
    asked: list[httpx.Request] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await trio.lowlevel.checkpoint()
        answer = self.manner(request)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await trio.sleep_forever()
        status, value = answer
        body = value if isinstance(value, bytes) else orjson.dumps(value)
        return httpx.Response(status, stream=httpx.ByteStream(body))


def provider(id: str, text: str = "", **environ: str) -> Provider:
    return load(text, file="", catalogue=CATALOGUE, environ=environ).providers[id]


async def listed(host: Host, asked: Provider) -> list[str]:
    return [model.id for model in await list_models(lambda _: host, asked)]


async def failed(manner: Callable[[httpx.Request], Any], asked: Provider) -> str:
    with pytest.raises(ListingFailed) as raised:
        await list_models(lambda _: Host(manner), asked)
    text = str(raised.value)
    assert KEY not in text
    assert "\n" not in text
    return text


ONE = {"data": [{"id": "m"}]}


@pytest.mark.parametrize(
    ("id", "variable", "url", "head"),
    [
        ("deepseek", "DEEPSEEK_API_KEY", "https://api.deepseek.com/models", {"authorization": f"Bearer {KEY}"}),
        ("minimax", "MINIMAX_API_KEY", "https://api.minimax.io/v1/models", {"authorization": f"Bearer {KEY}"}),
        ("groq", "GROQ_API_KEY", "https://api.groq.com/openai/v1/models", {"authorization": f"Bearer {KEY}"}),
        ("open_router", "OPENROUTER_API_KEY", "https://openrouter.ai/api/v1/models?limit=1000", {}),
        ("huggingface", "HF_TOKEN", "https://router.huggingface.co/v1/models", {"authorization": f"Bearer {KEY}"}),
    ],
)
async def test_each_is_asked_at_its_documented_address(id: str, variable: str, url: str, head: dict[str, str]) -> None:
    """A list at another door than the wire's own takes a bearer, whatever the wire takes."""
    host = Host(lambda _: (200, ONE))
    assert await listed(host, provider(id, **{variable: KEY})) == ["m"]
    (asked,) = host.asked
    assert (asked.method, str(asked.url)) == ("GET", url)
    assert head.items() <= dict(asked.headers).items()
    assert "x-api-key" not in asked.headers


async def test_anthropics_list_is_read_to_its_last_page() -> None:
    """Key and version in the head, large pages, the last id to go on from."""

    def manner(request: httpx.Request) -> Any:
        after = request.url.params.get("after_id")
        return 200, {"data": [{"id": "b" if after else "a"}], "has_more": not after, "last_id": after or "a"}

    host = Host(manner)
    assert await listed(host, provider("anthropic", ANTHROPIC_API_KEY=KEY)) == ["a", "b"]
    first, second = host.asked
    assert (first.headers["x-api-key"], first.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert dict(second.url.params) == {"limit": "1000", "after_id": "a"}


async def test_googles_list_is_read_to_its_last_page() -> None:
    """By its token, whichever wire the rest goes over."""
    rows = {None: ("a", "t1"), "t1": ("b", "")}

    def manner(request: httpx.Request) -> Any:
        id, token = rows[request.url.params.get("pageToken")]
        return 200, {"models": [{"name": f"models/{id}"}], "nextPageToken": token}

    gemini = attrs.evolve(
        provider("gemini", GEMINI_API_KEY=KEY),
        wire="gemini",
        auth="x-goog-api-key",
        base_url="https://g.example/v1beta",
    )
    host = Host(manner)
    assert await listed(host, gemini) == ["a", "b"]
    assert host.asked[0].headers["x-goog-api-key"] == KEY
    assert dict(host.asked[1].url.params) == {"pageSize": "1000", "pageToken": "t1"}


async def test_pages_without_end_are_given_up() -> None:
    """One that brings nothing new is the last, and so is the fiftieth."""
    turning = Host(lambda _: (200, {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}))
    assert await listed(turning, provider("anthropic", ANTHROPIC_API_KEY=KEY)) == ["a"]
    assert len(turning.asked) == 2
    endless = Host(lambda _: (200, {"data": [{"id": f"m{len(endless.asked)}"}], "has_more": True, "last_id": "x"}))
    assert len(await listed(endless, provider("anthropic", ANTHROPIC_API_KEY=KEY))) == MAX_PAGES


async def test_progress_is_told_after_each_page() -> None:
    """How many are known by then."""
    told: list[int] = []
    host = Host(
        lambda r: (200, {"data": [{"id": str(len(host.asked))}], "has_more": len(host.asked) < 3, "last_id": "x"})
    )
    await list_models(lambda _: host, provider("anthropic", ANTHROPIC_API_KEY=KEY), page=told.append)
    assert told == [1, 2, 3]


async def test_a_provider_of_ones_own_is_asked_with_its_headers() -> None:
    """Nothing but its table says where it is."""
    text = '[providers.mine]\nwire = "openai-chat"\nbase_url = "https://m.example/v1"\nheaders = { X-Team = "search" }'
    host = Host(lambda _: (200, ONE))
    assert await listed(host, provider("mine", text)) == ["m"]
    assert str(host.asked[0].url) == "https://m.example/v1/models"
    assert host.asked[0].headers["x-team"] == "search"
    assert "authorization" not in host.asked[0].headers


async def test_a_refused_key_is_named_by_its_variable() -> None:
    """With the host's own words, in which the key that it quotes is struck out."""
    answer = 401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    text = await failed(lambda _: answer, provider("groq", GROQ_API_KEY=KEY))
    assert text == (
        "https://api.groq.com/openai/v1/models answers 401: the key is refused (it comes from GROQ_API_KEY) - "
        "Incorrect API key provided: [key]"
    )


async def test_a_missing_key_is_said_by_the_answer() -> None:
    """Some lists are open to all, so it is tried without."""
    text = await failed(lambda _: (401, b""), provider("groq"))
    assert text.startswith("https://api.groq.com/openai/v1/models answers 401: GROQ_API_KEY is not set")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((404, b"not here"), "there is no such list - not here"),
        ((429, b"{}"), "too many requests just now"),
        ((500, b"<html>"), "an HTML page instead of an answer"),
        ((200, b"<html>"), "something that is no list of models"),
        ((200, {"error": "x"}), "something that is no list of models"),
        ((200, b"[" * (MAX_PAGE_BYTES + 9)), "something that is no list of models"),
        (httpx.ConnectError("refused"), "cannot be reached: refused"),
        (httpx.ReadError(f"saw {KEY}"), "cannot be reached: saw [key]"),
        (httpx.ConnectTimeout(""), "cannot be reached: ConnectTimeout"),
    ],
)
async def test_what_goes_wrong_is_one_line(answer: Any, told: str) -> None:
    """Where, what, and nothing secret."""
    text = await failed(lambda _: answer, provider("groq", GROQ_API_KEY=KEY))
    assert text.startswith("https://api.groq.com/openai/v1/models ")
    assert told in text


async def test_a_host_that_says_nothing_is_given_up(autojump_clock: MockClock) -> None:
    """After the time for the whole list."""
    text = await failed(lambda _: None, provider("groq", GROQ_API_KEY=KEY))
    assert "within 20 s" in text
    assert trio.current_time() == PATIENCE_S


@pytest.mark.parametrize(
    ("id", "told"),
    [
        ("bedrock", "not supported: it needs signed requests"),
        ("azure", "AZURE_RESOURCE_NAME is not set"),
        ("zed", "there is no list of models on the wire zed"),
    ],
)
async def test_who_cannot_be_asked_is_not(id: str, told: str) -> None:
    """Nothing goes out."""
    assert (await failed(lambda _: AssertionError("asked"), provider(id))).startswith(told)


async def test_a_key_that_cannot_stand_in_a_head_is_said() -> None:
    """As `serve` says it."""
    text = await failed(lambda _: (200, ONE), provider("groq", GROQ_API_KEY="sk-“pasted”"))
    assert text == "GROQ_API_KEY holds characters that no key has: set it again, without quotes"
