from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="passes over who is blocked, full or ejected just now; if that is everybody, the first to be back is waited for",
    what="""
    A candidate that asked to be left alone (429, Retry-After), whose rate window or slots are used up, whose breaker is open,
    whose keys were all refused or whose model is gone is not asked. Nothing is recorded against it, and the client hears
    nothing of it; the operator sees it in the plan, with the reason and when it will be back.

    If nobody is left after all select policies, the first to be back becomes the only step: the request waits for it, holding
    nothing, for at most `max-wait`.
    """,
    use="""
    In every chain of more than one candidate. A chain that names no policies has it.
    """,
    avoid="""where you want to measure a provider that is refusing you: without it every candidate is tried, and each refusal
    costs its time.""",
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", "sequence"]
""",
    good=Scene(
        remark="""
        The first request finds out that `limited` wants to be left alone for 20 s, and goes on to the next. The second loses no
        time there.
        """,
        candidates=["limited/m?fault=429&retry_after=20&after_s=0.3", "steady/m?after_s=0.5&words=10&gap_ms=40"],
        policies=['"silent-skip"', '"in-order"', '"sequence"'],
        providers={"limited": 'scope = { kind = "concurrency", limit = 4 }'},
        asks=[Ask(), Ask()],
        shown=2,
    ),
    bad=Scene(
        remark="Both may be asked once in a few seconds, and both have been. The third request waits for the first to be back.",
        candidates=["one/m?after_s=0.3&words=10&gap_ms=40", "other/m?after_s=0.3&words=10&gap_ms=40"],
        policies=['"silent-skip"', '"in-order"', '"sequence"'],
        providers={
            "one": 'scope = { kind = "window", requests = 1, per_s = 5 }',
            "other": 'scope = { kind = "window", requests = 1, per_s = 8 }',
        },
        asks=[Ask(), Ask(), Ask()],
    ),
    events={"ScopeBlocked": "a provider asked to be left alone: from now on it is passed over"},
    see=("require-capability", "unlimited-scope", "max-wait", "../chains.md"),
)
