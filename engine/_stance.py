"""What an operator has said of a provider while the server runs: leave it alone, or let its conversations run out.

Editing the file and loading it again is the lasting way, and too slow for a bad minute. A word at the door holds until it is
taken back or the server starts anew; the file is not touched. It is a fold over events, like everything else that decides
who is asked. Attempts under way go on in either case: cutting an answer is nobody's wish.
"""

from __future__ import annotations

from typing import Literal

import attrs

from engine._events import EngineEvent, ProviderStance

Stance = Literal["enabled", "draining", "disabled"]

_SAID = {"draining": "it is being drained: no new conversations", "disabled": "it was switched off at the door"}


@attrs.define(eq=False)
class StanceBook:
    """One word per provider; those that are as the file says have none."""

    _said: dict[str, ProviderStance] = attrs.field(factory=dict)

    def of(self, provider: str) -> Stance:
        said = self._said.get(provider)
        return said.stance if said else "enabled"

    def against(self, provider: str, *, known: bool) -> str:
        """Why this provider is not asked; empty where it may be. `known`: it holds something of this conversation."""
        said = self._said.get(provider)
        if said is None or (said.stance == "draining" and known):
            return ""
        return f"{_SAID[said.stance]} (by {said.by})"

    def fold(self, event: EngineEvent) -> None:
        if isinstance(event, ProviderStance):
            self._said.pop(event.provider, None)
            if event.stance != "enabled":
                self._said[event.provider] = event
