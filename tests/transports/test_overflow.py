"""Prompts that are too long, on hosts that do not say so."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine import AttemptError, Learned
from engine.config import Model
from policies import Capabilities, FailureKind
from tests.transports.anthropic_frames import END, START, STOP, delta, start, stop, stream
from tests.transports.asks import ask, body
from tests.transports.exchanges import JSON, MESSAGE, exchanged, failure, host
from transports._outgoing import anthropic
from transports._wire import WireHTTP
from transports.chat import openai_chat

QUIET = frozenset(["truncates-silently"])
LONG = body(messages=[{"role": "user", "content": "word " * 12_000}])


def known(context: int | None) -> dict[str, Any]:
    """A silent host of whose model this window is known."""
    return {"model": "m", "quirks": QUIET, "models": {"m": Model(id="m", capabilities=Capabilities(context=context))}}


def counted(**usage: Any) -> bytes:
    """A stream whose head counts this."""
    head = {**START, "message": {**START["message"], "usage": {"output_tokens": 1, **usage}}}
    return stream(head, start(0), delta(0, "hi"), stop(0), END, STOP)


class TestBeforeItIsSent:
    """By our estimate."""

    @pytest.mark.parametrize("dialect", [anthropic, openai_chat])
    @pytest.mark.parametrize(("window", "learned"), [(8192, None), (200_000, 4096)])
    async def test_a_prompt_beyond_the_window_is_not_sent(self, dialect: Any, window: int, learned: int | None) -> None:
        """On any wire on which the host is silent; what was learned of the window stands above the catalogue."""
        where, one = host(), ask(LONG, learned=Learned(window=learned), **known(window))
        with pytest.raises(AttemptError) as caught:
            async with WireHTTP(lambda _: where, lambda: 0.0, dialect).open(one):
                pass
        told, needed, held = caught.value.failure, one.request.need.input_tokens, learned or window
        assert where.seen == []
        assert (told.kind, told.tokens) == (FailureKind.TOO_LONG, (needed, held))
        assert told.message.startswith(f"about {needed} tokens for a window of {held}, and this host cuts")

    @pytest.mark.parametrize("asked", [known(None), known(20_000), {**known(8192), "quirks": frozenset()}])
    async def test_others_are_asked(self, asked: dict[str, Any]) -> None:
        """Where the window is not known or holds the prompt, and where the host says what it cannot hold."""
        assert await exchanged(host(counted(input_tokens=5)), fields=LONG, **asked)


class TestByTheFirstCount:
    """By what the host says before anything is shown."""

    @pytest.mark.parametrize(
        "usage",
        [
            {"input_tokens": 8193},
            {"input_tokens": 1, "cache_read_input_tokens": 9000},
            {"input_tokens": 8000, "cache_creation_input_tokens": 200},
        ],
    )
    async def test_more_than_the_window_was_prompted(self, usage: dict[str, Any]) -> None:
        """What is in a cache is part of the prompt."""
        told = await failure(host(counted(**usage)), **known(8192))
        assert (told.kind, told.tokens) == (FailureKind.TOO_LONG, (sum(usage.values()), 8192))

    async def test_a_whole_answer_is_counted_too(self) -> None:
        """Where JSON came in place of a stream."""
        told = await failure(
            host(orjson.dumps({**MESSAGE, "usage": {"input_tokens": 9000, "output_tokens": 7}}), headers=JSON),
            **known(8192),
        )
        assert told.kind is FailureKind.TOO_LONG

    @pytest.mark.parametrize("asked", [known(None), known(8192), {**known(100), "quirks": frozenset()}])
    async def test_an_answer_within_the_window_is_one(self, asked: dict[str, Any]) -> None:
        """And a window in the catalogue that is too small costs nobody an answer who is not known to be silent."""
        assert await exchanged(host(counted(input_tokens=8192)), **asked)

    async def test_a_small_count_proves_nothing(self) -> None:
        """What a host had in its cache it may leave out."""
        assert await exchanged(host(counted(input_tokens=1)), fields=LONG, **known(20_000))

    @pytest.mark.parametrize("odd", [None, "9000", True, 9e9])
    async def test_what_is_no_count_is_none(self, odd: Any) -> None:
        """It cannot be above anything."""
        assert await exchanged(host(counted(input_tokens=odd)), **known(8192))
