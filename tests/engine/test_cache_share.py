"""How much of what is read comes from caches: sticky against one pinned host, and against going to whoever is fastest."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from functools import partial

import pytest

from policies import LeastLoaded, Policy, Sequence, SilentSkip, Sticky
from tests.engine.caching_hosts import World, share_of, work, world
from tests.engine.stage import virtual

FAULTS = 0.05
FOUR = "abcd"
PINNED = (SilentSkip(), Sequence())
STICKY = (SilentSkip(), Sticky(), LeastLoaded(), Sequence())
LOADED = (SilentSkip(), LeastLoaded(), Sequence())


def lived(
    ids: Seq[str], policies: Seq[Policy], *, seed: int, faults: float = FAULTS, sessions: int, tasks: int
) -> World:
    """People at work through these hosts, to the end."""
    it = world(ids, *policies, seed=seed, faults=faults)
    virtual(partial(work, it, sessions, tasks), seed=seed)
    assert it.unanswered == 0
    return it


def test_without_faults_sticky_reads_as_much_from_caches_as_one_host() -> None:
    """And least-loaded alone does not."""
    small = {"seed": 3, "faults": 0.0, "sessions": 2, "tasks": 2}
    pinned, sticky, loaded = (
        lived(ids, policies, **small).share  # type: ignore[arg-type]
        for ids, policies in (("a", PINNED), (FOUR, STICKY), (FOUR, LOADED))
    )
    assert abs(pinned - sticky) < 0.001
    assert loaded < pinned - 0.1


@pytest.mark.long
def test_at_five_percent_faults_sticky_is_within_four_points_of_one_pinned_host() -> None:
    """Of every prompt token that was sent anywhere, broken attempts included; three worlds of twelve people each."""
    chains: dict[str, tuple[Seq[str], Seq[Policy]]] = {
        "pinned": ("a", PINNED),
        "sticky": (FOUR, STICKY),
        "least-loaded": (FOUR, LOADED),
    }
    found = {}
    for name, (ids, policies) in chains.items():
        worlds = [lived(ids, policies, seed=seed, sessions=12, tasks=8) for seed in range(3)]
        asked = sum(it.asked for it in worlds)
        found[name] = share_of(*worlds)
        usd = sum(it.usd for it in worlds)
        print(
            f"{name:12} {found[name]:.1%} from caches, {usd / asked * 1000:.2f} dollars per 1,000 of {asked} requests"
        )
    assert found["pinned"] - found["sticky"] <= 0.04
    assert found["sticky"] - found["least-loaded"] >= 0.02
