"""The plain values: candidates, latencies, views, scopes and breakers."""

from __future__ import annotations

import attrs
import pytest

from policies import (
    QUANTILES,
    SCOPES,
    Adaptive,
    Breaker,
    Candidate,
    Concurrency,
    Facts,
    Hedge,
    InOrder,
    Latency,
    PolicyError,
    Race,
    SilentSkip,
    Unlimited,
    UnlimitedScope,
    View,
    Window,
)


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        ("zen/minimax-m2.5-free", "zen", "minimax-m2.5-free"),
        ("nvidia_nim/z-ai/glm4.7", "nvidia_nim", "z-ai/glm4.7"),
        ("workstation/qwen3:30b", "workstation", "qwen3:30b"),
        ("zen//", "zen", "/"),
    ],
)
def test_a_candidate_is_split_at_the_first_slash(text: str, provider: str, model: str) -> None:
    """The model may hold anything; the name is what was written."""
    candidate = Candidate.parse(text)
    assert candidate == Candidate(provider, model)
    assert candidate.name == str(candidate) == text


@pytest.mark.parametrize("text", ["", "zen", "zen/", "/model", "/"])
def test_half_a_candidate_is_refused(text: str) -> None:
    """Both parts are needed."""
    with pytest.raises(ValueError, match="expected 'provider/model'"):
        Candidate.parse(text)


def test_a_twin_says_that_it_is_one() -> None:
    """Same name for the books, another text for people."""
    assert str(Candidate("zen", "m", thinking=False)) == "zen/m (thinking off)"
    assert str(Candidate("zen", "m", thinking=True)) == "zen/m (thinking on)"
    assert Candidate("zen", "m", thinking=False).name == "zen/m"


def test_latency_has_one_value_per_quantile() -> None:
    """Addressed by percent; others are not known."""
    latency = Latency(samples=30, at=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    assert [latency.quantile(q) for q in QUANTILES] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    with pytest.raises(ValueError):  # noqa: PT011
        latency.quantile(80)
    with pytest.raises(ValueError, match="expected 6 quantiles, got 2"):
        Latency(samples=30, at=(1.0, 2.0))


def test_a_candidate_nothing_is_known_of_is_healthy_and_idle() -> None:
    """A view need not name everybody."""
    facts = View().of(Candidate("zen", "m"))
    assert facts == Facts()
    assert (facts.usable, facts.breaker, facts.in_flight, facts.headroom) == (True, "closed", 0, 1.0)


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (SilentSkip(), '"silent-skip"'),
        (Hedge(), '"hedge"'),
        (Hedge(after_s=2.0), '{ kind = "hedge", after_s = 2.0 }'),
        (Hedge(after="p95", paid=True), '{ kind = "hedge", after = "p95", paid = true }'),
        (Race(width=3), '{ kind = "race", width = 3 }'),
        (UnlimitedScope(for_=("zen", "groq")), '{ kind = "unlimited-scope", for = ["zen", "groq"] }'),
        (InOrder(priority=(("a", "b"), ("c",))), '{ kind = "in-order", priority = [["a", "b"], ["c"]] }'),
        (UnlimitedScope(for_=('a"b\\c',)), '{ kind = "unlimited-scope", for = ["a\\"b\\\\c"] }'),
    ],
)
def test_a_policy_prints_as_its_toml(policy: SilentSkip, text: str) -> None:
    """A bare name with all defaults, else a table of what differs from them."""
    assert str(policy) == text


def test_scopes_and_breakers_are_values() -> None:
    """Equal and hashable by what they say, and never changed."""
    assert {Window(requests=40, per_s=60.0), Window(requests=40, per_s=60.0), Concurrency(), Unlimited()} == {
        Window(requests=40, per_s=60.0),
        Concurrency(limit=16),
        Unlimited(),
    }
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Breaker().failures = 3  # type: ignore[misc]


def test_scopes_are_named_as_in_the_file() -> None:
    """Four kinds of limiter."""
    assert dict(SCOPES) == {
        "window": Window,
        "concurrency": Concurrency,
        "adaptive": Adaptive,
        "unlimited": Unlimited,
    }


def test_a_breaker_opens_late_by_default() -> None:
    """Four in a row, or half of at least twenty within thirty seconds; open for thirty."""
    assert Breaker() == Breaker(failures=4, rate=0.5, volume=20, window_s=30.0, open_s=30.0)


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(
    ("cls", "required", "name"),
    [
        (Window, {"per_s": 60.0}, "requests"),
        (Window, {"requests": 40}, "per_s"),
        (Window, {"requests": 40, "per_s": 60.0}, "concurrency"),
        (Concurrency, {}, "limit"),
        *((Breaker, {}, field) for field in ("failures", "rate", "volume", "window_s", "open_s")),
    ],
)
def test_scopes_and_breakers_allow_something(
    cls: type[Window] | type[Concurrency] | type[Breaker], required: dict[str, float], name: str, value: int
) -> None:
    """A window of nothing is a provider that is switched off, and there is a word for that."""
    with pytest.raises(PolicyError, match=f"expected more than 0, got {value}"):
        cls(**required, **{name: value})  # type: ignore[arg-type]


def test_a_breaker_rate_is_a_share() -> None:
    """Above 1 it could never be reached, and the breaker would only count rows without anybody knowing."""
    assert Breaker(rate=1.0).rate == 1.0
    with pytest.raises(PolicyError, match=r"1\.5"):
        Breaker(rate=1.5)
