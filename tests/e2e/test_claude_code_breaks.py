"""The real Claude Code while its provider breaks in the middle: it gets the whole answer once, and every tool once.

What each run is held against: the text of the result, which must be the whole of what was asked for and nothing twice; the
deltas it was shown on the way; the file that a tool has appended to; and who was asked how often.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.e2e.breaking import Breaking
from tests.e2e.claude import ClaudeAt, assert_clean, files_of
from tests.e2e.proxy import Proxy, configuration, running_proxy
from tests.e2e.upstream import Upstream, up_and_running
from tests.e2e.wire import Wire

pytestmark = pytest.mark.real

WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen."


@asynccontextmanager
async def chain(
    *providers: Upstream, wires: Sequence[Wire] = ("anthropic",) * 3, breaker: str = "{ failures = 1000000 }"
) -> AsyncIterator[Proxy]:
    """The proxy before these providers, in their order, with a short patience for silence."""
    names = [provider.name for provider in providers]
    async with AsyncExitStack() as stack:
        urls = dict.fromkeys(names, "")
        for provider in providers:
            await stack.enter_async_context(up_and_running(provider))
            urls[provider.name] = provider.base_url
        config = configuration(
            urls,
            [f"{name}/claude-sonnet-5-5" for name in names],
            ('"silent-skip"', '"in-order"', '"sequence"', '{ kind = "idle-timeout", s = 2 }'),
            settings=f"breaker = {breaker}",
            wires=wires,
        )
        yield await stack.enter_async_context(running_proxy(config))


@pytest.mark.parametrize(
    ("fault", "script", "wires"),
    [
        ("reset-in-text", "say", ("anthropic", "anthropic")),
        ("end-behind-the-last-word", "say", ("anthropic", "anthropic")),
        ("overloaded-in-text", "say", ("anthropic", "openai-chat")),
        ("stall-in-text", "say", ("openai-chat", "anthropic")),
        ("cut-in-text-after-thinking", "think", ("anthropic", "anthropic")),
        ("half-frame-in-text", "say", ("ollama", "openai-responses")),
    ],
)
async def test_a_text_that_breaks_off_arrives_whole_and_once(
    claude_at: ClaudeAt, fault: str, script: str, wires: Sequence[Wire]
) -> None:
    """No retry, no error, not a word twice or lost: the second provider was asked once, for the rest."""
    first, second = Breaking("first", breaks=fault), Breaking("second")
    async with chain(first, second, wires=wires) as proxy:
        assert_clean(await claude_at(proxy.base_url).run(f"[[{script} {WORDS}]]"), WORDS)
    assert (len(first.asked), len(second.asked), first.struck) == (1, 1, 1)


@pytest.mark.parametrize(
    ("fault", "wires", "seconds"),
    [
        ("half-frame-in-a-call-after-text", ("anthropic", "anthropic"), 1),
        ("reset-in-a-call-after-text", ("openai-chat", "anthropic"), 1),
        ("cut-before-a-call", ("anthropic", "openai-responses"), 1),
        ("end-in-a-call", ("anthropic", "anthropic"), 1),
        ("reset-behind-a-call-after-text", ("anthropic", "anthropic"), 0),
        ("overloaded-behind-a-call", ("anthropic", "anthropic"), 0),
    ],
)
async def test_a_tool_runs_exactly_once_wherever_its_turn_breaks(
    claude_at: ClaudeAt, fault: str, wires: Sequence[Wire], seconds: int
) -> None:
    """A call that was not finished is made by the next provider, one that was is run as it stands, and nobody is told."""
    first, second = Breaking("first", breaks=fault), Breaking("second")
    async with chain(first, second, wires=wires) as proxy:
        claude = claude_at(proxy.base_url)
        script, target = files_of(claude)
        assert_clean(await claude.run(script), "The loop is over: appended")
    assert target.read_text() == "word-apple\n"
    assert (first.struck, len(second.asked)) == (1, seconds)


async def test_a_continuation_that_breaks_is_gone_on_with_in_turn(claude_at: ClaudeAt) -> None:
    """Three providers write one sentence."""
    first, second = Breaking("first", breaks="reset-in-text"), Breaking("second", breaks="cut-in-text")
    third = Breaking("third")
    async with chain(first, second, third) as proxy:
        assert_clean(await claude_at(proxy.base_url).run(f"[[say {WORDS}]]"), WORDS)
    assert (len(first.asked), len(second.asked), len(third.asked)) == (1, 1, 1)


async def test_a_provider_that_begins_again_is_shown_from_where_it_goes_on(claude_at: ClaudeAt) -> None:
    """It was asked for the rest and tells all of it."""
    first, second = Breaking("first", breaks="end-in-text"), Breaking("second", restarts=True)
    async with chain(first, second) as proxy:
        assert_clean(await claude_at(proxy.base_url).run(f"[[say {WORDS}]]"), WORDS)


async def test_thinking_that_breaks_off_is_replayed(claude_at: ClaudeAt) -> None:
    """A reset: the client comes back by itself, and with the first provider out it gets the second's answer, once."""
    first, second = Breaking("first", breaks="reset-in-thinking"), Breaking("second")
    async with chain(first, second, breaker="{ failures = 1 }") as proxy:
        run = await claude_at(proxy.base_url).run(f"[[think {WORDS}]]")
    assert [result["is_error"] for result in run.results] == [False], str(run)
    assert run.text.strip() == WORDS, str(run)
    assert (len(first.asked), len(second.asked)) == (1, 1)


async def test_an_error_while_thinking_is_asked_again_without_a_stream(claude_at: ClaudeAt) -> None:
    """The client is told, and in the end asks for JSON: of the break in that it sees nothing."""
    first, second = Breaking("first", breaks="overloaded-in-thinking"), Breaking("second")
    async with chain(first, second) as proxy:
        run = await claude_at(proxy.base_url).run(f"[[think {WORDS}]]")
    assert [result["is_error"] for result in run.results] == [False], str(run)
    assert run.text.strip() == WORDS, str(run)
    # Measured: three times as a stream and once as JSON, each time to the provider that breaks.
    assert (2 <= len(first.asked) <= 4, len(second.asked)) == (True, 1)


async def test_with_nobody_to_go_on_the_answer_is_still_whole_and_once(claude_at: ClaudeAt) -> None:
    """A reset tells the client to discard what it saw; the same provider tells it again."""
    only = Breaking("only", breaks="reset-in-text", times=1)
    async with chain(only) as proxy:
        run = await claude_at(proxy.base_url).run(f"[[say {WORDS}]]")
    assert [result["is_error"] for result in run.results] == [False], str(run)
    assert run.text.strip() == WORDS, str(run)
    assert len(only.asked) == 2
