"""How an attempt is settled when its task is over: how it ended, what its failure means, what it is charged for.

Reporting at each of the places where an attempt can end reports twice, or never where it was cancelled, and holds a
cancellation against the provider. So nothing is said on the way. The record is read once, after the task, whatever ended it;
and since reading it needs no race, it is pure.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from engine._attempt import Attempt
from engine._bill import Bill
from engine._events import AttemptEnded, Ending
from engine._failure import Failure
from engine._ledger import Spent, billed
from engine._relay import Relay
from engine._request import Request
from engine.config import Provider
from policies import FailureKind, Next, Outcome, Step, Unlimited, Verdict


def ending_of(attempt: Attempt) -> Ending:
    """How it ended. A whole message stays one, whoever gave up while the client was taking its end."""
    if attempt.whole:
        return "won"
    if attempt.scope.cancel_called:
        return "lost"
    return "failed" if attempt.failure is not None else "abandoned"


def verdict_on(attempt: Attempt, outcome: Outcome) -> Verdict | None:
    """What follows from its failure, by the chain's table; None where it did not fail."""
    if attempt.failure is None or ending_of(attempt) != "failed":
        return None
    verdict = outcome.verdict(attempt.failure.kind)
    if verdict.rests == "key" and attempt.key < 0:
        # A keyless provider has no key to lose: the candidate is out for this request, and that is all.
        verdict = attrs.evolve(verdict, rests="nothing")
    if attempt.part and verdict.next is Next.STOP:
        # Who refuses to go on from another's text has found no mistake of the client's.
        verdict = attrs.evolve(verdict, next=Next.NEXT)
    if attempt.part and attempt.failure.kind is FailureKind.EMPTY and attempt.relay.finished:
        # Who thinks that nothing is missing has answered, and is well.
        verdict = attrs.evolve(verdict, counts=False, counts_unlimited=False)
    return verdict


def measured(failure: Failure, prompt: int, window: int | None) -> Failure:
    """A prompt that was too long, with the numbers: the provider's, else what is known, in tokens.

    A client compacts by a text of a fixed form, so where neither is known our estimate stands for both.
    """
    if failure.tokens is not None:
        return failure
    known = window or prompt
    return attrs.evolve(failure, tokens=(max(prompt, known + 1), known))


def fitting(
    failure: Failure, prompt: int, failed: int | None, window: Callable[[Step], int | None]
) -> Callable[[Step], bool]:
    """Whether a step may take what the one that `failed`, with a window of so many tokens, could not."""
    needed = failure.tokens[0] if failure.tokens else prompt

    def fits(step: Step) -> bool:
        own = window(step)
        return own is None or (own > needed and (failed is None or own > failed))

    return fits


def ended(
    attempt: Attempt,
    verdict: Verdict | None,
    *,
    request: Request,
    prompt: int,
    provider: Provider,
    cause: str,
    at: float,
) -> AttemptEnded:
    """The one event. `prompt` is its length in tokens as the candidate counts, `cause` why the request was given up, if so."""
    ending = ending_of(attempt)
    began_at, first_at = attempt.started_at, attempt.first_content_at
    unlimited = attempt.step.unlimited or isinstance(provider.scope, Unlimited)
    return AttemptEnded(
        at=at,
        request_id=request.id,
        attempt=attempt.id,
        candidate=attempt.step.candidate,
        ending=ending,
        elapsed_s=at - began_at,
        need=request.need,
        first_content_s=None if first_at is None else first_at - began_at,
        failure=attempt.failure if ending == "failed" else None,
        verdict=verdict,
        counts=verdict is not None and verdict.blames(unlimited=unlimited),
        committed=attempt.committed,
        by=cause if ending == "abandoned" else "",
        usage=attempt.relay.usage,
        bill=charged(
            attempt.relay,
            attempt.failure,
            sent=attempt.sent,
            prompt=prompt,
            provider=provider,
            model=attempt.step.candidate.model,
        ),
        estimate=request.estimate,
        key=attempt.key,
        session=request.session,
        part=attempt.part,
        tool_calls=attempt.relay.calls.whole,
        tool_errors=attempt.relay.calls.bad,
    )


def charged(relay: Relay, failure: Failure | None, *, sent: bool, prompt: int, provider: Provider, model: str) -> Bill:
    """What an answer, or the lack of one, is charged for: see the ledger's table. `prompt` is estimated, in tokens."""
    spent = Spent(
        sent=sent,
        started=relay.started,
        counted=relay.stop_reason is not None,
        failure=failure,
        usage=relay.usage,
        prompt=prompt,
        answer=relay.made,
    )
    return billed(spent, provider.model(model).price, free=provider.free(model))
