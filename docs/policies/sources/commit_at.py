from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="what makes an attempt the winner: `content`, `block`, `tool`, `message`",
    what="""
    Until an attempt has shown this much, the client sees nothing of it, and every failure sends the request to the next
    candidate unseen. `content` is the first text or thinking; `block` a whole block; `tool` a whole tool call; `message` the
    whole answer.
    """,
    use="""
    `message` for work that nobody watches and that must not break: a failure at any moment costs time and nothing else.
    """,
    avoid="in a conversation that somebody reads: the later the point, the longer the screen stays empty.",
    fields={
        "at": Field("`content`, `block`, `tool`, `message`", "what has to be there before the client sees anything")
    },
    toml="""
[chains.overnight]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", { kind = "commit-at", at = "message" }]
""",
    good=Scene(
        remark="The first breaks off in the middle of its answer. The client has seen nothing of it, and gets a whole one.",
        candidates=["cut/m?fault=cut&after_s=0.3&words=20&gap_ms=50", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "commit-at", at = "message" }'],
    ),
    bad=Scene(
        remark="What it costs: a long answer is on nobody's screen before it is whole.",
        candidates=["steady/m?after_s=0.4&words=60&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "commit-at", at = "message" }'],
    ),
    events={"Committed": "only when so much is there"},
    see=("idle-timeout", "hedge"),
)
