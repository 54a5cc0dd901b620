"""One number out of many samples: an average that leans to the latest, and grows old when there are none.

A mean over all time never hears that a host has changed, and the last sample alone hears nothing else. Averaging by count, as
is usual, gives a candidate that is asked twice an hour yesterday's number. So a sample weighs the more the longer the one
before it is ago. Pure.
"""

from __future__ import annotations

import math

import attrs

#: Seconds after which an average that nothing confirmed has lost two thirds of its weight. A desktop user sends a few
#: requests a minute; with the ten seconds usual for web services everything would be forgotten before the next request.
FADE_S = 120.0
#: What a sample weighs against one just before it.
WEIGHT = 0.2


@attrs.frozen
class Average:
    value: float
    at: float

    def left(self, at: float) -> float:
        """What is left of its weight by now, as a share."""
        return math.exp(-max(0.0, at - self.at) / FADE_S)

    def leaning(self, sample: float, at: float) -> Average:
        """With one more sample."""
        old = self.left(at) * (1 - WEIGHT)
        return Average(self.value * old + sample * (1 - old), at)
