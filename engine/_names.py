"""From the name in a request to a chain.

A name may be an alias that Claude Code made up, a picker id, a provider's own model id with slashes and colons in it, a
chain, or several of these. Testing for substrings ("has `haiku` in it") remaps names that were chosen on purpose; trying
one reading after the other in a fixed order, each exact, does not. The order is the contract, and the table below is the
order. Whoever sends the request may also name somebody outside the model field, which then stands above it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import attrs

from engine._failure import NoSuchModel
from engine.config import ANY_MODEL, AUTO, Chain, Config, Route, quotable
from policies import Candidate, Phase

#: How `/v1/models` lists a model, so that Claude Code's discovery keeps it.
PICKER = "anthropic/"
#: The same without thinking: `claude-3-` is what tells Claude Code not to ask for it.
NO_THINKING = "claude-3-hedgerow-no-thinking/"
#: What Claude Code adds to a name of whose window it is told: `[1m]`. No provider's model is called so.
_WINDOW = re.compile(r"(?:\s*\[\d+[km]\])+$", re.IGNORECASE)
#: The provider whose name in an address stands for whoever serves a vendor's models: other proxies wrote it so.
_ANY_VENDOR = "openai"


@attrs.frozen
class Named:
    """A name that stands above the one in the body, who gave it, and the place to be told of in messages."""

    name: str
    by: Literal["hatch", "token", "address"]
    where: str = ""

    @property
    def place(self) -> str:
        return self.where or self.by


@attrs.frozen
class Resolution:
    """The chain to run, with the candidates as they are to be asked, and which rule found it."""

    chain: Chain
    how: str
    candidates: tuple[Candidate, ...]
    #: Whose hedge budget is used.
    budget: str


def resolve(config: Config, name: str, above: Named | None = None) -> Resolution:
    """The chain for a requested name, or for the one `above` it. Raises NoSuchModel where nothing answers to it."""
    name = undecorated(name)
    if above is None:
        found = _meant(config, name, name) or _by_route(config, name) or _by_short_name(config, name)
        return found or _nothing(config, name)
    try:
        found = _above(config, undecorated(above.name), above.by, name)
    except NoSuchModel as error:
        raise NoSuchModel(f"{above.place}: {error}", status=400 if above.by == "hatch" else 404) from None
    return attrs.evolve(found, how=f"{above.place}: {found.how}")


def _above(config: Config, said: str, by: str, requested: str) -> Resolution:
    found = _meant(config, _addressed(config, said) if by == "address" else said, requested)
    if found is None and by == "hatch":
        found = _by_route(config, said, all_names=False)
    if found is None:
        raise NoSuchModel(_unknown(config, said))
    return found


def is_meant(config: Config, name: str) -> bool:
    """Whether a name means somebody without a route's help."""
    try:
        return _meant(config, undecorated(name), "") is not None
    except NoSuchModel:
        return False


def undecorated(name: str) -> str:
    """The name without what Claude Code adds to it. A date at its end is the model's own and stays."""
    return _WINDOW.sub("", name.strip()) or name


# One reading each: of a name as a candidate or a chain, None where it is neither.


def _picked(config: Config, name: str) -> Candidate | Chain | None:
    if not name.startswith(PICKER):
        return None
    return _listed(config, name.removeprefix(PICKER))


def _twin(config: Config, name: str) -> Candidate | Chain | None:
    if not name.startswith(NO_THINKING):
        return None
    match _listed(config, name.removeprefix(NO_THINKING)):
        case Candidate() as candidate:
            return attrs.evolve(candidate, thinking=False)
        case Chain() as chain:
            return attrs.evolve(chain, candidates=_quiet(chain.candidates))
        case _:
            return None


def _listed(config: Config, name: str) -> Candidate | Chain | None:
    """What stands behind a picker's prefix."""
    return _candidate(config, name) or config.chains.get(name)


def _of_provider(config: Config, name: str) -> Candidate | None:
    """`provider/model`. A provider that nobody has set up leaves a name that is a vendor's, too, to whoever serves it."""
    vendor = _of_vendor(config, name)
    provider = config.providers.get(name.partition("/")[0])
    if vendor is not None and provider is not None and not (provider.usable or provider.named):
        return None if config.providers[vendor.provider].usable else _candidate(config, name)
    return _candidate(config, name)


def _candidate(config: Config, name: str) -> Candidate | None:
    provider, slash, model = name.partition("/")
    if not (slash and model) or provider not in config.providers:
        return None
    return Candidate(provider, config.providers[provider].whole(model))


def _chain(config: Config, name: str) -> Chain | None:
    return config.chains.get(name)


def _of_vendor(config: Config, name: str) -> Candidate | None:
    vendor, _, model = name.partition("/")
    provider = config.vendors.get(vendor, "")
    return Candidate(provider, name) if model and provider in config.providers else None


_RULES: tuple[tuple[str, Callable[[Config, str], Candidate | Chain | None]], ...] = (
    ("picker id", _picked),
    ("picker id without thinking", _twin),
    ("provider/model", _of_provider),
    ("chain name", _chain),
    ("vendor", _of_vendor),
)


def _one(config: Config, name: str) -> tuple[str, Candidate | Chain] | None:
    readings = ((how, rule(config, name)) for how, rule in _RULES)
    return next(((how, meant) for how, meant in readings if meant is not None), None)


def _meant(config: Config, said: str, requested: str) -> Resolution | None:
    """What a name means by itself. `requested` is the body's name, by which a lender is found and which is passed through.

    Raises NoSuchModel where one name of a list means nobody and another one somebody.
    """
    if "," in said:
        return _list(config, said, requested)
    match _one(config, said):
        case how, Candidate() as candidate:
            return _lent(config, requested, (candidate,), how)
        case how, Chain() as chain:
            return _through(config, chain, requested, how)
        case _:
            return None


def _list(config: Config, said: str, requested: str) -> Resolution | None:
    """`a/b,c/d`: a chain for this once, in this order whatever the lender's own order would be."""
    names = [undecorated(part) for part in said.split(",") if part.strip()]
    found = {name: _one(config, name) for name in names}
    if not any(found.values()):
        return None
    candidates: list[Candidate] = []
    for name, meaning in found.items():
        if meaning is None:
            raise NoSuchModel(f"in the list '{quotable(said)}' {_unknown(config, name)}")
        candidates += meaning[1].candidates if isinstance(meaning[1], Chain) else [meaning[1]]
    lent = _lent(config, requested, tuple(dict.fromkeys(candidates)), "list")
    policies = tuple(policy for policy in lent.chain.policies if policy.phase is not Phase.ORDER)
    return attrs.evolve(lent, chain=attrs.evolve(lent.chain, policies=policies))


def _addressed(config: Config, name: str) -> str:
    """A name in an address: there an alias serves as well, and `openai` stands for the table of vendors."""
    provider, slash, model = name.partition("/")
    if provider == _ANY_VENDOR and _of_vendor(config, model) is not None:
        return f"{config.vendors[model.partition('/')[0]]}{slash}{model}"
    return f"{config.aliases.get(provider, provider)}{slash}{model}"


# From a meaning to what is run.


def _lent(config: Config, requested: str, candidates: tuple[Candidate, ...], how: str) -> Resolution:
    """Explicit names: these candidates, with the policies and the budget of the chain the name would have gone to."""
    lender = next((r for r in reversed(config.routes) if r.enabled and not r.exact and r.matches(requested)), None)
    chain = config.chains[lender.chain] if lender else config.chains[AUTO]
    asked = _as_asked(config, candidates, requested, config.thinks())
    return Resolution(attrs.evolve(chain, candidates=asked), how, asked, chain.name)


def _through(config: Config, chain: Chain, requested: str, how: str, route: Route | None = None) -> Resolution:
    thinks = config.thinks() if route is None else config.thinks(requested, route)
    return Resolution(chain, how, _as_asked(config, chain.candidates, requested, thinks), chain.name)


def _as_asked(config: Config, candidates: tuple[Candidate, ...], name: str, thinks: bool) -> tuple[Candidate, ...]:
    """Each candidate with the name that is passed through to it, and without thinking where that is switched off."""
    named = tuple(
        attrs.evolve(c, model=name.removeprefix(f"{c.provider}/") or ANY_MODEL) if c.model == ANY_MODEL else c
        for c in candidates
    )
    return named if thinks else _quiet(named)


def _quiet(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    return tuple(attrs.evolve(candidate, thinking=False) for candidate in candidates)


def _by_route(config: Config, name: str, *, all_names: bool = True) -> Resolution | None:
    """The first matching route whose chain has somebody usable; else the first matching one, which says what is missing.

    Without `all_names` routes that match everything are left out: they would take every slip of the pen for a name.
    """
    matching = [r for r in _in_order(config.routes) if r.matches(name) and (all_names or not r.matches_all)]
    found = [_through(config, config.chains[r.chain], name, f"route '{r.match}'", r) for r in matching]
    usable = (r for r in found if any(not config.providers[c.provider].unusable_for(c.model) for c in r.candidates))
    return next(usable, found[0] if found else None)


def _in_order(routes: tuple[Route, ...]) -> list[Route]:
    """Exact matches before globs; within each, the order of the file."""
    return sorted((r for r in routes if r.enabled), key=lambda r: not r.exact)


def _by_short_name(config: Config, name: str) -> Resolution | None:
    """A model's name without its vendor, at a host whose ids all have one. Last: any other reading is meant more."""
    for provider in config.providers.values():
        if provider.usable and "/" not in name and (model := provider.whole(name)) != name:
            return _lent(config, name, (Candidate(provider.id, model),), "short name")
    return None


# What to say.


def _nothing(config: Config, name: str) -> Resolution:
    known = ", ".join([*config.chains, *(r.match for r in config.routes if r.exact)])
    raise NoSuchModel(f"nothing answers to the model '{quotable(name)}': no route matches it; chains: {known}")


def _unknown(config: Config, name: str) -> str:
    usable = ", ".join(sorted(id for id, provider in config.providers.items() if provider.usable))
    return (
        f"'{quotable(name)}' is neither provider/model nor a chain nor an id of /v1/models; "
        f"chains: {', '.join(config.chains)}; providers that are usable: {usable}"
    )
