"""From the name in a request to a chain.

A name may be an alias that Claude Code made up, a picker id, a provider's own model id with slashes and colons in it, or a
chain. Testing for substrings ("has `haiku` in it") remaps names that were chosen on purpose; trying one parse after the
other in a fixed order, each exact, does not. The order is the contract, and the table below is the order.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from engine._failure import NoSuchModel
from engine.config import ANY_MODEL, AUTO, Chain, Config, Route
from policies import Candidate

#: How `/v1/models` lists a model, so that Claude Code's discovery keeps it.
PICKER = "anthropic/"
#: The same without thinking: `claude-3-` is what tells Claude Code not to ask for it.
NO_THINKING = "claude-3-hedgerow-no-thinking/"


@attrs.frozen
class Resolution:
    """The chain to run, the routes still to be tried where nobody in it is usable, and which rule found it."""

    chain: Chain
    how: str
    candidates: tuple[Candidate, ...]
    #: Whose hedge budget is used.
    budget: str


def resolve(config: Config, name: str, forced: str | None = None) -> Resolution:
    """The chain for a requested name. `forced` is a whole `provider/model` from the address or the token.

    Raises NoSuchModel where nothing answers to the name.
    """
    for how, rule in _RULES:
        candidate = rule(config, forced if how == "address or token" else name)
        if candidate is not None:
            return _alone(config, name, candidate, how)
    chain = config.chains.get(name.removeprefix(PICKER)) or config.chains.get(name)
    if chain is not None:
        return _through(config, chain, name, "chain name")
    return _by_route(config, name)


def _forced(config: Config, name: str | None) -> Candidate | None:
    if name is None:
        return None
    provider, slash, model = name.partition("/")
    candidate = _of_provider(config, f"{config.aliases.get(provider, provider)}{slash}{model}")
    if candidate is None:
        known = ", ".join(sorted(id for id, p in config.providers.items() if p.usable))
        raise NoSuchModel(f"no provider is called '{provider}'; usable: {known}")
    return candidate


def _picked(config: Config, name: str | None) -> Candidate | None:
    if name is None or not name.startswith(PICKER):
        return None
    return _of_provider(config, name.removeprefix(PICKER))


def _twin(config: Config, name: str | None) -> Candidate | None:
    if name is None or not name.startswith(NO_THINKING):
        return None
    candidate = _of_provider(config, name.removeprefix(NO_THINKING))
    return candidate and attrs.evolve(candidate, thinking=False)


def _of_provider(config: Config, name: str | None) -> Candidate | None:
    provider, slash, model = (name or "").partition("/")
    if not (slash and model) or provider not in config.providers:
        return None
    return Candidate(provider, model)


_RULES: tuple[tuple[str, Callable[[Config, str | None], Candidate | None]], ...] = (
    ("address or token", _forced),
    ("picker id", _picked),
    ("picker id without thinking", _twin),
    ("provider/model", _of_provider),
)


def _alone(config: Config, name: str, candidate: Candidate, how: str) -> Resolution:
    """An explicit name: one candidate, with the policies and the budget of the chain its name would have gone to."""
    lender = next((r for r in reversed(config.routes) if r.enabled and not r.exact and r.matches(name)), None)
    chain = config.chains[lender.chain] if lender else config.chains[AUTO]
    alone = attrs.evolve(chain, candidates=(candidate,))
    return Resolution(alone, how, (candidate,), chain.name)


def _through(config: Config, chain: Chain, name: str, how: str) -> Resolution:
    candidates = tuple(
        attrs.evolve(c, model=name.removeprefix(f"{c.provider}/")) if c.model == ANY_MODEL else c
        for c in chain.candidates
    )
    return Resolution(chain, how, candidates, chain.name)


def _by_route(config: Config, name: str) -> Resolution:
    """The first matching route whose chain has somebody usable; else the first matching one, which says what is missing."""
    matching = [r for r in _in_order(config.routes) if r.matches(name)]
    if not matching:
        known = ", ".join([*config.chains, *(r.match for r in config.routes if r.exact)])
        raise NoSuchModel(f"nothing answers to the model '{name}': no route matches it; chains: {known}")
    found = [_through(config, config.chains[r.chain], name, f"route '{r.match}'") for r in matching]
    usable = (r for r in found if any(not config.providers[c.provider].unusable_for(c.model) for c in r.candidates))
    return next(usable, found[0])


def _in_order(routes: tuple[Route, ...]) -> list[Route]:
    """Exact matches before globs; within each, the order of the file."""
    return sorted((r for r in routes if r.enabled), key=lambda r: not r.exact)
