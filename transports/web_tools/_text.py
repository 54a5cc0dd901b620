"""A page as the text that a model reads: without scripts, menus and frames, its headings, lists and links kept.

An extractor of articles is the usual answer; the one that is kept well brings sixteen packages and 62 MB for a tool that
is off by default, and leaves out what is no article: documentation, tables, an index. A model bears some menu better than
a missing table. So the parser is a library, and what is done here is to leave out what no reader wants, to begin where the
page says that its content begins, and to keep the structure as in Markdown. Bounded in characters; no recursion. Pure.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin

_LEFT_OUT = (
    "script, style, noscript, template, svg, canvas, iframe, object, embed, nav, footer, aside, form, button, dialog, "
    "[hidden], [aria-hidden=true]"
)
#: Where a page's content begins, where it says so and most of the page is in it.
_MAIN = "main, [role=main], article"
_MOST = 0.4
_BLOCKS = frozenset(
    [
        "address", "article", "blockquote", "body", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure", "h1", "h2",
        "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul",
    ]
)  # fmt: skip
_HEADINGS = {f"h{n}": f"{'#' * n} " for n in range(1, 7)}
_MARKS = {**_HEADINGS, "li": "- "}
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_CHARSET = re.compile(rb"""<meta[^>]{0,100}charset=["']?([\w-]{1,40})""", re.I)


def decoded(body: bytes, charset: str) -> str:
    """A page's bytes as text, by what its host says, else by what it says itself, else as UTF-8."""
    said = _CHARSET.search(body[:2048])
    for name in (charset, said[1].decode("ascii") if said else ""):
        if name:
            try:
                return body.decode(name, "replace")
            except LookupError:
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


def _html_text(text: str, url: str, most: int) -> tuple[str, str]:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    head = tree.css_first("title")
    title = " ".join(head.text().split())[:300] if head is not None else ""
    for node in tree.css(_LEFT_OUT):
        node.decompose()
    body = tree.body
    if body is None:
        return title, ""
    whole = len(body.text())
    main = max(tree.css(_MAIN), key=lambda node: len(node.text()), default=None)
    start = main if main is not None and len(main.text()) > _MOST * whole else body
    return title, _BLANK.sub("\n\n", "".join(_walk(start, url, most)))


def _walk(start: Any, url: str, most: int) -> list[str]:
    """The texts below a node with line breaks around blocks. A pair (None, text) on the stack is what ends an element."""
    out: list[str] = []
    size = 0
    stack: list[tuple[Any, str, bool]] = [(start, "", False)]
    while stack and size <= most:
        node, closing, preformatted = stack.pop()
        if node is None:
            out.append(closing)
            continue
        tag = node.tag
        if tag == "-text":
            said = node.text_content or ""
            said = said if preformatted else re.sub(r"\s+", " ", said)
            out.append(said)
            size += len(said)
        elif tag == "br":
            out.append("\n")
        elif not tag.startswith("-"):
            opening, closing = _around(node, tag, url)
            out.append(opening)
            size += len(opening)
            stack.append((None, closing, False))
            inner = preformatted or tag == "pre"
            stack += [(child, "", inner) for child in reversed(list(node.iter(include_text=True)))]
    return out


def _around(node: Any, tag: str, url: str) -> tuple[str, str]:
    if tag == "a":
        target = (node.attributes.get("href") or "").strip()
        address = _absolute(url, target)
        return ("[", f"]({address})") if address else ("", "")
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
