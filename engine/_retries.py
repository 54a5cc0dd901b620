"""How many further attempts at who has failed a chain may make: deposit with each request, withdraw with each try.

Retries bounded per request bound one request and not the fleet: when a provider is down, three tries each are four times
the load, and it does not come up again. A share of traffic bounds them all (as in gRPC and finagle). A depth and a timed
refill let one user ride out an outage in which nobody else asks.
"""

from __future__ import annotations

import attrs

from engine._budget import Budget
from engine._events import EngineEvent, RequestAccepted

#: Tries that a rested chain may make at once.
DEPTH = 10.0
#: Tries that each request pays for.
SHARE = 0.1
#: Seconds in which one is refilled without any traffic. In an outage one request is held by two providers' breakers for two
#: minutes and makes four tries meanwhile; this is twice as many.
REFILL_S = 15.0


@attrs.define(eq=False)
class RetryBudget(Budget):
    """Tries, a share of all requests."""

    depth: float = DEPTH
    refill_s: float = REFILL_S

    def fold(self, event: EngineEvent) -> None:
        if isinstance(event, RequestAccepted):
            self.deposit(event.chain, SHARE, event.at)
