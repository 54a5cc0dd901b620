"""A provider's own list of models, asked for live.

What stands in a catalogue was true when it was written. Which models a key can reach today only the host can say, and its
list is also the quickest proof that address and key are right. Every wire has its list somewhere; what is common to all,
asking page by page, within bounds, and telling in one line what went wrong, is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import httpx
import orjson
import trio

from engine.config import NOT_SUPPORTED, Provider
from transports._classify import MAX_TEXT, classify
from transports._dialect import key_fields
from transports._keys import Keys
from transports._models import ListedModel, NotAList, models_in, next_page

#: How long the whole list may take, in seconds.
PATIENCE_S = 20.0
#: The largest page that is read, in bytes. OpenRouter's list is about 1 MB.
MAX_PAGE_BYTES = 16 * 1024 * 1024
#: The most pages that are asked for.
MAX_PAGES = 50
#: What a page is asked to hold, where a wire can be asked: their own defaults are 20 and 50.
_PAGE_SIZE: Mapping[str, Mapping[str, str]] = {"anthropic": {"limit": "1000"}, "gemini": {"pageSize": "1000"}}
_VERSION = (b"anthropic-version", b"2023-06-01")


class ListingFailed(Exception):
    """The list could not be had. The text is one line for a person: what happened, and what to do."""


async def list_models(
    http: Callable[[Provider], httpx.AsyncBaseTransport],
    provider: Provider,
    *,
    page: Callable[[int], None] = lambda models: None,
) -> list[ListedModel]:
    """All models that a provider lists with its first key. `page` is told how many are known after each page.

    Raises ListingFailed; its text holds no key.
    """
    unasked = provider.unusable_because.startswith(NOT_SUPPORTED) or "{" in provider.base_url
    if unasked:
        raise ListingFailed(provider.unusable_because)
    if "models" not in provider.paths:
        raise ListingFailed(f"there is no list of models on the wire {provider.wire}")
    keys = Keys.of_provider(provider)
    found: dict[str, ListedModel] = {}
    more: Mapping[str, str] = _PAGE_SIZE.get(provider.wire, {}) if not _is_elsewhere(provider) else {}
    with trio.move_on_after(PATIENCE_S) as scope:
        try:
            for _ in range(MAX_PAGES):
                answer = await _page(http(provider), provider, more, keys)
                before = len(found)
                for model in models_in(answer):
                    found.setdefault(model.id, model)
                page(len(found))
                following = next_page(answer)
                if not following or len(found) == before:
                    break
                more = {**more, **following}
        except NotAList as error:
            raise ListingFailed(f"{_where(provider)} answers with something that is no list of models") from error
        except httpx.HTTPError as error:
            text = keys.struck_from(str(error) or type(error).__name__)[:MAX_TEXT]
            raise ListingFailed(f"{_where(provider)} cannot be reached: {text}") from error
    if scope.cancelled_caught:
        raise ListingFailed(f"{_where(provider)} did not give its list within {PATIENCE_S:.0f} s")
    return list(found.values())


async def _page(
    transport: httpx.AsyncBaseTransport, provider: Provider, query: Mapping[str, str], keys: Keys
) -> object:
    url = provider.url("models")
    if query:
        url += ("&" if "?" in url else "?") + urlencode(query)
    limits = provider.timeouts_for("")
    timeouts = {"connect": limits.connect_s, "write": limits.write_s, "read": None, "pool": None}
    try:
        request = httpx.Request("GET", url, headers=_head(provider), extensions={"timeout": timeouts})
    except (httpx.InvalidURL, ValueError) as error:
        raise ListingFailed(provider.unusable_because or f"{_where(provider)} cannot be asked") from error
    response = await transport.handle_async_request(request)
    try:
        body = await _body(response)
    finally:
        await response.stream.aclose()  # type: ignore[union-attr]
    if response.status_code != 200:
        raise ListingFailed(_refused(provider, response, keys.struck_from_body(body)))
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotAList("no JSON") from error


async def _body(response: httpx.Response) -> bytes:
    """A body's first `MAX_PAGE_BYTES`; what is cut off there is no JSON any more, and said to be no list."""
    parts: list[bytes] = []
    size = 0
    async for chunk in response.stream:  # type: ignore[union-attr]
        parts.append(chunk)
        size += len(chunk)
        if size >= MAX_PAGE_BYTES:
            break
    return b"".join(parts)[:MAX_PAGE_BYTES]


def _head(provider: Provider) -> list[tuple[bytes, bytes]]:
    """A request's head: the first key, and the provider's own headers in place of ours."""
    # A list at another door than the wire's own is the chat door's, which takes a bearer.
    auth = "bearer" if _is_elsewhere(provider) and provider.keys else provider.auth
    out = [(b"accept", b"application/json"), (b"accept-encoding", b"identity"), (b"user-agent", b"hedgerow")]
    if provider.wire == "anthropic":
        out.append(_VERSION)
    if provider.keys:
        out += key_fields(auth, provider.keys[0])
    own = {name.lower().encode(): value.encode() for name, value in provider.headers_for("")}
    return [(name, value) for name, value in out if name not in own] + list(own.items())


def _is_elsewhere(provider: Provider) -> bool:
    return provider.paths["models"].startswith("http")


def _where(provider: Provider) -> str:
    return provider.url("models")


#: What to do about a refusal, by its status.
_ADVICE: Mapping[int, str] = {
    401: "the key is refused",
    402: "the account has no credit",
    403: "the key may not see the list",
    404: "there is no such list",
    429: "too many requests just now",
}


def _refused(provider: Provider, response: httpx.Response, body: bytes) -> str:
    status = response.status_code
    headers = {name.lower(): value for name, value in response.headers.items()}
    told = classify(status, headers, body, now_wall_s=0.0).message
    advice = _ADVICE.get(status, "")
    if status in (401, 403) and provider.keys:
        advice += f" (it comes from {provider.keys[0].source})"
    elif status in (401, 403) and provider.auth == "client":
        advice += ": it passes the client's own key on, and there is no client here"
    elif status in (401, 403):
        advice = provider.unusable_because or f"{advice}: none is configured"
    return f"{_where(provider)} answers {status}: " + (" - ".join(filter(None, (advice, told))) or "and says no more")
