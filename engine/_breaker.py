"""Who is ejected, and how they come back: a fold over events.

A breaker that counts every error ejects a healthy provider because a client sent nonsense or a hedge was cancelled; one
that lets everybody in when its time is over floods whoever has just come back; one that forgets its last trip opens and
closes all day. Here only failures that the verdict table blames on the candidate count, and `_evidence` says when they are
enough. When the time is over one request leads. Its first content closes the breaker, yet one more failure opens it again
until an answer was whole; and from then on the candidate's share of the traffic grows from a little to all of it. Each
further trip doubles the time, up to a bound.

There is a row for each model and one for each provider. A connection that cannot be had is the provider's fault and counts
there alone. Any other failure counts for its model, and for the provider up to half of what ejects: a provider is out as a
whole when several of its models fail together, and one model's fault never takes its siblings along.

What a request tells is told of the moment it began: an attempt from before the row last opened, or was reset, says nothing
when it fails late. State follows from events alone, so that a recorded log gives the same book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from engine._breaker_row import Row, Who
from engine._events import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    EngineEvent,
    FirstContent,
    HealthChecked,
    HealthCheckStarted,
    ProviderReset,
)
from engine._evidence import Caller, Why
from engine._failure import NO_CONNECTION
from engine._kept import keep
from policies import Breaker, BreakerState, Candidate, FailureKind

#: The name of the row of a provider as a whole: `zen/*`.
EVERY = "*"

_PROBE = Why(text="the probe failed")
_RELAPSE = Why(text="it failed again before an answer was whole")


@attrs.frozen(kw_only=True)
class Standing:
    """How a candidate stands, its provider considered. `wait_s` until it may be asked, `ramp` its share of its traffic."""

    state: BreakerState = "closed"
    wait_s: float = 0.0
    reason: str = ""
    ramp: float = 1.0


_WELL = Standing()


@attrs.frozen(kw_only=True)
class _Told:
    """What an attempt or a check says of its candidate when it is over."""

    who: Who
    candidate: Candidate
    caller: Caller
    began_at: float
    at: float
    kind: FailureKind | None = None

    @property
    def unconnected(self) -> bool:
        return self.kind in NO_CONNECTION


@attrs.define(eq=False)
class BreakerBook:
    """One row per candidate and one per provider. `spec` gives a provider's settings, None for `breaker = "off"`."""

    spec: Callable[[str], Breaker | None]
    _rows: dict[str, Row] = attrs.field(factory=dict)

    # What is asked of it.

    def standing(self, candidate: Candidate, at: float) -> Standing:
        """As a policy should see it. `Candidate(provider, EVERY)` stands for the provider as a whole."""
        spec = self.spec(candidate.provider)
        rows = self._known(candidate)
        if spec is None or not rows:
            return _WELL
        ramp = min(row.ramp(at, spec.ramp_s) for _, row in rows)
        shut = [(name, row) for name, row in rows if row.is_open]
        if not shut:
            return _WELL if ramp == 1.0 else Standing(ramp=ramp)
        name, worst = max(shut, key=lambda found: (found[1].wait_s(at), found[1].open_until))
        wide = name != candidate.name
        reason = f"{candidate.provider} as a whole: {worst.reason}" if wide else worst.reason
        wait_s = worst.wait_s(at)
        return Standing(state="open" if wait_s > 0 else "half-open", wait_s=wait_s, reason=reason, ramp=ramp)

    def state(self, candidate: Candidate, at: float) -> tuple[BreakerState, float]:
        """The state, and the seconds until somebody may lead."""
        standing = self.standing(candidate, at)
        return standing.state, standing.wait_s

    def reason(self, candidate: Candidate) -> str:
        """Why this row last opened."""
        row = self._rows.get(candidate.name)
        return row.reason if row else ""

    def failures(self, candidate: Candidate) -> int:
        """Failures in a row."""
        row = self._rows.get(candidate.name)
        return row.evidence.in_a_row if row else 0

    def trips(self, candidate: Candidate) -> int:
        """How often it has opened without staying closed for long in between."""
        row = self._rows.get(candidate.name)
        return row.trips if row else 0

    def ejected(self, provider: str) -> list[Candidate]:
        """The open rows of a provider, `EVERY` for itself among them, in the order in which they were last written to."""
        shut = [Candidate.parse(name) for name, row in self._rows.items() if row.is_open]
        return [candidate for candidate in shut if candidate.provider == provider]

    def admit(self, candidate: Candidate, at: float, who: object = True, *, last_resort: bool = False) -> float:
        """Seconds to wait, 0 to go. Going through an open row reserves the leader's place for `who`.

        A `last_resort` need not wait for the row's time, only for `LAST_RESORT_S` since it was last found wanting.
        """
        if self.spec(candidate.provider) is None:
            return 0.0
        shut = [row for _, row in self._known(candidate) if row.is_open]
        waits = [row.last_resort_wait_s(at) if last_resort else row.wait_s(at) for row in shut]
        wait_s = max(waits, default=0.0)
        if wait_s > 0:
            return wait_s
        for row in shut:
            row.reserved = who
        return 0.0

    def release(self, candidate: Candidate, who: object = True) -> None:
        """Whoever was admitted did not start after all."""
        for _, row in self._known(candidate):
            if row.reserved is who:
                row.reserved = None

    # What it is told.

    def fold(self, event: EngineEvent) -> Iterator[EngineEvent]:
        match event:
            case AttemptStarted():
                self._lead(event.candidate, (event.request_id, event.attempt))
            case HealthCheckStarted():
                self._lead(event.candidate, (event.request_id, 0))
            case FirstContent():
                yield from self._first_content(event)
            case AttemptEnded(ending="won"):
                yield from self._whole(_told(event), event)
            case AttemptEnded(ending="failed", counts=True):
                yield from self._failure(_told(event), event)
            case HealthChecked():
                yield from self._checked(event)
            case ProviderReset():
                yield from self._reset(event)
        if isinstance(event, AttemptEnded):  # also where its provider has lost its breaker in a reload
            self._leave(event.candidate, (event.request_id, event.attempt))

    def _lead(self, candidate: Candidate, who: Who) -> None:
        for _, row in self._known(candidate):
            if row.is_open and row.leader is None:
                row.leader, row.reserved = who, None

    def _leave(self, candidate: Candidate, who: Who) -> None:
        for _, row in self._known(candidate):
            if row.leader == who:
                row.leader = None

    def _first_content(self, event: FirstContent) -> Iterator[EngineEvent]:
        if self.spec(event.candidate.provider) is None:
            return
        for name, row in self._known(event.candidate):
            if row.is_open and row.leader == (event.request_id, event.attempt):
                row.trial = True
                yield self._close(name, row, "the probe answered", event)

    def _whole(self, told: _Told, cause: EngineEvent) -> Iterator[EngineEvent]:
        spec = self.spec(told.candidate.provider)
        if spec is None:
            return
        for name, row in self._made(told.candidate):
            late = told.began_at < row.since
            if not (row.is_open and row.by_rate and late and row.leader != told.who):
                # An ejection for the rate has these answers counted already: they were under way.
                row.evidence.succeeded(told.caller, told.at, spec.window_s)
                row.trial = False
                if row.is_open:
                    yield self._close(name, row, "an answer was whole", cause)

    def _failure(self, told: _Told, cause: EngineEvent) -> Iterator[EngineEvent]:
        spec = self.spec(told.candidate.provider)
        if spec is None:
            return
        (name, row), (wide_name, wide) = self._made(told.candidate)
        led, led_wide = row.leader == told.who, wide.leader == told.who
        self._leave(told.candidate, told.who)
        if told.unconnected:
            # The provider's fault. Who leads for the provider merely leaves its model's place.
            why = _PROBE if led and not led_wide else None
            wide_why = _PROBE if led_wide else self._noted(wide, told, spec)
        else:
            # The model's fault. Who leads for the provider leaves that place to another model's request.
            why = _PROBE if led or led_wide else self._noted(row, told, spec)
            wide_why = None if led_wide else self._noted(wide, told, spec, model=told.candidate.model)
        if why is not None:
            yield self._open(name, row, why, spec, told, cause)
        if wide_why is not None:
            yield self._open(wide_name, wide, wide_why, spec, told, cause)

    def _noted(self, row: Row, told: _Told, spec: Breaker, *, model: str = "") -> Why | None:
        """Count a failure against a closed row: why that is enough to open it, None where it is not."""
        if row.is_open or told.began_at < row.since:
            return None
        caller = None if told.unconnected else told.caller
        row.evidence.failed(caller, told.at, spec.window_s, model=model, rated=not model)
        if row.trial and not model and not row.evidence.excused(caller, told.at, spec.window_s):
            return _RELAPSE
        return row.evidence.enough(told.at, spec)

    def _checked(self, event: HealthChecked) -> Iterator[EngineEvent]:
        """A check decides where it leads; elsewhere a good one is welcome, and a bad one is no client's failure."""
        spec, who = self.spec(event.candidate.provider), (event.request_id, 0)
        if spec is None:
            self._leave(event.candidate, who)
            return
        if event.ok:
            for name, row in self._known(event.candidate):
                if row.is_open:
                    yield self._close(name, row, "a check was answered", event)
        elif event.counts and any(row.leader == who for _, row in self._known(event.candidate)):
            kind = event.failure.kind if event.failure else None
            began_at = event.at - event.elapsed_s
            told = _Told(who=who, candidate=event.candidate, caller=None, began_at=began_at, at=event.at, kind=kind)
            yield from self._failure(told, event)
        else:
            self._leave(event.candidate, who)

    def _reset(self, event: ProviderReset) -> Iterator[EngineEvent]:
        for name, row in self._rows.items():
            if Candidate.parse(name).provider != event.provider:
                continue
            was_open = row.is_open
            if was_open:
                yield self._close(name, row, f"reset by {event.by}", event, by=event.by)
            row.reset(event.at)

    # Changes.

    def _open(self, name: str, row: Row, why: Why, spec: Breaker, told: _Told, cause: EngineEvent) -> BreakerChanged:
        before, for_s = row.open(why, told.kind, spec, told.at)
        return self._changed(name, before, "open", row.reason, cause, for_s=for_s)

    def _close(self, name: str, row: Row, reason: str, cause: EngineEvent, by: str = "") -> BreakerChanged:
        return self._changed(name, row.close(cause.at), "closed", reason, cause, by=by)

    def _changed(
        self,
        name: str,
        before: BreakerState,
        after: BreakerState,
        reason: str,
        cause: EngineEvent,
        *,
        for_s: float = 0.0,
        by: str = "",
    ) -> BreakerChanged:
        return BreakerChanged(
            at=cause.at,
            request_id=cause.request_id,
            candidate=Candidate.parse(name),
            before=before,
            after=after,
            reason=reason,
            for_s=for_s,
            by=by,
        )

    # Rows.

    def _known(self, candidate: Candidate) -> list[tuple[str, Row]]:
        """The rows there are, the candidate's own first."""
        names = dict.fromkeys((candidate.name, f"{candidate.provider}/{EVERY}"))
        return [(name, row) for name in names if (row := self._rows.get(name)) is not None]

    def _made(self, candidate: Candidate) -> list[tuple[str, Row]]:
        """Both rows, made where they were missing, and the last to be forgotten."""
        names = (candidate.name, f"{candidate.provider}/{EVERY}")
        return [(name, keep(self._rows, name, self._rows.get(name) or Row())) for name in names]


def _told(event: AttemptEnded) -> _Told:
    return _Told(
        who=(event.request_id, event.attempt),
        candidate=event.candidate,
        caller=_caller(event),
        began_at=event.at - event.elapsed_s,
        at=event.at,
        kind=event.failure.kind if event.failure else None,
    )


def _caller(event: AttemptEnded) -> str:
    """The session; of a client that names none, how its conversation begins."""
    if event.session or event.estimate is None:
        return event.session
    return f"#{event.estimate.conversation[2]:x}"
