"""What became of the last requests, told from the events alone."""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from engine._bill import Bill, Totals
from engine._events import CandidateSkipped, Committed, HedgeDenied, PlanMade, RequestFinished, TryEnded, TryStarted
from engine._failure import Failure
from engine._stream import Usage
from engine.observers.recent import Recent
from policies import (
    Candidate,
    Facts,
    FailureKind,
    Hedge,
    Latency,
    Need,
    SilentSkip,
    Skip,
    View,
    compose,
)
from tests.engine.said import A, B, accepted, content, failed, lost, started, won

C = Candidate("c", "m")
VIEW = View(
    need=Need(input_tokens=100),
    facts={
        A.name: Facts(latency=Latency(samples=40, at=(1.0, 1.1, 1.2, 1.3, 1.4, 1.23456)), in_flight=2),
        B.name: Facts(),
        C.name: Facts(breaker="open", breaker_wait_s=12.0),
    },
    wall_s=1_800_000_000.0,
    seed=7,
    config_digest="d1",
)
BILL = Bill(rule="reported", input=9, output=5, nano_usd=2_000_000_000)
TOTALS = Totals.of(BILL, chosen=True)
PLAN = compose((SilentSkip(), Hedge()), (A, B, C), VIEW)


def of(event: Any, **fields: Any) -> Any:
    return attrs.evolve(event, request_id="req_1", **fields)


def lived() -> Recent:
    """A request that hedged from A to B, lost A and was answered by B, 10 s after the clock began."""
    broken = Failure(kind=FailureKind.RESET, message="closed", upstream_id="up_1")
    recent = Recent()
    for event in [
        accepted(10.0, request_id="req_1", session="s", agent="a"),
        PlanMade(at=10.0, request_id="req_1", chain="c", plan=PLAN, view=VIEW, policies=(SilentSkip(), Hedge())),
        of(started(10.0, A)),
        TryStarted(at=10.0, request_id="req_1", attempt=1, candidate=A, number=1, key="A_KEY"),
        TryEnded(
            at=10.5, request_id="req_1", attempt=1, candidate=A, number=1, failure=broken, again="stale connection"
        ),
        TryStarted(at=10.5, request_id="req_1", attempt=1, candidate=A, number=2, key="A_KEY"),
        HedgeDenied(at=11.0, request_id="req_1", chain="c", candidate=B, reason="budget spent"),
        CandidateSkipped(
            at=12.0, request_id="req_1", skip=Skip(candidate=B, by="scope", reason="rate limited", wait_s=1.0)
        ),
        of(started(13.0, B), attempt=2, hedge=True, beside=True),
        TryStarted(at=13.0, request_id="req_1", attempt=2, candidate=B, number=1),
        of(content(14.0, 1.0, B), attempt=2),
        Committed(at=14.25, request_id="req_1", attempt=2, candidate=B, losers=(1,)),
        of(lost(14.25, 4.25, A), by="b/m"),
        TryEnded(at=20.0, request_id="req_1", attempt=2, candidate=B, number=1, via="websocket"),
        of(won(20.0, B), attempt=2, usage=Usage(input=9, output=5, reported=True), bill=BILL),
        RequestFinished(
            at=20.0,
            request_id="req_1",
            outcome="answered",
            candidate=B,
            attempts=2,
            elapsed_s=10.0,
            status=200,
            totals=TOTALS,
        ),
    ]:
        recent.fold(event)
    return recent


def test_a_request_in_one_line() -> None:
    """Who asked for what, who answered, how long it took."""
    assert lived().summaries() == [
        {
            "id": "req_1",
            "at": 1_800_000_000.0,
            "model": "m",
            "chain": "c",
            "resolved_by": "route",
            "session": "s",
            "agent": "a",
            "stream": True,
            "input_tokens_estimated": 100,
            "outcome": "answered",
            "candidate": "b/m",
            "attempts_started": 2,
            "elapsed_s": 10.0,
            "status": 200,
            "detail": "",
            "spent": TOTALS.told(),
        }
    ]


def told() -> dict[str, Any]:
    found = lived().explain("req_1")
    assert found is not None
    return found


def test_the_plan_is_the_explanation() -> None:
    """Who was to be asked, when, and who not and why."""
    plan = told()["plan"]
    assert [step["candidate"] for step in plan["steps"]] == ["a/m", "b/m"]
    assert plan["steps"][0]["patience_s"] == PLAN.steps[0].patience_s
    assert plan["steps"][0]["charge"] == PLAN.steps[0].charge.value
    (skip,) = plan["skipped"]
    assert skip == {
        "candidate": "c/m",
        "by": "silent-skip",
        "reason": PLAN.skipped[0].reason,
        "kind": "soft",
        "wait_s": 12.0,
    }
    assert "given" not in plan["limits"]
    assert (plan["limits"]["max_attempts"], plan["commit_at"]) == (6, "content")


def test_the_view_is_told_without_what_is_usual() -> None:
    """A healthy idle candidate is an empty object."""
    view = told()["view"]
    assert view["candidates"]["b/m"] == {}
    assert view["candidates"]["c/m"] == {"breaker": "open", "breaker_wait_s": 12.0}
    assert view["candidates"]["a/m"]["in_flight"] == 2
    assert view["candidates"]["a/m"]["latency"]["samples"] == 40
    assert (view["seed"], view["config"], view["need"]["input_tokens"]) == (7, "d1", 100)


def test_attempts_are_told_with_their_times_and_ends() -> None:
    """In seconds from the request's arrival."""
    first, second = told()["attempts"]
    assert first["tries"] == [
        {"number": 1, "key": "A_KEY", "failure": "reset: closed"},
        {"number": 2, "key": "A_KEY", "failure": None},
    ]
    assert (first["candidate"], first["outcome"], first["by"], first["hedge"]) == ("a/m", "lost", "b/m", False)
    assert (first["started_s"], first["ended_s"], first["counts_against_health"]) == (0.0, 4.25, False)
    assert second == {
        "attempt": 2,
        "candidate": "b/m",
        "hedge": True,
        "beside": True,
        "started_s": 3.0,
        "outcome": "won",
        "tries": [{"number": 1, "key": "", "failure": None, "via": "websocket"}],
        "first_content_s": 4.0,
        "committed_s": 4.25,
        "ended_s": 10.0,
        "failure": None,
        "upstream_request_id": None,
        "counts_against_health": False,
        "by": "",
        "usage": {"input": 9, "output": 5, "cache_read": 0, "cache_write": 0, "reported": True},
        "bill": BILL.told(),
    }
    assert told()["skipped_at_launch"] == [
        {"candidate": "b/m", "by": "scope", "reason": "rate limited", "kind": "soft", "wait_s": 1.0}
    ]
    assert told()["hedges_denied"] == [{"candidate": "b/m", "reason": "budget spent"}]


def test_what_a_request_has_spent_is_told_in_dollars() -> None:
    """The total, what is estimated and wasted of it, and each attempt's bill; while it runs, of the attempts that ended."""
    spent = told()["spent"]
    assert (spent["input"], spent["output"], spent["usd"], spent["usd_wasted"]) == (9, 5, 2.0, 0.0)
    assert told()["attempts"][1]["bill"]["usd"] == 2.0
    recent = Recent()
    for event in (accepted(0.0, request_id="req_1"), of(lost(1.0, 1.0), bill=attrs.evolve(BILL, nano_usd=None))):
        recent.fold(event)
    (line,) = recent.summaries()
    assert (line["spent"]["wasted"], line["spent"]["usd"], line["spent"]["attempts_unpriced"]) == (14, None, 1)


def test_it_is_plain_data() -> None:
    """It goes out as JSON."""
    assert orjson.loads(orjson.dumps(told()))["attempts"] == told()["attempts"]


def test_a_request_under_way_is_told_so_far() -> None:
    """Also one that has no plan yet, or whose attempt has failed."""
    recent = Recent()
    recent.fold(accepted(0.0, request_id="req_1"))
    (line,) = recent.summaries()
    assert (line["outcome"], line["at"], line["attempts_started"], line["elapsed_s"]) == ("running", None, 0, None)
    for event in (of(started(1.0)), of(failed(2.0, kind=FailureKind.SERVER))):
        recent.fold(event)
    (line,) = recent.summaries()
    assert line["attempts_started"] == 1
    found = recent.explain("req_1")
    assert found is not None
    (attempt,) = found["attempts"]
    assert (attempt["outcome"], attempt["counts_against_health"]) == ("failed", True)
    assert attempt["failure"] == "server error: said"
    assert "plan" not in found


def test_only_the_last_requests_are_kept() -> None:
    """The newest are told first; what is gone, or was never seen, is not known."""
    recent = Recent(kept=3)
    for number in range(5):
        recent.fold(accepted(float(number), request_id=f"req_{number}"))
    assert [line["id"] for line in recent.summaries()] == ["req_4", "req_3", "req_2"]
    assert [line["id"] for line in recent.summaries(limit=1)] == ["req_4"]
    assert recent.explain("req_1") is None
    recent.fold(attrs.evolve(started(9.0), request_id="req_0"))
    recent.fold(started(9.0))
    assert recent.explain("req_0") is None


def test_the_same_log_tells_the_same() -> None:
    """It is a fold, and nothing else."""
    assert lived().explain("req_1") == lived().explain("req_1")
