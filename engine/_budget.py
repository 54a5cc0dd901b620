"""How many hedges a chain may still send: deposit with each request, withdraw with each hedge.

A limit on hedges per request bounds one request and not the fleet: in an outage every request is slow, every request
hedges, and the load doubles when it can least be borne. A budget is a share of traffic (finagle's and gRPC's remedy).
Its depth and a slow timed refill let somebody with a few requests a minute, whose deposits would take an hour to add up,
have a hedge as well.
"""

from __future__ import annotations

import attrs

from engine._events import EngineEvent, RequestAccepted

#: Hedges a rested chain may send at once.
DEPTH = 10.0
#: Seconds in which one hedge is refilled without any traffic.
REFILL_S = 60.0


@attrs.define
class _Account:
    balance: float = DEPTH
    at: float = 0.0


@attrs.define(eq=False)
class HedgeBudget:
    """One account per chain name."""

    _accounts: dict[str, _Account] = attrs.field(factory=dict)

    def balance(self, chain: str, at: float) -> float:
        """Hedges left."""
        account = self._accounts.setdefault(chain, _Account(at=at))
        account.balance = min(DEPTH, account.balance + max(0.0, at - account.at) / REFILL_S)
        account.at = at
        return account.balance

    def withdraw(self, chain: str, at: float) -> bool:
        """Take one hedge, or False where less than one is left."""
        if self.balance(chain, at) < 1:
            return False
        self._accounts[chain].balance -= 1
        return True

    def refund(self, chain: str) -> None:
        """The hedge was not sent after all."""
        account = self._accounts[chain]
        account.balance = min(DEPTH, account.balance + 1)

    def fold(self, event: EngineEvent) -> None:
        if isinstance(event, RequestAccepted):
            self.balance(event.chain, event.at)
            account = self._accounts[event.chain]
            account.balance = min(DEPTH, account.balance + event.extra_load)
