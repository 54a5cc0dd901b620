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
    ("openai-responses", False): {
        # A count of zero for an answer with a text: estimated, since a zero would break the client's meter.
        "openai/109 usage": "in 28 out 19 for 0 0",
    },
    ("openai-responses", True): {
        # Custom calls, of which the checker takes no notice.
        "openai/149 tools": "[('math_exp', {'input': '4 + 4'})] for []",
        "openai/149 stop": "tool_use for completed (tools 0)",
        "openai/172 tools": "[('write_sql', {'input': 'SELECT * FROM users WHERE age > 25'})] for []",
        "openai/172 stop": "tool_use for completed (tools 0)",
        # Incomplete without a reason: a cut answer must not look finished.
        "openai/161 stop": "max_tokens for incomplete (tools 0)",
        "openai/163 stop": "max_tokens for incomplete (tools 0)",
    },
    ("gemini", True): {
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
    "openai-responses": "openai-responses",
    "gemini": "gemini",
    "ollama": "ollama-chat",
}


@pytest.mark.parametrize("whole", [False, True], ids=["streams", "whole"])
@pytest.mark.parametrize(
    ("wire", "chunk"),
    [
        *(("anthropic", chunk) for chunk in ("event", "1", "1400")),
        *(
            (wire, chunk)
            for wire in ("openai-chat", "openai-responses", "gemini", "ollama")
            for chunk in ("event", "1", "7", "1400")
        ),
    ],
)
async def test_recorded_answers_keep_their_meaning(
    shared: Path, tmp_path: Path, wire: Wire, chunk: str, whole: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shape, text, tools, stop and error in all but the named ones; reasoning and usage in at least 98 of 100 others."""
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
    excused = EXCEPTIONS.get((wire, whole), {})
    failed = {name: why for name, why in _FAILED.findall(report) if name.split()[1] in EXACT or name in excused}
    assert "text" in table, report
    assert failed == excused
    exact = [name for name in failed if name.split()[1] in EXACT]
    assert sum(of - passed for facet, (passed, of) in table.items() if facet in EXACT) == len(exact)
    for facet in NEARLY:
        passed, of = table.get(facet, (0, 0))
        assert passed >= 0.98 * (of - sum(name.split()[1] == facet for name in excused)), report
