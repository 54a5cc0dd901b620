from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="the first `width` start at once",
    what="""
    The first `width` candidates are asked in the same moment. The first with real content answers, the others are cancelled.
    Those behind them start only when one of the racers has failed. A race is never charged to the hedge budget, and raises
    `max-in-flight` to its width, unless that is set.
    """,
    use="""
    For short answers in a hurry, from providers that are free or flat-rate: titles, summaries, the small model's work.
    """,
    avoid="for long prompts that cost money: every request is paid for `width` times, also on a good day.",
    fields={"width": Field("2 or more", "how many start at once")},
    toml="""
[chains.quick]
candidates = ["groq/llama-3.3-70b-versatile", "cerebras/llama3.1-8b", "zai/glm-4.7-flash"]
policies = ["silent-skip", { kind = "race", width = 2 }]
""",
    good=Scene(
        remark="Two start; the faster one has content first and wins, and the other is cancelled in that moment.",
        candidates=["slow/m?after_s=2", "steady/m?after_s=0.4&words=12&gap_ms=50", "third/m"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "race", width = 2 }'],
    ),
    bad=Scene(
        remark="One of the two fails, so the third takes its place beside the other.",
        candidates=["failing/m?fault=reset&after_s=0.2", "slow/m?after_s=2", "third/m?after_s=0.6&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "race", width = 2 }'],
    ),
    events={
        "AttemptStarted": "`beside = true`: started beside another, uncharged",
        "AttemptEnded": "`lost`: cancelled in the moment in which another was chosen",
    },
    see=("hedge", "sequence", "max-in-flight"),
)
