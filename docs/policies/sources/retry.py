from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="asks somebody who has failed once more, when nobody else is left",
    what="""
    An error of the provider's, a reset, a silence, an overload or a 429 may be over in a moment. So who has failed in such a
    way is asked again once no other candidate can be, whoever may be asked first; never beside a running attempt, never once
    the client has seen something of the answer, and never for a mistake of the client's, a refused key or a model that is
    not there.

    Before the first further try `base_s` passes, before each later one twice as much, at most `cap_s`; of that a half to
    all, drawn from the request's seed, so that many requests do not come back at once. A longer Retry-After holds instead,
    and a breaker that opens meanwhile is waited for, within `max-wait` and `deadline`. The wait holds no slot. Tries count
    towards `max-attempts`, and are paid from the chain's retry budget: ten at once, one more for every ten requests and
    every 15 s. [Limits](../limits.md) has the whole of it.
    """,
    use="""
    In every chain that has nobody else to turn to when it matters, a chain of one above all. A chain without policies has it.
    """,
    avoid="to press a provider that is full: its scope says what it bears, and the line before it needs no tries.",
    fields={
        "tries": Field("1 to 20", "how many further attempts there may be"),
        "base_s": Field("seconds, above 0", "the wait before the first of them"),
        "cap_s": Field("seconds, above 0", "what the doubled waits do not exceed"),
    },
    toml="""
[chains.alone]
candidates = ["deepseek/deepseek-v4-pro"]
policies = ["silent-skip", { kind = "retry", tries = 3 }]
""",
    good=Scene(
        remark="There is another: it is asked at once, and nobody twice.",
        candidates=["failing/m?fault=500&after_s=0.3", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '"retry"'],
    ),
    bad=Scene(
        remark="There is nobody else. It is asked again after growing waits, and then the client is told to come back.",
        candidates=["failing/m?fault=500&after_s=0.3"],
        policies=['"silent-skip"', '{ kind = "retry", tries = 2 }'],
    ),
    events={
        "AttemptStarted": "of a candidate that has failed before in this request",
        "CandidateSkipped": "by `retry`: the chain's retry budget is spent",
    },
    see=("max-attempts", "max-wait", "silent-skip"),
)
