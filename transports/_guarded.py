"""A page from the web, fetched through the guard: looked up once, connected to what was looked up, read within bounds.

A client that follows redirects and resolves names by itself cannot be guarded from outside: between the check of a name
and the connection lies a second lookup, which its owner may answer differently. Here each hop looks its name up once, all
answers must be allowed, and the connection goes to one of them, by number; TLS and the Host field still have the name.
Redirects are followed by hand and judged as if they had been asked for. What is read is bounded in bytes, also after
decompression, and all of it in time.
"""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias

import attrs
import httpx
import trio

from transports._connection import client_context, open_tcp
from transports._egress import EgressRules, Target, allowed, checked, redirected
from transports.http import StreamingTransport

#: A name and a port to the addresses behind it, as text. Raises OSError.
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
#: A connection to the first of these addresses (never a name) that takes one. Raises OSError.
Dial: TypeAlias = Callable[[Sequence[str], int], Awaitable[trio.abc.Stream]]

MAX_REDIRECTS = 5
#: Addresses of one name that are tried, and how long each may take to connect, in seconds.
MAX_ADDRESSES = 4
CONNECT_S = 5.0
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_ASKED_FOR = "text/html, application/xhtml+xml, text/plain, text/markdown, application/json;q=0.9, */*;q=0.1"
#: What pages are compressed with although it was not asked for; the number is zlib's for finding the form out itself.
_CODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}


class Unreachable(Exception):
    """No page came: what happened, in words without an address of ours. `status` is the host's, where it gave one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Unreadable(Exception):
    """A page that is not text."""


@attrs.frozen(kw_only=True)
class Page:
    """What was fetched. `cut` says that it was larger than what is read."""

    url: str
    content_type: str
    charset: str
    body: bytes = attrs.field(repr=False)
    cut: bool = False


async def resolve(host: str, port: int) -> Sequence[str]:
    """The operating system's answers."""
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def dial(addresses: Sequence[str], port: int) -> trio.abc.Stream:
    """TCP to one after the other."""
    failed: OSError | None = None
    for address in addresses:
        with trio.move_on_after(CONNECT_S):
            try:
                return await open_tcp(address, port)
            except OSError as error:
                failed = error
    raise failed or OSError("no address takes a connection")


@attrs.define(eq=False)
class Guarded:
    """Fetches pages. `rules` say from where, `judge` may refuse a URL for a reason of its own (it raises Refused)."""

    rules: EgressRules
    max_bytes: int
    within_s: float
    lookup: Resolve = resolve
    dial: Dial = dial
    context: ssl.SSLContext | None = None

    async def fetch(self, url: str, judge: Callable[[httpx.URL], None] = lambda _: None) -> Page:
        """One page, redirects followed. Raises Refused, Unreachable, Unreadable."""
        with trio.move_on_after(self.within_s):
            target = checked(url, self.rules)
            for _ in range(MAX_REDIRECTS + 1):
                judge(target.url)
                found = await self._hop(target)
                if isinstance(found, Page):
                    return found
                target = redirected(target, found, self.rules)
            raise Unreachable(f"more than {MAX_REDIRECTS} redirects")
        raise Unreachable(f"not read within {self.within_s:g} s")

    async def _hop(self, target: Target) -> Page | str:
        """A page, or where it is said to be. The connection is closed either way."""
        try:
            addresses = await self._addresses(target)

            async def pinned(host: str, port: int) -> trio.abc.Stream:
                """To what was checked, by number: there is no second lookup."""
                return await self.dial(addresses, port)

            if target.url.scheme == "https" and self.context is None:
                self.context = client_context()
            async with StreamingTransport(ssl_context=self.context, network=pinned) as http:
                response = await http.handle_async_request(_request(target))
                try:
                    return await self._read(target, response)
                finally:
                    await response.stream.aclose()  # type: ignore[union-attr]
        except httpx.HTTPError as error:
            raise Unreachable(f"no answer ({type(error).__name__})") from error

    async def _addresses(self, target: Target) -> list[str]:
        if target.address is not None:
            return [target.address]
        try:
            return allowed(await self.lookup(target.host, target.port), self.rules)[:MAX_ADDRESSES]
        except (OSError, UnicodeError) as error:
            raise Unreachable("the name cannot be resolved") from error

    async def _read(self, target: Target, response: httpx.Response) -> Page | str:
        status, headers = response.status_code, response.headers
        if status in _REDIRECTS and "location" in headers:
            return headers["location"]
        if status != 200:
            raise Unreachable(f"status {status}", status)
        content_type, _, parameters = headers.get("content-type", "text/plain").partition(";")
        content_type = content_type.strip().lower()
        if not is_text(content_type):
            raise Unreadable(f"{content_type[:60]} is not text")
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity", *_CODINGS):
            raise Unreadable(f"compressed as {coding[:20]}, which was not asked for")
        body, cut = await _bounded(aiter(response.stream), self.max_bytes, coding)  # type: ignore[arg-type]
        url = str(target.url.copy_with(fragment=None))
        return Page(url=url, content_type=content_type, charset=_charset(parameters), body=body, cut=cut)


def is_text(content_type: str) -> bool:
    """Whether a page of this type can be read as text."""
    kind, _, rest = content_type.partition("/")
    return kind == "text" or (kind == "application" and (rest in _TEXTUAL or rest.endswith(("+json", "+xml"))))


_TEXTUAL = frozenset(("json", "xml", "javascript", "x-javascript", "yaml", "x-yaml", "toml", "x-ndjson"))


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset":
            return value.strip("\"' ").lower()[:40]
    return ""


def _request(target: Target) -> httpx.Request:
    headers = {
        "user-agent": "Mozilla/5.0 (compatible; hedgerow)",
        "accept": _ASKED_FOR,
        "accept-language": "en, *;q=0.5",
        "accept-encoding": "identity",
    }
    limits = {"connect": CONNECT_S * MAX_ADDRESSES, "write": CONNECT_S, "read": None, "pool": None}
    return httpx.Request("GET", target.url, headers=headers, extensions={"timeout": limits})


async def _bounded(chunks: AsyncIterator[bytes], limit: int, coding: str) -> tuple[bytes, bool]:
    """At most `limit` bytes of a body, decompressed, and whether there was more. A bomb is not unpacked further."""
    unpacker = zlib.decompressobj(_CODINGS[coding]) if coding in _CODINGS else None
    parts: list[bytes] = []
    size = received = 0
    try:
        async for chunk in chunks:
            received += len(chunk)
            piece = chunk if unpacker is None else unpacker.decompress(chunk, limit + 1 - size)
            parts.append(piece)
            size += len(piece)
            if size > limit or received > limit:
                break
    except zlib.error as error:
        raise Unreadable("its compression is broken") from error
    whole = b"".join(parts)
    return whole[:limit], size > limit or received > limit
