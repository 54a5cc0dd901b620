from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="each request begins with the next candidate in turn",
    what="""
    The requests of a chain are counted, and each begins one further down the list; after the last comes the first. Who is
    passed over loses the turn to the next. Who returns from an outage has a growing share of its turns. The count is this
    process's.
    """,
    use="""
    For candidates that are truly alike, such as accounts at one provider, whose allowances are to be used up evenly.
    """,
    avoid="""where speeds differ: it asks the slow as often as the fast. Where conversations should keep their cache, put
    `sticky` before it.""",
    toml="""
[chains.accounts]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", "round-robin"]
""",
    good=Scene(
        remark="Three requests, three beginnings.",
        candidates=[f"{name}/m?after_s=0.3&words=6&gap_ms=40" for name in ("one", "two", "three")],
        policies=['"silent-skip"', '"round-robin"'],
        asks=[Ask(), Ask(), Ask()],
        shown=3,
    ),
    bad=Scene(
        remark="`two` wants to be left alone. Its turn goes to the next.",
        candidates=[
            "one/m?after_s=0.3&words=6",
            "two/m?fault=429&retry_after=60&after_s=0.2",
            "three/m?after_s=0.3&words=6",
        ],
        policies=['"silent-skip"', '"round-robin"'],
        providers={"two": 'scope = { kind = "concurrency", limit = 4 }'},
        asks=[Ask(), Ask(), Ask(), Ask()],
        shown=3,
    ),
    events={},
    see=("power-of-two", "weighted", "most-headroom", "sticky"),
)
