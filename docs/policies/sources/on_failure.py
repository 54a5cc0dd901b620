from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="what a kind of failure means in this chain",
    what="""
    One table says for each kind of failure what happens next, and whether it is held against the candidate's health. This
    replaces a row of it, for one chain: `next` is who is asked then, `counts` whether it counts, and `again = false` gives up
    the one more try on the same candidate that some failures are worth. What it does not say stays as it is.
    """,
    use="""
    For a provider that says one thing and means another: a gateway that answers 400 when it is overloaded, an account whose 500
    is never worth asking anybody else about.
    """,
    avoid="to retry: it changes what follows a failure, not how often somebody is asked.",
    fields={
        "of": Field(
            "a kind of failure: `server-error`, `bad-request`, `rate-limited`, `empty-answer`, ...", "which row"
        ),
        "next": Field(
            "`next`, `bigger-window`, `stop`", "who is asked then: the next, the next with a bigger window, nobody"
        ),
        "counts": Field("true, false", "whether it is held against the candidate's health"),
        "again": Field("true, false", "whether one more try on the same candidate is allowed, where the row has one"),
    },
    toml="""
[chains.coding]
candidates = ["workstation/qwen3-coder", "zai/glm-4.7-flash"]
policies = ["silent-skip", "in-order", { kind = "on-failure", of = "bad-request", next = "next", counts = true }]

[providers.workstation]
wire = "openai-chat"
base_url = "http://10.0.0.7:8000/v1"
""",
    good=Scene(
        remark="A 400 is usually the client's mistake, and the end. Here it sends the request on.",
        candidates=["odd/m?fault=400&after_s=0.3", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "on-failure", of = "bad-request", next = "next" }'],
    ),
    bad=Scene(
        remark="A 500 that is the end: nobody else is asked, and the client is told.",
        candidates=["strict/m?fault=500&after_s=0.3", "steady/m"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "on-failure", of = "server-error", next = "stop" }'],
    ),
    events={"AttemptEnded": "`failed`, with the row by which it was judged"},
    see=("rescue", "max-attempts"),
)
