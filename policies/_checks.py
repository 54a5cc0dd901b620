"""What an argument of a policy or of a setting may be, said once: validators for attrs fields.

A number that is merely taken as it stands turns up as a division by zero in the middle of a turn. Each check here refuses it
where it is written, in words that stand behind file, line and key path: what was expected, and what was found.
"""

from __future__ import annotations

from typing import Any

import attrs

from policies._policy import PolicyError

#: The longest time that any limit may be set to, in seconds: beyond it, somebody has mistaken the unit.
DAY_S = 86_400


def at_least_one(_: object, __: object, value: int) -> None:
    if value < 1:
        raise PolicyError(f"expected at least 1, got {value}")


def at_least(least: float) -> Any:
    """A check for `least` or more, or nothing."""

    def check(_: object, field: attrs.Attribute[Any], value: float | None) -> None:
        if value is not None and not value >= least:
            raise PolicyError(f"expected at least {least:g}, got {value:g}")

    return check


def positive(_: object, __: object, value: Any) -> None:
    if value is not None and not value > 0:
        raise PolicyError(f"expected more than 0, got {value:g}")


def not_negative(_: object, __: object, value: float) -> None:
    if value < 0:
        raise PolicyError(f"expected 0 or more, got {value:g}")


def seconds_from_0(_: object, __: object, value: float) -> None:
    if not value >= 0:
        raise PolicyError(f"expected 0 seconds or more, got {value:g}")


def below_one(_: object, __: object, value: float) -> None:
    if not value < 1:
        raise PolicyError(f"expected a share below 1, got {value:g}")


def share(_: object, __: object, value: float) -> None:
    if value > 1:
        raise PolicyError(f"expected a share of at most 1, got {value:g}")


def seconds(_: object, __: object, value: float | None) -> None:
    if value is not None and not 0 < value <= DAY_S:
        raise PolicyError(f"expected seconds above 0 and at most a day, got {value:g}")


def seconds_or_none(_: object, __: object, value: float) -> None:
    if not 0 <= value <= DAY_S:
        raise PolicyError(f"expected 0 or more seconds and at most a day, got {value:g}")
