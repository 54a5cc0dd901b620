"""Every recorded answer, on whichever wire, comes through the real proxy with its meaning unharmed.

The recordings and the checker stand beside the repository, not in it: the checker knows what a right reader finds in
each recording, and asks the proxy for it. The network framing of the upstream is varied, because a recording keeps no
chunk boundaries: event by event, byte by byte (inside UTF-8 and JSON), a few bytes, and in packet-sized pieces.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from .children import free_port, python_child
from .proxy import configuration, running_proxy
from .wire import Wire

pytestmark = pytest.mark.real

EXACT = ("shape", "text", "tools", "stop", "error")
NEARLY = ("reasoning", "usage")
#: What the checker says of recordings that came through as they should, with the reason; by wire, and whether whole.
EXCEPTIONS: Mapping[tuple[Wire, bool], Mapping[str, str]] = {
    # A `custom` call: name and free text stand under `custom`, where the checker looks for neither. Ours has both.
    ("openai-chat", True): {"openai/091 tools": "[('math_exp', {'input': '4 + 4'})] for [('', {})]"},
    # What the host's own tools fed to the model is input as well; the checker takes the prompt alone.
    ("gemini", False): {
        "gemini/006 usage": "in 201 out 121 for 89 121",
        "gemini/008 usage": "in 111 out 37 for 36 37",
        "gemini/009 usage": "in 698 out 649 for 23 649",
        "gemini/016 usage": "in 989 out 424 for 91 424",
        "gemini/025 usage": "in 796 out 717 for 32 717",
        "gemini/050 usage": "in 1155 out 87 for 25 87",
        "gemini/056 usage": "in 1737 out 294 for 258 294",
        "gemini/073 usage": "in 4642 out 62 for 32 62",
        "gemini/074 usage": "in 119 out 653 for 17 653",
        "gemini/076 usage": "in 507 out 276 for 147 276",
    },
    ("gemini", True): {
        "gemini/103 usage": "in 234 out 209 for 85 209",
        "gemini/115 usage": "in 2427 out 88 for 32 88",
        # A sound, which Messages has no block for: the client is told that one stood there.
        "gemini/113 text": "'[audio/wav stood here; it is not shown]' for '' (39/0)",
    },
}
_ROW = re.compile(r"^\s+(\w+)\s+(\d+) of (\d+)$", re.M)
_COUNT = re.compile(r"^(\d+) recordings$", re.M)
_FAILED = re.compile(r"^FAIL (\S+ \w+): (.*)$", re.M)
_AT_CHECKER: Mapping[Wire, str] = {
    "anthropic": "anthropic-messages",
    "openai-chat": "openai-chat",
    "gemini": "gemini",
    "ollama": "ollama-chat",
}


@pytest.mark.parametrize("whole", [False, True], ids=["streams", "whole"])
@pytest.mark.parametrize(
    ("wire", "chunk"),
    [
        *(("anthropic", chunk) for chunk in ("event", "1", "1400")),
        *((wire, chunk) for wire in ("openai-chat", "gemini", "ollama") for chunk in ("event", "1", "7", "1400")),
    ],
)
async def test_recorded_answers_keep_their_meaning(
    shared: Path, tmp_path: Path, wire: Wire, chunk: str, whole: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shape, text, tools, stop and error in all but the named ones; reasoning and usage in at least 98 of 100."""
    port = free_port()
    address, streams = f"http://127.0.0.1:{port}", str(shared / "streams")
    replay = [str(shared / "replay" / "replay.py"), "--streams", streams, "--port", str(port), "--http-chunk", chunk]
    policies = ('"silent-skip"', '"in-order"', '"sequence"', '{ kind = "max-wait", s = 0 }')
    settings = 'scope = "unlimited"\nbreaker = "off"\n'
    config = configuration({"replay": address}, ["replay/any"], policies, settings=settings, wires=[wire])
    check = [str(shared / "replay" / "replay_check.py"), "--streams", streams, "--wire", _AT_CHECKER[wire], "-v"]
    async with python_child(replay, tmp_path / "replay.log", f"{address}/v1/models"):
        async with running_proxy(config) as proxy:
            with trio.fail_after(180):
                done = await trio.run_process(
                    [sys.executable, check[0], proxy.base_url, *check[1:], "--model", "replay/{provider}__{n}"]
                    + (["--whole"] if whole else []),
                    capture_stdout=True,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
    report = done.stdout.decode()
    with capsys.disabled():
        print(f"\nreplay, {wire}, {chunk} a chunk{', whole' if whole else ''}:\n{report}")
    count = _COUNT.search(report)
    assert count is not None, report
    assert int(count[1]) > 0, report
    table = {facet: (int(passed), int(of)) for facet, passed, of in _ROW.findall(report)}
    named = EXCEPTIONS.get((wire, whole), {})
    failed = {name: why for name, why in _FAILED.findall(report) if name.split()[1] in EXACT or name in named}
    assert "text" in table, report
    assert failed == named
    exact = [name for name in failed if name.split()[1] in EXACT]
    assert sum(of - passed for facet, (passed, of) in table.items() if facet in EXACT) == len(exact)
    right = {facet: sum(name.endswith(f" {facet}") for name in named) for facet in NEARLY}
    assert {
        facet: table[facet]
        for facet in NEARLY
        if facet in table and table[facet][0] + right[facet] < 0.98 * table[facet][1]
    } == {}
