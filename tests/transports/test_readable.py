"""Documents read for those who cannot: real PDFs in a real process, hostile ones too, and how texts are kept and shared."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import orjson
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine import Ask, AttemptError
from engine.config import Accent
from policies import FailureKind
from tests.transports import pdfs
from tests.transports.asks import ask, body
from transports import Dialect, Readable, WireHTTP, anthropic, openai_chat
from transports import _pdf_text as worker
from transports._papers import Paper, paper_of
from transports._readable import KEPT_CHARS, MAX_PAPERS

WORKER = Path(worker.__file__)


def paper(content: bytes) -> Paper:
    found = paper_of(pdfs.document(content))
    assert found is not None
    return found


def running(script: str, **fields: Any) -> Readable:
    """One whose worker is this script; `worker` in it is the real one's module."""
    load = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('worker', {str(WORKER)!r})\n"
        "worker = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(worker)\n"
    )
    return Readable(worker=(sys.executable, "-I", "-c", load + script), **fields)


class TestReading:
    """What the worker makes of a PDF; run here, where it is quick, and in its process below."""

    def test_page_by_page(self) -> None:
        """Each with its number, blank ones counted."""
        told = worker.read(pdfs.pdf("Hello", "", "World"))
        assert told == {"pages": 3, "read": 3, "silent": 1, "text": "[page 1]\nHello\n\n[page 3]\nWorld", "fault": ""}

    def test_a_password_that_is_empty_opens(self) -> None:
        """Any other does not, and is not guessed."""
        assert worker.read(pdfs.encrypted("open", ""))["text"] == "[page 1]\nopen"
        assert worker.read(pdfs.encrypted("shut", "x")) == {
            "pages": 0, "read": 0, "silent": 0, "text": "", "fault": "encrypted",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "content",
        [b"", b"hello", pdfs.pdf("x")[:150], pdfs.pdf(), pdfs.own_parent(), b"%PDF-1.7\n%%EOF", b"\0" * 5000],
    )
    def test_what_is_broken_is_said_to_be(self, content: bytes) -> None:
        """Whatever the library makes of it; a tree of pages that is its own branch among it."""
        assert worker.read(content)["fault"] == "damaged"

    def test_a_tree_without_end_is_read_to_a_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One page, in a tree that claims a thousand million."""
        monkeypatch.setattr(worker, "MAX_PAGES", 20)
        told = worker.read(pdfs.many_pages(5_000))
        assert (told["read"], told["fault"]) in ((20, ""), (0, "damaged"))

    def test_a_long_one_is_read_to_a_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In pages and in characters."""
        monkeypatch.setattr(worker, "MAX_PAGES", 2)
        assert worker.read(pdfs.pdf("a", "b", "c"))["read"] == 2
        monkeypatch.setattr(worker, "MAX_CHARS", 4)
        told = worker.read(pdfs.pdf("abc", "def", "ghi"))
        assert told["text"] == "[page 1]\nabc\n\n[page 2]\nd"


class TestProcess:
    """The same in a process of its own."""

    async def test_a_pdf_is_read(self) -> None:
        """With nothing in its environment."""
        assert await Readable().text(paper(pdfs.pdf("Hello", "World"))) == "[page 1]\nHello\n\n[page 2]\nWorld"

    async def test_a_bomb_is_survived(self) -> None:
        """Five kilobytes that unpack to three gigabytes, said to hold no text."""
        assert await Readable().text(paper(pdfs.bomb(3000))) == (
            "(1 of 1 pages hold no text: they are pictures, which were not sent)"
        )

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems have no limit of address space")
    async def test_one_that_takes_all_memory_is_ended_by_the_kernel(self) -> None:
        """Its limit, not ours."""
        eats = "worker.confine()\ntry:\n    bytearray(2 * 1024**3)\nexcept MemoryError:\n    sys.exit(3)\nprint('{}')"
        assert await running(eats).text(paper(b"x")) == (
            "(this PDF could not be read: it asks for too much time or memory)"
        )

    async def test_one_that_never_ends_is_ended(self) -> None:
        """Though it takes no notice of being asked to."""
        deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass"
        started = trio.current_time()
        text = await running(deaf, patience_s=0.5).text(paper(b"x"))
        assert text == "(this PDF could not be read within 0.5 s)"
        assert trio.current_time() - started < 5

    @pytest.mark.parametrize("printed", ["", "no json", "[]", '{"text": 5}'])
    async def test_a_worker_that_says_something_else_is_no_harm(self, printed: str) -> None:
        """A sentence stands in its place."""
        assert "could not be read" in await running(f"print({printed!r})").text(paper(b"x"))

    async def test_without_a_worker_it_is_said(self) -> None:
        """Where the interpreter is gone."""
        assert "could not be started" in await Readable(worker=("/nowhere/python",)).text(paper(b"x"))

    async def test_what_is_no_base64_needs_none(self) -> None:
        """It is damaged."""
        assert "came damaged" in await Readable(worker=("/nowhere",)).text(Paper("application/pdf", "ä"))


@attrs.define(eq=False)
class Counted(Readable):
    """Reads in no time, and counts how often; `gate` holds a reading back."""

    read: list[str] = attrs.field(factory=list)
    gate: trio.Event | None = None
    length: int = 0

    async def _read(self, paper: Paper) -> str:
        self.read.append(paper.digest())
        if self.gate is not None:
            await self.gate.wait()
        return "t" * self.length or f"text of {paper.digest()}"


class TestKeeping:
    """A document comes again with every turn, and with every hedge at the same moment."""

    async def test_a_document_is_read_once(self) -> None:
        """However often it comes."""
        readable = Counted()
        assert [await readable.text(paper(b"a")) for _ in range(3)] == [f"text of {paper(b'a').digest()}"] * 3
        assert len(readable.read) == 1

    async def test_those_who_want_it_at_once_wait_for_the_same(self) -> None:
        """And when the one who reads is cancelled, the next one does."""
        readable = Counted(gate=trio.Event())
        texts: list[str] = []

        async def wants() -> None:
            texts.append(await readable.text(paper(b"a")))

        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as first:
                nursery.start_soon(wants)
                await wait_all_tasks_blocked()
                nursery.start_soon(wants)
                async with trio.open_nursery() as inner:
                    inner.start_soon(wants)
                    await wait_all_tasks_blocked()
                    first.cancel()
            await wait_all_tasks_blocked()
            assert readable.gate is not None
            readable.gate.set()
        assert len(texts) == 2
        assert len(readable.read) == 1
        assert readable._reading == {}

    async def test_a_reader_that_is_cancelled_leaves_the_reading_to_the_next(self) -> None:
        """Nobody waits for somebody who is gone."""
        readable = Counted(gate=trio.Event())
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(readable.text, paper(b"a"))
                    await wait_all_tasks_blocked()
                    nursery.start_soon(readable.text, paper(b"a"))
                    await wait_all_tasks_blocked()
                    scope.cancel()
            await wait_all_tasks_blocked()
            assert readable.gate is not None
            readable.gate.set()
        assert len(readable.read) == 2
        assert readable._reading == {}

    async def test_few_processes_run_at_a_time(self) -> None:
        """Two documents, not twenty."""
        readable = Counted(gate=trio.Event())
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(readable.text, paper(b"%d" % number))
            await wait_all_tasks_blocked()
            assert len(readable.read) == 2
            assert readable.gate is not None
            readable.gate.set()
        assert len(readable.read) == 20

    async def test_what_is_kept_is_bounded(self) -> None:
        """The one that was not wanted for longest goes first."""
        readable = Counted(length=KEPT_CHARS // 3)
        for content in (b"a", b"b", b"c", b"a", b"d", b"a", b"b"):
            await readable.text(paper(content))
        names = {paper(content).digest(): content for content in (b"a", b"b", b"c", b"d")}
        assert [names[digest] for digest in readable.read] == [b"a", b"b", b"c", b"d", b"b"]


def asked(*blocks: dict[str, Any], wire: Any = "openai-chat", **provider: Any) -> Ask:
    return ask(body(messages=[{"role": "user", "content": list(blocks)}]), wire=wire, **provider)


@attrs.define(eq=False)
class Host(httpx.AsyncBaseTransport):
    """A host that refuses whatever it is sent, and keeps it."""

    bodies: list[Any] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(orjson.loads(b"".join([part async for part in _parts(request)])))
        return httpx.Response(500, stream=httpx.ByteStream(b""))


async def _parts(request: httpx.Request) -> AsyncIterator[bytes]:
    async for part in request.stream:  # type: ignore[union-attr]
        yield part


async def sent(dialect: Dialect, one: Ask, readable: Readable) -> Any:
    """What the host is sent, as content of the first message."""
    host = Host()
    with pytest.raises(AttemptError):
        async with WireHTTP(lambda _: host, lambda: 0.0, dialect, readable).open(one):
            pass
    return host.bodies[0]["messages"][0]["content"]


class TestRequests:
    """What a host is sent in the end."""

    async def test_a_host_without_files_is_sent_the_text(self) -> None:
        """Over chat completions, with the title that it had."""
        one = asked({"type": "text", "text": "sum up"}, pdfs.document(pdfs.pdf("Hello"), title="a.pdf"))
        assert await sent(openai_chat, one, Readable()) == "sum up\n\n[document 'a.pdf']\n[page 1]\nHello"

    async def test_a_host_with_files_is_sent_the_file(self) -> None:
        """And nobody reads it here; a text that came as a file is a text even so."""
        readable = Counted()
        content = pdfs.pdf("Hello")
        one = asked(pdfs.document(content), pdfs.document(b"# notes", "text/markdown"), chat=Accent(files=True))
        file, notes = await sent(openai_chat, one, readable)
        assert file["type"] == "file"
        assert notes == {"type": "text", "text": "[document]\n# notes"}
        assert readable.read == []

    @pytest.mark.parametrize("open_lists", [True, False])
    async def test_a_native_host_that_refuses_documents_is_sent_words(self, open_lists: bool) -> None:
        """It would answer 400 to the block, whether it is sent the rest of the fields or not."""
        drop = frozenset(["document"])
        one = asked(pdfs.document(b"x"), wire="anthropic", drop=drop, open_lists=open_lists)
        digest = paper(b"x").digest()
        assert await sent(anthropic, one, Counted()) == [{"type": "text", "text": f"[document]\ntext of {digest}"}]

    async def test_a_native_host_is_sent_what_came(self) -> None:
        """Byte for byte."""
        one = asked(pdfs.document(b"x"), wire="anthropic")
        assert await Counted().made(one) is one

    async def test_a_large_one_is_gone_through_aside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a thread, to the same end."""
        monkeypatch.setattr("transports._readable._LARGE", 1)
        one = asked(pdfs.document(b"x"), pdfs.document(b"notes", "text/plain"))
        expected = f"[document]\ntext of {paper(b'x').digest()}\n\n[document]\nnotes"
        assert await sent(openai_chat, one, Counted()) == expected

    async def test_a_request_without_documents_is_not_touched(self) -> None:
        """The very same."""
        one = asked({"type": "text", "text": "hi"})
        assert await Counted().made(one) is one

    async def test_out_of_a_tool_as_well(self) -> None:
        """Where Claude Code's Read puts it."""
        result = {"type": "tool_result", "tool_use_id": "t", "content": [pdfs.document(b"x")]}
        made = await Counted().made(asked(result))
        (block,) = made.request.body["messages"][0]["content"]
        assert block["content"][0]["source"]["data"] == f"text of {paper(b'x').digest()}"
        assert orjson.loads(made.request.raw) == made.request.body

    async def test_a_long_text_counts_for_what_it_is(self) -> None:
        """The answer is given the room that is left, and the client is told how long its prompt was."""
        one = asked(pdfs.document(b"x"))
        made = await Counted(length=400_000).made(one)
        assert (
            made.request.need.input_tokens - one.request.need.input_tokens > 45_000
        )  # one word, at eight letters a token
        assert attrs.evolve(made.request.need, input_tokens=0) == attrs.evolve(one.request.need, input_tokens=0)

    async def test_documents_without_number_are_mentioned_only(self) -> None:
        """A request is no batch job."""
        readable = Counted()
        made = await readable.made(asked(*(pdfs.document(b"%d" % n) for n in range(MAX_PAPERS + 3))))
        assert len(readable.read) == MAX_PAPERS
        assert made.request.body["messages"][0]["content"][-1]["source"]["data"].startswith("(too many documents")

    async def test_a_body_that_cannot_be_written_again_is_the_clients_mistake(self) -> None:
        """As everywhere."""
        deep: Any = {}
        for _ in range(300):
            deep = {"a": deep}
        one = asked(pdfs.document(b"x"))
        one = attrs.evolve(one, request=attrs.evolve(one.request, body={**one.request.body, "metadata": deep}))
        with pytest.raises(AttemptError) as raised:
            async with WireHTTP(lambda _: Host(), lambda: 0.0, openai_chat, Counted()).open(one):
                pass
        assert raised.value.failure.kind is FailureKind.CLIENT
