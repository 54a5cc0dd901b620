from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="(in flight + 1) x recent time to first content; those with little of their rate window left go last",
    what="""
    The candidate that will probably answer first is asked first: the number of requests it is busy with, and one more, times
    its recent time to first content. That time follows bad news at once and good news slowly (a peak-EWMA), so one slow answer
    is remembered for a while.

    Who has less than a fifth of its rate window left goes last, so that the rest is there when it is needed. A candidate that
    was never measured is taken for as fast as the middle one of the others: neither shunned nor flooded.
    """,
    use="""
    For several providers that are good for the same thing. A chain without an order policy of its own has it.
    """,
    avoid="""where who answers matters more than when: `in-order`. Where a conversation should stay where its prompt is cached,
    put the policy that says so before it.""",
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", "least-loaded", "hedge"]
""",
    good=Scene(
        remark="`quick` is faster, and busy with a request already: the next is better served by the other.",
        candidates=["quick/m?after_s=1&words=40&gap_ms=50", "other/m?after_s=1.5&words=20&gap_ms=50"],
        policies=['"silent-skip"', '"least-loaded"'],
        asks=[Ask(beside=True), Ask(after_s=0.2), Ask(after_s=1.2, beside=True), Ask(after_s=0.1)],
    ),
    bad=Scene(
        remark="The faster one has one request left in its window. It is kept for when nobody else can be asked.",
        candidates=["quick/m?after_s=0.2&words=10&gap_ms=40", "slow/m?after_s=1.2&words=10&gap_ms=40"],
        policies=['"silent-skip"', '"least-loaded"'],
        providers={"quick": 'scope = { kind = "window", requests = 6, per_s = 60 }'},
        asks=[Ask(beside=True), Ask(after_s=0.05), *(Ask(after_s=1) for _ in range(5))],
    ),
    events={},
    see=("in-order", "hedge"),
)
