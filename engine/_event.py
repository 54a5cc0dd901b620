"""What every event is: a frozen value with its time and its request.

Log lines are written for whoever wrote them; metrics, a dashboard, a ledger and a health table each need the same facts
again. So the engine states facts, and everything else, health and load included, is a fold over them.
"""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class EngineEvent:
    """Base of all events.

    `at` is seconds on the engine's clock (`trio.current_time()`), `request_id` the id the client is shown; empty where the
    fact is of no request.
    """

    at: float
    request_id: str = ""
