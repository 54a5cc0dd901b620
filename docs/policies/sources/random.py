from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="by lot among the first few",
    what="""
    The first `top` candidates are shuffled, the others stay behind them. Written before another order policy it shuffles that
    one's best. The draw is made from the request's id, so a stored plan draws the same again.
    """,
    use="""
    Before `least-loaded` or `fastest`, when many requests come in the same moment and all would choose the same candidate.
    """,
    avoid="where candidates differ in more than their load: the lot does not look.",
    fields={"top": Field("2 or more", "how many are drawn among")},
    toml="""
[chains.team]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free", "groq/llama-3.3-70b-versatile"]
policies = ["silent-skip", { kind = "random", top = 2 }, "least-loaded"]
""",
    good=Scene(
        remark="Three requests, each with a draw of its own between the first two.",
        candidates=[f"{name}/m?after_s=0.3&words=6" for name in ("one", "two", "three")],
        policies=['"silent-skip"', '{ kind = "random", top = 2 }', '"in-order"'],
        asks=[Ask(), Ask(), Ask()],
        shown=3,
    ),
    bad=Scene(
        remark="Those drawn fail; the one that stood behind them answers.",
        candidates=["one/m?fault=500&after_s=0.2", "two/m?fault=500&after_s=0.2", "three/m?after_s=0.3&words=6"],
        policies=['"silent-skip"', '{ kind = "random", top = 2 }', '"in-order"'],
    ),
    events={},
    see=("power-of-two", "weighted"),
)
