"""From a name in TOML to a policy class.

One registry for ours and for everybody else's: ours by kebab-case of the class name, a distribution's through the
entry-point group `hedgerow.policies`, a single file's as `module:Class`. A name that means nobody is refused with the
nearest one, so that nobody runs a chain that silently lacks what it asks for.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint, distributions

from policies._hedge import Hedge
from policies._limit import Deadline, FirstContentTimeout, IdleTimeout, MaxAttempts, MaxInFlight, MaxWait
from policies._on_failure import OnFailure
from policies._order import InOrder, LeastLoaded
from policies._order_draws import PowerOfTwo, Random, RoundRobin, Weighted
from policies._order_measured import Cheapest, Fastest, FewestToolErrors, HighestThroughput, MostHeadroom
from policies._outcome import CommitAt, Rescue
from policies._own import NoFallback, NoHedge
from policies._pace import Race, Sequence
from policies._policy import Phase, Policy, PolicyError
from policies._retry import Retry
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
    Retry,
    CommitAt,
    Rescue,
    OnFailure,
)

KINDS: dict[str, type[Policy]] = {policy.kind(): policy for policy in _BUILT_IN}

#: What a request says for itself, and no file can: found by name only to read a stored plan again.
OWN: dict[str, type[Policy]] = {policy.kind(): policy for policy in (NoFallback, NoHedge)}


def policy_class(kind: str) -> type[Policy]:
    """The class a `kind` names. Raises PolicyError, with the nearest name, where there is none."""
    if kind in KINDS:
        return KINDS[kind]
    if ":" in kind:
        module, _, name = kind.partition(":")
        return _loaded(kind, lambda: getattr(importlib.import_module(module), name))
    offers, broken = _offers()
    named = [point for point in offers if point.name == kind]
    if len({point.value for point in named}) > 1:
        classes = " or ".join(sorted({f"'{point.value}'" for point in named}))
        raise PolicyError(f"policy '{kind}' is offered by more than one distribution: say which, as {classes}")
    if named:
        return _loaded(kind, named[0].load)
    others = sorted({point.name for point in offers})
    near = difflib.get_close_matches(kind, [*KINDS, *others], n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    unread = f"; the entry points of {' and '.join(broken)} cannot be read" if broken else ""
    raise PolicyError(f"unknown policy '{kind}'{hint}; available: {', '.join([*KINDS, *others])}{unread}")


def _offers() -> tuple[list[EntryPoint], list[str]]:
    """What the installed distributions offer, and those whose entry points cannot be read.

    Each is read by itself: `importlib.metadata.entry_points` fails as a whole where one of them is damaged.
    """
    offers: dict[str, list[EntryPoint]] = {}
    broken = []
    for distribution in distributions():
        try:
            name = str(distribution.metadata["Name"])
            # The first of a name is the one that is imported, as along any path.
            offers.setdefault(name, [p for p in distribution.entry_points if p.group == ENTRY_POINTS])
        except Exception:  # metadata of others may be damaged in any way
            broken.append(f"'{_folder(distribution)}'")
    return [point for points in offers.values() for point in points], broken


def _folder(distribution: Distribution) -> str:
    """What a damaged distribution is called: its directory, without where that is."""
    return str(getattr(distribution, "_path", "an unknown distribution")).replace("\\", "/").rpartition("/")[2]


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
    if not isinstance(getattr(found, "phase", None), Phase):
        raise PolicyError(f"'{kind}' is not a policy that can be folded: it has no phase, such as policies.Phase.ORDER")
    if "__attrs_attrs__" not in vars(found):  # inherited ones would be the base's arguments and not its own
        raise PolicyError(f"'{kind}' is not a policy that can be read: expected @attrs.frozen above the class")
    return found
