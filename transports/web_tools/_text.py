"""A page as the text that a model reads: without scripts, menus and frames, its headings, lists and links kept.

An extractor of articles is the usual answer; the one that is kept well brings sixteen packages and 62 MB for a tool that
is off by default, and leaves out what is no article: documentation, tables, an index. A model bears some menu better than
a missing table. So the parser is a library, and what is done here is to leave out what no reader wants, to begin where the
page says that its content begins, and to keep the structure as in Markdown. The library is lxml, because a page comes from
a stranger: 250 KB of nested elements took a faster parser 21 seconds in which nothing else moved. lxml ends at a depth of
256, takes linear time but for the attributes of one element, and lets the others run meanwhile. Pure.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

_LEFT_OUT = frozenset(
    [
        "script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "embed", "nav", "footer", "aside",
        "form", "button", "dialog", "head", "select", "textarea",
    ]
)  # fmt: skip
#: Where a page's content begins, where it says so and most of the page is in it.
_MAIN = ("main", "article")
#: A tag of so many characters says nothing that is read; its attributes alone could take seconds.
_LONG_TAG = re.compile(r"<[a-zA-Z][^<>]{16384,}>?")
_MOST = 0.4
_BLOCKS = frozenset(
    [
        "address", "article", "blockquote", "body", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure", "h1", "h2",
        "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul",
    ]
)  # fmt: skip
_HEADINGS = {f"h{n}": f"{'#' * n} " for n in range(1, 7)}
_MARKS = {**_HEADINGS, "li": "- "}
#: The encodings of the web (WHATWG's Encoding Standard), as Python calls them. Python knows more that call themselves
#: encodings of text: one of them takes minutes for a page, others raise whatever they please.
_ENCODINGS = frozenset(
    [
        "ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "big5", "big5hkscs", "euc_jp", "euc_kr", "cp949",
        "gb2312", "gbk", "gb18030", "iso2022_jp", "shift_jis", "cp932", "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic",
        "cp866", "cp874", "tis-620", *(f"cp125{n}" for n in range(9)),
        *(f"iso8859-{n}" for n in (*range(1, 12), *range(13, 17))),
    ]
)  # fmt: skip
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_CHARSET = re.compile(rb"""<meta[^>]{0,100}charset=["']?([\w-]{1,40})""", re.I)


def decoded(body: bytes, charset: str) -> str:
    """A page's bytes as text, by what its host says, else by what it says itself, else as UTF-8."""
    said = _CHARSET.search(body[:2048])
    for name in (charset, said[1].decode("ascii") if said else ""):
        try:
            if name and codecs.lookup(name).name in _ENCODINGS:
                return body.decode(name, "replace")
        except (LookupError, ValueError):
            continue
    return body.decode("utf-8", "replace")


def page_text(text: str, content_type: str, url: str, most: int) -> tuple[str, str]:
    """Title and text of a page, at most `most` characters. What is not HTML is its own text."""
    if content_type in ("text/html", "application/xhtml+xml"):
        title, text = _html_text(text, url, most)
    else:
        title = ""
    text = text.replace("\x00", "").strip()
    return title, text if len(text) <= most else f"{text[:most]}\n[… the rest of the page is left out]"


def parsed(text: str) -> Any:
    """A page as a tree of lxml's; None where there is nothing in it."""
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    raw = _LONG_TAG.sub("", text.replace("\x00", "")).encode("utf-8", "replace")
    try:
        return etree.fromstring(raw, parser)
    except etree.XMLSyntaxError:
        return None


def _html_text(text: str, url: str, most: int) -> tuple[str, str]:
    tree = parsed(text)
    if tree is None:
        return "", ""
    head = next(tree.iter("title"), None)
    title = " ".join("".join(head.itertext()).split())[:300] if head is not None else ""
    sizes = {node: _size(node) for node in tree.iter(*_MAIN) if not _is_left_out(node)}
    main = max(sizes, key=lambda node: sizes[node], default=None)
    start = main if main is not None and sizes[main] > _MOST * _size(tree) else tree
    return title, _BLANK.sub("\n\n", "".join(_walk(start, url, most)))


def _size(start: Any) -> int:
    """The characters that are read below an element."""
    return sum(len(text.strip()) for text, *_ in _texts(start))


def _texts(start: Any) -> Iterator[tuple[str, str, Any]]:
    """What stands below an element, in order: ("", "start" or "end", element), and its texts with ("text", element)."""
    stack: list[tuple[Any, bool]] = [(start, False)]
    while stack:
        node, closing = stack.pop()
        if closing:
            if not _is_left_out(node):
                yield "", "end", node
        else:
            yield "", "start", node
            if node.text:
                yield node.text, "text", node
            stack.append((node, True))
            stack += [(child, _is_left_out(child)) for child in reversed(node)]
        if closing and node is not start and node.tail:
            yield node.tail, "text", node


def _is_left_out(node: Any) -> bool:
    return node.tag in _LEFT_OUT or node.get("hidden") is not None or node.get("aria-hidden") == "true"


def _walk(start: Any, url: str, most: int) -> list[str]:
    """The texts below an element with line breaks around blocks, until there are enough of them."""
    out: list[str] = []
    size = preformatted = 0
    closings: list[str] = []
    for text, what, node in _texts(start):
        if what == "start":
            opening, closing = _around(node, str(node.tag), url)
            preformatted += node.tag == "pre"
            closings.append(closing)
            said = opening
        elif what == "end":
            preformatted -= node.tag == "pre"
            said = closings.pop()
        else:
            said = text if preformatted else re.sub(r"\s+", " ", text)
        out.append(said)
        size += len(said)
        if size > most:
            break
    return out


def _around(node: Any, tag: str, url: str) -> tuple[str, str]:
    if tag == "a":
        target = (node.get("href") or "").strip()
        address = _absolute(url, target)
        return ("[", f"]({address})") if address else ("", "")
    if tag == "br":
        return "\n", ""
    if tag in ("td", "th"):
        return "", " | "
    if tag == "pre":
        return "\n```\n", "\n```\n"
    if tag in _BLOCKS:
        return f"\n{_MARKS.get(tag, '')}" if tag in ("li", "tr") else f"\n\n{_MARKS.get(tag, '')}", "\n"
    return "", ""


def _absolute(url: str, target: str) -> str:
    if not target or target.startswith("#") or len(target) > 500:
        return ""
    try:
        address = urljoin(url, target)
    except ValueError:
        return ""
    return address if address.startswith(("http://", "https://")) else ""
