from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="what becomes of an answer that breaks after the client has seen a part of it",
    what="""
    With `whole-blocks`, what a chain has without this policy, a tool call is shown once it is whole, and a text that breaks off
    is continued by the next candidate inside the same message: it is given what was said so far and told to go on, and what it
    says twice at the seam is taken out. With `off`, calls are shown while they are being written, and what breaks off ends
    honestly: with a reset or an error, which make the client ask again.
    """,
    use="""
    `off` where a reader wants to see long tool calls grow, or where two models in one message would be wrong.
    """,
    avoid="to guard against broken answers altogether: `commit-at` with `message` shows nothing before it is whole.",
    fields={"mode": Field("`whole-blocks`, `off`", "whether broken answers are gone on with")},
    toml="""
[chains.literal]
candidates = ["zai/glm-4.7-flash", "deepseek/deepseek-v4-pro"]
policies = ["silent-skip", { kind = "rescue", mode = "off" }]
""",
    good=Scene(
        remark="The first breaks off in the middle of its text. The second goes on with it, and the client reads one message.",
        candidates=["cut/m?fault=cut&after_s=0.3&words=20&gap_ms=50", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '"rescue"'],
    ),
    bad=Scene(
        remark="Switched off: the connection is reset, and Claude Code asks again by itself.",
        candidates=["cut/m?fault=cut&after_s=0.3&words=20&gap_ms=50", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "rescue", mode = "off" }'],
    ),
    events={"Rescued": "the answer was gone on with by somebody else"},
    see=("commit-at", "idle-timeout", "on-failure"),
)
