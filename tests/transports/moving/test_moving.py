"""A conversation may move between any two wires in the middle of a tool loop: no host refuses it, nothing in it is lost."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.transports.chat.answers import INPUTS
from tests.transports.chat.histories import histories
from tests.transports.moving.journeys import FEW_ARGUMENTS, Journey
from tests.transports.moving.parties import ALL, PARTIES, TRANSLATED, Body, Party

LAW = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
#: Histories of the long run, in chunks that workers may share.
CHUNKS, EACH = 20, 500


def travel(draw: st.DrawFn, hosts: list[Party], arguments: st.SearchStrategy[Body] = INPUTS) -> Journey:
    """A conversation whose answers come from these hosts in turn. The laws are checked as it grows."""
    journey = Journey(arguments=arguments)
    journey.asked(draw)
    for host in hosts:
        journey.answered(draw, host)
    return journey


@st.composite
def tours(draw: st.DrawFn, arguments: st.SearchStrategy[Body] = INPUTS) -> Journey:
    """Over one host of each kind, in any order."""
    return travel(draw, [draw(kind) for kind in draw(_ORDERS)], arguments)


_ORDERS = st.permutations([st.sampled_from(kind) for kind in PARTIES])


@st.composite
def exchanges(draw: st.DrawFn) -> Journey:
    """Between two hosts, of two wires or one, answer by answer."""
    first, second = draw(st.sampled_from(ALL)), draw(st.sampled_from(ALL))
    return travel(draw, [first, second] * 3)


@st.composite
def relatives(draw: st.DrawFn) -> Journey:
    """Over all hosts of one kind, in any order: what one of them has signed is shaped like what another would."""
    hosts = draw(st.sampled_from([kind for kind in PARTIES if len(kind) > 1]))
    return travel(draw, draw(st.permutations(hosts)))


@st.composite
def continued(draw: st.DrawFn) -> Journey:
    """A conversation of any sort, broken calls and stray results in it, goes on over hosts that are translated for."""
    journey = Journey(before=draw(histories()))
    for kind in draw(st.permutations(PARTIES[TRANSLATED:])):
        journey.asked(draw)
        journey.answered(draw, draw(st.sampled_from(kind)))
    return journey


@pytest.mark.long
@LAW
@given(tours())
def test_a_conversation_goes_round_all_wires(journey: Journey) -> None:
    """Each host takes what the others said and gets its own back; in the end it could go on anywhere."""
    for host in ALL:
        journey.back_to(host)


@settings(LAW, max_examples=20)
@given(exchanges())
def test_a_conversation_goes_back_and_forth(journey: Journey) -> None:
    """Whichever two they are, also two of one wire, and one with itself."""
    journey.back_to(journey.hosts[0])


@pytest.mark.long
@settings(LAW, max_examples=30)
@given(relatives())
def test_a_conversation_goes_between_hosts_of_one_wire(journey: Journey) -> None:
    """Nobody is taken for somebody else because both speak alike."""
    for host in journey.hosts:
        journey.back_to(host)


@settings(LAW, max_examples=20)
@given(continued())
def test_any_conversation_goes_on_over_any_wire_that_is_translated_to(journey: Journey) -> None:
    """Over Anthropic's own wire such a conversation goes out as it came, and the client mends it."""
    for kind in PARTIES[TRANSLATED:]:
        for host in kind:
            journey.back_to(host)


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_ten_thousand_conversations_go_round(chunk: int) -> None:
    """The same, at length: each chunk draws examples of its own, the same ones each time."""
    moves: list[int] = []  # hosts that were asked for more, by history

    @seed(chunk)
    @settings(LAW, max_examples=EACH, derandomize=False, database=None, phases=[Phase.generate])
    @given(tours(FEW_ARGUMENTS))
    def law(journey: Journey) -> None:
        journey.back_to(journey.hosts[0])
        moves.append(len(journey.hosts))

    law()
    assert len(moves) >= EACH
    assert sum(moves) >= EACH * len(PARTIES)
