from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="of two drawn by lot the less loaded first, the other second",
    what="""
    Two candidates are drawn for each request, and of these the one with the shorter expected wait is asked first. Whoever has
    little of its rate window left is not drawn. The draw is made from the request's id, so a stored plan draws the same again.
    """,
    use="""
    For many requests at once over several processes. Each sees a picture of the load that is a little old, and all who look at
    the same picture choose the same candidate. Two at random are nearly as good as looking at all, without the herd.
    """,
    avoid="for one person's requests, or for two candidates: `least-loaded` sees more.",
    toml="""
[chains.team]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free", "groq/llama-3.3-70b-versatile"]
policies = ["silent-skip", "power-of-two", "hedge"]
""",
    good=Scene(
        remark="Two of four are drawn; the idle one of them is asked.",
        candidates=[f"{name}/m?after_s=1&words=10&gap_ms=40" for name in ("north", "east", "south", "west")],
        policies=['"silent-skip"', '"power-of-two"'],
        asks=[Ask(beside=True), Ask(after_s=0.1, beside=True), Ask(after_s=0.1, beside=True), Ask(after_s=0.1)],
    ),
    bad=Scene(
        remark="The first of the two fails. The second of them is next, and then the others in their order.",
        candidates=[f"{name}/m?fault=500&after_s=0.3" for name in ("north", "east", "south")]
        + ["west/m?after_s=0.5&words=10"],
        policies=['"silent-skip"', '"power-of-two"'],
    ),
    events={},
    see=("least-loaded", "round-robin", "random"),
)
