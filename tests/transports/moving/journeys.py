"""A conversation that is grown answer by answer, each given by another host, with what was said in it kept beside it.

Every text bears a mark of its own, so what became of it can be told in any body; calls and their arguments are compared as
they are. `Journey.check` holds one body against everything that was said by then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import orjson
from hypothesis import strategies as st

from tests.transports.asks import body
from tests.transports.chat.answers import INPUTS, NAMES, WORDS
from tests.transports.chat.histories import Told
from tests.transports.chat.streams import SCHEMA
from tests.transports.gemini.speech import said_back
from tests.transports.moving.parties import Body, Chat, Meant, Ollama, Party, Responses, sent
from transports import DIALECTS

TOOLS = [{"name": name, "description": "d", "input_schema": SCHEMA} for name in NAMES]
THINKING: list[Body] = [
    {"type": "adaptive"},
    {"type": "enabled", "budget_tokens": 8000},
    {"type": "disabled"},
]
#: What a wire may say where it has no place for what was said, or wants a word and there is none.
_ADDED = re.compile(
    r"\(thought\)|Understood\.|\(no output\)|Error: ?|…|\[tool available: ls\]|\(the conversation begins.*\)"
)
#: Thinking and text of an answer, in turn.
_SAID = (
    ("text",),
    ("thinking", "text"),
    ("thinking",),
    (),
    ("thinking", "text", "thinking"),
    ("text", "thinking", "text"),
    ("thinking", "thinking"),
    ("text", "text"),
)
# Made once: a strategy costs as much to make as to draw from.
_ENDS = st.sampled_from([a + b for a in WORDS for b in WORDS])
_KINDS = st.sampled_from(_SAID)
_NAMES = st.sampled_from(NAMES)
_WISHES = st.sampled_from([*THINKING[:2], *THINKING])
_SOME, _ANY = st.sampled_from([0, 1, 1, 2, 3]), st.sampled_from([1, 1, 2, 3])
_NEXT = st.sampled_from(["none", "none", "behind", "system"])
_RESULTS = st.sampled_from(["text", "text", "parts", "empty", "error", "reference"])
#: Arguments for where many histories are to be drawn in little time.
FEW_ARGUMENTS: st.SearchStrategy[Body] = st.sampled_from(
    [
        {},
        {"a": 1},
        {"a": "x", "b": [], "c d": {}},
        *({"a": word} for word in WORDS),
        *({"b": {"a": [word, None]}, "c d": 0.5} for word in WORDS),
    ]
)


@attrs.define
class Journey:
    """The conversation as the client has it, and what must be found in every body that is made of it."""

    thinking: Body = attrs.field(factory=dict)  #: what the client wants of it; it may change its mind
    arguments: st.SearchStrategy[Body] = INPUTS
    before: Told = attrs.field(factory=Told)  #: a conversation of any sort that this one goes on with
    messages: list[Body] = attrs.field(factory=list)
    said: list[str] = attrs.field(factory=list)  #: by user and assistant, in order
    calls: list[tuple[str, Body]] = attrs.field(factory=list)
    results: list[list[str]] = attrs.field(factory=list)  #: the texts of each call's result
    minted: dict[str, list[Any]] = attrs.field(factory=dict)  #: by party
    hosts: list[Party] = attrs.field(factory=list)  #: who answered
    marks: int = 0

    @property
    def fields(self) -> Body:
        """A request of it, with what Claude Code sends beside the messages."""
        thinks = self.thinking["type"] != "disabled"
        edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
        return body(
            messages=self.messages,
            tools=TOOLS,
            thinking=self.thinking,
            metadata={"user_id": "{}"},
            system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
            **({"context_management": edits} if thinks else {}),
        )

    def text(self, draw: st.DrawFn) -> str:
        """A text with a mark."""
        self.marks += 1
        return f"⟦{self.marks}⟧{draw(_ENDS)}"

    # Turns.

    def __attrs_post_init__(self) -> None:
        self.messages += self.before.messages
        self.marks = self.before.marks

    def asked(self, draw: st.DrawFn) -> None:
        """The user begins."""
        self.said.append(self.text(draw))
        self.messages.append({"role": "user", "content": self.said[-1]})

    def answered(self, draw: st.DrawFn, party: Party) -> None:
        """`party` is asked, takes what it is sent, and answers; the client keeps the answer and runs the tools."""
        self.thinking = draw(_WISHES)
        asked, outgoing = sent(party, self.fields)
        self.check(party, outgoing)
        self.hosts.append(party)
        meant = self._meaning(draw)
        stream, own = party.tell(draw, meant, lambda: self._mint(party))
        decoder = DIALECTS[party.wire](asked).decoder
        events = [*decoder.feed(stream), *decoder.finish()]
        message = said_back(events)
        blocks = message["content"]
        assert decoder.complete, stream
        self._hold(meant, blocks)
        self.minted.setdefault(party.name, []).extend(own)
        self.messages.append(message)
        self._continued(draw, [block["id"] for block in blocks if block["type"] == "tool_use"])

    def back_to(self, party: Party) -> None:
        """It could go on there."""
        self.check(party, sent(party, self.fields)[1])

    def _mint(self, party: Party) -> str:
        self.marks += 1
        return f"{party.id}-{self.marks}"

    def _meaning(self, draw: st.DrawFn) -> Meant:
        kinds = draw(_KINDS)
        count = draw(_SOME if "text" in kinds else _ANY)
        calls = [(draw(_NAMES), draw(self.arguments)) for _ in range(count)]
        return Meant([(kind, self.text(draw)) for kind in kinds], calls)

    def _hold(self, meant: Meant, blocks: list[Body]) -> None:
        """What the client has is what was meant."""
        for kind in ("text", "thinking"):
            shown = "".join(block[kind] for block in blocks if block["type"] == kind)
            assert shown == "".join(text for one, text in meant.said if one == kind)
        assert [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"] == meant.calls
        self.said += [text for kind, text in meant.said if kind == "text"]
        self.calls += meant.calls

    def _continued(self, draw: st.DrawFn, ids: list[str]) -> None:
        """The results of the calls, in any order, and perhaps a word of the user's or an entry of the client's."""
        results: list[Body] = []
        for id in ids:
            block, texts = self._result(draw, id)
            results.append(block)
            self.results.append(texts)
        content = draw(st.permutations(results)) if len(results) > 1 else results
        where = draw(_NEXT) if ids else "behind"
        if where == "behind":
            self.said.append(self.text(draw))
            content = [*content, {"type": "text", "text": self.said[-1]}]
        self.messages.append({"role": "user", "content": content})
        if where == "system":
            self.said.append(self.text(draw))
            self.messages.append({"role": "system", "content": self.said[-1]})

    def _result(self, draw: st.DrawFn, id: str) -> tuple[Body, list[str]]:
        block: Body = {"type": "tool_result", "tool_use_id": id}
        match draw(_RESULTS):
            case "text":
                block["content"] = self.text(draw)
                return block, [block["content"]]
            case "parts":
                texts = [self.text(draw), self.text(draw)]
                return {**block, "content": [{"type": "text", "text": text} for text in texts]}, texts
            case "error":
                text = self.text(draw)
                return {**block, "content": [{"type": "text", "text": text}], "is_error": True}, [text]
            case "reference":
                return {**block, "content": [{"type": "tool_reference", "tool_name": "ls"}]}, []
        return {**block, "content": ""}, []

    # Laws.

    def check(self, party: Party, outgoing: Body) -> None:
        """The host takes it, nothing is lost or invented, and its own state is back."""
        minted = self.minted.get(party.name, [])
        assert party.breaches(outgoing, minted) == [], party
        heard = list(_flat(party.heard(outgoing)))
        if self.before.messages:
            self._check_marks(party, heard)
            return
        self._check_calls(party, heard)
        self._check_texts(party, heard)
        thinks = self.thinking["type"] != "disabled"
        own = party.own(outgoing)
        if isinstance(party, Responses):
            own, minted = sorted(own), sorted(minted)
        if thinks or not isinstance(party, Responses | Ollama | Chat):
            assert own == minted, party
        if isinstance(party, Chat) and thinks:
            for shown, wanted in zip(party.replayed(outgoing), self._thoughts(), strict=False):
                assert shown == wanted, party

    def _thoughts(self) -> Iterator[str]:
        for message in self.messages:
            blocks = message["content"] if message["role"] == "assistant" else []
            if any(block["type"] == "tool_use" for block in blocks):
                yield "\n".join(block["thinking"] for block in blocks if block["type"] == "thinking")

    def _check_calls(self, party: Party, heard: list[tuple[str, Body]]) -> None:
        """Each call and its result once, in order, under one id."""
        calls = [block for _, block in heard if block["type"] == "tool_use"]
        assert [(block["name"], block["input"]) for block in calls] == self.calls, party
        results = {block["tool_use_id"]: block for _, block in heard if block["type"] == "tool_result"}
        answers = [block for _, block in heard if block["type"] == "tool_result"]
        assert len(answers) == len(calls), party
        if party.wire != "openai-chat" and party.wire != "gemini":
            assert len(results) == len(calls), party
        if party.wire != "anthropic":  # where results stand in the order of their calls
            assert [block["tool_use_id"] for block in answers] == [block["id"] for block in calls], party
        elif self.results:
            answers = [results[block["id"]] for block in calls]
        for answer, texts in zip(answers, self.results, strict=True):
            inside = "\n".join(_texts(answer))
            assert [inside.count(text.rstrip()) for text in texts] == [1] * len(texts), party

    def _check_marks(self, party: Party, heard: list[tuple[str, Body]]) -> None:
        """Each text once and whole, also where nobody knows what calls and results were meant to be."""
        inputs = [orjson.dumps(block["input"]).decode() for _, block in heard if block["type"] == "tool_use"]
        whole = "\n".join([*(text for _, block in heard for text in _texts(block)), *inputs])
        known = [*self.before.said, *self.before.shown, *self.said, *(text for some in self.results for text in some)]
        for text in known:
            assert whole.count(text.replace("\0", "\ufffd").rstrip()) == 1, (party, text)

    def _check_texts(self, party: Party, heard: list[tuple[str, Body]]) -> None:
        """Each text once, whole and in order, and no word beside them."""
        whole = "\n".join(text for _, block in heard for text in _texts(block))
        everything = [*self.said, *(text for texts in self.results for text in texts)]
        places = []
        for text in everything:
            assert whole.count(text.rstrip()) == 1, (party, text)
            places.append(whole.index(text.rstrip()))
        assert places[: len(self.said)] == sorted(places[: len(self.said)]), party
        for text in sorted(everything, key=len, reverse=True):
            whole = whole.replace(text.rstrip(), "")
        assert _ADDED.sub("", whole).strip() == "", party


def _flat(messages: list[Body]) -> Iterator[tuple[str, Body]]:
    for message in messages:
        if message["role"] == "system" and message is messages[0]:
            continue  # the system prompt
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            yield message["role"], block


def _texts(block: Body) -> list[str]:
    """The words of a text or of a result."""
    match block["type"]:
        case "text":
            return [block["text"]]
        case "tool_reference":
            return [f"[tool available: {block['tool_name']}]"]
        case "tool_result":
            content = block["content"]
            inner = [{"type": "text", "text": content}] if isinstance(content, str) else content
            return [text for one in inner for text in _texts(one)]
    return []
