"""How many tokens a second each candidate writes once it has begun: a fold over events.

Tokens over the whole time of a turn measures the wait for the first of them, which is another thing with another cure. And a
short answer, or one that a host sends in one piece, has no rate worth the name: a second read a hundredth later makes
thousands of tokens a second. So the time runs from first content, and what is too short to measure is no sample.
"""

from __future__ import annotations

import attrs

from engine._average import Average
from engine._events import AttemptEnded, EngineEvent
from engine._kept import keep

#: The shortest answer that is measured: seconds from its first content to its end, and tokens reported by its host.
LEAST_S, LEAST_TOKENS = 0.5, 32
#: An estimate that nothing confirmed for so long, in seconds, is none: hosts change with the hour of the day.
FORGOTTEN_S = 1800.0


@attrs.define(eq=False)
class ThroughputBook:
    """Tokens a second, as an average that leans to the latest, per candidate name.

    Not the peak, as for times to first content: one slow answer there is a wait that the next request can be spared by asking
    another, here it is mostly the answer's own, long thinking or a client that reads slowly.
    """

    _rows: dict[str, Average] = attrs.field(factory=dict)

    def tokens_per_s(self, candidate: str, at: float) -> float | None:
        """The estimate as of `at`, None where nothing was measured lately."""
        known = self._rows.get(candidate)
        return known.value if known is not None and at - known.at <= FORGOTTEN_S else None

    def fold(self, event: EngineEvent) -> None:
        if not isinstance(event, AttemptEnded) or event.ending != "won" or event.first_content_s is None:
            return
        seconds, tokens = event.elapsed_s - event.first_content_s, event.usage.output
        if not event.usage.reported or seconds < LEAST_S or tokens < LEAST_TOKENS:
            return
        sample, name = tokens / seconds, event.candidate.name
        known = self._rows.get(name)
        if known is None or event.at - known.at > FORGOTTEN_S:
            keep(self._rows, name, Average(sample, event.at))
        else:
            keep(self._rows, name, known.leaning(sample, event.at))
