from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="attempts side by side",
    what="""
    An upper bound on the attempts of one request that run at the same time. A hedge or a racer that would be one too many
    waits until one of the others has ended.
    """,
    use="""
    To let a hedge go on to a third candidate when two are silent (`n = 3`), or to make a race start fewer than its width.
    """,
    avoid="to limit a provider: that is its `scope`, which counts all requests together.",
    fields={"n": Field("1 or more", "how many may run side by side; a race raises the default to its width")},
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free", "deepseek/deepseek-v4-pro"]
policies = ["silent-skip", { kind = "hedge", after_s = 4 }, { kind = "max-in-flight", n = 3 }]
""",
    good=Scene(
        remark="Two are silent, so a third starts beside them.",
        candidates=["slow/m?after_s=4", "slow_too/m?after_s=4", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=[
            '"silent-skip"',
            '"in-order"',
            '{ kind = "hedge", after_s = 0.8 }',
            '{ kind = "max-in-flight", n = 3 }',
        ],
    ),
    bad=Scene(
        remark="With `n = 1` a hedge has no room: the next is asked only when the first has failed, however silent it is.",
        candidates=["slow/m?after_s=3&words=12&gap_ms=50", "slow_too/m?after_s=4", "steady/m?after_s=0.4"],
        policies=[
            '"silent-skip"',
            '"in-order"',
            '{ kind = "hedge", after_s = 0.8 }',
            '{ kind = "max-in-flight", n = 1 }',
        ],
    ),
    events={"AttemptStarted": "never while so many are running"},
    see=("hedge", "race", "max-attempts"),
)
