"""What is left of a provider's limits, read from the headers of its answers.

Everybody spells it differently: what is limited stands before or behind, the moment of the reset is a number of seconds, a
duration, a date, or the time since the epoch in two units; and whether a limit comes back bit by bit or at once stands
nowhere. So names are matched as patterns, values are told apart by their form, and what cannot be read is left out. Pure.

    anthropic-ratelimit-input-tokens-remaining: 1000      Anthropic; a date (RFC 3339) as reset
    x-ratelimit-remaining-requests: 0                     OpenAI, Groq, Azure, xAI; a duration, 6m0s
    x-ratelimit-remaining-tokens-minute: 0                Cerebras (seconds); Mistral: ...-req-minute, no reset
    x-ratelimit-remaining: 0                              OpenRouter (epoch in milliseconds), Kimi, GitHub (epoch), Together
    x-tokenlimit-remaining: 0                             Together
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime

from engine import Allowance, Quota

_NATIVE = re.compile(r"anthropic-ratelimit-(requests|(?:input-|output-)?tokens)-(limit|remaining|reset)")
_COMMON = re.compile(
    r"x-(ratelimit|tokenlimit)-(limit|remaining|reset)(?:-(requests|req|tokens)(?:-(second|minute|hour|day|month))?)?"
)
_DURATION = re.compile(
    r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)(ms|s))?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,9})?", re.ASCII)
#: Numbers this large are seconds, or milliseconds, since the epoch: as seconds from now they would be decades.
_EPOCH_S, _EPOCH_MS = 1e9, 1e12
#: No limit is further away: a month, in seconds.
_LONGEST_S = 31 * 86_400.0


def quota_of(headers: Mapping[str, str], now_wall_s: float = 0.0) -> Quota:
    """What these headers (names in lower case) tell, in a fixed order; empty where they tell nothing of use.

    `now_wall_s` (seconds since the epoch) turns dates into waits; without it they are left out.
    """
    told: dict[str, dict[str, str]] = {}
    gradual: set[str] = set()
    for header, value in headers.items():
        if not header.startswith(("x-ratelimit-", "anthropic-ratelimit-", "x-tokenlimit-")):
            continue
        if found := _NATIVE.fullmatch(header):
            told.setdefault(found[1], {})[found[2]] = value
            gradual.add(found[1])
        elif found := _COMMON.fullmatch(header):
            unit = "tokens" if found[1] == "tokenlimit" else {"req": "requests"}.get(found[3], found[3] or "requests")
            name = f"{unit} a {found[4]}" if found[4] else unit
            told.setdefault(name, {})[found[2]] = value
            if found[3] and not found[4]:
                gradual.add(name)  # OpenAI's and Groq's: the reset is when all of it is back
    return tuple(
        allowance
        for name, values in sorted(told.items())
        if (allowance := _allowance(name, values, now_wall_s, gradual=name in gradual)) is not None
    )


def spent_s(quota: Quota) -> float | None:
    """Seconds until what is used up is there again, of several the longest; None where nothing is."""
    return max((a.reset_s for a in quota if a.remaining <= 0 and a.reset_s is not None), default=None)


def _allowance(name: str, values: Mapping[str, str], now_wall_s: float, *, gradual: bool) -> Allowance | None:
    remaining = _number(values.get("remaining", ""))
    if remaining is None:
        return None
    return Allowance(
        name=name,
        unit="tokens" if "tokens" in name else "requests",
        remaining=remaining,
        limit=_number(values.get("limit", "")) or None,
        reset_s=reset_s(values.get("reset", ""), now_wall_s),
        gradual=gradual,
    )


def reset_s(text: str, now_wall_s: float = 0.0) -> float | None:
    """Seconds until a reset, at most a month: `12`, `6m0s`, `120ms`, RFC 3339, the epoch in seconds or milliseconds."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        if number < _EPOCH_S:
            return min(number, _LONGEST_S)
        moment = number / 1000 if number >= _EPOCH_MS else number
        return _from_now(moment, now_wall_s)
    if (found := _DURATION.fullmatch(text)) and any(found.groups()):
        days, hours, minutes = (int(part or 0) for part in found.group(1, 2, 3))
        seconds = float(found[4] or 0) * (0.001 if found[5] == "ms" else 1.0)
        return min(86_400.0 * days + 3600.0 * hours + 60.0 * minutes + seconds, _LONGEST_S)
    if _DATE.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.upper().replace(" ", "T")).timestamp()
        except (ValueError, OverflowError):
            return None
        return _from_now(moment, now_wall_s)
    return None


def _from_now(moment: float, now_wall_s: float) -> float | None:
    return min(max(0.0, moment - now_wall_s), _LONGEST_S) if now_wall_s else None


def _number(text: str) -> float | None:
    value = float(text) if _NUMBER.fullmatch(text.strip()) else None
    return value if value is not None and math.isfinite(value) else None
