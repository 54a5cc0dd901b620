"""How many tokens a prompt is for a certain model: an estimate that is put right by every answer. A fold over events.

One rule for all models is wrong for each of them, since tokenizers differ, and since hosts count a tool's schema, a role
and a system prompt in their own ways. But every answer says how many tokens its prompt was. So each candidate has a factor,
learned from its answers; where there is none yet, the same model's at another host, its family's, everybody's.

And Claude Code sends the whole history each time: nearly all of a prompt has been counted by the provider a turn ago. So a
conversation's estimate is its last real count, with an estimate of what was added since; what is wrong with the estimate is
then wrong with a few percent of the prompt. Messages are not compared: that the history is the same is seen from its
beginning, the number of its messages and the number of its bytes.
"""

from __future__ import annotations

import math
import re

import attrs
import orjson

from engine._events import AttemptEnded, EngineEvent, TokensCounted
from engine._kept import keep
from engine._prompt import Prompt, plain, tokens_in
from engine._size import Estimate
from engine._stream import JSON, Usage
from policies import Candidate

#: Conversations whose last count is kept, and names that a factor is kept for.
CONVERSATIONS, NAMES = 1000, 1000
#: A factor beyond these says that the provider's count means something else.
LEAST, GREATEST = 0.25, 4.0
#: How far one answer may move a factor that some have made, as a factor of its own, and the least weight of an answer.
STEP, WEIGHT, SETTLED = 1.35, 0.1, 3
#: A history whose bytes differ by more than this from what was counted, and was added, is another history.
SLACK, SLACK_BYTES = 0.25, 4096
#: What was added teaches how much additions cost where it is at least so many tokens.
_TELLING = 100.0
#: Names under which everybody's factor stands.
_ANYBODY = "*"


@attrs.frozen
class Counted:
    """A conversation as it was last counted by a provider, in tokens, and how large it was."""

    tokens: int
    by: Candidate
    prompt: Prompt


@attrs.define
class _Factor:
    """The mean of a logarithm that forgets, and lets no single sample move it far."""

    log: float = 0.0
    samples: int = 0

    def learn(self, ratio: float) -> None:
        log = math.log(min(max(ratio, LEAST), GREATEST))
        if self.samples >= SETTLED:
            log = min(max(log, self.log - math.log(STEP)), self.log + math.log(STEP))
        self.log += (log - self.log) * max(1 / (self.samples + 1), WEIGHT)
        self.samples += 1


@attrs.define(eq=False)
class EstimateBook:
    """Factors by name, for whole prompts and for what is added to them, and the last count of each conversation."""

    _whole: dict[str, _Factor] = attrs.field(factory=dict)
    _added: dict[str, _Factor] = attrs.field(factory=dict)
    _counted: dict[tuple[str, str, int], Counted] = attrs.field(factory=dict)

    def estimate(self, session: str, agent: str, body: JSON, prompt: Prompt) -> Estimate:
        """What is known of a prompt, whoever will answer it; `tokens` makes a number of it for one of them."""
        conversation = (session, agent, prompt.head)
        before = self._counted.get(conversation)
        found = Estimate(conversation=conversation, prompt=prompt)
        if before is None:
            return found
        more, size = _added(body, before.prompt.messages)
        slack = prompt.size - before.prompt.size - size
        if abs(slack) > max(SLACK * before.prompt.size, SLACK_BYTES):
            return found
        more += slack * prompt.text / max(1, prompt.size)
        media = prompt.media - before.prompt.media
        return attrs.evolve(found, counted=before.tokens, by=before.by, added=more, added_media=media)

    def tokens(self, estimate: Estimate, candidate: Candidate) -> int:
        """The estimate for one candidate, at least 1."""
        whole = self._factor(self._whole, candidate)
        prompt = estimate.prompt
        if estimate.by is None:
            return max(1, round(prompt.text * whole) + prompt.media)
        base = float(estimate.counted)
        if estimate.by.name != candidate.name:
            base *= whole / self._factor(self._whole, estimate.by)
        added = self._factor(self._added, candidate, whole)
        return max(1, round(base + estimate.added * added) + estimate.added_media)

    def fold(self, event: EngineEvent) -> None:
        match event:
            case AttemptEnded(usage=Usage(reported=True) as usage, estimate=Estimate() as estimate):
                self._learn(estimate, event.candidate, usage.input + usage.cache_read + usage.cache_write)
            case TokensCounted(tokens=int() as tokens, estimate=Estimate() as estimate):
                self._learn(estimate, event.candidate, tokens)

    def _learn(self, estimate: Estimate, candidate: Candidate, tokens: int) -> None:
        prompt = estimate.prompt
        text = tokens - prompt.media
        if text <= 0 or prompt.text <= 0 or not LEAST <= tokens / prompt.tokens <= GREATEST:
            return
        if prompt.media < prompt.text:
            _learn(self._whole, candidate, text / prompt.text)
        if estimate.by is not None and estimate.by.name == candidate.name and estimate.added >= _TELLING:
            grown = tokens - estimate.counted - estimate.added_media
            if grown > 0:
                _learn(self._added, candidate, grown / estimate.added)
        keep(self._counted, estimate.conversation, Counted(tokens, candidate, prompt), CONVERSATIONS)

    @staticmethod
    def _factor(rows: dict[str, _Factor], candidate: Candidate, otherwise: float = 1.0) -> float:
        known = next((rows[name] for name in names_of(candidate) if name in rows), None)
        return otherwise if known is None else math.exp(known.log)


def names_of(candidate: Candidate) -> tuple[str, ...]:
    """Whose factors count for a candidate, the nearest first: its own, its model's, its family's, everybody's."""
    model = candidate.model.rpartition("/")[2].partition(":")[0].lower()
    family = re.match(r"[a-z]*", model)
    return (candidate.name, f"model {model}", f"family {family[0] if family else ''}", _ANYBODY)


def _learn(rows: dict[str, _Factor], candidate: Candidate, ratio: float) -> None:
    for name in names_of(candidate):
        row = rows.pop(name, None) or _Factor()
        rows[name] = row  # the last to be named is the last to be forgotten
        row.learn(ratio)
    while len(rows) > NAMES:
        del rows[next(iter(rows))]


def _added(body: JSON, messages: int) -> tuple[float, int]:
    """Tokens and bytes of the messages behind the first `messages`, images and documents apart."""
    more = body["messages"][messages:]
    if not more:
        return 0.0, 0
    try:
        text = orjson.dumps(plain(more))
    except orjson.JSONEncodeError:  # nested deeper than is written
        return 0.0, 0
    return tokens_in(text), len(text)
