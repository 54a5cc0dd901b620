"""What became of the last requests: the plan of each, every skip with its reason, every attempt with its times and end.

"Why did this go there?" is usually answered by searching a log. The plan is the explanation and the events are the rest, so
this observer only keeps them, for the last few hundred requests, and tells them as plain data.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import attrs

from engine._bill import NO_TOTALS, Totals
from engine._events import (
    AffinityBroken,
    AffinityChanged,
    AnsweredLocally,
    AttemptEnded,
    AttemptStarted,
    CandidateSkipped,
    Committed,
    EngineEvent,
    FirstContent,
    HedgeDenied,
    LessonLearned,
    PlanMade,
    RequestAccepted,
    RequestFinished,
    RequestShared,
    Rescued,
    TryEnded,
    TryStarted,
)
from engine._stream import JSON
from engine.observers._verdicts import verdicts
from policies import Facts, Plan, Skip, View

#: Requests kept. One with its plan and view takes a few kilobytes.
KEPT = 500


@attrs.define(eq=False)
class Record:
    """One request's events, in order."""

    accepted: RequestAccepted
    planned: PlanMade | None = None
    local: AnsweredLocally | None = None
    finished: RequestFinished | None = None
    shared: RequestShared | None = None
    events: list[EngineEvent] = attrs.field(factory=list)


@attrs.define(eq=False)
class Recent:
    """A reducer. `summaries` lists, newest first; `explain` tells one."""

    kept: int = KEPT
    _records: OrderedDict[str, Record] = attrs.field(factory=OrderedDict)

    def fold(self, event: EngineEvent) -> None:
        match event:
            case RequestAccepted():
                self._records[event.request_id] = Record(event)
                while len(self._records) > self.kept:
                    self._records.popitem(last=False)
            case _ if (record := self._records.get(event.request_id)) is not None:
                if isinstance(event, PlanMade):
                    record.planned = event
                elif isinstance(event, AnsweredLocally):
                    record.local = event
                elif isinstance(event, RequestShared):
                    record.shared = event
                elif isinstance(event, RequestFinished):
                    record.finished = event
                else:
                    record.events.append(event)

    def summaries(self, limit: int = 50) -> list[JSON]:
        """The last `limit` requests, newest first, a line each."""
        return [_summary(r) for r in list(reversed(self._records.values()))[:limit]]

    def explain(self, request_id: str) -> JSON | None:
        """One request in full, or None where it is not known (any more)."""
        record = self._records.get(request_id)
        if record is None:
            return None
        told = _summary(record)
        told["own_policies"] = list(record.accepted.policies)
        if record.local is not None:
            told["local_answer"] = record.local.probe
        if record.shared is not None:
            told["shares_answer_of"] = record.shared.leader
        if record.planned is not None:
            told |= decided(record.planned)
        told["skipped_at_launch"] = [_skip(e.skip) for e in record.events if isinstance(e, CandidateSkipped)]
        denied = [e for e in record.events if isinstance(e, HedgeDenied)]
        told["hedges_denied"] = [{"candidate": str(e.candidate), "reason": e.reason} for e in denied]
        told["attempts"] = _attempts(record)
        if rescues := [_rescue(e) for e in record.events if isinstance(e, Rescued)]:
            told["rescues"] = rescues
        told["affinity"] = _affinity(record)
        told["learned"] = [_lesson(e) for e in record.events if isinstance(e, LessonLearned)]
        return told


def _summary(record: Record) -> JSON:
    accepted, finished = record.accepted, record.finished
    return {
        "id": accepted.request_id,
        "at": record.planned.view.wall_s if record.planned else record.local.wall_s if record.local else None,
        "model": accepted.model,
        "chain": accepted.chain,
        "resolved_by": accepted.how,
        "session": accepted.session,
        "agent": accepted.agent,
        "stream": accepted.need.stream,
        "input_tokens_estimated": accepted.need.input_tokens,
        "outcome": finished.outcome if finished else "running",
        "candidate": str(finished.candidate) if finished and finished.candidate else None,
        "attempts_started": finished.attempts
        if finished
        else sum(isinstance(e, AttemptStarted) for e in record.events),
        "elapsed_s": _rounded(finished.elapsed_s) if finished else None,
        "status": finished.status if finished else None,
        "detail": finished.detail if finished else "",
        "spent": _spent(record).told(),
    }


def _spent(record: Record) -> Totals:
    """The request's totals; of one that is still running, what its ended attempts come to."""
    if record.finished is not None:
        return record.finished.totals
    ended = (e for e in record.events if isinstance(e, AttemptEnded))
    return sum((Totals.of(e.bill, chosen=e.committed) for e in ended), NO_TOTALS)


def decided(made: PlanMade) -> JSON:
    """A plan, the view it was decided on, and what each policy said of each candidate."""
    return {"plan": _plan(made.plan), "view": _view(made.view), **verdicts(made)}


def _plan(plan: Plan) -> JSON:
    steps = [
        {
            "candidate": str(s.candidate),
            "patience_s": s.patience_s,
            "first_content_s": s.first_content_s,
            "idle_s": s.idle_s,
            "charge": s.charge.value,
            "not_before_s": s.not_before_s,
            "unlimited": s.unlimited,
            "behind": s.behind,
            "last_resort": s.last_resort,
            "hedge_denied": s.denied,
        }
        for s in plan.steps
    ]
    limits = attrs.asdict(plan.limits, filter=attrs.filters.exclude("given"))
    limits["retry_waits_s"] = [_rounded(wait_s) for wait_s in plan.limits.retry_waits_s]
    return {
        "steps": steps,
        "skipped": [_skip(s) for s in plan.skipped],
        "limits": limits,
        "commit_at": plan.outcome.commit_at,
    }


def _skip(skip: Skip) -> JSON:
    return {
        "candidate": str(skip.candidate),
        "by": skip.by,
        "reason": skip.reason,
        "kind": "soft" if skip.soft else "hard",
        "wait_s": _rounded(skip.wait_s),
    }


def _affinity(record: Record) -> JSON:
    """Where the conversation is at home, what it cost or saved that the turn was answered elsewhere, and where it moved."""
    told: JSON = {"home": (record.planned.view.affinity or None) if record.planned else None}
    for event in record.events:
        match event:
            case AffinityBroken():
                told["broken"] = {
                    "instead": event.instead,
                    "reason": event.reason,
                    "wait_here_s": _rounded(event.wait_here_s),
                    "wait_there_s": _rounded(event.wait_there_s),
                    "warm_tokens_lost": event.warm_tokens_lost,
                    "usd": round(event.usd, 6),
                    "price_s": _rounded(event.price_s),
                    "saved_s": _rounded(event.saved_s),
                }
            case AffinityChanged():
                told["moved_to"] = {"candidate": event.after, "reason": event.reason}
    return told


def _lesson(lesson: LessonLearned) -> JSON:
    known = {"max_tokens": lesson.cap, "window": lesson.window, "without": sorted(lesson.without)}
    return {"candidate": str(lesson.candidate), **{name: value for name, value in known.items() if value}}


def _view(view: View) -> JSON:
    """What was known, less what is at its default: a healthy idle candidate is an empty object."""
    facts = {
        name: {
            a.name: _plain(getattr(known, a.name))
            for a in attrs.fields(Facts)
            if getattr(known, a.name) != getattr(_USUAL, a.name)
        }
        for name, known in view.facts.items()
    }
    affinity = {"affinity": view.affinity} if view.affinity else {}
    return {
        "need": attrs.asdict(view.need),
        "candidates": facts,
        "seed": view.seed,
        "config": view.config_digest,
        **affinity,
    }


_USUAL = Facts()


def _plain(value: Any) -> Any:
    return attrs.asdict(value) if attrs.has(type(value)) else _rounded(value) if isinstance(value, float) else value


def _rescue(event: Rescued) -> JSON:
    """Who went on with whose text, by their attempts, and how much of it the client had seen."""
    return {
        "part": event.part,
        "from": str(event.candidate),
        "from_attempt": event.attempt,
        "by": str(event.by),
        "by_attempt": event.by_attempt,
        "state": event.state,
        "shown_chars": event.shown_chars,
    }


def _attempts(record: Record) -> list[JSON]:
    began_at = record.accepted.at
    rows: dict[int, JSON] = {}
    for event in record.events:
        match event:
            case AttemptStarted():
                rows[event.attempt] = {
                    "attempt": event.attempt,
                    "candidate": str(event.candidate),
                    "hedge": event.hedge,
                    "beside": event.beside,
                    "started_s": _rounded(event.at - began_at),
                    "outcome": "running",
                    "tries": [],
                } | ({"part": event.part} if event.part else {})
            case TryStarted():
                passed = [{**attrs.asdict(key), "wait_s": _rounded(key.wait_s)} for key in event.passed]
                told: JSON = {"number": event.number, "key": event.key, "failure": None}
                if passed:
                    told["keys_passed_over"] = passed
                rows[event.attempt]["tries"].append(told)
            case TryEnded():
                last = rows[event.attempt]["tries"][-1]
                last["failure"] = str(event.failure) if event.failure is not None else None
                last |= {"via": event.via} if event.via else {}
            case FirstContent():
                rows[event.attempt]["first_content_s"] = _rounded(event.at - began_at)
            case Committed():
                rows[event.attempt]["committed_s"] = _rounded(event.at - began_at)
            case AttemptEnded():
                rows[event.attempt] |= {
                    "outcome": event.ending,
                    "ended_s": _rounded(event.at - began_at),
                    "failure": str(event.failure) if event.failure else None,
                    "upstream_request_id": event.failure.upstream_id if event.failure else None,
                    "counts_against_health": event.counts,
                    "by": event.by,
                    "usage": attrs.asdict(event.usage),
                    "bill": event.bill.told(),
                }
    return list(rows.values())


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
