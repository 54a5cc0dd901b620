"""From a name in TOML to a policy class.

One registry for ours and for everybody else's: ours by kebab-case of the class name, a distribution's through the
entry-point group `hedgerow.policies`, a single file's as `module:Class`. A policy that is designed and not yet built is
refused by name, so that nobody runs a chain that silently lacks what it asks for.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points

from policies._hedge import Hedge
from policies._limit import Deadline, FirstContentTimeout, IdleTimeout, MaxAttempts, MaxInFlight, MaxWait
from policies._on_failure import OnFailure
from policies._order import InOrder, LeastLoaded
from policies._order_draws import PowerOfTwo, Random, RoundRobin, Weighted
from policies._order_measured import Cheapest, Fastest, FewestToolErrors, HighestThroughput, MostHeadroom
from policies._outcome import CommitAt, Rescue
from policies._own import NoFallback, NoHedge
from policies._pace import Race, Sequence
from policies._policy import Policy, PolicyError
from policies._select import RequireCapability, SilentSkip, UnlimitedScope
from policies._select_hours import During
from policies._select_named import Except, Only
from policies._select_spend import SpendCap
from policies._sticky import Sticky

ENTRY_POINTS = "hedgerow.policies"

_BUILT_IN: tuple[type[Policy], ...] = (
    SilentSkip,
    RequireCapability,
    Only,
    Except,
    During,
    SpendCap,
    UnlimitedScope,
    InOrder,
    LeastLoaded,
    Sticky,
    PowerOfTwo,
    RoundRobin,
    Weighted,
    Random,
    Fastest,
    Cheapest,
    HighestThroughput,
    MostHeadroom,
    FewestToolErrors,
    Sequence,
    Hedge,
    Race,
    MaxAttempts,
    MaxInFlight,
    MaxWait,
    Deadline,
    FirstContentTimeout,
    IdleTimeout,
    CommitAt,
    Rescue,
    OnFailure,
)

KINDS: dict[str, type[Policy]] = {policy.kind(): policy for policy in _BUILT_IN}

#: What a request says for itself, and no file can: found by name only to read a stored plan again.
OWN: dict[str, type[Policy]] = {policy.kind(): policy for policy in (NoFallback, NoHedge)}

#: Named by the design, not there yet.
PLANNED = frozenset(["retry"])


def policy_class(kind: str) -> type[Policy]:
    """The class a `kind` names. Raises PolicyError, with the nearest name, where there is none."""
    if kind in KINDS:
        return KINDS[kind]
    if ":" in kind:
        module, _, name = kind.partition(":")
        return _loaded(kind, lambda: getattr(importlib.import_module(module), name))
    if kind in PLANNED:
        raise PolicyError(f"policy '{kind}' is not available in this version; available: {', '.join(KINDS)}")
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == kind:
            return _loaded(kind, point.load)
    near = difflib.get_close_matches(kind, [*KINDS, *PLANNED], n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    raise PolicyError(f"unknown policy '{kind}'{hint}; available: {', '.join(KINDS)}")


def found_as(policy: type[Policy]) -> str:
    """The name by which `policy_class` finds this class again: `module:Class` for one that is not ours."""
    kind = policy.kind()
    ours = KINDS.get(kind) or OWN.get(kind)
    return kind if ours is policy else f"{policy.__module__}:{policy.__qualname__}"


def _loaded(kind: str, load: Callable[[], object]) -> type[Policy]:
    """Somebody else's class, checked. Whatever their module raises is an error of the configuration."""
    try:
        found = load()
    except Exception as error:
        raise PolicyError(f"policy '{kind}' cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Policy)) or inspect.isabstract(found):
        raise PolicyError(f"'{kind}' is not a policy: expected a subclass of policies.Policy")
    return found
