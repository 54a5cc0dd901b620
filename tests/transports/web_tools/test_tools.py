"""What a tool allows, what engines answer, how a page reads, and what becomes of either in a conversation."""

from __future__ import annotations

import gc
from time import process_time
from typing import Any

import attrs
import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Accent, Secret, WebTools
from policies import Capabilities
from tests.transports.asks import ask, body
from tests.transports.pages import PUBLIC, Web, moved, page, web
from transports._outgoing import body as anthropic_body
from transports.chat._history import History
from transports.translate._served import paired, result_text, without_ours, words_of
from transports.translate._tools import Toolbox
from transports.web_tools import TheWeb
from transports.web_tools._blocks import Answered, Call, Found, WebError, searched
from transports.web_tools._offer import Offer, ServerTool
from transports.web_tools._search import ENGINES
from transports.web_tools._text import decoded, page_text

ON = WebTools(enabled=True)


def tool(kind: str = "web_search", **fields: Any) -> ServerTool:
    listed = {"type": f"{kind}_20250305", "name": kind, **fields}
    offer = Offer.of({"tools": [listed]}, ON)
    assert offer is not None
    return offer.tools[kind]


def call(kind: Any = "web_search", **given: Any) -> Call:
    return Call(kind=kind, name=kind, id="c1", shown_id="srvtoolu_hedgerow_1", input=given)


# Domains.


@pytest.mark.parametrize(("allowed", "blocked", "host", "path", "admitted"), [
    ([], [], "a.test", "/", True),
    (["a.test"], [], "a.test", "/", True), (["a.test"], [], "www.a.test", "/x", True), (["a.test"], [], "ba.test", "/", False),
    (["https://A.test/"], [], "a.test", "/", True), (["a.test/docs"], [], "a.test", "/docs/x", True),
    (["a.test/docs"], [], "a.test", "/docsx", False), (["*.a.test"], [], "b.a.test", "/", True),
    ([], ["a.test"], "b.a.test", "/", False), ([], ["a.test"], "b.test", "/", True), ([], ["a.test/x"], "a.test", "/y", True),
    (["a.test"], ["b.a.test"], "b.a.test", "/", False), (["a.test"], [], "a.test.", "/", True),
    ([5, None, ""], [[]], "a.test", "/", True), ("a.test", 5, "b.test", "/", True),
])  # fmt: skip
def test_a_tools_own_domains_decide(allowed: Any, blocked: Any, host: str, path: str, admitted: bool) -> None:
    """The domain and what is below it, its path and what is below that; hostile lists are none."""
    assert tool(allowed_domains=allowed, blocked_domains=blocked).admits(host, path) is admitted


@pytest.mark.parametrize(("uses", "most"), [(3, 3), (80, 8), (None, 8), (0, 8), (-1, 8), (True, 8), ("3", 8)])
def test_a_tools_uses_are_bounded(uses: Any, most: int) -> None:
    """By its own word and by the configuration's, whichever is less."""
    assert tool(max_uses=uses).max_uses == most


# Engines.

DUCK_HTML = """<div class="result results_links result--ad"><a class="result__a" href="//duckduckgo.com/y.js?ad=1">Ad</a></div>
<div class="result"><h2><a rel="nofollow" class="result__a"
 href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fa.test%2Fx%3Fy%3D1&amp;rut=9">
 First <b>hit</b></a></h2><a class="result__snippet" href="#">Some <b>words</b> &amp; more</a></div>
<div class="result"><a class="result__a" href="https://b.test/">Second</a></div>"""
DUCK_LITE = """<table><tr><td>
<a rel="nofollow" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fa.test%2F" class='result-link'>First</a></td></tr>
<tr><td class='result-snippet'> Words </td></tr></table>"""

ANSWERS: dict[str, tuple[Any, str, list[Found]]] = {
    "duckduckgo": ("duckduckgo", DUCK_HTML, [
        Found(title="First hit", url="https://a.test/x?y=1", text="Some words & more"),
        Found(title="Second", url="https://b.test/")]),
    "duckduckgo lite": ("duckduckgo", DUCK_LITE, [Found(title="First", url="https://a.test/", text="Words")]),
    "searxng": ("searxng", '{"results":[{"title":"T","url":"https://a.test/","content":"c","publishedDate":"2026"}]}', [
        Found(title="T", url="https://a.test/", text="c", age="2026")]),
    "brave": ("brave", '{"web":{"results":[{"title":"T","url":"https://a.test/","description":"a <strong>b</strong>"}]}}', [
        Found(title="T", url="https://a.test/", text="a b")]),
    "tavily": ("tavily", '{"results":[{"title":"T","url":"https://a.test/","content":"c","score":1}]}', [
        Found(title="T", url="https://a.test/", text="c")]),
    "nothing": ("brave", "{}", []),
    "nonsense": ("tavily", '{"results":[5,{"title":5,"url":[]},{}]}', [Found(title="", url=""), Found(title="", url="")]),
    "no list": ("searxng", '{"results":"x"}', []),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_engines_answer_is_read(name: str) -> None:
    """Titles and excerpts on one line, the page behind a link that counts clicks, no advertisement."""
    engine, told, found = ANSWERS[name]
    assert ENGINES[engine].read(told.encode()) == found


def test_a_search_that_wants_a_person_is_one_too_many() -> None:
    """DuckDuckGo asks whoever searches often to pick ducks."""
    with pytest.raises(WebError) as caught:
        ENGINES["duckduckgo"].read(b'<form id="challenge-form"></form>')
    assert caught.value.code == "too_many_requests"


@given(st.sampled_from(list(ENGINES.values())), st.binary(max_size=200))
def test_an_engine_may_answer_anything(engine: Any, told: bytes) -> None:
    """It is read, or it is an error with a code."""
    try:
        engine.read(told)
    except WebError:
        return


@attrs.define(eq=False)
class Host(httpx.AsyncBaseTransport):
    """What answers at an engine's address."""

    status: int = 200
    told: bytes = b'{"results":[]}'
    asked: list[httpx.Request] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(self.status, stream=httpx.ByteStream(self.told), request=request)


def the_web(host: Host | None = None, it: Web | None = None) -> TheWeb:
    it = it or Web()
    return TheWeb(host or Host(), lambda: 1_800_000_000.0, lookup=it.lookup, dial=it.dial)


async def test_a_key_goes_to_its_engine_and_into_no_text() -> None:
    """In the head, to the configured address; the query is escaped."""
    settings = WebTools(
        enabled=True, search="brave", search_base_url="https://brave.test", search_key=Secret("s3cret-key", "K")
    )
    host = Host()
    await the_web(host).search("a b&c", tool(), settings)
    (asked,) = host.asked
    assert str(asked.url) == "https://brave.test/res/v1/web/search?count=10&q=a%20b%26c"
    assert asked.headers["x-subscription-token"] == "s3cret-key"
    assert "s3cret-key" not in repr(ENGINES["brave"].ask("q", 10, "s3cret-key"))


@pytest.mark.parametrize(("status", "code"), [
    (202, "too_many_requests"), (403, "too_many_requests"), (429, "too_many_requests"), (500, "unavailable"),
    (302, "unavailable"),
])  # fmt: skip
async def test_an_engine_that_refuses_is_said_in_a_code(status: int, code: str) -> None:
    """Redirects are not followed: the operator has said where the engine is."""
    settings = WebTools(enabled=True, search="searxng", search_base_url="http://sx.test")
    for query, expected in (
        ("q", code),
        ("", "invalid_tool_input"),
        (5, "invalid_tool_input"),
        ("q" * 2000, "query_too_long"),
    ):
        with pytest.raises(WebError) as caught:
            await the_web(Host(status)).search(query, tool(), settings)
        assert caught.value.code == expected


async def test_results_outside_the_tools_domains_are_left_out() -> None:
    """The engine is asked for the sites, and its answer is held against them all the same."""
    told = orjson.dumps(
        {
            "results": [
                {"title": "t", "url": u, "content": ""}
                for u in (
                    "https://a.test/1",
                    "https://evil.test/",
                    "javascript:x",
                    "https://a.test/1",
                    "ftp://a.test/",
                    "https://a.test/2",
                )
            ]
        }
    )
    settings = WebTools(enabled=True, search="searxng", search_base_url="http://sx.test")
    host = Host(told=told)
    found = await the_web(host).search("q", tool(allowed_domains=["a.test"]), settings)
    assert [one.url for one in found] == ["https://a.test/1", "https://a.test/2"]
    assert "site%3Aa.test" in str(host.asked[0].url)


# Pages.

PAGE = """<!doctype html><title>The  page</title><meta charset=utf-8><script>evil()</script><nav><a href=/menu>Menu</a></nav>
<main><h1>Head</h1><p>One <b>two</b>
three <a href="/next">go</a> <a href="#here">here</a></p><ul><li>a<li>b</ul><pre>x
  y</pre><table><tr><td>1<td>2</tr></table></main><footer>Foot</footer>"""


def test_a_page_reads_as_its_content() -> None:
    """Headings, lists, links and tables stay, scripts and menus go."""
    title, told = page_text(PAGE, "text/html", "https://a.test/dir/", 1000)
    assert title == "The page"
    assert told.split("\n\n")[0] == "# Head"
    for piece in ("One two three [go](https://a.test/next) here", "- a\n", "- b", "```\nx\n  y\n```", "1 | 2 |"):
        assert piece in told
    for piece in ("evil", "Menu", "Foot", "#here"):
        assert piece not in told


def test_a_page_too_long_says_so() -> None:
    """Cut to the limit in characters; what is not HTML is itself."""
    assert page_text("<p>" + "word " * 1000, "text/html", "", 100)[1].startswith("word word")
    assert len(page_text("<p>" + "word " * 1000, "text/html", "", 100)[1]) < 160
    assert page_text("x" * 200, "text/plain", "", 100)[1].endswith("[… the rest of the page is left out]")
    assert page_text("<b>kept</b>", "text/plain", "", 100) == ("", "<b>kept</b>")


@pytest.mark.long
@pytest.mark.parametrize(
    "piece", ["<div>", "<a><b>", "<ul><li>", "<table>", "<p><i>", "<", "<!--", "<a href='", "&amp;"]
)
def test_a_page_made_to_be_slow_costs_no_more_than_its_length(piece: str) -> None:
    """Four times as much of it takes about four times the CPU, not sixteen; what stands before it is read."""

    def cost(size: int) -> float:
        page = "<p>begin</p>" + piece * (size // len(piece))
        gc.collect()
        gc.disable()  # it would go through all that other tests have left, the oftener the longer the page
        try:
            began_at = process_time()
            assert "begin" in page_text(page, "text/html", "", 100)[1]
            return process_time() - began_at
        finally:
            gc.enable()

    assert cost(1_000_000) < 10 * cost(250_000) + 0.2


def test_an_element_of_endless_attributes_is_left_out() -> None:
    """They alone would take seconds."""
    many = " ".join(f"a{n}=1" for n in range(50_000))
    began_at = process_time()
    assert page_text(f"<p>begin</p><a {many}>end", "text/html", "", 100)[1].split() == ["begin", "end"]
    assert process_time() - began_at < 1


@given(
    st.text(max_size=200)
    | st.from_regex(r"(<(a|p|li|td|pre|main|br)( href=.{0,9})?>|[a-z \n]{0,5}|</?[a-z]{1,3}>){0,30}")
)
def test_any_page_is_read_within_bounds(told: str) -> None:
    """Whatever it holds."""
    title, said = page_text(told, "text/html", "https://a.test/", 50)
    assert len(title) <= 300
    assert len(said) <= 50 + 60


@pytest.mark.parametrize(("raw", "charset", "told"), [
    ("é".encode(), "", "é"), ("é".encode("latin-1"), "iso-8859-1", "é"), ("é".encode(), "no-such", "é"),
    (b'<meta charset="latin-1">\xe9', "", '<meta charset="latin-1">é'), (b"\xff", "", "\ufffd"),
])  # fmt: skip
def test_a_pages_letters(raw: bytes, charset: str, told: str) -> None:
    """By its host's word, else by its own."""
    assert decoded(raw, charset) == told


@pytest.mark.parametrize("name", ["punycode", "idna", "undefined", "unicode_escape", "zlib", "hex", "..", "\u00e9"])
async def test_a_page_in_no_encoding_of_the_web_is_read_as_utf8(name: str) -> None:
    """By its host's word and by its own; Python's own encodings would take minutes, or raise what nobody expects."""
    raw = b"words " + b"a-" + b"b9" * 200_000
    began_at = process_time()
    assert decoded(raw, name).startswith("words ")
    assert decoded(f"<meta charset={name}>words ".encode() + raw, "").endswith("b9")
    assert process_time() - began_at < 1
    one = await used("web_fetch", {"a.test/": page(raw, f"text/html; charset={name}")}, url="http://a.test/")
    assert one.words.count("words a-b9") == 1


async def used(kind: str, answers: Any, settings: WebTools = ON, addresses: Any = None, **given: Any) -> Answered:
    async with web(answers) as it:
        it.addresses |= addresses or {}
        return await the_web(it=it).use(call(kind, **given), tool(kind, **settings_of(given)), settings)


def settings_of(given: Any) -> Any:
    return {"blocked_domains": ["blocked.test"]}


async def test_a_page_is_fetched_and_told() -> None:
    """The text for the model, the block for the client, with the time of day."""
    one = await used("web_fetch", {"a.test/": page(PAGE)}, url="http://a.test/")
    content = one.block["content"]
    assert (content["url"], content["content"]["title"]) == ("http://a.test/", "The page")
    assert content["retrieved_at"] == "2027-01-15T08:00:00+00:00"
    assert "# Head" in one.words
    assert not one.failed


@pytest.mark.parametrize(("url", "code"), [
    (None, "invalid_tool_input"), ("", "invalid_tool_input"), ("http://a.test/" + "a" * 3000, "url_too_long"),
    ("file:///etc/passwd", "url_not_allowed"), ("http://127.0.0.1/", "url_not_allowed"), ("a.test", "url_not_allowed"),
    ("http://inside.test/", "url_not_allowed"), ("http://blocked.test/", "url_not_allowed"),
    ("http://leads.test/", "url_not_allowed"), ("http://to-blocked.test/", "url_not_allowed"),
    ("http://image.test/", "unsupported_content_type"), ("http://gone.test/", "url_not_accessible"),
    ("http://busy.test/", "too_many_requests"),
])  # fmt: skip
async def test_a_page_that_does_not_come_has_a_code(url: Any, code: str) -> None:
    """One of those that clients know; redirects into a blocked domain included."""
    answers = {
        "leads.test/": moved("http://169.254.169.254/"), "to-blocked.test/": moved("http://blocked.test/"),
        "image.test/": page("x", "image/png"), "busy.test/": page("x", status=429),
    }  # fmt: skip
    one = await used("web_fetch", answers, addresses={"inside.test": [["10.0.0.1"]]}, url=url)
    assert one.failed
    assert one.block["content"] == {"type": "web_fetch_tool_result_error", "error_code": code}
    assert PUBLIC not in one.words


# Conversations.

FOUND = searched(call(query="q"), [Found(title="T", url="https://a.test/", text="an excerpt")])
USED: dict[str, Any] = {
    "type": "server_tool_use",
    "id": "srvtoolu_hedgerow_1",
    "name": "web_search",
    "input": {"query": "q"},
}
TURN: list[dict[str, Any]] = [{"type": "text", "text": "before"}, USED, FOUND.block, {"type": "text", "text": "after"}]
HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "ask"},
    {"role": "assistant", "content": TURN},
    {"role": "user", "content": "and?"},
]


def test_an_earlier_search_is_a_call_and_its_result_where_the_tool_is_there() -> None:
    """Between what was said before and after it; the excerpt has come back with the history."""
    told = paired(HISTORY, {"web_search"})
    assert [message["role"] for message in told] == ["user", "assistant", "user", "assistant", "user"]
    assert [block["type"] for block in told[1]["content"]] == ["text", "tool_use"]
    (result,) = told[2]["content"]
    assert result["tool_use_id"] == told[1]["content"][1]["id"]
    assert "an excerpt" in result["content"]
    assert told[3]["content"] == [{"type": "text", "text": "after"}]


def test_an_earlier_search_is_words_where_it_is_not() -> None:
    """And a call without its result is words in any case."""
    for names, turn in (((), TURN), (("web_search",), [USED])):
        told = paired([{"role": "assistant", "content": turn}], names)
        assert all(b["type"] == "text" for m in told for b in m["content"])
    assert words_of(USED) == "[searched the web for: q]"
    assert words_of(FOUND.block) == "[results of a web search]\n1. T https://a.test/\n   an excerpt"


def test_over_chat_completions_a_pair_is_a_pair() -> None:
    """Assistant with a call, tool with its result, assistant with the rest."""
    accent = Accent()
    history = History(accent, Capabilities(), Toolbox.of({"tools": []}, accent), "host/m")
    told = history.messages(paired(HISTORY, {"web_search"}))
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "assistant", "user"]
    assert told[2]["tool_call_id"] == told[1]["tool_calls"][0]["id"]
    plain = history.messages(HISTORY)
    assert [message["role"] for message in plain] == ["user", "assistant", "user"]
    assert "an excerpt" in plain[1]["content"]


def test_hosts_on_anthropics_wire_get_words_and_anthropic_its_own_blocks() -> None:
    """What Anthropic has sealed goes back to it as it came; what was searched here it could not open."""
    theirs = [{**USED, "id": "srvtoolu_01A"}, {**FOUND.block, "tool_use_id": "srvtoolu_01A"}]
    for turn, to_anthropic in ((TURN, ["text"] * 4), (theirs, ["server_tool_use", "web_search_tool_result"])):
        asked = body(messages=[{"role": "user", "content": "x"}, {"role": "assistant", "content": turn}])
        sent = orjson.loads(anthropic_body(ask(asked, wire="anthropic", open_lists=True)))
        assert [block["type"] for block in sent["messages"][1]["content"]] == to_anthropic
        reduced = orjson.loads(anthropic_body(ask(asked, wire="anthropic", open_lists=False)))
        assert all(block["type"] == "text" for block in reduced["messages"][1]["content"])
        assert "an excerpt" in str(reduced)


JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda x: (
        st.lists(x, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "content", "url", "title", "source", "data", "error_code", "encrypted_content"]),
            x,
            max_size=4,
        )
    ),
)
BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(["server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "text", "tool_use"])},
    optional={"id": JUNK | st.sampled_from(["a", "b"]), "tool_use_id": JUNK | st.sampled_from(["a", "b"]),
              "name": st.sampled_from(["web_search", "web_fetch", "other"]) | JUNK, "input": JUNK, "content": JUNK},
)  # fmt: skip


@given(st.lists(BLOCK, max_size=6))
def test_a_history_of_any_shape_is_told(content: list[dict[str, Any]]) -> None:
    """Every call has one result right behind it, and none of the web's own blocks is left."""
    told = paired([{"role": "assistant", "content": content}], {"web_search", "web_fetch"})
    for before, after in zip(told, [*told[1:], None], strict=True):
        made = [b for b in before["content"] if b["type"] == "tool_use" and b not in content]
        results = [b["tool_use_id"] for b in after["content"] if b["type"] == "tool_result"] if after else []
        assert sorted(b["id"] for b in made) == sorted(results)
    for block in content:
        words_of(block)
        result_text(block)
    without_ours(content)
