"""The real Claude Code through the real proxy: it works, and it never learns that a candidate failed.

"Never learns" is checked from both ends: the client reports one result, no error and no retry, and the second upstream
was asked exactly once for each turn. Each fault is also shown to Claude Code without the proxy, where it must be seen;
otherwise the check would prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
import trio

from tests.transports.pdfs import pdf

from .claude import ClaudeAt, ClaudeCode, Run, assert_clean, files_of, run_together
from .exchange import endings
from .proxy import pair, running_proxy
from .raw import raw_turn
from .upstream import Upstream, refusing, serving
from .wire import SIGNATURE, Wire

pytestmark = pytest.mark.real

BEFORE_CONTENT = (
    "401",
    "429",
    "429-retry-after:2",
    "500",
    "529",
    "refused",
    "reset",
    "close",
    "html",
    "empty",
    "error-event",
    "hollow",
)


@contextmanager
def at_fault(first: Upstream, fault: str) -> Iterator[str]:
    """The base URL of a first candidate with this fault; a refusing port has no upstream at all."""
    if fault == "refused":
        with refusing() as url:
            yield url
    else:
        first.fault = fault
        yield first.base_url


async def test_a_plain_turn(claude_at: ClaudeAt, door: str, upstream: Upstream) -> None:
    """One request, one answer."""
    assert_clean(await claude_at(door).run("[[say hello from the far side]]"), "hello from the far side")
    assert endings(upstream.asked) == ["finished"]


async def test_a_turn_with_json_output(claude_at: ClaudeAt, door: str) -> None:
    """`--output-format json` prints the result alone."""
    run = await claude_at(door).run("[[say hello]]", output="json")
    assert_clean(run, "hello")
    assert len(run.events) == 1


async def test_thinking_and_its_signature_come_back_whole(claude_at: ClaudeAt, door: str, upstream: Upstream) -> None:
    """The second turn sends the first one's thinking block back, with the signature unharmed.

    The other wires have no signatures: there the client gets the proxy's own, and the upstream gets no thinking back.
    In Responses the proxy's own holds what the upstream has encrypted, and brings it back.
    """
    claude = claude_at(door)
    first = await claude.run("[[think forty two]]")
    assert_clean(first, "forty two")
    assert_clean(await claude.run("[[recall]]", resume=first.session), "I said: forty two")
    wire = upstream.asked[0].wire
    (signature,) = first.signatures
    ours, _, state = signature.rpartition(".")
    assert (signature == SIGNATURE) is (wire == "anthropic")
    assert wire == "anthropic" or (ours, bool(state)) == ("hedgerow.only/claude-sonnet-5-5", wire == "openai-responses")
    assert upstream.asked[-1].signatures == ([SIGNATURE] if wire in ("anthropic", "openai-responses") else [])


async def test_a_tool_loop_runs_its_side_effect_exactly_once(
    claude_at: ClaudeAt, door: str, upstream: Upstream
) -> None:
    """Read, then Bash with what was read: the file has one line afterwards."""
    claude = claude_at(door)
    script, target = files_of(claude)
    assert_clean(await claude.run(script), "The loop is over: appended")
    assert target.read_text() == "word-apple\n"
    assert endings(upstream.asked) == ["finished"] * 3


async def test_two_tools_in_one_message(claude_at: ClaudeAt, door: str) -> None:
    """Both run, once each."""
    claude = claude_at(door)
    script, target = files_of(claude)
    run = await claude.run(script.replace("loop", "both"))
    assert run.is_clean, str(run)
    assert "word-apple" in run.text
    assert target.read_text() == "both\n"


async def test_an_image_that_was_read_arrives(claude_at: ClaudeAt, door: str) -> None:
    """Read of a PNG gives a tool result with an image in it."""
    claude = claude_at(door)
    picture = claude.home / "dot.png"
    picture.write_bytes(PNG)
    run = await claude.run(f"[[look {picture}]]")
    assert run.is_clean, str(run)
    assert run.text.startswith("I see image/"), str(run)


async def test_a_pdf_that_was_read_arrives(claude_at: ClaudeAt, door: str, upstream: Upstream) -> None:
    """As a file where its host takes files, else as the text in it; and again with the next turn."""
    claude = claude_at(door)
    paper = claude.home / "report.pdf"
    paper.write_bytes(pdf("The first page", "The secret is word-pineapple"))
    first = await claude.run(f"[[paper {paper}]]")
    files = upstream.asked[0].wire in ("anthropic", "gemini")  # the others take them of models that are known to
    assert_clean(first, "I was given a file" if files else "I read word-pineapple")
    assert_clean(await claude.run("[[say on]]", resume=first.session), "on")


async def test_a_resumed_session_remembers(claude_at: ClaudeAt, door: str, upstream: Upstream) -> None:
    """`--resume` sends the history under the same session id, which a provider of another wire is not told."""
    claude = claude_at(door)
    first = await claude.run("[[say pineapple]]")
    second = await claude.run("[[recall]]", resume=first.session)
    assert_clean(second, "I said: pineapple")
    assert second.session == first.session
    ids = {exchange.headers.get("x-claude-code-session-id") for exchange in upstream.asked}
    assert ids == {None} if upstream.asked[0].wire != "anthropic" else len(ids - {None}) == 1


async def test_four_sessions_at_once_do_not_mix(claude_at: ClaudeAt, door: str) -> None:
    """Each has a tool loop of its own, and gets its own answers."""
    clients = [claude_at(door) for _ in range(4)]
    scripts = [files_of(claude) for claude in clients]
    for number, claude in enumerate(clients):
        (claude.home / "in.txt").write_text(f"word-number{number}\n")
    runs = await run_together([(claude, script) for claude, (script, _) in zip(clients, scripts, strict=True)])
    for number, (run, (_, target)) in enumerate(zip(runs, scripts, strict=True)):
        assert_clean(run, "The loop is over: appended")
        assert target.read_text() == f"word-number{number}\n"


async def test_a_sub_agent_answers_its_parent(claude_at: ClaudeAt, door: str, upstream: Upstream) -> None:
    """The agent's own request is marked with its id, where the wire has a place for it; its words reach the parent."""
    run = await claude_at(door).run("[[agent pineapple]]")
    assert run.is_clean, str(run)
    foreign = upstream.asked[0].wire != "anthropic"
    assert ("\n  pineapple\n" if foreign else "sub-agent: pineapple") in run.text, str(run)
    assert [exchange.ask.turn().name for exchange in upstream.asked] == ["agent", "say", "agent"]
    assert [bool(exchange.agent) for exchange in upstream.asked] == [False, not foreign, False]


async def test_a_command_that_fails_is_told_as_an_error(claude_at: ClaudeAt, door: str, upstream: Upstream) -> None:
    """By a field, or by its text where the wire has no such field."""
    run = await claude_at(door).run("[[run echo deep trouble >&2; exit 3]]")
    assert run.is_clean, str(run)
    field = upstream.asked[0].wire in ("anthropic", "gemini")
    assert run.text.startswith("It failed: Exit code 3" if field else "It ran: Error: Exit code 3"), str(run)
    assert "deep trouble" in run.text


async def test_a_deferred_tool_is_found_and_offered(claude_at: ClaudeAt, door: str, upstream: Upstream) -> None:
    """ToolSearch answers with `tool_reference` blocks, and the tool stands among those of the next request."""
    claude = claude_at(door)
    assert_clean(await claude.run("[[find WebFetch]]", tools=["ToolSearch"]), "WebFetch is there")
    assert ["WebFetch" in exchange.ask.tool_names for exchange in upstream.asked] == [False, True]


@pytest.mark.parametrize(
    ("fault", "first_wire", "second_wire"),
    [
        *((fault, "anthropic", "anthropic") for fault in BEFORE_CONTENT),
        *((fault, "openai-chat", "anthropic") for fault in BEFORE_CONTENT[::2]),
        *((fault, "openai-chat", "openai-chat") for fault in BEFORE_CONTENT[1::2]),
        *((fault, "anthropic", "openai-chat") for fault in ("500", "reset", "hollow")),
        *((fault, "openai-responses", "anthropic") for fault in BEFORE_CONTENT[1::2]),
        *((fault, "openai-responses", "openai-responses") for fault in ("error-event", "hollow")),
        *((fault, "ollama", "anthropic") for fault in BEFORE_CONTENT[::3]),
        *((fault, "openai-chat", "ollama") for fault in BEFORE_CONTENT[1::3]),
    ],
)
async def test_a_candidate_that_fails_before_content_is_invisible(
    claude_at: ClaudeAt, fault: str, first_wire: Wire, second_wire: Wire
) -> None:
    """The first candidate fails; the turn is the second's, asked once, whichever wires they speak."""
    async with serving("first") as first, serving("second") as second:
        with at_fault(first, fault) as url:
            async with running_proxy(pair(url, second.base_url, wires=[first_wire, second_wire])) as proxy:
                assert_clean(await claude_at(proxy.base_url).run("[[say over the hedge]]"), "over the hedge")
    assert [exchange.wire for exchange in first.asked] == ([] if fault == "refused" else [first_wire])
    assert [exchange.wire for exchange in second.asked] == [second_wire]
    assert endings(second.asked) == ["finished"]


@pytest.mark.parametrize(
    ("fault", "first_wire", "second_wire"),
    [
        *((fault, "anthropic", "anthropic") for fault in ("429", "500", "refused", "reset", "error-event", "hollow")),
        *((fault, "openai-chat", "anthropic") for fault in ("429", "error-event")),
        *((fault, "anthropic", "openai-chat") for fault in ("500", "hollow")),
        *((fault, "openai-chat", "openai-chat") for fault in ("reset",)),
        *((fault, "openai-responses", "openai-responses") for fault in ("error-event",)),
        *((fault, "ollama", "anthropic") for fault in ("error-event",)),
        *((fault, "ollama", "ollama") for fault in ("hollow",)),
    ],
)
async def test_a_tool_loop_over_a_failing_candidate_runs_once(
    claude_at: ClaudeAt, fault: str, first_wire: Wire, second_wire: Wire
) -> None:
    """Three turns, each served by the second candidate, and one line in the file."""
    async with serving("first") as first, serving("second") as second:
        with at_fault(first, fault) as url:
            async with running_proxy(pair(url, second.base_url, wires=[first_wire, second_wire])) as proxy:
                claude = claude_at(proxy.base_url)
                script, target = files_of(claude)
                assert_clean(await claude.run(script), "The loop is over: appended")
    assert target.read_text() == "word-apple\n"
    assert endings(second.asked) == ["finished"] * 3


@pytest.mark.parametrize(
    ("fault", "wires"),
    [
        *((fault, ["anthropic"] * 2) for fault in ("cut-text", "reset-text", "error-midway")),
        *((fault, ["openai-chat", "anthropic"]) for fault in ("cut-text", "error-midway")),
        *((fault, ["openai-chat"] * 2) for fault in ("reset-text",)),
        *((fault, ["openai-responses", "anthropic"]) for fault in ("cut-text",)),
        *((fault, ["ollama", "anthropic"]) for fault in ("cut-text", "error-midway")),
    ],
)
async def test_a_text_that_breaks_off_is_never_shown_as_whole(
    claude_at: ClaudeAt, fault: str, wires: list[Wire]
) -> None:
    """The first block breaks: another goes on with it, and the result is the whole text, once."""
    words = "one two three four five six seven eight"
    async with serving("first", fault) as first, serving("second") as second:
        quick = pair(first.base_url, second.base_url, wires=wires).replace(
            "[providers.first]", "[providers.first]\nbreaker = { failures = 1 }"
        )
        async with running_proxy(quick) as proxy:
            run = await claude_at(proxy.base_url).run(f"[[say {words}]]")
    assert [result["is_error"] for result in run.results] == [False], str(run)
    assert run.text.strip() == words, str(run)
    assert endings(second.asked) == ["finished"]


@pytest.mark.parametrize(
    ("fault", "wires"),
    [
        ("cut-tool", ["anthropic", "anthropic"]),
        ("reset-tool", ["anthropic", "anthropic"]),
        ("cut-tool", ["openai-chat", "anthropic"]),
        ("reset-tool", ["openai-chat", "openai-chat"]),
        ("cut-tool", ["openai-responses", "anthropic"]),
        ("cut-tool", ["ollama", "anthropic"]),
    ],
)
async def test_half_a_tool_call_is_neither_run_nor_lost(claude_at: ClaudeAt, fault: str, wires: list[Wire]) -> None:
    """Half a call is never shown. Alone it is asked again elsewhere; behind a text another goes on, and makes it."""
    async with serving("first", fault) as first, serving("second") as second:
        async with running_proxy(pair(first.base_url, second.base_url, wires=wires)) as proxy:
            claude = claude_at(proxy.base_url)
            script, target = files_of(claude)
            assert_clean(await claude.run(script), "The loop is over: appended")
    assert target.read_text() == "word-apple\n"
    assert len(first.asked) == 3  # the client has noticed nothing
    assert endings(second.asked) == ["finished"] * 2


@pytest.mark.parametrize(
    ("fault", "who", "wires"),
    [
        ("silence:30", ["first"] * 2, ["anthropic"] * 2),
        ("silent-end:30", ["second"] * 2, ["anthropic"] * 2),
        ("silent-end:30", ["second"] * 2, ["openai-chat", "anthropic"]),
    ],
    ids=["then-answers", "then-ends-without-content", "then-ends-without-content-on-another-wire"],
)
async def test_half_a_minute_of_silence_is_bridged_by_pings(
    claude_at: ClaudeAt, fault: str, who: list[str], wires: list[Wire]
) -> None:
    """Claude Code and a raw client wait side by side: no retry, and a ping at least every 15 s."""
    timeout = '{ kind = "first-content-timeout", s = 40 }'
    runs: list[Run] = []
    async with serving("first", fault) as first, serving("second") as second:
        async with running_proxy(pair(first.base_url, second.base_url, timeout, wires=wires)) as proxy:

            async def turn() -> None:
                runs.append(await claude_at(proxy.base_url).run("[[say patience]]"))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(turn)
                async with raw_turn(proxy.base_url, "[[say patience]]") as raw:
                    while await raw.more():
                        pass
    assert_clean(runs[0], "patience")
    reading = raw.reading()
    assert reading.faults == []
    assert (reading.text, reading.error) == ("patience", None)
    assert reading.pings >= 2
    gaps = [later - earlier for earlier, later in pairwise([0.0, *raw.arrivals])]
    assert max(gaps) < 15, raw.arrivals
    served = [up.name for up in (first, second) for exchange in up.asked if exchange.ending == "finished"]
    assert [name for name in served if name == who[0]] == who
    assert len(second.asked) == who.count("second")


@pytest.mark.parametrize("fault", [*BEFORE_CONTENT, "cut-text", "error-midway"])
async def test_without_the_proxy_claude_code_does_see_the_fault(claude_at: ClaudeAt, fault: str) -> None:
    """With one retry allowed, each of them costs at least that: so a clean run through the proxy means something."""
    async with serving() as upstream:
        with at_fault(upstream, fault) as url:
            claude = claude_at(url)
            impatient = ClaudeCode(claude.binary, claude.home, url, env={"CLAUDE_CODE_MAX_RETRIES": "1"})
            run = await impatient.run("[[say one two three]]")
    assert not run.is_clean, str(run)


# One black pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)
