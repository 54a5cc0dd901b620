"""What each attempt is charged for, however it ended: one table of rules.

A ledger that books what answers report books nothing for the attempts that were cancelled, and these are what hedging costs.
One that books every attempt at its full prompt charges for refusals, which nobody bills. No host says in its answer what a
broken-off request costs, so the rules below are partly assumptions; each says what it rests on, and whatever rests on one is
marked as estimated.

Sources: OpenRouter's page on streaming (https://openrouter.ai/docs/api-reference/streaming, read November 2026) lists hosts
that stop working and billing when a connection closes (Anthropic, OpenAI, Azure, DeepSeek, Fireworks, Together, xAI and
others) and hosts that go on to the end and bill all of it (Bedrock, Groq, Google, Minimax, Mistral, SambaNova, Alibaba and
others). Anthropic's stream counts the prompt in its first event and the answer in its last but one.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from engine._bill import Bill
from engine._failure import Failure
from engine._stream import NO_USAGE, Usage
from policies import FailureKind, Price

#: What an answer's text is taken for, where nobody has counted it: bytes a token.
BYTES_PER_TOKEN = 4

#: Failures that come instead of an answer, before anything was read from the prompt or made of it.
REFUSALS = frozenset(
    [
        FailureKind.CONNECT,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.SERVER,
        FailureKind.OVERLOADED,
        FailureKind.RATE_LIMITED,
        FailureKind.QUOTA,
        FailureKind.AUTH,
        FailureKind.ERROR_EVENT,
        FailureKind.MALFORMED,
        FailureKind.TOO_LONG,
        FailureKind.RESERVE,
        FailureKind.CAP,
        FailureKind.FIELD,
        FailureKind.FILTERED,
        FailureKind.CLIENT,
        FailureKind.GONE,
    ]
)
#: Failures of a request that was taken: the prompt may have been read.
SILENCES = frozenset(
    [
        FailureKind.RESET,
        FailureKind.FIRST_CONTENT_TIMEOUT,
        FailureKind.IDLE_TIMEOUT,
        FailureKind.EMPTY,
        FailureKind.DEADLINE,
        FailureKind.BUG,
    ]
)


@attrs.frozen(kw_only=True)
class Spent:
    """What is known of an attempt when it has ended.

    `sent`: a byte may have reached the provider. `started`: its message began. `counted`: its last word on usage came.
    `prompt` and `answer` are our estimates, in tokens, of the prompt and of as much of an answer as has arrived.
    """

    sent: bool = False
    started: bool = False
    counted: bool = False
    failure: Failure | None = None
    usage: Usage = NO_USAGE
    prompt: int = 0
    answer: int = 0

    @property
    def refused(self) -> bool:
        failure = self.failure
        return failure is not None and ((failure.status or 0) >= 400 or failure.kind in REFUSALS)


@attrs.frozen
class Rule:
    """One row: when it holds, whether prompt and answer are charged, and what that rests on. The first that holds counts."""

    name: str
    holds: Callable[[Spent], bool]
    prompt: bool
    answer: bool
    why: str


RULES = (
    Rule("not sent", lambda s: not s.sent, False, False, "no byte of the request has left this machine"),
    Rule(
        "reported",
        lambda s: s.counted and s.usage.reported,
        True,
        True,
        "the provider has counted, and bills by its count; of an answer that it has not counted, what has come is estimated",
    ),
    Rule("not reported", lambda s: s.counted, True, True, "the answer is whole, and the provider has counted nothing"),
    Rule(
        "cut off",
        lambda s: s.started,
        True,
        True,
        "assumed: the prompt, and as much of the answer as had come. Hosts that go on after a connection is closed bill the "
        "rest as well; how much that is, nobody can know here",
    ),
    Rule("refused", lambda s: s.refused, False, False, "an error instead of an answer is billed by nobody"),
    Rule(
        "unanswered",
        lambda s: True,
        True,
        False,
        "assumed: the prompt was read, at the full price. A host that reads from its cache bills less, one that has not "
        "begun bills nothing, one that goes on bills an answer",
    ),
)


def billed(spent: Spent, price: Price | None, *, free: bool) -> Bill:
    """The bill of an attempt. `price` is the model's where one is known; `free`: there is none to pay."""
    rule = next(rule for rule in RULES if rule.holds(spent))
    usage = spent.usage
    read = usage.input + usage.cache_read + usage.cache_write
    made = max(usage.output, spent.answer)
    # A count of zero beside an answer that came is no count.
    output_counted = usage.reported and spent.counted and (usage.output > 0 or not spent.answer)
    # Who reports nothing may have been given our estimate to pass on: that is one, whoever says it.
    prompt_counted = usage.reported and read > 0
    tokens = {
        "input": 0 if not rule.prompt else usage.input if read else spent.prompt,
        "cache_read": usage.cache_read if rule.prompt else 0,
        "cache_write": usage.cache_write if rule.prompt else 0,
        "output": 0 if not rule.answer else usage.output if output_counted else made,
    }
    guessed = {
        name: 0 if (output_counted if name == "output" else prompt_counted) else count for name, count in tokens.items()
    }
    nano_usd, estimated_nano_usd = _cost(tokens, guessed, price, free=free)
    return Bill(
        rule=rule.name,
        **tokens,
        estimated=sum(guessed.values()),
        nano_usd=nano_usd,
        estimated_nano_usd=estimated_nano_usd,
    )


def _cost(
    tokens: dict[str, int], guessed: dict[str, int], price: Price | None, *, free: bool
) -> tuple[int | None, int]:
    """Billionths of a dollar, and how many of them rest on estimates."""
    if free or not any(tokens.values()):
        return 0, 0
    if price is None:
        return None, 0
    rates = {name: _rate(getattr(price, name)) for name in tokens}
    # Hosts that name no price for a cached prefix mostly ask the usual one; so it is taken, and taken for an estimate.
    unknown = {name for name, rate in rates.items() if rate is None}
    usual = _rate(price.input) or 0
    known = {name: usual if rate is None else rate for name, rate in rates.items()}
    whole = sum(count * known[name] for name, count in tokens.items())
    part = sum((tokens if name in unknown else guessed)[name] * known[name] for name in tokens)
    return _rounded(whole), _rounded(part)


def _rate(usd_per_million: float | None) -> int | None:
    """Thousandths of a billionth of a dollar for one token: prices have at most six decimals per million tokens."""
    return None if usd_per_million is None else round(usd_per_million * 1_000_000)


def _rounded(thousandths: int) -> int:
    return (thousandths + 500) // 1000
