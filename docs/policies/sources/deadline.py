from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="the whole turn",
    what="""
    From the moment a request is accepted to its last byte. What is running then is cancelled, and the client gets the ending
    that fits what it has seen: a status before the first content, an `error` event after it. A request that wants JSON has at
    most 280 s, since nothing can keep its client patient.
    """,
    use="""
    Where a turn that takes longer is of no use to anybody, as in tests or an editor's completions.
    """,
    avoid="""as a guard against hanging providers: `first-content-timeout` and `idle-timeout` see those sooner, and go on to
    the next.""",
    fields={"s": Field("seconds, above 0 and at most a day", "the time for all of it; JSON requests have at most 280")},
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", { kind = "deadline", s = 300 }]
""",
    good=Scene(
        remark="Within its time, a failure and all.",
        candidates=["failing/m?fault=500&after_s=0.5", "steady/m?after_s=0.5&words=20&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "deadline", s = 4 }'],
    ),
    bad=Scene(
        remark="Nobody has shown anything when the time is over.",
        candidates=["slow/m?after_s=9", "slow_too/m?after_s=9"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "hedge", after_s = 1 }', '{ kind = "deadline", s = 4 }'],
    ),
    events={
        "AttemptEnded": "`abandoned`, by the deadline",
        "RequestFinished": "`refused` with 504, or `broken` where the client has seen a part",
    },
    see=("first-content-timeout", "idle-timeout", "max-wait"),
)
