from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="none of these",
    what="""
    Every candidate that one of the names means is out, for every request of the chain. A name is a candidate, a provider's id,
    or a glob of either. It also binds what a client names by itself and what the environment lists, since those run under a
    chain's policies, too.
    """,
    use="""
    For requests that a provider is not to see, such as one that trains on what it is sent (`*:free`), whoever edits the list of
    candidates.
    """,
    avoid="to take somebody out for an hour: `POST /providers/ID/disable` does that without touching the file.",
    fields={
        "names": Field("`provider/model`, a provider's id, or a glob (`*:free`); at least one", "who is never asked")
    },
    toml="""
[chains.confidential]
candidates = ["deepseek/deepseek-v4-pro", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", { kind = "except", names = ["*:free"] }]
""",
    good=Scene(
        remark="The free model of one provider is out, its paid one is not.",
        candidates=["host/m:free", "host/m?after_s=0.5&words=10&gap_ms=40", "other/m"],
        policies=['"silent-skip"', '{ kind = "except", names = ["*:free"] }', '"in-order"'],
    ),
    bad=Scene(
        remark="Everybody is excepted. The client is told at once; nobody is waited for.",
        candidates=["host/m:free", "other/n:free"],
        policies=['"silent-skip"', '{ kind = "except", names = ["*:free"] }', '"in-order"'],
    ),
    events={},
    see=("only", "spend-cap"),
)
