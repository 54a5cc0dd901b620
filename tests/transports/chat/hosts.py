"""Every way in which a host of the catalogue is spoken to, and short ways to ask one of them."""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from engine import Ask, Learned
from engine.config import Accent, Listing, Model, Settings
from tests.transports.asks import ask, body
from transports._catalogue import load_catalogue
from transports.chat import openai_chat

CATALOGUE = load_catalogue()
CHAT_ROWS = {row.id: row for row in CATALOGUE.providers.values() if "openai-chat" in row.wires}
#: A model that no row knows and no glob matches.
UNKNOWN = "somebody/something"

Body = dict[str, Any]


@attrs.frozen
class Host:
    """One host of the catalogue and one of its models; "" is a host of which nothing is known."""

    id: str
    model: str

    @property
    def row(self) -> Listing | None:
        return CHAT_ROWS.get(self.id)

    @property
    def accent(self) -> Accent:
        return self.ask(body()).provider.accent(self.model)

    def ask(self, fields: Body, **more: Any) -> Ask:
        """`fields` asked of this host. `model_row` replaces what is known of the model."""
        row, given = self.row, dict(more)
        models = dict(row.models) if row else {}
        if (known := given.pop("model_row", None)) is not None:
            models[self.model] = known
        accents = {"chat": row.chat, "chat_by_model": row.chat_by_model} if row else {}
        paths = {"messages": "/v1/chat/completions"}
        settings = {
            "id": self.id or "host",
            "wire": "openai-chat",
            "paths": paths,
            "models": models,
            **accents,
            **given,
        }
        made = ask(fields, model=self.model, **settings)
        return attrs.evolve(made, candidate=attrs.evolve(made.candidate, provider=self.id or "host"))

    def sent(self, fields: Body, **more: Any) -> Body:
        """The body that goes out."""
        return read(self.ask(fields, **more))


def read(asked: Ask) -> Body:
    parsed: Body = orjson.loads(openai_chat(asked).body)
    return parsed


def _all() -> list[Host]:
    """Hosts and models, of those that are spoken to alike one."""
    found: dict[Any, Host] = {}
    for id, row in CHAT_ROWS.items():
        globbed = [glob.replace("*", "x").replace("[134]", "3").replace("[23]", "3") for glob in row.chat_by_model]
        for model in (UNKNOWN, *globbed, *row.models):
            host = Host(id, model)
            known = row.models.get(model, Model(id=model))
            can = known.capabilities
            found.setdefault((repr(host.accent), known.thinking, known.temperature, can.images, can.documents), host)
    return [Host("", UNKNOWN), *found.values()]


HOSTS = _all()
#: Of these one for each accent.
SPOKEN = list({repr(host.accent): host for host in reversed(HOSTS)}.values())


def sent(fields: Body | None = None, *, accent: Accent | None = None, known: Model | None = None, **more: Any) -> Body:
    """The body that goes out to a host that speaks with `accent`, of whose model `known` is known."""
    return read(asked(fields, accent=accent, models={"m": known} if known else {}, **more))


def asked(
    fields: Body | None = None, *, accent: Accent | None = None, without: tuple[str, ...] = (), **more: Any
) -> Ask:
    """An ask of `host/m`."""
    learned = more.pop("learned", Learned(without=frozenset(without)))
    settings = {"wire": "openai-chat", "paths": {"messages": "/v1/chat/completions"}, **more}
    return ask(fields or body(), model="m", chat=accent or Accent(), learned=learned, **settings)


def said(*messages: Any, **fields: Any) -> Body:
    """A request with these messages: a string is the user's, a list of blocks the user's, a tuple the assistant's blocks."""
    written = []
    for message in messages:
        if isinstance(message, dict):
            written.append(message)
        elif isinstance(message, tuple):
            written.append({"role": "assistant", "content": list(message)})
        else:
            written.append({"role": "user", "content": message})
    return body(messages=written, **fields)


def configured(**settings: Any) -> dict[str, Any]:
    """Settings of the provider."""
    return {"settings": Settings(**settings)}
