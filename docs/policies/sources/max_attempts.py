from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="attempts per request, hedges included",
    what="""
    An upper bound on the candidates asked for one request, whatever the reason: failure, hedge, race. When it is reached and
    nobody has answered, the client is told what each of them said.
    """,
    use="""
    To bound what one request may cost in a long chain. The default lets six be tried.
    """,
    avoid="to make failures quicker: `deadline` and `first-content-timeout` do that without giving up on candidates.",
    fields={"n": Field("1 or more", "how many attempts there may be")},
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free", "deepseek/deepseek-v4-pro"]
policies = ["silent-skip", { kind = "max-attempts", n = 2 }]
""",
    good=Scene(
        remark="One failure, one more attempt, and an answer.",
        candidates=["failing/m?fault=500&after_s=0.3", "steady/m?after_s=0.4&words=12&gap_ms=50", "third/m"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "max-attempts", n = 2 }'],
    ),
    bad=Scene(
        remark="Two have failed. The third would have answered, and is not asked.",
        candidates=["failing/m?fault=500&after_s=0.3", "broken/m?fault=reset&after_s=0.3", "third/m"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "max-attempts", n = 2 }'],
    ),
    events={"RequestFinished": "`refused`: so many have failed, and nobody else may be asked"},
    see=("max-in-flight", "deadline"),
)
