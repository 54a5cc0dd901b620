from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="the next starts beside one that has been silent for longer than usual",
    what="""
    When the running candidate has shown nothing for a while, the next one is asked as well. The first to yield real content
    answers, the other is cancelled at once. The delay is learned from the running candidate's own times to first content, for
    prompts of this size, or is written down as `after_s`.

    A hedge costs a second request, so it is charged to a budget: each request deposits `extra_load` of one, each hedge takes
    one out. In an outage, when everybody is slow, the budget runs dry and the hedging stops instead of doubling the load. A
    candidate that costs money is not hedged to, unless `paid` says so. How the delay is learned, why a hedge is denied, and
    what it does to the slowest answers: [hedging](../hedging.md).
    """,
    use="""
    For chains of free or flat-rate providers of which any may be slow now and then: a hedge cuts off the long tail for a
    few requests in a hundred. It is what the built-in chain `auto` does.
    """,
    avoid="""where the candidates are one machine under two names (both slow down together), or where a second prompt is dear
    and its answer not urgent: `sequence`. Where the first answer counts and requests are free: `race`.""",
    fields={
        "after_s": Field("seconds, above 0", "a fixed delay, taken as written; then nothing is learned"),
        "after": Field(
            "`p50`, `p75`, `p90`, `p92`, `p95`, `p99`", "the delay is this quantile of the candidate's own times"
        ),
        "at_least": Field("a factor such as `2x-median`", "and at least this many times its median"),
        "at_most": Field("a factor such as `4x-median`", "and at most this many times its median"),
        "floor_s": Field("seconds, above 0", "no learned delay is shorter"),
        "ceiling_s": Field("seconds, above 0, at least `floor_s`", "no learned delay is longer"),
        "cold_s": Field("seconds, above 0", "the delay until enough answers were measured"),
        "extra_load": Field("above 0, at most 1", "the share of requests that may be hedged"),
        "paid": Field("true, false", "hedge to candidates that cost money, too"),
        "second_usd": Field(
            "US dollars, above 0", "what a second of waiting is worth: a dear prompt is hedged the later"
        ),
        "warm": Field("`hedge`, `wait`", "`wait`: who has half of the prompt cached is waited for until it fails"),
    },
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = [
  "silent-skip",
  "least-loaded",
  { kind = "hedge", after = "p95", extra_load = 0.05 },
]
""",
    good=Scene(
        remark="The first is silent for 0.8 s, so the second starts beside it, is the first with content, and wins.",
        candidates=["slow/m?after_s=4", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "hedge", after_s = 0.8 }'],
    ),
    bad=Scene(
        remark="""
        Everybody has become slow. Ten requests are hedged, which does not help. Then the budget is spent, and the eleventh
        waits for the one that is running.
        """,
        candidates=["slow/m?after_s=4&words=4", "slow_too/m?after_s=4&words=4"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "hedge", after_s = 0.8, extra_load = 0.01 }'],
        asks=[*(Ask(after_s=0.1, beside=True) for _ in range(10)), Ask(after_s=0.1)],
    ),
    events={
        "AttemptStarted": "`hedge = true`: the next has started beside the running one, on the budget",
        "AttemptEnded": "`lost`: cancelled in the moment in which another was chosen",
        "HedgeDenied": "a hedge was due and not sent: no budget, no room, push-back, money, a warm cache",
    },
    see=("sequence", "race", "max-in-flight"),
)
