"""Refusals that are repaired: one more try on the same candidate, and the next request is right from the start."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from trio.testing import MockClock

from engine import AttemptEnded, Learned, LessonLearned
from engine._attempt import MAX_REPAIRS, MAX_TRIES
from engine._lessons import KEPT, LessonBook
from engine.config import Model
from engine.testing import Scenario, answer, failing, head, provider, script, tail
from policies import Candidate, Capabilities, FailureKind, RequireCapability, SilentSkip
from tests.engine.stage import MakeScenario, refusal_of


def field(*names: str) -> Any:
    return script(asking=[attrs.evolve(failing(FailureKind.FIELD, status=400), fields=frozenset(names))])


def cap(tokens: int | None, kind: FailureKind = FailureKind.CAP) -> Any:
    return script(asking=[attrs.evolve(failing(kind, status=400), cap=tokens)])


def too_long(tokens: tuple[int, int] | None = None, window: int | None = None) -> Any:
    return script(asking=[attrs.evolve(failing(FailureKind.TOO_LONG, status=400), tokens=tokens, window=window)])


def known(it: Scenario) -> list[Learned]:
    """What each request's exchange was told of its candidate."""
    return [exchange.ask.learned for exchange in it.transport.exchanges]


def lessons(it: Scenario) -> list[tuple[int | None, frozenset[str]]]:
    return [(event.cap, event.without) for event in it.events(LessonLearned)]


async def test_a_refused_field_is_left_out_at_once_and_from_then_on(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The client sees an answer; the second request is asked once."""
    it = scenario({"a": [field("top_k"), script(answer("a"))]})
    assert (await it.serve()).said == "a"
    assert (await it.serve()).said == "a"
    without = Learned(without=frozenset(["top_k"]))
    assert known(it) == [Learned(), without, without]
    assert lessons(it) == [(None, frozenset(["top_k"]))]
    assert [event.ending for event in it.events(AttemptEnded)] == ["won", "won"]


async def test_a_cap_is_lowered_and_remembered(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Per provider and model."""
    it = scenario({"a": [cap(8192), script(answer("a"))]})
    assert (await it.serve()).said == "a"
    assert known(it) == [Learned(), Learned(cap=8192)]
    assert lessons(it) == [(8192, frozenset())]


@pytest.mark.parametrize(("tokens", "window"), [((9000, 8192), 8192), (None, None)])
async def test_room_for_an_answer_is_lowered_and_the_window_remembered(
    scenario: MakeScenario, autojump_clock: MockClock, tokens: tuple[int, int] | None, window: int | None
) -> None:
    """How much room one prompt leaves is no lesson for the next; the size of the window is."""
    refusal = attrs.evolve(failing(FailureKind.RESERVE, status=400), cap=4096, tokens=tokens, window=window)
    it = scenario({"a": [script(asking=[refusal]), script(answer("a"))]})
    assert (await it.serve()).said == "a"
    await it.serve()
    assert known(it) == [Learned(), Learned(cap=4096), Learned(window=window)]


async def test_two_refusals_are_both_repaired(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Three tries are one attempt."""
    it = scenario({"a": [field("top_k"), cap(100), script(answer("a"))]})
    assert (await it.serve()).said == "a"
    assert lessons(it) == [(None, frozenset(["top_k"])), (100, frozenset())]
    assert known(it)[-1] == Learned(cap=100, without=frozenset(["top_k"]))


async def test_a_host_that_names_one_field_at_a_time_is_satisfied_in_one_attempt(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Repairs come on top of the tries that keys and stale connections have."""
    it = scenario({"a": [*map(field, "abcde"), script(answer("a"))]})
    assert (await it.serve()).said == "a"
    assert sorted(known(it)[-1].without) == list("abcde")
    assert len(it.events(AttemptEnded)) == 1


async def test_more_refusals_than_anybody_has_patience_for_are_learned_over_two_requests(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """What the first has got past is not asked again."""
    it = scenario({"a": [*map(field, "abcdefgh"), *map(field, "hi"), script(answer("a"))]})
    refusal_of(await it.serve())
    assert len(known(it)) == MAX_TRIES + MAX_REPAIRS
    assert (await it.serve()).said == "a"
    assert sorted(known(it)[-1].without) == list("abcdefghi")


async def test_a_repair_that_does_not_help_is_no_lesson(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The same field refused again: the next candidate is asked, and nothing is remembered."""
    it = scenario({"a": field("top_k"), "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert [id for _, id in it.asked] == ["a", "a", "b"]
    assert lessons(it) == []
    assert not it.events(AttemptEnded)[0].counts


@pytest.mark.parametrize("refusal", [field(), cap(None)], ids=["no field named", "no cap to go by"])
async def test_a_refusal_without_a_remedy_goes_on_to_the_next(
    scenario: MakeScenario, autojump_clock: MockClock, refusal: Any
) -> None:
    """One try is enough."""
    it = scenario({"a": refusal, "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert [id for _, id in it.asked] == ["a", "b"]


async def test_a_cap_is_lowered_once_only(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """A host that refuses what it has named is not believed a second time."""
    it = scenario({"a": [cap(8192), cap(4096), script(answer("a"))], "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert lessons(it) == []


async def test_a_repaired_try_has_the_first_ones_deadline(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Tries are one attempt under one clock."""
    slow = script(50.0, answer("late"), asking=[20.0])
    late = attrs.evolve(field("top_k"), asking=(20.0, *field("top_k").asking))
    it = scenario({"a": [late, slow], "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert it.asked == [(0.0, "a"), (20.0, "a"), (60.0, "b")]


async def test_no_repair_once_the_client_has_seen_something(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """A refusal in the middle is a break like any other."""
    broken = attrs.evolve(failing(FailureKind.FIELD), fields=frozenset(["x"]))
    it = scenario({"a": script(answer("a")[:4], broken)})
    await it.serve()
    assert [id for _, id in it.asked] == ["a"]


def sized(id: str, context: int | None) -> Any:
    return provider(id, models={"m": Model(id="m", capabilities=Capabilities(context=context))})


async def test_a_window_is_learned_from_a_refusal(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The provider's number stands above the catalogue's, and the next long prompt does not go there."""
    it = scenario(
        {"a": [too_long((90_000, 4000), 4000), script(answer("a"))], "b": script(answer("b"))},
        RequireCapability(),
        providers={"a": sized("a", 200_000), "b": sized("b", 1_000_000)},
    )
    assert (await it.serve()).said == "b"
    assert [event.window for event in it.events(LessonLearned)] == [4000]
    view = it.router.books.view(
        it.config, it.config.chains["coding"].candidates, it.request().need, at=0, wall_s=0, seed=""
    )
    assert view.facts["a/m"].capabilities.context == 4000


async def test_a_refusal_without_numbers_is_told_with_ours(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The client compacts by the form of the text, so both numbers are there."""
    it = scenario({"a": too_long()}, providers={"a": sized("a", 50_000)})
    assert refusal_of(await it.serve()).message == "prompt is too long: 50001 tokens > 50000 maximum"


async def test_no_room_anywhere_is_worded_so_that_the_client_compacts(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Nobody needs to be asked for that."""
    it = scenario(
        {"a": script(answer("a")), "b": script(answer("b"))},
        SilentSkip(),
        RequireCapability(),
        providers={"a": sized("a", 1), "b": sized("b", 2)},
    )
    told = refusal_of(await it.serve())
    assert (told.status, told.type) == (400, "invalid_request_error")
    assert told.message.startswith("prompt is too long: ")
    assert told.message.endswith(" tokens > 2 maximum")
    assert it.asked == []


async def test_an_answer_that_is_at_the_end_of_its_window_before_it_begins_was_too_long(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Some hosts say it in no other way: a bigger window is asked, and where there is none the client compacts."""
    full = script([head(), *tail("model_context_window_exceeded")])
    windows = {"a": sized("a", 50_000), "b": sized("b", 50_000), "c": sized("c", 90_000)}
    it = scenario({"a": full, "b": script(answer("b")), "c": script(answer("c"))}, providers=windows)
    assert (await it.serve()).said == "c"
    it = scenario({"a": full}, providers={"a": windows["a"]})
    assert refusal_of(await it.serve()).message == "prompt is too long: 50001 tokens > 50000 maximum"


async def test_a_filter_sends_the_request_on_and_is_told_where_everybody_has_one(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """It is the host's own, and no fault of its health."""
    filtered = script(asking=[failing(FailureKind.FILTERED, status=400)])
    it = scenario({"a": filtered, "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert not it.events(AttemptEnded)[0].counts
    told = refusal_of(await scenario({"a": filtered, "b": filtered}).serve())
    assert (told.status, told.type, told.retry_after_s) == (400, "invalid_request_error", None)


def test_lessons_add_up() -> None:
    """The smaller cap, the later window, all fields."""
    first, second = Learned(cap=10, window=5, without=frozenset("a")), Learned(cap=20, window=9, without=frozenset("b"))
    assert first.also(second) == Learned(cap=10, window=9, without=frozenset("ab"))
    assert first.also(Learned()) == first


async def test_a_number_that_no_text_calls_a_window_teaches_nothing(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A wrong window would cut every later answer."""
    it = scenario({"a": too_long((90_000, 4000))})
    refusal_of(await it.serve())
    assert it.events(LessonLearned) == []


def test_the_book_keeps_the_last_thousand() -> None:
    """A client may ask for models of any name."""
    book = LessonBook()
    for number in range(KEPT + 10):
        book.fold(LessonLearned(at=0, candidate=Candidate("a", f"m{number}"), cap=1))
    assert len(book.models("a")) == KEPT
    assert book.of(Candidate("a", "m0")) == Learned()
