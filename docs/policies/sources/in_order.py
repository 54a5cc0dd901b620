from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="the order of the file",
    what="""
    Candidates are asked as the chain lists them. With `priority` they are sorted into groups instead: everybody of the first
    group before anybody of the second, and those that no group names at the end. Within a group the next order policy
    decides, or the order that there was.
    """,
    use="""
    Where you know best: the model you pay for by the month first, the free one next, the dear one last. With groups and
    `least-loaded` behind them: the idlest of the free ones, then the idlest of the paid ones.
    """,
    avoid="where the candidates are much alike: a fixed first gets all the traffic, and all the waiting.",
    fields={
        "priority": Field(
            "lists of `provider` or `provider/model`, each somebody in the chain", "the groups, first to be asked first"
        )
    },
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free", "deepseek/deepseek-v4-pro"]
policies = [
  "silent-skip",
  { kind = "in-order", priority = [["zai", "open_router"], ["deepseek"]] },
  "least-loaded",
]
""",
    good=Scene(
        remark="By groups, and within the group by load: the second of the file is asked first, since it has been faster.",
        candidates=[
            "free/m?after_s=0.9&words=10&gap_ms=40",
            "free_too/m?after_s=0.3&words=10&gap_ms=40",
            "paid/m?after_s=0.1",
        ],
        policies=[
            '"silent-skip"',
            '{ kind = "in-order", priority = [["free", "free_too"], ["paid"]] }',
            '"least-loaded"',
        ],
        asks=[Ask(beside=True), Ask(after_s=0.1), Ask(after_s=2)],
    ),
    bad=Scene(
        remark="The first fails, and the file's order says who is next.",
        candidates=[
            "first/m?fault=500&after_s=0.3",
            "second/m?fault=reset&after_s=0.2",
            "third/m?after_s=0.3&words=10&gap_ms=40",
        ],
        policies=['"silent-skip"', '"in-order"', '"sequence"'],
    ),
    events={},
    see=("least-loaded", "sequence"),
)
