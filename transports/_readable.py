"""A request that its candidate can read: the texts of its documents are had, off to the side, before it is translated.

Reading a PDF takes from a third of a second to as long as its author likes, and dialects do not wait. So it happens one step
earlier, in a process that can be ended (`_pdf_text`), at most two at a time, and its outcome is kept: an agent sends the same
document again with every turn, and a hedge sends it at the same moment. What cannot be read is said in a sentence, and kept
too; no document is worth a failed request.
"""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import orjson
import trio

from engine import Ask, need_of
from transports._dialect import TooDeep
from transports._papers import Paper, papers_in, plain_text, takes_documents, with_texts

A = TypeVar("A")
B = TypeVar("B")

#: How long one document may take, in seconds.
PATIENCE_S = 20.0
#: Processes at a time.
AT_ONCE = 2
#: Texts that are kept, in characters all together.
KEPT_CHARS = 16 * 1024 * 1024
#: The most documents of one request that are read; each further one is only mentioned.
MAX_PAPERS = 32

_WORKER = (sys.executable, "-I", "-X", "utf8", str(Path(__file__).with_name("_pdf_text.py")))


@attrs.define(eq=False)
class Readable:
    """Makes requests readable, and keeps the texts of documents for the next. `worker` is the command that reads a PDF."""

    worker: Sequence[str] = _WORKER
    patience_s: float = PATIENCE_S
    _kept: OrderedDict[str, str] = attrs.field(factory=OrderedDict, repr=False)
    _kept_chars: int = 0
    _reading: dict[str, tuple[trio.Lock, int]] = attrs.field(factory=dict, repr=False)
    _limit: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(AT_ONCE))

    async def made(self, ask: Ask) -> Ask:
        """`ask` as it is where its candidate can take what is in it, else with texts in the place of documents.

        Raises TooDeep for a body that cannot be written again.
        """
        takes = takes_documents(ask.provider, ask.candidate.model)
        if not ask.request.need.documents or ask.provider.wire == "rehearsal":
            return ask
        if takes and ask.provider.wire == "anthropic":
            return ask
        small = len(ask.request.raw) < _LARGE
        texts: dict[Paper, str] = {}
        for number, paper in enumerate(await _aside(papers_in, ask.request.body, small)):
            if takes and paper.is_pdf:
                continue
            text = await _aside(plain_text, paper, small)
            if text is None and paper.is_pdf:
                text = await self.text(paper) if number < MAX_PAPERS else "(too many documents: this one was not read)"
            if text is not None:
                texts[paper] = text
        body = with_texts(ask.request.body, texts, in_words=ask.provider.wire == "anthropic")
        try:
            raw = orjson.dumps(body)
        except orjson.JSONEncodeError as error:
            raise TooDeep("the body is nested too deeply") from error
        # The need is the prepared body's: what its window has left for the answer depends on the texts.
        return attrs.evolve(ask, request=attrs.evolve(ask.request, body=body, raw=raw, need=need_of(body, raw)))

    async def text(self, paper: Paper) -> str:
        """What a PDF says, or in a sentence why nobody can tell. Whoever else asks for it meanwhile waits for the same."""
        digest = await _aside(Paper.digest, paper, len(paper.data) < _LARGE)
        async with self._alone(digest):
            kept = self._kept.get(digest)
            if kept is not None:
                self._kept.move_to_end(digest)
                return kept
            async with self._limit:
                text = await self._read(paper)
            self._keep(digest, text)
            return text

    @asynccontextmanager
    async def _alone(self, digest: str) -> AsyncIterator[None]:
        """One at a time for each document. Should the one be cancelled, the next one reads."""
        lock, waiting = self._reading.get(digest, (trio.Lock(), 0))
        self._reading[digest] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._reading.pop(digest)
            if waiting > 1:
                self._reading[digest] = lock, waiting - 1

    def _keep(self, digest: str, text: str) -> None:
        self._kept[digest] = text
        self._kept_chars += len(text)
        while self._kept_chars > KEPT_CHARS:
            _, oldest = self._kept.popitem(last=False)
            self._kept_chars -= len(oldest)

    async def _read(self, paper: Paper) -> str:
        pdf = await _aside(Paper.content, paper, len(paper.data) < _LARGE)
        if not pdf:
            return "(this PDF came damaged, and cannot be read)"
        done: subprocess.CompletedProcess[bytes] | None = None
        with trio.move_on_after(self.patience_s):
            try:
                done = await trio.run_process(
                    list(self.worker),
                    stdin=pdf,
                    capture_stdout=True,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    env={},
                    deliver_cancel=_kill,
                )
            except OSError:
                return "(this PDF was not read: its reader could not be started)"
        if done is None:
            return f"(this PDF could not be read within {self.patience_s:g} s)"
        try:
            told = orjson.loads(done.stdout) if done.returncode == 0 else None
        except orjson.JSONDecodeError:
            told = None
        return _said(told)


#: Of a size at which going through it takes some milliseconds, in bytes or characters.
_LARGE = 512 * 1024


async def _aside(does: Callable[[A], B], what: A, small: bool) -> B:
    """`does(what)`, in a thread unless it is small: others stream meanwhile."""
    return does(what) if small else await trio.to_thread.run_sync(does, what)


async def _kill(process: trio.Process) -> None:
    process.kill()


def _said(told: Any) -> str:
    """What the reader found, for the model: the text, and what is missing of it."""
    if not isinstance(told, dict) or not isinstance(told.get("text"), str):
        return "(this PDF could not be read: it asks for too much time or memory)"
    if told.get("fault"):
        return _FAULTS.get(str(told["fault"]), _FAULTS["damaged"])
    pages, read, silent = (int(told.get(name, 0)) for name in ("pages", "read", "silent"))
    remarks = (
        f"({silent} of {read} pages hold no text: they are pictures, which were not sent)"
        if 2 * silent >= read
        else "",
        f"(this is what the first {read} of {pages} pages say)" if read < pages else "",
    )
    return "\n\n".join(filter(None, (told["text"], *remarks)))


_FAULTS: Mapping[str, str] = {
    "encrypted": "(this PDF is encrypted, and cannot be read without its password)",
    "damaged": "(this PDF is damaged, and cannot be read)",
}
