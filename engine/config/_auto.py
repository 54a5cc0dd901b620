"""The built-in chain `auto`: whom to ask where nobody has said.

A proxy that must be configured before its first answer is put away before its second. The naive default is one provider's
name in the code, which is wrong for everybody without that provider's key. Here the machine says: what its environment
lists, else whoever can be asked now, what costs nothing before what costs money; and where that is nobody, either the
variable that is still empty, or the rehearsal, which answers and says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.config._provider import Provider
from engine.config._schema import ANY_MODEL, REHEARSAL
from policies import Candidate


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
