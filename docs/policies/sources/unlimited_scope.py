from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="rate windows and 429 blocks of these providers are ignored; health still counts",
    what="""
    In this chain the named providers are asked whatever their rate window says and however long ago they sent a 429. A free
    tier that refuses now and then, and takes the very next request, is best asked again at once. Each 429 counts against the
    candidate's health instead, so one that refuses everything is ejected by its breaker.

    `scope = "unlimited"` in the provider's table says the same in every chain.
    """,
    use="""
    For providers whose 429 says nothing about the next request, such as a free tier of many machines behind one address.
    """,
    avoid="for a provider that means its limits: asking on may cost you the key.",
    fields={"for": Field("ids of providers, at least one", "whose limits are ignored in this chain")},
    toml="""
[chains.free]
candidates = ["zen/minimax-m2.5-free", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", { kind = "unlimited-scope", for = ["zen"] }]
""",
    good=Scene(
        remark="""
        `busy` allows one request in ten seconds, and has had it. The second is sent all the same; the gate lets it pass, too.
        """,
        candidates=["busy/m?after_s=0.3&words=10&gap_ms=40", "steady/m?after_s=0.5&words=10&gap_ms=40"],
        policies=['"silent-skip"', '{ kind = "unlimited-scope", for = ["busy"] }', '"in-order"'],
        providers={"busy": 'scope = { kind = "window", requests = 1, per_s = 10 }'},
        asks=[Ask(), Ask()],
    ),
    bad=Scene(
        remark="It refuses everything. Each request tries it, until its breaker opens; then it is passed over for a while.",
        candidates=["busy/m?fault=429&after_s=0.2", "steady/m?after_s=0.5&words=10&gap_ms=40"],
        policies=['"silent-skip"', '{ kind = "unlimited-scope", for = ["busy"] }', '"in-order"'],
        providers={"busy": 'scope = { kind = "window", requests = 9, per_s = 10 }\nbreaker = { failures = 2 }'},
        asks=[Ask(), Ask(), Ask()],
        shown=2,
    ),
    events={
        "ScopeBlocked": "a 429 all the same: other chains heed it",
        "BreakerChanged": "its 429s have added up to an ejection, or the ejection is over",
    },
    see=("silent-skip", "../chains.md"),
)
