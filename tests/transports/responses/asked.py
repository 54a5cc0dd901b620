"""Every way in which a host of the catalogue is spoken to over Responses, and short ways to ask one of them."""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from engine import Ask, Learned
from engine.config import Listing, Model, ResponsesAccent
from tests.e2e.responses_rules import breaches
from tests.e2e.wire import SIGNATURE
from tests.transports.asks import ask, body
from transports._catalogue import load_catalogue
from transports._envelope import seal
from transports.responses import openai_responses

ROWS = {row.id: row for row in load_catalogue().providers.values() if "openai-responses" in row.wires}
UNKNOWN = "somebody/something"

Body = dict[str, Any]


@attrs.frozen
class Host:
    """One host of the catalogue and one of its models; "" is a host of which nothing is known."""

    id: str
    model: str

    @property
    def row(self) -> Listing | None:
        return ROWS.get(self.id)

    @property
    def accent(self) -> ResponsesAccent:
        return self.ask(body()).provider.responses_accent(self.model)

    @property
    def name(self) -> str:
        return f"{self.id or 'host'}/{self.model}"

    def ask(self, fields: Body, **more: Any) -> Ask:
        """`fields` asked of this host. `model_row` replaces what is known of the model."""
        row, given = self.row, dict(more)
        models = dict(row.models) if row else {}
        if (known := given.pop("model_row", None)) is not None:
            models[self.model] = known
        ways = ("chat", "chat_by_model", "responses", "responses_by_model")
        accents = {name: getattr(row, name) for name in ways} if row else {}
        made = ask(
            fields, model=self.model, **_SETTINGS | {"id": self.id or "host", "models": models} | accents | given
        )
        return attrs.evolve(made, candidate=attrs.evolve(made.candidate, provider=self.id or "host"))

    def sent(self, fields: Body, **more: Any) -> Body:
        """The body that goes out."""
        return read(self.ask(fields, **more))

    def breaches(self, sent: Body) -> list[str]:
        """What a strict host finds in a body, beside what this host's row adds to the description."""
        switch = self.accent.switch
        own = {*self.accent.extra, *(switch.on if switch else ()), *(switch.off if switch else ())} - {"reasoning"}
        plain = {name: value for name, value in sent.items() if name not in own}
        plain["input"] = [_without_its_own(item, self.accent) for item in sent["input"]]
        return breaches(plain)


def _without_its_own(item: Body, accent: ResponsesAccent) -> Body:
    if item["type"] != "reasoning":
        return item
    out = {k: v for k, v in item.items() if not (accent.item_ids and k == "id")}
    if accent.open_reasoning and out.pop("content", None):
        out.setdefault("encrypted_content", SIGNATURE)
    return out


_SETTINGS: Body = {"wire": "openai-responses", "paths": {"messages": "/v1/responses"}}


def read(asked: Ask) -> Body:
    parsed: Body = orjson.loads(openai_responses(asked).body)
    return parsed


def _all() -> list[Host]:
    """Hosts and models, of those that are spoken to alike one."""
    found: dict[Any, Host] = {}
    for id, row in ROWS.items():
        globbed = [glob.replace("*", "x").replace("[134]", "3") for glob in row.responses_by_model]
        for model in (UNKNOWN, *globbed, *row.models):
            host = Host(id, model)
            known = row.models.get(model, Model(id=model))
            can = known.capabilities
            schema = row.chat.schema
            key = (repr(host.accent), schema, known.thinking, known.temperature, can.images, can.documents)
            found.setdefault(key, host)
    return [Host("", UNKNOWN), *found.values()]


HOSTS = _all()
#: Of these one for each accent.
SPOKEN = list({repr(host.accent): host for host in reversed(HOSTS)}.values())


def sent(
    fields: Body | None = None,
    *,
    accent: ResponsesAccent | None = None,
    known: Model | None = None,
    without: tuple[str, ...] = (),
    **more: Any,
) -> Body:
    """The body that goes out to `host/m`, which speaks with `accent`, and of whose model `known` is known."""
    return read(asked(fields, accent=accent, known=known, without=without, **more))


def asked(
    fields: Body | None = None,
    *,
    accent: ResponsesAccent | None = None,
    known: Model | None = None,
    without: tuple[str, ...] = (),
    **more: Any,
) -> Ask:
    learned = more.pop("learned", Learned(without=frozenset(without)))
    models = {"models": {"m": known}} if known else {}
    settings = _SETTINGS | {"responses": accent or ResponsesAccent(), "learned": learned} | models | more
    return ask(fields or body(), model="m", **settings)


def thought(text: str = "why", author: str = "host/m", **item: Any) -> Body:
    """A thinking block that came from a reasoning item of `author`, a `|` behind each part; without a text it is redacted."""
    state: Body = {"item": {"id": "rs_1", "encrypted_content": SIGNATURE, **item}}
    if not text:
        return {"type": "redacted_thinking", "data": seal(author, {"reasoning": state})}
    parts = text.split("|")
    state["summary"] = [len(part) for part in parts]
    return {"type": "thinking", "thinking": "".join(parts), "signature": seal(author, {"reasoning": state})}
