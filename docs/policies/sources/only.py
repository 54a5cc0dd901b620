from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="nobody but these",
    what="""
    Every candidate that none of the names means is out, for every request of the chain. A name is a candidate, a provider's id,
    or a glob of either. It also binds what a client names by itself and what the environment lists, since those run under a
    chain's policies, too.
    """,
    use="""
    For a chain whose requests must stay somewhere: on machines of your own, in one region, with one contract.
    """,
    avoid="as a way to sort: whoever is left out is never asked, however bad the day.",
    fields={
        "names": Field("`provider/model`, a provider's id, or a glob (`*:free`); at least one", "who may be asked")
    },
    toml="""
[chains.inside]
candidates = ["workstation/qwen3-coder", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", { kind = "only", names = ["workstation"] }]

[providers.workstation]
wire = "openai-chat"
base_url = "http://10.0.0.7:8000/v1"
""",
    good=Scene(
        remark="Two are left, and asked in order.",
        candidates=["outside/m", "inside/m?after_s=0.5&words=10&gap_ms=40", "inside/n"],
        policies=['"silent-skip"', '{ kind = "only", names = ["inside"] }', '"in-order"'],
    ),
    bad=Scene(
        remark="The only one fails. The other would have answered, and is not asked: that is what was wanted.",
        candidates=["outside/m", "inside/m?fault=500&after_s=0.3"],
        policies=['"silent-skip"', '{ kind = "only", names = ["inside"] }', '"in-order"'],
    ),
    events={},
    see=("except", "require-capability"),
)
