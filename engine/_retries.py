"""How many further attempts at who has failed a chain may make: deposit with each request, withdraw with each try.

Retries bounded per request bound one request and not the fleet: when a provider is down, three tries each are four times
the load, and it does not come up again. A share of traffic bounds them all (as in gRPC and finagle). A depth and a timed
refill let one user ride out an outage in which nobody else asks.
"""

from __future__ import annotations

import attrs

from engine._events import EngineEvent, RequestAccepted
from engine._kept import keep

#: Tries that a rested chain may make at once.
DEPTH = 10.0
#: Tries that each request pays for.
SHARE = 0.1
#: Seconds in which one is refilled without any traffic. In an outage one request is held by two providers' breakers for two
#: minutes and makes four tries meanwhile; this is twice as many.
REFILL_S = 15.0


@attrs.define
class _Account:
    balance: float = DEPTH
    at: float = 0.0


@attrs.define(eq=False)
class RetryBudget:
    """One account per chain name."""

    _accounts: dict[str, _Account] = attrs.field(factory=dict)

    def balance(self, chain: str, at: float) -> float:
        """Tries left."""
        account = self._account(chain, at)
        account.balance = min(DEPTH, account.balance + max(0.0, at - account.at) / REFILL_S)
        account.at = max(account.at, at)
        return account.balance

    def withdraw(self, chain: str, at: float) -> bool:
        """Take one try, or False where less than one is left."""
        if self.balance(chain, at) < 1:
            return False
        self._account(chain, at).balance -= 1
        return True

    def refund(self, chain: str, at: float) -> None:
        """The try was not made after all."""
        account = self._account(chain, at)
        account.balance = min(DEPTH, account.balance + 1)

    def fold(self, event: EngineEvent) -> None:
        if isinstance(event, RequestAccepted):
            self.balance(event.chain, event.at)
            account = self._account(event.chain, event.at)
            account.balance = min(DEPTH, account.balance + SHARE)

    def _account(self, chain: str, at: float) -> _Account:
        return keep(self._accounts, chain, self._accounts.get(chain) or _Account(at=at))
