"""Quantiles of a duration that changes, some of whose samples were cut short.

Hedging needs "how long does this one usually take", and the two easy ways to get it are both wrong. Leaving cancelled
losers out makes a slow candidate look fast, since its slow answers are the ones that get cancelled; counting them as
failures makes it look dead. A loser is a censored sample: it would have taken longer than it had. The estimator that
treats it so is Kaplan and Meier's (1958), here over logarithmic buckets.

What is old must fade, and one clock for that is wrong for somebody. By time alone, ten minutes are thousands of samples to
a busy chain, which then goes on believing in yesterday's speed, and a handful to one user, who never leaves the cold start.
So a sample weighs half after so many newer ones, or after so much time, whichever comes first. The fading is done
forwards: a new sample weighs more, instead of all old ones less, so that adding one is O(1).
"""

from __future__ import annotations

import math
from array import array

import attrs

from policies import QUANTILES

#: Eight buckets an octave, from 10 ms to 655 s. Within a bucket a quantile is interpolated, so that it is hardly ever a
#: fiftieth off, and never a whole bucket (9 %). With upper edges alone, hedges would come 5 % late on average.
FIRST_S, PER_OCTAVE, BUCKETS = 0.01, 8, 128
#: A sample weighs half after so many newer ones. Fewer forget faster, and make the quantiles tremble: at 300 p92 keeps
#: within p89 and p95, and a change of speed has replaced it within a hundred samples. Simulated, see docs/hedging.md.
HALF_LIFE_SAMPLES = 300
#: And after so many seconds: somebody with one request a minute keeps ninety, and is cold again the next morning.
HALF_LIFE_S = 3600.0
#: A new sample's weight beyond which all are divided by it.
_HEAVY = 2.0**40
#: Halvings after which nothing is left of a sample.
_GONE = 60.0


def bucket(elapsed_s: float) -> int:
    """The bucket that counts a duration: those above its lower edge, up to and with its upper one."""
    if elapsed_s <= FIRST_S:
        return 0
    return min(BUCKETS - 1, math.ceil(PER_OCTAVE * math.log2(elapsed_s / FIRST_S) - 1e-9))


def edge_s(number: float) -> float:
    """The upper edge of a bucket in seconds; of a part of it where `number` is not whole."""
    return FIRST_S * math.exp2(number / PER_OCTAVE)


def _zeros() -> array[float]:
    return array("d", bytes(8 * BUCKETS))


@attrs.define
class Histogram:
    """Fading weights of whole and of censored samples, per bucket. 2 KiB."""

    half_life_s: float = HALF_LIFE_S
    half_life_samples: float = HALF_LIFE_SAMPLES
    _whole: array[float] = attrs.field(factory=_zeros)
    _censored: array[float] = attrs.field(factory=_zeros)
    _weight: float = 1.0  # of a sample that is added now
    _at: float | None = None
    _known: tuple[float, ...] | None = None

    def add(self, elapsed_s: float, at: float, *, censored: bool = False) -> None:
        """Note one duration that ended at `at`, or that was cut short then."""
        age_s = max(0.0, at - self._at) if self._at is not None else 0.0
        self._at = at if self._at is None else max(at, self._at)
        halvings = age_s / self.half_life_s + 1 / self.half_life_samples
        if halvings > _GONE:
            self._whole, self._censored, self._weight = _zeros(), _zeros(), 1.0
        else:
            self._weight *= math.exp2(halvings)
        if self._weight > _HEAVY:
            self._whole = array("d", [n / self._weight for n in self._whole])
            self._censored = array("d", [n / self._weight for n in self._censored])
            self._weight = 1.0
        (self._censored if censored else self._whole)[bucket(elapsed_s)] += self._weight
        self._known = None

    def samples(self, at: float) -> float:
        """How many fresh whole samples the faded ones are worth at `at`."""
        age_s = max(0.0, at - self._at) if self._at is not None else 0.0
        halvings = min(age_s / self.half_life_s, _GONE)
        return sum(self._whole) / self._weight * math.exp2(-halvings)

    def quantiles(self) -> tuple[float, ...]:
        """Seconds at each of `QUANTILES`; where censoring hides one, the longest time that anybody was seen to take.

        Found once per change: that all weights fade alike changes no quantile.
        """
        if self._known is None:
            self._known = self._estimate()
        return self._known

    def _estimate(self) -> tuple[float, ...]:
        at_risk = sum(self._whole) + sum(self._censored)
        surviving, longest, found = 1.0, 0, list[float]()
        wanted = [1 - percent / 100 for percent in QUANTILES]
        for number, (ended, cut) in enumerate(zip(self._whole, self._censored, strict=True)):
            if not ended and not cut:
                continue
            longest = number
            after = surviving * (1 - min(1.0, ended / at_risk)) if ended else surviving
            while len(found) < len(wanted) and after <= wanted[len(found)] + 1e-9:
                share = (surviving - wanted[len(found)]) / (surviving - after)
                found.append(edge_s(max(0.0, number - 1 + min(1.0, max(0.0, share)))))
            surviving = after
            at_risk -= ended + cut
            if len(found) == len(wanted):
                break
        return (*found, *(edge_s(longest) for _ in wanted[len(found) :]))
