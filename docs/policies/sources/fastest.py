from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="the shortest recent time to first content first, whatever is under way there",
    what="""
    Candidates are sorted by their time to first content: a peak-EWMA, which follows bad news at once and good news slowly. Who
    has little of its rate window left goes last; who was never measured is taken for the middle one of those that were.
    """,
    use="""
    For one person at one keyboard, who waits for one answer.
    """,
    avoid="for many requests at once: all of them follow the fastest, and slow it down. `least-loaded` counts them.",
    toml="""
[chains.mine]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", "fastest", "hedge"]
""",
    good=Scene(
        remark="Both have been measured by earlier requests, `slow` at 2 s and `quick` at 0.3 s. The next begins at `quick`.",
        candidates=["slow/m?after_s=2&words=6", "quick/m?after_s=0.3&words=10&gap_ms=40"],
        policies=['"silent-skip"', '"fastest"'],
        providers={"slow": 'scope = { kind = "concurrency", limit = 1 }'},
        asks=[Ask(beside=True), Ask(after_s=0.1), Ask(after_s=2)],
    ),
    bad=Scene(
        remark="`quick` has become the favourite, and fails. The next in the order of their times takes over.",
        candidates=["slow/m?after_s=0.8&words=6", "quick/m?fault=cut&after_s=0.3&words=1"],
        policies=[
            '"silent-skip"',
            '"fastest"',
            '{ kind = "hedge", after_s = 0.2 }',
            '{ kind = "commit-at", at = "message" }',
        ],
        asks=[Ask(), Ask()],
    ),
    events={},
    see=("least-loaded", "highest-throughput"),
)
