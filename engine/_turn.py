"""A turn's race and its one ending: run, go on where a winner broke, and end honestly where nobody can.

Asking again whatever happens, as retry loops do, shows a client two beginnings or runs a tool twice; closing whatever
was left open tells it that half an answer is a whole one. What the client has seen decides both, so both are decided here, of
that alone. An end is only ever stated by a provider, or follows from a tool call that will run.
"""

from __future__ import annotations

from typing import Literal

import attrs
import trio

from engine import _refusals
from engine._ports import Refusal, Winner
from engine._race import Race
from engine._shown import Ending
from policies import FailureKind

#: What a client that has seen a part of the message is told, by the cause of giving up.
_WHY = {"shutdown": "the server is shutting down", "deadline": "the turn has reached its deadline"}

Outcome = Literal["answered", "refused", "broken", "abandoned"]


@attrs.define(eq=False)
class Turn:
    """A request under way. `cause` is why it was given up, where that was not the client's doing."""

    scope: trio.CancelScope
    cause: str = "client"

    @property
    def why(self) -> str:
        """What the turn was given up for, if it is: `client`, `deadline`, `shutdown`."""
        return "deadline" if self.scope.deadline <= trio.current_time() else self.cause


async def run(race: Race) -> None:
    """Race until there is an answer. Where a winner breaks, others start again or go on, by what the client has seen."""
    while True:
        await race.run()
        if race.winner is None or race.winner.whole:
            return
        if not race.reply.visible:
            race.reply.discard()
            race.again()
        elif not race.go_on():
            return


async def end(race: Race, turn: Turn) -> tuple[Outcome, int | None]:
    """The one ending the client gets."""
    given_up = turn.scope.cancelled_caught
    if race.winner is not None and race.winner.whole:
        if given_up and not race.winner.ended:
            await race.reply.finish()  # the client was still taking the last of it
        return "answered", 200
    if race.shown.whole and race.reply.visible:
        await race.reply.finish()  # given up while the client was taking the end: there is nothing to add to it
        return "answered", 200
    if race.broken is not None and race.reply.visible:
        await _break_off(race, turn.why if given_up else "")
        return "broken", 200
    if given_up:
        late = _refusals.timed_out(race.limits.deadline_s)
        refusal = _refusals.shutting_down() if turn.cause == "shutdown" else late
    elif race.empty is not None:
        candidate, events = race.empty
        await race.reply.begin(Winner(candidate=candidate, attempts=race.launched))
        await race.reply.send(events)
        await race.reply.finish()
        return "answered", 200
    else:
        refusal = _refusals.exhausted(race.plan, race.faults, race.skips, _waits_s(race), race.length())
    await race.reply.refuse(refusal)
    return "refused", refusal.status


def _waits_s(race: Race) -> list[float]:
    """Seconds until each candidate is back that may be asked again: who was busy, and who may not fail the next time."""
    now = trio.current_time()
    waits_s = [max(0.0, ready_at - now) for ready_at, _ in race.pacer.waiting()]
    waits_s += [skip.wait_s for skip in race.skips if skip.by == "queue" and skip.wait_s is not None]
    for fault in race.faults:
        if fault.failure.may_pass:
            known_s = race.books.back_in_s(race.config, fault.candidate, race.asker.tokens, now)
            waits_s.append(max(known_s, fault.failure.retry_after_s or 0.0))
    return waits_s


async def _break_off(race: Race, cause: str) -> None:
    """The client has seen a part, and nobody goes on. What it has seen decides; see `Shown.ending`.

    A provider that states an error would state it again. Told so, Claude Code asks at once without streaming, where
    another candidate can take over unseen; on a reset it comes back after growing waits, and to the same provider.
    """
    assert race.broken is not None
    reply, failure = race.reply, race.broken.failure
    stated = failure is not None and failure.kind is FailureKind.ERROR_EVENT
    ending = race.shown.ending()
    if ending is Ending.CLOSE:
        await reply.send(race.shown.closing(race.broken.relay.usage.output))
        await reply.finish()
    elif ending is Ending.ERROR or stated or cause == "shutdown":
        why = _WHY.get(cause, "the provider stopped in the middle")
        message = f"{why}; the answer above is not complete"
        await reply.refuse(Refusal(status=529, type="overloaded_error", message=message))
    else:
        await reply.reset()
