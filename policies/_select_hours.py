"""Select by the hour: who may be asked when.

A cron job that edits the configuration at ten in the evening is the usual remedy, and on the evening it fails nobody notices
until the bill. Here the hours stand beside the chain, and the plan of each request says that they were why. The time is the
view's: a stored view is judged by the hour it was made in, not by the hour it is looked at.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import ClassVar
from zoneinfo import ZoneInfo

import attrs

from policies._facts import View
from policies._names import CANDIDATES, any_matches
from policies._plan import Plan, Skip
from policies._policy import Phase, Policy, PolicyError

#: In the order of `datetime.weekday`.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_DAY_MIN = 24 * 60


@lru_cache(maxsize=64)
def _spans(text: str) -> tuple[tuple[int, int], ...]:
    """Begin and end of each span in minutes of the day, the end above a day where the span passes midnight."""
    spans = []
    for part in text.split(","):
        match = _SPAN.fullmatch(part.strip())
        if not match:
            raise PolicyError(f"expected hours such as '22:00-06:00' or '09:00-12:30, 13:30-18:00', got '{text}'")
        h1, m1, h2, m2 = map(int, match.groups())
        begin, end = h1 * 60 + m1, h2 * 60 + m2
        if m1 > 59 or m2 > 59 or begin >= _DAY_MIN or end > _DAY_MIN:
            raise PolicyError(f"'{part.strip()}' is no time of a day: from 00:00 to 24:00")
        if begin == end:
            raise PolicyError(f"'{part.strip()}' is no time at all: the whole day is '00:00-24:00'")
        spans.append((begin, end if end > begin else end + _DAY_MIN))
    return tuple(spans)


@lru_cache(maxsize=64)
def _zone(text: str) -> tzinfo:
    """`UTC`, an offset, or a zone of the machine's time zone data. Raises PolicyError."""
    if text == "UTC":
        return UTC
    if match := _OFFSET.fullmatch(text):
        sign, hours, minutes = match.groups()
        if int(hours) > 14 or int(minutes) > 59:
            raise PolicyError(f"'{text}' is no time zone: offsets go to 14 hours")
        ahead = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(ahead if sign == "+" else -ahead)
    try:
        return ZoneInfo(text)
    except (LookupError, ValueError, OSError):
        raise PolicyError(
            f"'{text}' is no time zone this machine knows: expected UTC, an offset such as '+02:00', or a name such as "
            "'Europe/Berlin'"
        ) from None


@attrs.frozen
class During(Policy):
    """These candidates only within these hours: at any other time they are passed over. Without `names`: everybody.

    For a price that is lower at night, or a machine that is somebody's own by day. `hours` are spans such as `22:00-06:00`;
    one that passes midnight belongs to the day on which it begins. `days` are `mon` to `sun` (none: every day), `zone` is
    `UTC`, an offset such as `+02:00`, or a name such as `Europe/Berlin`, which knows of summer time.
    """

    phase: ClassVar[Phase] = Phase.SELECT

    hours: str = attrs.field()
    days: tuple[str, ...] = attrs.field(default=())
    zone: str = attrs.field(default="UTC")
    names: tuple[str, ...] = attrs.field(default=(), metadata=CANDIDATES)

    @hours.validator
    def _readable(self, _: object, value: str) -> None:
        _spans(value)

    @days.validator
    def _known_days(self, _: object, value: tuple[str, ...]) -> None:
        for day in value:
            if day not in DAYS:
                raise PolicyError(f"expected days such as 'mon': {', '.join(DAYS)}; got '{day}'")

    @zone.validator
    def _known_zone(self, _: object, value: str) -> None:
        _zone(value)

    def apply(self, plan: Plan, view: View) -> Plan:
        if self.includes(view.wall_s):
            return plan
        days = f" on {', '.join(self.days)}" if self.days else ""
        reason = f"asked only during {self.hours}{days} ({self.zone})"
        return plan.skipping(
            *(
                Skip(candidate=s.candidate, by=self.kind(), reason=reason)
                for s in plan.steps
                if not self.names or any_matches(self.names, s.candidate)
            )
        )

    def includes(self, wall_s: float) -> bool:
        """Whether a moment, in seconds since the epoch, lies within the hours."""
        local = datetime.fromtimestamp(wall_s, _zone(self.zone))
        today, minute = local.weekday(), local.hour * 60 + local.minute
        for begin, end in _spans(self.hours):
            if begin <= minute < end and self._on(today):
                return True
            if minute + _DAY_MIN < end and self._on((today - 1) % 7):  # begun yesterday
                return True
        return False

    def _on(self, weekday: int) -> bool:
        return not self.days or DAYS[weekday] in self.days
