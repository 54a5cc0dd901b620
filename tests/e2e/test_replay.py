"""Every recorded Anthropic answer comes through the real proxy with its meaning unharmed.

The recordings and the checker stand beside the repository, not in it: the checker knows what a right reader finds in
each recording, and asks the proxy for it. The network framing of the upstream is varied, because a recording keeps no
chunk boundaries: event by event, byte by byte (inside UTF-8 and JSON), and in packet-sized pieces.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from .children import free_port, python_child
from .proxy import configuration, running_proxy

pytestmark = pytest.mark.real

EXACT = ("shape", "text", "tools", "stop", "error")
NEARLY = ("reasoning", "usage")
_ROW = re.compile(r"^\s+(\w+)\s+(\d+) of (\d+)$", re.M)
_COUNT = re.compile(r"^(\d+) recordings$", re.M)


@pytest.mark.parametrize("whole", [False, True], ids=["streams", "whole"])
@pytest.mark.parametrize("chunk", ["event", "1", "1400"])
async def test_recorded_answers_keep_their_meaning(
    shared: Path, tmp_path: Path, chunk: str, whole: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shape, text, tools, stop and error in all of them; reasoning and usage in at least 98 of 100."""
    port = free_port()
    address, streams = f"http://127.0.0.1:{port}", str(shared / "streams")
    replay = [str(shared / "replay" / "replay.py"), "--streams", streams, "--port", str(port), "--http-chunk", chunk]
    policies = ('"silent-skip"', '"in-order"', '"sequence"', '{ kind = "max-wait", s = 0 }')
    config = configuration(
        {"replay": address}, ["replay/any"], policies, settings='scope = "unlimited"\nbreaker = "off"\n'
    )
    check = [str(shared / "replay" / "replay_check.py"), "--streams", streams, "--wire", "anthropic-messages", "-v"]
    async with python_child(replay, tmp_path / "replay.log", f"{address}/v1/models"):
        async with running_proxy(config) as proxy:
            with trio.fail_after(180):
                done = await trio.run_process(
                    [sys.executable, check[0], proxy.base_url, *check[1:], "--model", "replay/{key}"]
                    + (["--whole"] if whole else []),
                    capture_stdout=True,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
    report = done.stdout.decode()
    with capsys.disabled():
        print(f"\nreplay, {chunk} a chunk{', whole' if whole else ''}:\n{report}")
    count = _COUNT.search(report)
    assert count is not None, report
    assert int(count[1]) > 0, report
    table = {facet: (int(passed), int(of)) for facet, passed, of in _ROW.findall(report)}
    assert "text" in table, report
    assert {facet: table[facet] for facet in EXACT if facet in table and table[facet][0] != table[facet][1]} == {}
    assert {
        facet: table[facet] for facet in NEARLY if facet in table and table[facet][0] < 0.98 * table[facet][1]
    } == {}
