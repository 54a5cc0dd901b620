"""How long a provider asks us to wait.

`Retry-After` is the standard and half of the truth: hosts say it in milliseconds, as a date, in a sentence, in a field of the
body, or as the moment when a window opens again. Read in one fixed order, the usual places first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from transports._quotas import quota_of, spent_s

_TRY_AGAIN = re.compile(r"try again in (?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)(ms|s))?", re.I)

#: Moments that stand in the body: seconds since the epoch (the Codex service), a date in the text (Z.ai).
_MOMENT = re.compile(rb'"resets_at"\s*:\s*(\d{10})(?:\.\d+)?\b')
_DATE = re.compile(r"reset(?:s|ting)? (?:at|on) (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(Z|[+-]\d\d:\d\d)?", re.I)
#: What the hosts that write dates without a zone may mean: UTC or China's.
_ZONES = ("+00:00", "+08:00")
#: Waits that stand in the body: Google's `retryDelay`, a number of seconds as the Codex service gives it.
_DELAYS = re.compile(rb'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"|"resets_in_seconds"\s*:\s*(\d+(?:\.\d+)?)')


def retry_after_s(
    headers: Mapping[str, str], text: str = "", now_wall_s: float = 0.0, body: bytes = b""
) -> float | None:
    """How long the provider asks us to wait, in seconds, or None.

    The order of both official SDKs: `retry-after-ms`, `retry-after` as seconds, as a date; then the wording
    "try again in 1m2.5s", a delay or a moment in the body, a date in the text, and the reset of a limit that is used up.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = _number(headers.get(name, ""))
        if value is not None and value >= 0:
            return value * unit_s
    date = headers.get("retry-after", "")
    if date and now_wall_s:
        try:
            return max(0.0, parsedate_to_datetime(date).timestamp() - now_wall_s)
        except (ValueError, OverflowError):
            pass
    match = _TRY_AGAIN.search(text)
    if match and (match[1] or match[2]):
        seconds = float(match[2] or 0) * (0.001 if match[3] and match[3].lower() == "ms" else 1.0)
        return _number(str(60.0 * float(match[1] or 0) + seconds))
    if delay := _DELAYS.search(body):
        return _number((delay[1] or delay[2]).decode())
    if now_wall_s and (moment := _MOMENT.search(body)):
        return max(0.0, float(moment[1]) - now_wall_s)
    if now_wall_s and (date_said := _DATE.search(text)):
        return _until(date_said[1], date_said[2], date_said[3], now_wall_s)
    return spent_s(quota_of(headers, now_wall_s))


def _until(day: str, time: str, zone: str | None, now_wall_s: float) -> float | None:
    """Seconds until a date in a text. Without a zone the earlier reading that lies ahead: too early costs one refusal."""
    zones = (zone.replace("Z", "+00:00"),) if zone else _ZONES
    try:
        ahead = [datetime.fromisoformat(f"{day}T{time}{z}").timestamp() - now_wall_s for z in zones]
    except ValueError:
        return None
    return min((wait for wait in ahead if wait > 0), default=None)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and value != float("inf") else None
