"""Results beside their calls, and ids unlike each other, however many there are."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from transports.translate._turns import answered, distinct

MANY = 20_000


def result(id: Any, text: str = "") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": text}


class TestAnswered:
    def test_results_stand_in_the_order_of_their_calls(self) -> None:
        """What answers none stays where it was, and a call without one has none."""
        words = {"type": "text", "text": "and"}
        b, c, stray = result("b"), result("c"), result("x")
        assert answered([c, words, stray, b], ["a", "b", "c"]) == ([None, b, c], [words, stray])

    def test_two_calls_with_one_id_are_answered_in_turn(self) -> None:
        """The third result is nobody's."""
        some = [result("a", text) for text in "123"]
        assert answered(some, ["a", "a"]) == (some[:2], some[2:])

    def test_an_id_that_is_a_number_is_one(self) -> None:
        """And one that is nothing answers nothing but a call without one."""
        assert answered([result(7)], ["7"])[0] == [result(7)]
        assert answered([result(None), result([1])], [""]) == ([result(None)], [result([1])])

    def test_many_are_found_at_once(self) -> None:
        """Nobody else is served meanwhile."""
        began = perf_counter()
        ids = [f"t{n}" for n in range(MANY)]
        results, rest = answered([result(id) for id in reversed(ids)], ids)
        assert perf_counter() - began < 2
        assert (results[5], rest) == (result("t5"), [])


class TestDistinct:
    def test_the_first_keeps_its_id(self) -> None:
        """The others get another, the same each time."""
        assert distinct(["a", "b", "a", "a#2", "a"]) == ["a", "b", "a#2", "a#2#3", "a#4"]

    def test_many_are_told_apart_at_once(self) -> None:
        """Nobody else is served meanwhile."""
        began = perf_counter()
        assert len(set(distinct(["a"] * MANY))) == MANY
        assert perf_counter() - began < 2
