"""The built-in chain `auto`: whom to ask where nobody has said.

A proxy that must be configured before its first answer is put away before its second. The naive default is one provider's
name in the code, which is wrong for everybody without that provider's key. Here the machine says: what its environment
lists, else whoever can be asked now, what costs nothing before what costs money; and where that is nobody, either the
variable that is still empty, or the rehearsal, which answers and says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.config._catalogue import Catalogue
from engine.config._problems import Findings, nearest, quotable
from engine.config._schema import ANY_MODEL, REHEARSAL, Provider
from policies import Candidate

#: Ours, so a mistake in it is an error.
ORDER = "AUTO_MODEL_ORDER"
#: Of older proxies and of other programs as well, so what cannot be understood in it is only said.
MODEL = "MODEL"


def listed(
    catalogue: Catalogue, own: Mapping[str, object], environ: Mapping[str, str], findings: Findings
) -> list[Candidate]:
    """The candidates of `AUTO_MODEL_ORDER`, else of `MODEL`: `provider/model`, separated by commas.

    A first part that is no provider is looked up among the vendors. `own` holds the file's providers by id.
    """
    for variable in (ORDER, MODEL):
        good = []
        for entry in filter(None, (part.strip() for part in environ.get(variable, "").split(","))):
            first, _, model = entry.partition("/")
            id = catalogue.id_of(first)
            if model and (id in own or id in catalogue.providers):
                good.append(Candidate(id, model))
            elif model and first in catalogue.vendors:
                good.append(Candidate(catalogue.vendors[first], entry))
            else:
                what = f"'{quotable(entry)}' is not 'provider/model'"
                if model:
                    what = f"unknown provider '{quotable(first)}'{nearest(first, (*own, *catalogue.providers))}"
                if variable == ORDER:
                    findings.error_in_environment(variable, what)
                else:
                    findings.warn_of_environment(variable, f"{what}: it is left out")
        if good:
            return list(dict.fromkeys(good))
    return []


def chosen(providers: Mapping[str, Provider], answering: Mapping[str, str | None]) -> list[Candidate]:
    """The candidates where the environment lists none. Never empty."""
    real = [provider for provider in providers.values() if provider.id != REHEARSAL]
    usable = sorted((p for p in real if p.usable), key=_rank)
    candidates = [c for p in usable for c in _candidates(p, answering)]
    if any(not providers[c.provider].unusable_for(c.model) for c in candidates):
        return candidates
    # Somebody is meant, and cannot be asked: the answer names the reason.
    waiting = [p for p in real if p.named and p.enabled and not p.usable]
    return [*candidates, *(c for p in waiting for c in _candidates(p, answering))] or [Candidate(REHEARSAL, "echo")]


def _rank(provider: Provider) -> int:
    """Local first, free next, paid last. Whoever takes no key sends no bill."""
    if provider.local:
        return 0
    known = provider.model(provider.default_model or "")
    return 1 if known.free or provider.keyless else 2


def _candidates(provider: Provider, answering: Mapping[str, str | None]) -> Iterator[Candidate]:
    """The provider's own idea of a model; without one, whatever the client asks for, where a person named the provider."""
    model = (answering.get(provider.id) if provider.local else None) or provider.default_model
    if model:
        yield Candidate(provider.id, model)
    elif provider.named or provider.local:
        yield Candidate(provider.id, ANY_MODEL)
