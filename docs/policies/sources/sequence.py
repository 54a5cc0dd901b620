from docs.policies._page import Page
from docs.policies._stage import Scene

PAGE = Page(
    line="the next starts when one has failed, at once",
    what="""
    One after the other. Any failure before content starts the next candidate in the same moment: there is no sleep between
    different providers. As long as the running one has not failed, nobody else is asked, however long it is silent; its time
    limits decide when silence is a failure.
    """,
    use="""
    Where every request costs, or where the providers share one quota. A chain that names no pace has it.
    """,
    avoid="""for chains of which any member may hang: the client then waits for the whole `first-content-timeout`. `hedge` waits
    for a fraction of it.""",
    toml="""
[chains.careful]
candidates = ["deepseek/deepseek-v4-pro", "zai/glm-4.7-flash"]
policies = ["silent-skip", "in-order", "sequence", { kind = "first-content-timeout", s = 45 }]
""",
    good=Scene(
        remark="The first fails after 0.3 s, the second starts in the same moment; the client notices nothing but the time.",
        candidates=["failing/m?fault=500&after_s=0.3", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '"sequence"'],
    ),
    bad=Scene(
        remark="The first says nothing at all. It is waited for until its time is over.",
        candidates=["silent/m?fault=silence", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '"sequence"', '{ kind = "first-content-timeout", s = 8 }'],
    ),
    events={"AttemptStarted": "only after the `AttemptEnded` of the one before"},
    see=("hedge", "race", "first-content-timeout"),
)
