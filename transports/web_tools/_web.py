"""The web as the tools see it: a search that gives results, an address that gives a text. The one place here with sockets.

The engine's address is the operator's word, so it is asked like a provider, through the transport that providers are asked
through. A page's address is a stranger's word, so it goes through the guard. Whatever fails is a `WebError` with one of the
codes that clients know; the model is told why in words that name no address of this house.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import attrs
import httpx
import trio

from engine.config import WebTools
from transports._egress import MAX_URL_CHARS, EgressRules, Refused
from transports._guarded import Dial, Guarded, Resolve, Unreachable, Unreadable, dial, resolve
from transports.web_tools._blocks import Answered, Call, Found, Read, WebError, failed, fetched, searched
from transports.web_tools._offer import ServerTool
from transports.web_tools._search import ENGINES, MAX_QUERY
from transports.web_tools._text import decoded, page_text

#: The most that is read of a search engine's answer, in bytes.
MAX_SEARCH_BYTES = 2 * 1024 * 1024
#: Statuses by which an engine says that it was asked too often. DuckDuckGo's page of proof comes with 202.
_TOO_MANY = frozenset((202, 403, 429))
#: At most so many sites are named in a query; results of others are left out anyway.
_SITES = 4


class Web(Protocol):
    """What executes a use."""

    async def use(self, call: Call, tool: ServerTool, settings: WebTools) -> Answered:
        """Raises nothing but Cancelled."""


@attrs.define(eq=False)
class TheWeb:
    """The web itself. `http` asks search engines, `wall_s` is the time of day."""

    http: httpx.AsyncBaseTransport
    wall_s: Callable[[], float]
    lookup: Resolve = resolve
    dial: Dial = dial

    async def use(self, call: Call, tool: ServerTool, settings: WebTools) -> Answered:
        try:
            if call.kind == "web_search":
                return searched(call, await self.search(call.input.get("query"), tool, settings))
            return fetched(call, await self.read(call.input.get("url"), tool, settings))
        except WebError as error:
            return failed(call, error)

    async def search(self, query: object, tool: ServerTool, settings: WebTools) -> list[Found]:
        """Results, best first. Raises WebError."""
        if not isinstance(query, str) or not query.strip():
            raise WebError("invalid_tool_input", "query: expected what to search for, in words")
        if len(query) > MAX_QUERY:
            raise WebError("query_too_long", f"query: expected at most {MAX_QUERY} characters")
        if 0 < len(tool.allowed) <= _SITES:
            query = f"{query} {' OR '.join(f'site:{domain}' for domain in tool.allowed)}"
        engine = ENGINES[settings.search]
        key = settings.search_key.reveal() if settings.search_key else ""
        asked = engine.ask(" ".join(query.split()), settings.results, key)
        body = b""
        with trio.move_on_after(settings.fetch_s) as limit:
            body = await self._asked(f"{settings.search_base_url}{asked.path}", asked.method, asked.headers, asked.body)
        if limit.cancelled_caught:
            raise WebError("unavailable", "the search engine did not answer in time")
        found = {one.url: one for one in engine.read(body) if one.url.startswith(("http://", "https://"))}
        return [one for one in found.values() if _admits(tool, one.url)][: settings.results]

    async def _asked(self, url: str, method: str, headers: tuple[tuple[str, str], ...], content: bytes) -> bytes:
        own = [("user-agent", "Mozilla/5.0 (compatible; hedgerow)"), ("accept-encoding", "identity")]
        timeouts = {"connect": 8.0, "write": 8.0, "read": None, "pool": None}
        try:
            request = httpx.Request(
                method, url, headers=[*own, *headers], content=content or None, extensions={"timeout": timeouts}
            )
            response = await self.http.handle_async_request(request)
            try:
                if response.status_code in _TOO_MANY:
                    raise WebError("too_many_requests", "the search engine takes no more searches for now")
                if response.status_code != 200:
                    raise WebError("unavailable", f"the search engine answered with status {response.status_code}")
                parts: list[bytes] = []
                size = 0
                async for chunk in response.stream:  # type: ignore[union-attr]
                    parts.append(chunk)
                    size += len(chunk)
                    if size > MAX_SEARCH_BYTES:
                        raise WebError("unavailable", "the search engine's answer is too large")
                return b"".join(parts)
            finally:
                await response.stream.aclose()  # type: ignore[union-attr]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise WebError("unavailable", f"the search engine cannot be reached ({type(error).__name__})") from error

    async def read(self, url: object, tool: ServerTool, settings: WebTools) -> Read:
        """A page as text. Raises WebError."""
        if not isinstance(url, str) or not url.strip():
            raise WebError("invalid_tool_input", "url: expected the address of a page")
        if len(url) > MAX_URL_CHARS:
            raise WebError("url_too_long", f"url: expected at most {MAX_URL_CHARS} characters")

        def judge(address: httpx.URL) -> None:
            if not _admits(tool, address):
                raise Refused("the tool's own list of domains excludes it")

        rules = EgressRules(
            schemes=frozenset(settings.allowed_schemes),
            ports=frozenset(settings.allowed_ports),
            private=settings.allow_private_networks,
        )
        guard = Guarded(
            rules=rules,
            max_bytes=settings.max_page_bytes,
            within_s=settings.fetch_s,
            lookup=self.lookup,
            dial=self.dial,
        )
        try:
            page = await guard.fetch(url.strip(), judge)
        except Refused as error:
            raise WebError("url_not_allowed", str(error)) from error
        except Unreadable as error:
            raise WebError("unsupported_content_type", str(error)) from error
        except Unreachable as error:
            raise WebError("too_many_requests" if error.status == 429 else "url_not_accessible", str(error)) from error

        def as_text() -> tuple[str, str]:
            return page_text(decoded(page.body, page.charset), page.content_type, page.url, tool.max_chars)

        # A large page takes a tenth of a second to read, in which nothing else would move.
        title, text = await trio.to_thread.run_sync(as_text, abandon_on_cancel=True)
        at = datetime.fromtimestamp(self.wall_s(), UTC).isoformat(timespec="seconds")
        return Read(url=page.url, title=title, text=text, retrieved_at=at)


def _admits(tool: ServerTool, url: httpx.URL | str) -> bool:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return False
    return tool.admits(parsed.host, parsed.path)
