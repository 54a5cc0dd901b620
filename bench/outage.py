"""Ten minutes in which no provider answers, and the real Claude Code on the other side.

    python bench/outage.py [--minutes 10] [--model opus] [--json]

Whether somebody is still there when an outage ends depends on the client's own clock, on how it counts which failures, and
on what it is told; none of that can be shortened or simulated. So this takes as long as the outage: two scripted providers
fail (one answers 500, the other resets), the proxy runs with its defaults, Claude Code is asked once, and after ten minutes
the providers are well again. Claude Code is the one that the tests use: headless, pinned, in an empty environment.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import attrs
import httpx
import trio

from tests.e2e.claude import VERSION, ClaudeCode, Run, find_claude
from tests.e2e.proxy import running_proxy
from tests.e2e.upstream import Upstream, serving

FAULTS = ("500", "reset")
#: After the outage: time for the wait that is under way when it ends, and for the answer.
AFTERWARDS_S = 240.0
PROMPT = "Say hello."


@attrs.frozen
class Outcome:
    """What came of one outage. `minutes` are the requests that providers saw, minute by minute of the outage."""

    client: str
    model: str
    outage_s: float
    exit_code: int | None
    answered: bool
    text: str
    answered_after_s: float
    client_requests: int
    client_retries: int
    held_s: tuple[float, ...]
    statuses: tuple[int | None, ...]
    upstream_requests: int
    minutes: tuple[int, ...]


def config(upstreams: tuple[Upstream, Upstream], settings: str = "", policies: str = "") -> str:
    """A file that leaves everything at its defaults, unless it says otherwise."""
    tables = [
        f'[providers.{up.name}]\nwire = "anthropic"\nbase_url = {json.dumps(up.base_url)}\n{settings}'
        for up in upstreams
    ]
    candidates = json.dumps([f"{up.name}/claude-sonnet-5-5" for up in upstreams])
    chain = f"[chains.main]\ncandidates = {candidates}\n{policies}"
    return "\n\n".join([*tables, chain, '[[routes]]\nmatch = "*"\nchain = "main"\n'])


async def outage(
    outage_s: float, model: str, *, settings: str = "", policies: str = "", afterwards_s: float = AFTERWARDS_S
) -> tuple[Outcome, Run]:
    """One outage from its beginning. `settings` are lines of each provider's table, `policies` one of the chain's."""
    async with serving("first", FAULTS[0]) as first, serving("second", FAULTS[1]) as second:
        async with running_proxy(config((first, second), settings, policies)) as proxy:
            with tempfile.TemporaryDirectory() as home:
                client = ClaudeCode(find_claude(), Path(home), proxy.base_url, model=model)
                began_at = trio.current_time()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_mend, (first, second), outage_s)
                    run = await client.run(PROMPT, timeout_s=outage_s + afterwards_s)
                    nursery.cancel_scope.cancel()
                after_s = trio.current_time() - began_at
            async with httpx.AsyncClient(base_url=proxy.base_url) as http:
                listed = (await http.get("/api/requests")).json()
    asked = [exchange.arrived - began_at for up in (first, second) for exchange in up.asked]
    by_minute = Counter(int(at // 60) for at in asked if at < outage_s)
    requests = sorted(listed["requests"], key=lambda one: one["at"])
    return (
        Outcome(
            client=VERSION,
            model=model,
            outage_s=outage_s,
            exit_code=run.returncode,
            answered=run.returncode == 0 and bool(run.results) and not run.results[-1]["is_error"],
            text=run.text[:300],
            answered_after_s=round(after_s, 1),
            client_requests=len(requests),
            client_retries=len(run.retries),
            held_s=tuple(round(one["elapsed_s"] or 0.0, 1) for one in requests),
            statuses=tuple(one["status"] for one in requests),
            upstream_requests=len(asked),
            minutes=tuple(by_minute[minute] for minute in range(-int(-outage_s // 60))),
        ),
        run,
    )


async def _mend(upstreams: tuple[Upstream, Upstream], after_s: float) -> None:
    await trio.sleep(after_s)
    for upstream in upstreams:
        upstream.fault = ""


async def _main(outage_s: float, model: str, *, as_json: bool) -> None:
    found, run = await outage(outage_s, model)
    if as_json:
        print(json.dumps(attrs.asdict(found), indent=2))
    else:
        for name, value in attrs.asdict(found).items():
            print(f"{name:>18}  {value}")
    if not found.answered:
        raise SystemExit(str(run))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An outage of all providers, and the real Claude Code.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", default="opus", help="as Claude Code calls it; opus is the least patient")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    trio.run(lambda: _main(60 * options.minutes, options.model, as_json=options.json))
