"""What the environment says of models: lists, tiers, and whether to think.

Proxies before this one were set up by variables alone, and a container still is. Reading each where it is needed spreads a
second configuration over the code, which nobody can list and which contradicts the file in silence. Here all of them are
read in one place and become what a file could say as well: candidates, chains, routes. A route of the file stands above
them; a variable that has no effect is told of, and one that no longer exists stops the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import attrs

from engine.config._catalogue import Catalogue
from engine.config._problems import Findings, nearest, quotable
from engine.config._schema import Chain, Route
from policies import Candidate, Hedge, Policy, Retry, SilentSkip

#: Ours, so a mistake in them is an error.
ORDER = "AUTO_MODEL_ORDER"
#: Of older proxies and of other programs as well, so what cannot be understood in it is only said.
MODEL = "MODEL"
#: The word in a model's name -> the variables that say who answers to it, the first that is set. The order of the words
#: decides for a name with two of them.
TIERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "opus": ("MODEL_OPUS", "BIG_MODEL"),
        "haiku": ("MODEL_HAIKU", "SMALL_MODEL"),
        "sonnet": ("MODEL_SONNET", "MIDDLE_MODEL", "BIG_MODEL"),
        "fable": ("MODEL_FABLE", "BIG_MODEL"),
    }
)
#: Whether names with such a word may think, and whether any may.
THINKING: Mapping[str, str] = MappingProxyType(
    {**{f"*{tier}*": f"ENABLE_{tier.upper()}_THINKING" for tier in TIERS}, "*": "ENABLE_MODEL_THINKING"}
)
#: Variables of older proxies that are gone -> what says the same now.
REMOVED: Mapping[str, str] = MappingProxyType(
    {
        "NIM_ENABLE_THINKING": "ENABLE_MODEL_THINKING",
        "ENABLE_THINKING": "ENABLE_MODEL_THINKING",
        "AUTO_MODEL_PRIORITY": ORDER,
    }
)
#: What a chain that stands in a variable does: whom it names first is asked first.
LISTED_POLICIES: tuple[Policy, ...] = (SilentSkip(), Hedge(), Retry())

_ON, _OFF = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@attrs.frozen(kw_only=True)
class Environment:
    """What the variables say of models. `tiers` is tier -> a chain called by its variable; `thinking` is glob -> whether."""

    order: tuple[Candidate, ...] = ()
    models: tuple[Candidate, ...] = ()
    tiers: Mapping[str, Chain] = MappingProxyType({})
    thinking: Mapping[str, bool] = MappingProxyType({})

    @property
    def listed(self) -> tuple[Candidate, ...]:
        """Everybody who is named."""
        chains = (chain.candidates for chain in self.tiers.values())
        return tuple(dict.fromkeys((*self.models, *self.order, *(c for chain in chains for c in chain))))

    def routes(self, own: tuple[Route, ...], findings: Findings) -> tuple[Route, ...]:
        """The file's routes with those of the tiers before its default. A tier that the file has a route for keeps that."""
        default = next((i for i, route in enumerate(own) if route.enabled and route.matches_all), len(own))
        more = []
        for tier, chain in self.tiers.items():
            usual = f"claude-{tier}-5"
            decides = next((r for r in own[:default] if r.enabled and not r.exact and r.matches(usual)), None)
            if decides is None:
                more.append(Route(match=f"*{tier}*", chain=chain.name))
            else:
                text = f"no effect on names with '{tier}': the file's route '{quotable(decides.match)}' stands above it"
                findings.warn_of_environment(chain.name, text)
        return (*own[:default], *more, *own[default:])


def read(
    catalogue: Catalogue, own: Mapping[str, object], environ: Mapping[str, str], findings: Findings
) -> Environment:
    """Everything the variables say. `own` holds the file's providers by id; mistakes go to the findings."""
    for variable, instead in REMOVED.items():
        if environ.get(variable, "").strip():
            findings.error_in_environment(variable, f"this variable is gone: remove it, and set {instead} instead")
    lists: dict[str, tuple[Candidate, ...]] = {}
    for variable in dict.fromkeys((ORDER, MODEL, *(v for variables in TIERS.values() for v in variables))):
        told = Told(variable, findings, ours=variable == ORDER or variable.startswith("MODEL_"))
        lists[variable] = tuple(candidates(catalogue, own, environ.get(variable, ""), told))
    tiers = {}
    for tier, variables in TIERS.items():
        for variable in [v for v in variables if lists[v]][:1]:
            tiers[tier] = Chain(name=variable, candidates=lists[variable], policies=LISTED_POLICIES)
    thinking = {glob: _truth(variable, environ, findings) for glob, variable in THINKING.items()}
    return Environment(
        order=lists[ORDER],
        models=lists[MODEL],
        tiers=MappingProxyType(tiers),
        thinking=MappingProxyType({glob: on for glob, on in thinking.items() if on is not None}),
    )


@attrs.frozen
class Told:
    """Where what is wrong with a variable goes: an error where it is ours alone, else a remark."""

    variable: str
    findings: Findings
    ours: bool = attrs.field(kw_only=True)

    def say(self, what: str) -> None:
        if self.ours:
            self.findings.error_in_environment(self.variable, what)
        else:
            self.findings.warn_of_environment(self.variable, f"{what}: it is left out")


def candidates(catalogue: Catalogue, own: Mapping[str, object], text: str, told: Told) -> Iterable[Candidate]:
    """`provider/model`, separated by commas, each once.

    A first part that is no provider is looked up among the vendors.
    """
    good: dict[Candidate, None] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        first, _, model = entry.partition("/")
        id = catalogue.id_of(first)
        if model and (id in own or id in catalogue.providers):
            good[Candidate(id, model)] = None
        elif model and first in catalogue.vendors:
            good[Candidate(catalogue.vendors[first], entry)] = None
        elif model:
            told.say(f"unknown provider '{quotable(first)}'{nearest(first, (*own, *catalogue.providers))}")
        else:
            told.say(f"'{quotable(entry)}' is not 'provider/model'")
    return good


def _truth(variable: str, environ: Mapping[str, str], findings: Findings) -> bool | None:
    """None where it is not set, or empty."""
    value = environ.get(variable, "").strip()
    if not value:
        return None
    if value.lower() not in (*_ON, *_OFF):
        findings.error_in_environment(variable, f"expected true or false, got '{quotable(value)}'")
    return value.lower() not in _OFF
