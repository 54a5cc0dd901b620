"""Hosts that a conversation may move between, each as strict as the real one, and each with state of its own.

Whether a history may go anywhere is not to be told from one wire's rules, and not from histories that were never said by
anybody. So a party here can do what a host does: say an answer on its own wire, with signatures, encrypted reasoning or
details that it will know again (`tell`), refuse a body for anything that its kind refuses, others' state and changed state
among it (`breaches`), and say what of its own has come back (`own`) where all of it was to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, pairwise
from typing import Any, ClassVar

import attrs
import orjson
from hypothesis import strategies as st

from engine import Ask
from engine.config import Wire
from tests.e2e import chat_asks, gemini_rules, openai_rules, responses_asks
from tests.e2e.anthropic_rules import anthropic_breaches, reduced_breaches, thought_first
from tests.e2e.gemini_asks import messages_of_gemini
from tests.e2e.ollama_asks import messages_of_ollama
from tests.e2e.ollama_rules import ollama_breaches
from tests.e2e.wire import SIGNATURE
from tests.transports.anthropic_frames import END, START, STOP, delta, frame, start, stop
from tests.transports.asks import ask
from tests.transports.chat import answers as chat
from tests.transports.chat.hosts import Host as ChatHost
from tests.transports.chat.rules import faults
from tests.transports.chat.streams import chunk
from tests.transports.chat.streams import frame as chat_frame
from tests.transports.gemini import speech
from tests.transports.ollama.answers import Answer, told
from tests.transports.responses.asked import Host as ResponsesHost
from tests.transports.responses.replies import Item, replies
from transports import DIALECTS, load_catalogue

Body = dict[str, Any]
Mint = Callable[[], str]
#: Bytes of an answer, and the state in it that its author must see again, in order.
Told = tuple[bytes, list[Any]]

UNKNOWN = "somebody/something"
ROWS = load_catalogue().providers


@attrs.frozen
class Meant:
    """What an answer is to say: thinking and text in turn, then calls."""

    said: list[tuple[str, str]]
    calls: list[tuple[str, Body]]


@attrs.frozen
class Party:
    """One host and a model of it. `settings` are fields of its provider."""

    id: str
    model: str
    wire: Wire
    settings: Mapping[str, Any] = attrs.field(factory=dict, eq=False, repr=False)

    @property
    def name(self) -> str:
        return f"{self.id}/{self.model}"

    def ask(self, fields: Body) -> Ask:
        made = ask(fields, model=self.model, **{"wire": self.wire, **self.settings})
        return attrs.evolve(made, candidate=attrs.evolve(made.candidate, provider=self.id))

    def tell(self, draw: st.DrawFn, meant: Meant, mint: Mint) -> Told:
        """An answer in one of the ways of this wire."""
        raise NotImplementedError

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        """What the host refuses this body for; `minted` is its own state."""
        raise NotImplementedError

    def own(self, body: Body) -> list[Any]:
        """Its own state in a body, in the form and order in which `tell` gives it."""
        raise NotImplementedError

    def heard(self, body: Body) -> list[Body]:
        """The body as Messages."""
        raise NotImplementedError


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted({0, len(text), draw(st.integers(0, len(text)))})
    return [text[a:b] for a, b in pairwise(places)]


@attrs.frozen
class Messages(Party):
    """Anthropic itself: signs each thought, and takes no other's."""

    hides: ClassVar[bool] = True  #: some of its thinking is redacted

    def tell(self, draw: st.DrawFn, meant: Meant, mint: Mint) -> Told:
        events: list[Body] = []
        own: list[Any] = []
        blocks = [*meant.said, *(("tool_use", call) for call in meant.calls)]
        if self.hides and draw(st.integers(0, 3)) == 0:
            blocks.insert(0, ("redacted_thinking", ""))
        for index, (kind, meaning) in enumerate(blocks):
            match kind:
                case "redacted_thinking":
                    own.append(("redacted_thinking", "", mint()))
                    events.append(start(index, kind, data=own[-1][2]))
                case "tool_use":
                    name, given = meaning
                    events.append(start(index, kind, name=name, id=self._id(draw, mint)))
                    text = orjson.dumps(given).decode()
                    events += [delta(index, piece, kind) for piece in _cut(draw, text)]
                case _:
                    text = str(meaning)
                    signature = self._signature(draw, mint) if kind == "thinking" else None
                    events.append(start(index, kind))
                    events += [delta(index, piece, kind) for piece in _cut(draw, text)]
                    if kind == "thinking":
                        own.append((kind, text, signature or ""))
                    if signature is not None:
                        signing = {"type": "signature_delta", "signature": signature}
                        events.append({"type": "content_block_delta", "index": index, "delta": signing})
            events.append(stop(index))
        reason = {"stop_reason": "tool_use" if meant.calls else "end_turn", "stop_sequence": None}
        return b"".join(map(frame, [START, *events, {**END, "delta": reason}, STOP])), own

    def _signature(self, draw: st.DrawFn, mint: Mint) -> str | None:
        return mint()

    def _id(self, draw: st.DrawFn, mint: Mint) -> str:
        return f"toolu_{mint()}"

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        return anthropic_breaches(body, lambda block: _state(block) in minted)

    def own(self, body: Body) -> list[Any]:
        blocks = [block for message in self.heard(body) for block in message["content"]]
        return [_state(block) for block in blocks if block["type"] in ("thinking", "redacted_thinking")]

    def heard(self, body: Body) -> list[Body]:
        return [
            {**message, "content": [{"type": "text", "text": message["content"]}]}
            if isinstance(message["content"], str)
            else message
            for message in body["messages"]
        ]


def _state(block: Mapping[str, Any]) -> tuple[str, str, Any]:
    return block["type"], block.get("thinking", ""), block.get("signature", block.get("data"))


@attrs.frozen
class Reduced(Messages):
    """A host that merely speaks the wire. Its signatures mean nothing, or are not there, and its ids come again."""

    def _signature(self, draw: st.DrawFn, mint: Mint) -> str | None:
        return draw(st.sampled_from([mint(), "", None]))

    def _id(self, draw: st.DrawFn, mint: Mint) -> str:
        return draw(st.sampled_from([f"chatcmpl-tool-{mint()}", "functions.read:0", "call_0", "call_00000"])) + (
            f":{mint()}" if draw(st.booleans()) else ""
        )

    def tell(self, draw: st.DrawFn, meant: Meant, mint: Mint) -> Told:
        sent, own = super().tell(draw, meant, mint)
        return sent, [state for state in own if state[2]]

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        return reduced_breaches(body)

    def own(self, body: Body) -> list[Any]:
        """What others thought comes here as well, for its words, and Anthropic's with its signature."""
        found = super().own(body)
        return [state for state in found if state[2] and not state[2].startswith("anthropic-")]


@attrs.frozen
class Careful(Reduced):
    """One that wants to see thinking before a call, whoever thought it, and hides none of its own."""

    hides: ClassVar[bool] = False

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        return [*reduced_breaches(body), *thought_first(body)]


@attrs.frozen
class Reseller(Messages):
    """One that has Anthropic's models, and takes no more than any other host. Anthropic's own signatures hold here too."""

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        signed = [*minted, *self._anthropics(body)]
        return [*reduced_breaches(body), *anthropic_breaches(body, lambda block: _state(block) in signed)]

    def own(self, body: Body) -> list[Any]:
        others = self._anthropics(body)
        return [state for state in super().own(body) if state not in others]

    def _anthropics(self, body: Body) -> list[Any]:
        return [state for state in super().own(body) if str(state[2]).startswith("anthropic-")]


@attrs.frozen
class Chat(Party):
    """A host of chat completions. `host` knows its accent."""

    host: ChatHost = ChatHost("", UNKNOWN)

    def ask(self, fields: Body) -> Ask:
        return self.host.ask(fields)

    @property
    def name(self) -> str:
        return f"{self.host.id or 'host'}/{self.model}"

    def tell(self, draw: st.DrawFn, meant: Meant, mint: Mint) -> Told:
        accent = self.host.accent
        finish = "tool_calls" if meant.calls else "stop"
        answer = chat.Answer(meant.said, meant.calls, finish, 9, 3, 3)
        sent = draw(chat.streams(st.just(answer), tagged=False)).body
        if accent.replay == "reasoning_details" and draw(st.booleans()):
            detail = {"type": "reasoning.encrypted", "data": mint(), "format": "f", "index": 7}
            return chat_frame(chunk(reasoning_details=[detail])) + sent, [detail] if meant.calls else []
        if accent.thought_signatures and meant.calls:
            return self._signed(answer, mint)
        return sent, []

    def _signed(self, answer: chat.Answer, mint: Mint) -> Told:
        """As Gemini does it here: a call in one piece, the first with its signature."""
        field = {"thinking": "reasoning_content", "text": "content"}
        chunks = [chunk(**{field[kind]: text}) for kind, text in answer.said]
        own = {"google": {"thought_signature": mint()}}
        for number, (name, given) in enumerate(answer.calls):
            function = {"name": name, "arguments": orjson.dumps(given).decode()}
            entry: Body = {"index": number, "id": f"function-call-{mint()}", "type": "function", "function": function}
            chunks.append(chunk(tool_calls=[entry if number else {**entry, "extra_content": own}]))
        return b"".join(map(chat_frame, [*chunks, chunk("tool_calls")])), [own]

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        found = faults(body, self.host.accent)
        if self.id == "openai":
            found += openai_rules.breaches(body)
        found += [f"somebody else's state: {state}" for state in self.own(body) if state not in minted]
        return found

    def own(self, body: Body) -> list[Any]:
        found: list[Any] = []
        for message in body["messages"]:
            details = message.get("reasoning_details", ())
            found += [detail for detail in details if detail["type"] == "reasoning.encrypted"]
            extras = [call.get("extra_content") for call in message.get("tool_calls", ())]
            found += [extra for extra in extras if extra and gemini_rules.NONE not in orjson.dumps(extra).decode()]
        return found

    def replayed(self, body: Body) -> list[str | None]:
        """The reasoning beside each answer with calls, where this host is given any."""
        field = self.host.accent.replay
        tools = [message for message in body["messages"] if message.get("tool_calls")]
        return [message.get(field) for message in tools] if field in ("reasoning_content", "reasoning") else []

    def heard(self, body: Body) -> list[Body]:
        plain = [
            {**message, "content": [part for part in message["content"] if part["type"] != "thinking"]}
            if isinstance(message["content"], list)
            else message
            for message in body["messages"]
        ]
        heard: list[Body] = chat_asks.as_messages({**body, "messages": plain})["messages"]
        return heard


@attrs.frozen
class Responses(Party):
    """A host of Responses that encrypts its reasoning."""

    host: ResponsesHost = ResponsesHost("openai", "gpt-5.5")

    def ask(self, fields: Body) -> Ask:
        made = self.host.ask(fields)
        return attrs.evolve(made, candidate=attrs.evolve(made.candidate, provider=self.id))

    def tell(self, draw: st.DrawFn, meant: Meant, mint: Mint) -> Told:
        items: list[Item] = []
        for kind, text in meant.said:
            if kind == "text":
                items.append(Item("message", (text,)))
            else:
                items.append(Item("reasoning", (text,), hidden=draw(st.booleans()), encrypted=mint()))
        if draw(st.integers(0, 3)) == 0:
            items.insert(0, Item("reasoning", (), hidden=True, encrypted=mint()))
        items += [Item("call", name=name, given=given) for name, given in meant.calls]
        last = max((n for n, item in enumerate(items) if item.kind != "reasoning"), default=0)
        own = [(item.encrypted, item.parts) for item in items[:last] if item.hidden]
        return draw(replies(st.just(items), ("completed",))).body, own

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        known = {**body, "input": [self._verified(item, minted) for item in body["input"]]}
        return self.host.breaches(known)

    def _verified(self, item: Body, minted: list[Any]) -> Body:
        if item["type"] != "reasoning" or _reasoning(item) not in minted:
            return item
        return {**item, "encrypted_content": SIGNATURE}

    def own(self, body: Body) -> list[Any]:
        return [_reasoning(item) for item in body["input"] if item["type"] == "reasoning"]

    def heard(self, body: Body) -> list[Body]:
        return [
            {**message, "content": [{"type": "text", "text": message["content"]}]}
            if isinstance(message["content"], str)
            else message
            for message in responses_asks.as_messages(body)["messages"]
            if message["role"] != "system"
        ]


def _reasoning(item: Body) -> tuple[str, tuple[str, ...]]:
    return item.get("encrypted_content", ""), tuple(part["text"] for part in item["summary"])


@attrs.frozen
class Gemini(Party):
    """A Gemini that checks thought signatures."""

    def tell(self, draw: st.DrawFn, meant: Meant, mint: Mint) -> Told:
        parts: list[Body] = []
        own: list[Any] = []
        for kind, group in groupby(meant.said, key=lambda one: one[0]):
            pieces = [piece for _, text in group for piece in _cut(draw, text)]
            made = [speech.thought(piece) if kind == "thinking" else {"text": piece} for piece in pieces]
            if draw(st.booleans()):
                signature = gemini_rules.signature(mint())
                made[-1]["thoughtSignature"] = signature
                own += [signature] if kind == "thinking" else []
            parts += made
        for number, (name, given) in enumerate(meant.calls):
            signature = gemini_rules.signature(mint()) if not number or draw(st.booleans()) else ""
            parts.append(speech.call(name, given, signature))
            own += [signature] if signature else []
        groups = [[part] for part in parts] if draw(st.booleans()) else [parts]
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 3}
        return speech.stream(*(speech.chunk(*group) for group in groups), speech.chunk(finish="STOP", usage=usage)), own

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        return gemini_rules.breaches(body)

    def own(self, body: Body) -> list[Any]:
        parts = [part for content in body["contents"] for part in content["parts"]]
        given = [part.get("thoughtSignature") for part in parts if "functionCall" in part or part.get("thought")]
        return [signature for signature in given if signature not in (None, gemini_rules.NONE)]

    def heard(self, body: Body) -> list[Body]:
        heard: list[Body] = messages_of_gemini(body)["messages"]
        return heard


@attrs.frozen
class Ollama(Party):
    """An Ollama. It keeps no state but its thinking, within a loop of tools."""

    def tell(self, draw: st.DrawFn, meant: Meant, mint: Mint) -> Told:
        sent = draw(told(Answer(meant.said, meant.calls, "stop", 9, 3)))
        thoughts = ["".join(text for _, text in group) for kind, group in _runs(meant) if kind == "thinking"]
        return sent, ["\n".join(thoughts)] if thoughts and meant.calls else []

    def breaches(self, body: Body, minted: list[Any]) -> list[str]:
        foreign = [thought for thought in self.own(body) if thought not in minted]
        return [*ollama_breaches(body), *(f"somebody else's thinking: {thought}" for thought in foreign)]

    def own(self, body: Body) -> list[Any]:
        return [message["thinking"] for message in body["messages"] if "thinking" in message]

    def heard(self, body: Body) -> list[Body]:
        heard: list[Body] = messages_of_ollama(body)["messages"]
        return heard


def _runs(meant: Meant) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for kind, group in groupby(meant.said, key=lambda one: one[0]):
        yield kind, list(group)


def _row(id: str) -> Mapping[str, Any]:
    row = ROWS[id]
    return {"open_lists": row.open_lists, "drop": row.drop, "quirks": row.quirks, "models": row.models}


def _chat(id: str, model: str) -> Chat:
    return Chat(id or "host", model, "openai-chat", host=ChatHost(id, model))


def _gemini(id: str, model: str) -> Gemini:
    return Gemini(id, model, "gemini", {"paths": speech.PATHS})


#: By kind of host: a conversation goes through all kinds, over any of each.
PARTIES: tuple[tuple[Party, ...], ...] = (
    (Messages("anthropic", "claude-sonnet-5-5", "anthropic", {"open_lists": True}),),
    (
        *(Reduced(f"{id}-messages", UNKNOWN, "anthropic", _row(id)) for id in ("vllm", "llamacpp", "ollama")),
        *(Careful(f"{id}-messages", UNKNOWN, "anthropic", _row(id)) for id in ("deepseek", "kimi", "zai", "minimax")),
        *(Reseller(f"{id}-messages", "claude-opus-4.8", "anthropic", _row(id)) for id in ("open_router", "bedrock")),
    ),
    (
        _chat("openai", "gpt-5x"),
        _chat("mistral", UNKNOWN),
        _chat("deepseek", UNKNOWN),
        _chat("kimi", UNKNOWN),
        _chat("vllm", "xkimi-k2x"),
        _chat("open_router", UNKNOWN),
        _chat("minimax", UNKNOWN),
        _chat("gemini", UNKNOWN),
        _chat("", UNKNOWN),
    ),
    (
        Responses("openai", "gpt-5.5", "openai-responses"),
        Responses("elsewhere", "gpt-5.5", "openai-responses"),
    ),
    (_gemini("google", "gemini-3-pro"), _gemini("vertex", "gemini-3-flash")),
    (Ollama("ollama", "qwen3", "ollama", {"paths": {"messages": "/api/chat"}, "auth": "bearer"}),),
)
#: Where those begin whose wire is not the client's.
TRANSLATED = 2
ALL = tuple(party for kind in PARTIES for party in kind)


def sent(party: Party, fields: Body) -> tuple[Ask, Body]:
    """The ask, and the body that goes out."""
    asked = party.ask(fields)
    parsed: Body = orjson.loads(DIALECTS[party.wire](asked).body)
    return asked, parsed
