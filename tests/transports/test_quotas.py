"""What is left of a provider's limits: every spelling that is known, and anything else without an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Allowance
from transports._quotas import quota_of, reset_s, spent_s

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12.0),
        ("0.25", 0.25),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("2m59.56s", 179.56),
        ("1h30m", 5400.0),
        ("1d2h", 93_600.0),
        ("2027-01-15T08:00:42Z", 42.0),
        ("2027-01-15T09:00:42+01:00", 42.0),
        ("2027-01-15T08:00:00.500Z", 0.5),
        ("2020-01-01T00:00:00Z", 0.0),
        ("1800000030", 30.0),
        ("1800000030000", 30.0),
        ("1799999000", 0.0),
        ("99999999", 31 * 86_400.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("2027-13-45T99:00:00Z", None),
        ("٣", None),
        ("12, 13", None),
    ],
)
def test_when_it_is_whole_again(text: str, seconds: float | None) -> None:
    """A number, a duration, a date, the epoch in both units; what is none of them is left out."""
    assert reset_s(text, NOW) == (None if seconds is None else pytest.approx(seconds))


def test_a_moment_needs_to_know_what_time_it_is() -> None:
    """A duration does not."""
    assert (reset_s("1800000030"), reset_s("2027-01-15T08:00:42Z"), reset_s("6m0s")) == (None, None, 360.0)


def allowance(name: str, remaining: float, limit: float | None, reset_s: float | None, gradual: bool) -> Allowance:
    unit = "tokens" if "tokens" in name else "requests"
    return Allowance(name=name, unit=unit, remaining=remaining, limit=limit, reset_s=reset_s, gradual=gradual)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        pytest.param(
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:12Z",
                "anthropic-ratelimit-input-tokens-remaining": "39000",
                "anthropic-ratelimit-output-tokens-remaining": "8000",
                "anthropic-ratelimit-unified-status": "allowed",
            },
            [
                allowance("input-tokens", 39_000, None, None, True),
                allowance("output-tokens", 8_000, None, None, True),
                allowance("requests", 0, 50, 12.0, True),
            ],
            id="anthropic",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "14400",
                "x-ratelimit-remaining-requests": "14370",
                "x-ratelimit-reset-requests": "2m59.56s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "120ms",
            },
            [allowance("requests", 14_370, 14_400, 179.56, True), allowance("tokens", 0, None, 0.12, True)],
            id="openai groq azure",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests-day": "14400",
                "x-ratelimit-remaining-requests-day": "14376",
                "x-ratelimit-reset-requests-day": "33011.38",
                "x-ratelimit-remaining-tokens-minute": "0",
                "x-ratelimit-reset-tokens-minute": "11.38",
            },
            [
                allowance("requests a day", 14_376, 14_400, 33_011.38, False),
                allowance("tokens a minute", 0, None, 11.38, False),
            ],
            id="cerebras",
        ),
        pytest.param(
            {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59"},
            [allowance("requests a minute", 59, 60, None, False)],
            id="mistral",
        ),
        pytest.param(
            {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000030000"},
            [allowance("requests", 0, 20, 30.0, False)],
            id="openrouter",
        ),
        pytest.param(
            {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1800000060"},
            [allowance("requests", 3, None, 60.0, False)],
            id="github",
        ),
        pytest.param(
            {"x-ratelimit-remaining": "3", "x-tokenlimit-remaining": "100", "x-tokenlimit-reset": "1"},
            [allowance("requests", 3, None, None, False), allowance("tokens", 100, None, 1.0, False)],
            id="together",
        ),
        pytest.param({"x-ratelimit-limit": "20", "x-ratelimit-reset": "5"}, [], id="nothing of what is left"),
        pytest.param({"x-ratelimit-remaining": "many", "content-type": "x"}, [], id="no number"),
        pytest.param(
            {"x-ratelimit-remaining-ten": "1", "x-ratelimit-over-limit": "yes"}, [], id="no name that is known"
        ),
    ],
)
def test_each_providers_spelling(headers: dict[str, str], quota: list[Allowance]) -> None:
    """As its own documentation has it."""
    assert list(quota_of(headers, NOW)) == quota


def test_what_is_used_up_says_how_long() -> None:
    """The longest of several; nothing where there is something left of each."""
    spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
    also = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1s"}
    assert spent_s(quota_of({**spent, **also})) == 360.0
    assert spent_s(quota_of(also)) == 1.0
    assert spent_s(quota_of({"x-ratelimit-remaining-tokens": "7"})) is None


_names = st.sampled_from(
    [
        *(
            f"x-ratelimit-{what}-{unit}"
            for what in ("limit", "remaining", "reset")
            for unit in ("requests", "tokens-day")
        ),
        *(f"anthropic-ratelimit-tokens-{what}" for what in ("limit", "remaining", "reset")),
        *("x-ratelimit-reset", "x-tokenlimit-remaining", "x-ratelimit-", "anthropic-ratelimit-unified-5h-reset"),
    ]
)


@given(st.dictionaries(_names | st.text(max_size=30), st.text(max_size=40) | st.from_regex(r"\d{0,20}[.:msThZ-]?\d*")))
def test_whatever_stands_there_is_read_or_left_out(headers: dict[str, str]) -> None:
    """No error, finite numbers not below nothing, no more of them than names."""
    quota = quota_of(headers, NOW)
    assert len(quota) <= len(headers)
    for one in quota:
        for value in (one.remaining, one.limit, one.reset_s):
            assert value is None or 0 <= value < float("inf")
