"""Search engines: how each is asked, and what its answer says.

An engine is two functions and a row, so that another is one row more. They do no I/O: the request goes out like any
other, and a test hands over an answer as it was recorded. Pure.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import attrs
import orjson

from engine.config import SearchEngine
from transports.web_tools._blocks import Found, WebError
from transports.web_tools._text import parsed

#: What is kept of a title and of an excerpt, in characters.
MAX_TITLE, MAX_EXCERPT = 300, 800
MAX_QUERY = 1000
_TAG = re.compile(r"<[^<>]{0,200}>")


@attrs.frozen(kw_only=True)
class Search:
    """One request to an engine. `path` stands below its address, query included."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Engine:
    """How one engine is asked (query, number of results, key), and its answer read. `read` raises WebError."""

    ask: Callable[[str, int, str], Search]
    read: Callable[[bytes], list[Found]]


def _duckduckgo(query: str, count: int, key: str) -> Search:
    return Search(method="GET", path=f"/html/?q={quote(query, safe='')}", headers=(("accept", "text/html"),))


def _searxng(query: str, count: int, key: str) -> Search:
    return Search(method="GET", path=f"/search?format=json&q={quote(query, safe='')}", headers=_JSON)


def _brave(query: str, count: int, key: str) -> Search:
    path = f"/res/v1/web/search?count={min(count, 20)}&q={quote(query, safe='')}"
    return Search(method="GET", path=path, headers=(*_JSON, ("x-subscription-token", key)))


def _tavily(query: str, count: int, key: str) -> Search:
    body = orjson.dumps({"query": query, "max_results": min(count, 20)})
    headers = (*_JSON, ("content-type", "application/json"), ("authorization", f"Bearer {key}"))
    return Search(method="POST", path="/search", headers=headers, body=body)


_JSON = (("accept", "application/json"),)


def _read_duckduckgo(body: bytes) -> list[Found]:
    """Both of its pages without scripts, `html` and `lite`."""
    found: list[Found] = []
    tree = parsed(body.decode("utf-8", "replace"))
    wants_a_person = False
    for node in tree.iter("a", "td", "div", "form") if tree is not None else ():
        classes = set((node.get("class") or "").split())
        if classes & _HITS:
            if url := _behind(node.get("href") or ""):
                found.append(Found(title=_tidy("".join(node.itertext()), MAX_TITLE), url=url))
        elif classes & _EXCERPTS and found and not found[-1].text:
            found[-1] = attrs.evolve(found[-1], text=_tidy("".join(node.itertext()), MAX_EXCERPT))
        wants_a_person |= node.get("id") == "challenge-form" or "anomaly-modal__modal" in classes
    if not found and wants_a_person:
        raise WebError("too_many_requests", "the search engine asks for a proof that a person is searching")
    return found


_HITS = frozenset(("result__a", "result-link"))
_EXCERPTS = frozenset(("result__snippet", "result-snippet"))


def _behind(address: str) -> str:
    """The page that a result leads to; "" for an advertisement."""
    if address.startswith("//"):
        address = f"https:{address}"
    parts = urlsplit(address)
    if parts.netloc.endswith("duckduckgo.com"):
        return next(iter(parse_qs(parts.query).get("uddg", ())), "")
    return address


def _in_json(*path: str, text: str, age: str = "") -> Callable[[bytes], list[Found]]:
    """A reader for an engine that answers with a list of objects at `path`."""

    def read(body: bytes) -> list[Found]:
        try:
            value: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise WebError("unavailable", "the search engine's answer is not JSON") from None
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return [
            Found(
                title=_tidy(item.get("title"), MAX_TITLE),
                url=_address(item.get("url")),
                text=_tidy(item.get(text), MAX_EXCERPT),
                age=_tidy(item.get(age), 60) or None if age else None,
            )
            for item in (value if isinstance(value, list) else ())
            if isinstance(item, dict)
        ]

    return read


def _address(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _tidy(value: Any, most: int) -> str:
    """A text of a page on one line, without tags and entities."""
    if not isinstance(value, str):
        return ""
    line = " ".join(html.unescape(_TAG.sub("", value[: most * 8])).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


ENGINES: Mapping[SearchEngine, Engine] = {
    "duckduckgo": Engine(ask=_duckduckgo, read=_read_duckduckgo),
    "searxng": Engine(ask=_searxng, read=_in_json("results", text="content", age="publishedDate")),
    "brave": Engine(ask=_brave, read=_in_json("web", "results", text="description", age="age")),
    "tavily": Engine(ask=_tavily, read=_in_json("results", text="content", age="published_date")),
}
