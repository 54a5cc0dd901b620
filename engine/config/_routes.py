"""Routes that can never come to their turn.

Globs are tried in the order of the file, so a wide one above a narrow one takes everything the narrow one was written
for. The file is valid and the route is dead, which is found out weeks later from a bill. It is cheap to notice, so it is
said at the start.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.config._schema import Route


def shadowed(routes: Sequence[Route]) -> dict[int, int]:
    """Index of a route that never decides -> index of the one that decides instead.

    It still serves as the next choice when the other's chain has nobody usable. A disabled route shadows nobody and is
    not shadowed.
    """
    found: dict[int, int] = {}
    for later, route in enumerate(routes):
        rivals = (i for i in range(later) if routes[i].enabled and routes[i].exact == route.exact)
        if route.enabled and (first := next((i for i in rivals if covers(routes[i], route)), None)) is not None:
            found[later] = first
    return found


#: Put in place of a `*` that a glob must survive whatever it stands for: nothing, and more than any `?` or `[...]` takes.
_STAND_INS = ("", "\0\1\2")


def covers(wide: Route, narrow: Route) -> bool:
    """Whether every name that `narrow` matches is matched by `wide` as well; False where that is hard to tell."""
    if wide.match.lower() == narrow.match.lower() or wide.match == "*":
        return True
    if "[" in narrow.match or "[" in wide.match:
        return False
    return all(wide.matches(narrow.match.replace("?", "\0").replace("*", text)) for text in _STAND_INS)
