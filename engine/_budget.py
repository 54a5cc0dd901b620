"""How many hedges a chain may still send: deposit with each request, withdraw with each hedge.

A limit on hedges per request bounds one request and not the fleet: in an outage every request is slow, every request
hedges, and the load doubles when it can least be borne. A budget is a share of traffic (finagle's and gRPC's remedy).
Its depth and a slow timed refill let somebody with a few requests a minute, whose deposits would take an hour to add up,
have a hedge as well.

Retries are paid from a budget of the same kind; see `_retries`.

So in any stretch of time the hedges are at most `extra_load` x requests + depth + seconds / refill_s: in ten seconds the
share and 10.2 more, whatever happens. That is an invariant, tested as one.
"""

from __future__ import annotations

import attrs

from engine._events import EngineEvent, RequestAccepted
from engine._kept import keep

#: Hedges a rested chain may send at once.
DEPTH = 10.0
#: Seconds in which one hedge is refilled without any traffic.
REFILL_S = 60.0


@attrs.define
class _Account:
    balance: float
    at: float


@attrs.define(eq=False)
class Budget:
    """One account per chain name. `depth` is what a rested one holds, `refill_s` the seconds in which one is refilled."""

    depth: float
    refill_s: float
    _accounts: dict[str, _Account] = attrs.field(factory=dict)

    def balance(self, chain: str, at: float) -> float:
        """What is left."""
        return self._account(chain, at).balance

    def withdraw(self, chain: str, at: float) -> bool:
        """Take one, or False where less than one is left."""
        account = self._account(chain, at)
        # A hundred deposits of a hundredth are one, whatever their sum in binary.
        if account.balance < 1 - 1e-9:
            return False
        account.balance = max(0.0, account.balance - 1)
        return True

    def refund(self, chain: str) -> None:
        """It was not sent after all."""
        account = self._accounts.get(chain)
        if account is not None:
            account.balance = min(self.depth, account.balance + 1)

    def deposit(self, chain: str, share: float, at: float) -> None:
        """One request has come: its share of one."""
        account = self._account(chain, at)
        account.balance = min(self.depth, account.balance + share)

    def _account(self, chain: str, at: float) -> _Account:
        """The account as of `at`, refilled."""
        account = self._accounts.get(chain) or _Account(self.depth, at)
        account.balance = min(self.depth, account.balance + max(0.0, at - account.at) / self.refill_s)
        account.at = max(account.at, at)
        return keep(self._accounts, chain, account)


@attrs.define(eq=False)
class HedgeBudget(Budget):
    """Hedges. Each chain says what share of its requests it may hedge."""

    depth: float = DEPTH
    refill_s: float = REFILL_S

    def fold(self, event: EngineEvent) -> None:
        if isinstance(event, RequestAccepted):
            self.deposit(event.chain, event.extra_load, event.at)
