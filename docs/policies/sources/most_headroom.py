from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="the most of its rate window left first",
    what="""
    Sorts by the share of each provider's rate window that is not used up. Who has no window, or one that the chain ignores,
    has all of it left.
    """,
    use="""
    For several free allowances that are to last: none is run dry while another is untouched.
    """,
    avoid="for providers without windows: they all have everything left, and the next order policy decides.",
    toml="""
[chains.free]
candidates = ["groq/llama-3.3-70b-versatile", "nvidia_nim/z-ai/glm4.7"]
policies = ["silent-skip", "most-headroom", "least-loaded"]
""",
    good=Scene(
        remark="A large window and a small one: after three requests the large one has more of it left.",
        candidates=["small/m?after_s=0.3&words=6", "large/m?after_s=0.3&words=6"],
        policies=['"silent-skip"', '"most-headroom"'],
        providers={
            "small": 'scope = { kind = "window", requests = 4, per_s = 60 }',
            "large": 'scope = { kind = "window", requests = 20, per_s = 60 }',
        },
        asks=[Ask(), Ask(), Ask(), Ask()],
    ),
    bad=Scene(
        remark="Both are used up. The first whose window moves on is waited for.",
        candidates=["one/m?after_s=0.3&words=6", "other/m?after_s=0.3&words=6"],
        policies=['"silent-skip"', '"most-headroom"'],
        providers={
            "one": 'scope = { kind = "window", requests = 1, per_s = 5 }',
            "other": 'scope = { kind = "window", requests = 1, per_s = 9 }',
        },
        asks=[Ask(), Ask(), Ask()],
    ),
    events={},
    see=("round-robin", "silent-skip"),
)
