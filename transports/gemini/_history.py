"""A conversation of Messages as `contents`.

Gemini refuses more than it forgives: user and model in strict turn, the user first, each turn of calls followed by one
turn that holds the results of all of them in their order, each result an object under the name of its call. Claude Code
sends results behind text, results that were never made, system entries in the middle, user after user. So the conversation
is first brought into turns, and each turn is written whole. Results stand first; what the user says himself comes behind.

Of the calls in one step the first must have a thought signature. One that others made has none, and says so with Google's
own word for it: in every turn, not only in the current one, since a prefix that changes from turn to turn is cached by
nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from engine import JSON
from transports.gemini._content import Reader
from transports.gemini._names import gemini_name
from transports.gemini._signatures import NONE, Reminded
from transports.translate._ids import outbound
from transports.translate._texts import BEGINNING, GO_ON, INTERRUPTED, NOTHING, text_of, word
from transports.translate._turns import Turn, answered, distinct, turns


@attrs.frozen
class _Call:
    """A call that is to be answered: its id as the client has it, as the host has it, and its name for the host."""

    theirs: str
    id: str
    name: str


@attrs.frozen
class History:
    """Writes contents for one candidate, called `author` in envelopes.

    `signs`: a step's first call needs a signature. `signed`: the author's own go back. `ids`: calls and results have
    them. `shows`: results hold pictures.
    """

    reader: Reader
    author: str
    signs: bool = True
    signed: bool = True
    ids: bool = True
    shows: bool = True

    def contents(self, messages: list[JSON]) -> list[JSON]:
        """The contents, user and model in turn, beginning and ending with the user."""
        out: list[JSON] = []
        calls: list[_Call] = []  # of the last model turn
        for turn in turns(messages):
            if turn.role == "assistant":
                parts, calls = self._model(turn)
                out.append({"role": "model", "parts": parts})
            else:
                out.append({"role": "user", "parts": self._user(turn, calls) or [{"text": NOTHING}]})
                calls = []
        if out and out[0]["role"] == "model":
            out.insert(0, {"role": "user", "parts": [{"text": BEGINNING}]})
        if calls:
            out.append({"role": "user", "parts": [self._response(call, {"error": INTERRUPTED}) for call in calls]})
        elif not out:
            out.append({"role": "user", "parts": [{"text": NOTHING}]})
        elif out[-1]["role"] == "model":  # a beginning to be continued
            out.append({"role": "user", "parts": [{"text": GO_ON}]})
        return out

    # The model's turns.

    def _model(self, turn: Turn) -> tuple[list[JSON], list[_Call]]:
        used = [block for block in turn.blocks if block.get("type") == "tool_use"]
        theirs = [word(block.get("id")) for block in used]
        calls = [
            _Call(id, outbound(one), gemini_name(word(block.get("name"))))
            for id, one, block in zip(theirs, distinct(theirs), used, strict=True)
        ]
        said: list[JSON] = []
        made: list[JSON] = []
        signatures: dict[int, str] = {}
        following = ""  # the signature of the text that is next
        for block in turn.blocks:
            match block.get("type"):
                case "tool_use":
                    made.append(self._call(calls[len(made)], block))
                case "thinking" | "redacted_thinking":
                    reminded = Reminded.by(self.author, block) if self.signed else Reminded()
                    said += self._thought(block, reminded.thought)
                    _sign(said, reminded)
                    following = reminded.next
                    # The calls of an answer stand behind what came with them, numbered from there.
                    signatures |= {len(made) + n: signature for n, signature in reminded.calls.items()}
                case _ if (text := text_of(block)).strip():
                    said.append({"text": text, **({"thoughtSignature": following} if following else {})})
                    following = ""
        if self.signs and made and not signatures.get(0):
            signatures[0] = NONE
        for place, signature in signatures.items():
            if place < len(made):
                made[place]["thoughtSignature"] = signature
        return [*said, *made] or [{"text": NOTHING}], calls

    def _thought(self, block: JSON, signature: str) -> Iterator[JSON]:
        """A thought goes back where it must carry its signature; the model has no use for another."""
        text = block.get("thinking")
        if signature and isinstance(text, str) and text.strip():
            yield {"text": text, "thought": True, "thoughtSignature": signature}

    def _call(self, call: _Call, block: JSON) -> JSON:
        given = block.get("input")
        given = given if isinstance(given, dict) else {"value": given}
        return {"functionCall": {**self._named(call), "args": given}}

    # The user's turns.

    def _user(self, turn: Turn, calls: list[_Call]) -> list[JSON]:
        results, rest = answered(turn.blocks, [call.theirs for call in calls])
        responses: list[JSON] = []
        behind: list[JSON] = []
        for number, (call, result) in enumerate(zip(calls, results, strict=True), start=1):
            if result is None:
                responses.append(self._response(call, {"error": INTERRUPTED}))
                continue
            response, shown = self.reader.result(result, number)
            responses.append(self._response(call, response, shown if self.shows else []))
            if shown and not self.shows:
                behind += [{"text": f"[what tool result {number} shows]"}, *shown]
        for block in rest:
            if block.get("type") == "tool_result":
                said, shown = self.reader.result(block, 1)
                behind += [{"text": f"[result of an earlier tool call]\n{next(iter(said.values()))}"}, *shown]
            elif part := self.reader.part(block):
                behind.append(part)
        return [*responses, *behind]

    def _response(self, call: _Call, response: JSON, shown: list[JSON] | None = None) -> JSON:
        inside: JSON = {"parts": shown} if shown else {}
        return {"functionResponse": {**self._named(call), "response": response, **inside}}

    def _named(self, call: _Call) -> dict[str, Any]:
        return {"id": call.id, "name": call.name} if self.ids else {"name": call.name}


def _sign(said: list[JSON], reminded: Reminded) -> None:
    """Signatures of texts that stand before their envelope: on the last text, or on an empty one of their own."""
    if reminded.text and said and "thought" not in said[-1]:
        said[-1].setdefault("thoughtSignature", reminded.text)
    if reminded.end:
        said.append({"text": "", "thoughtSignature": reminded.end})
