"""The ids that calls go to the client under: valid, unlike, new, and the host's own where they may be."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.translate._ids import sendable, unique_ids


class TestIds:
    """Ids that may stand in a conversation."""

    def test_a_good_one_stays(self) -> None:
        """The host knows it again."""
        assert unique_ids(["call_abc123"], (), "m") == ["call_abc123"]

    @pytest.mark.parametrize(
        "id", ["", "call", "0", "1234567", "x" * 41, "functions.read:0", "call abc 1", "call_ä_1234"]
    )
    def test_one_that_may_not_stand_is_replaced(self, id: str) -> None:
        """By one that is ours."""
        assert unique_ids([id], (), "m") == ["toolu_m_0"]

    def test_repeated_and_taken_ones_are_replaced(self) -> None:
        """Also ours, should somebody have used them up."""
        given = ["call_same", "call_same", "call_gone", "toolu_m_4", "x"]
        taken = {"call_gone", "toolu_m_1", "toolu_m_2", "toolu_m_2_1"}
        assert unique_ids(given, taken, "m") == ["call_same", "toolu_m_1_1", "toolu_m_2_2", "toolu_m_4", "toolu_m_4_1"]

    @given(st.lists(st.text(alphabet="ab_.é0", max_size=12) | st.sampled_from(["call_abc1", "toolu_m_0", "toolu_m_1"])),
           st.sets(st.sampled_from(["call_abc1", "toolu_m_0", "toolu_m_1", "toolu_m_1_1"])))  # fmt: skip
    def test_they_are_valid_unlike_and_new(self, ids: list[str], taken: set[str]) -> None:
        """Whatever the hosts gave."""
        found = unique_ids(ids, taken, "m")
        assert len(set(found)) == len(found) == len(ids)
        assert not taken & set(found)
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", id) for id in found)
        assert all(sendable(id) for id in found)
