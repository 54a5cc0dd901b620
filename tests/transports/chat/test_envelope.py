"""Envelopes: what is sealed is opened for whoever asks, everything else is no envelope, and nothing raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports._envelope import MARK_IN_BODY, Sealed, opened, seal

AUTHORS = st.text(alphabet="abc./-:_é", max_size=20)
STATES = st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(0, 9), max_size=3)


@given(AUTHORS, STATES)
def test_what_is_sealed_is_opened(author: str, state: dict[str, Any] | None) -> None:
    """Dots in a model's name are no trouble."""
    assert opened(seal(author, state)) == Sealed(author, state or {})


@pytest.mark.parametrize("other", [None, 7, "", "ErUB", "hedgerow", b"hedgerow.a.", ["hedgerow.a."], "Hedgerow.a."])
def test_what_is_somebody_elses_is_none(other: object) -> None:
    """An Anthropic signature above all."""
    assert opened(other) is None


@given(st.text(max_size=40))
def test_one_that_was_tampered_with_holds_nothing(rest: str) -> None:
    """And raises nothing."""
    found = opened(f"hedgerow.{rest}")
    assert found is not None
    assert isinstance(found.state, dict)


@pytest.mark.parametrize("inner", ["!", "e30", "bnVsbA==", "WzFd", "é", "=" * 9])
def test_what_is_no_object_is_nothing(inner: str) -> None:
    """Whatever the base64 says."""
    assert opened(f"hedgerow.host/m.{inner}") == Sealed("host/m", {})


def test_a_state_too_large_stays_out() -> None:
    """It would not be opened again; the author still is."""
    assert seal("a", {"x": "y" * 2_000_000}) == seal("a")
    assert opened("hedgerow.a." + "e" * 2_000_000) == Sealed("a", {})


def test_it_is_found_in_a_body_at_a_glance() -> None:
    """As it stands in JSON, behind a quote."""
    assert MARK_IN_BODY in b'{"signature":"' + seal("a").encode() + b'"}'
