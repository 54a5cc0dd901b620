"""What comes beside thinking is put together, kept within bounds, and goes back as it came."""

from __future__ import annotations

from typing import Any

import pytest

from transports.chat._calls import Call
from transports.chat._details import MAX_BYTES, Details


def taken(*details: Any) -> Details:
    kept = Details(wanted=True)
    for detail in details:
        kept.take([detail])
    return kept


def text(said: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", **({} if said is None else {"text": said}), "index": 0, **more}


def state_of(kept: Details, thought: str = "") -> list[Any]:
    state = kept.state(thought)
    return state["details"] if state else []


class TestFragments:
    """Put together as they belong together."""

    def test_texts_are_joined_and_the_signature_is_theirs(self) -> None:
        """It comes last, and alone."""
        kept = taken(text("a", format=None), text("b", id=None), text(signature="s", format="f"))
        assert state_of(kept) == [text("ab", signature="s", format="f")]

    def test_the_text_of_the_block_stays_out(self) -> None:
        """The block holds it; where it holds another, this one is the host's."""
        assert state_of(taken(text("a"), text("b", signature="s")), "ab") == [text(signature="s")]
        assert state_of(taken(text("a"), text("b", signature="s")), " ab") == [text("ab", signature="s")]

    def test_two_texts_both_stay(self) -> None:
        """Nobody could part the block's text again."""
        assert state_of(taken(text("a"), text("b", index=1)), "ab") == [text("a"), text("b", index=1)]

    @pytest.mark.parametrize("other", [{"type": "reasoning.summary"}, {"index": 1}, {"id": "x"}])
    def test_what_differs_is_another(self, other: dict[str, Any]) -> None:
        """In its type, its index or its id."""
        assert len(state_of(taken(text("a"), {**text("b"), **other}))) == 2

    def test_encrypted_ones_come_whole(self) -> None:
        """Two of them are two."""
        one = {"type": "reasoning.encrypted", "data": "x", "index": 0}
        assert state_of(taken(one, one)) == [one, one]

    def test_a_block_has_what_came_since_the_last(self) -> None:
        """The rest goes where no thinking block is."""
        kept = taken(text("a"))
        assert state_of(kept, "a") == [text()]
        assert kept.state("b") is None
        kept.take([text("b")])
        assert kept.unsealed([]) == {"details": [text("b")]}

    def test_what_came_with_calls_goes_by_their_numbers(self) -> None:
        """Gemini's signatures."""
        calls = [Call(name="a"), Call(name="b", extra={"google": 1})]
        assert Details().unsealed(calls) == {"calls": {"1": {"google": 1}}}
        assert Details().unsealed([]) is None


class TestBounds:
    """None are kept that nobody wants, nor more than a turn has."""

    def test_not_wanted(self) -> None:
        """A host that gives them without taking them back."""
        kept = Details(wanted=False)
        kept.take([text("a")])
        assert kept.state("") is None

    @pytest.mark.parametrize("wrong", [None, 7, "x", {}, [None, 7, "x"]])
    def test_what_is_none(self, wrong: Any) -> None:
        """And raises nothing."""
        kept = Details(wanted=True)
        kept.take(wrong)
        assert kept.state("") is None

    @pytest.mark.parametrize("field", ["text", "format", "anything"])
    def test_too_much_is_dropped(self, field: str) -> None:
        """All of it: a part would be refused."""
        kept = taken(text("a"), text(**{field: "x" * MAX_BYTES}), text("b"))
        assert kept.state("") is None
        assert not kept.wanted

    def test_many_are_too_much(self) -> None:
        """However small each is."""
        kept = taken(*[{"index": at} for at in range(10_000)])
        assert not kept.wanted

    def test_depth_is_dropped(self) -> None:
        """What could not be written again."""
        deep: Any = {}
        for _ in range(300):
            deep = [deep]
        assert taken(text("a"), text("b", more=deep)).state("") is None

    def test_a_hundred_thousand_fragments_are_one_text(self) -> None:
        """Each is joined once."""
        kept = Details(wanted=True)
        for _ in range(100_000):
            kept.take([text("x")])
        assert state_of(kept) == [text("x" * 100_000)]
