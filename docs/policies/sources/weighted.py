from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="by lot, each candidate first for its share of the requests",
    what="""
    Each request draws who is first, who is second, and so on, with chances in proportion to the weights. Whom the table does
    not name has the weight 1; one with 0 is asked after all others. The draw is made from the request's id.
    """,
    use="""
    To try a new provider with a tenth of the traffic, or to use accounts in proportion to what they allow.
    """,
    avoid="to prefer the better one: with weights of 3 and 1 every fourth request goes to the worse one.",
    fields={"weights": Field("a table of name or provider id = 0 to 1000000", "the weights")},
    toml="""
[chains.trial]
candidates = ["zai/glm-4.7-flash", "groq/llama-3.3-70b-versatile"]
policies = ["silent-skip", { kind = "weighted", weights = { zai = 9, groq = 1 } }]
""",
    good=Scene(
        remark="Four requests of many, with weights of 3 and 1.",
        candidates=["usual/m?after_s=0.3&words=6", "trial/m?after_s=0.3&words=6"],
        policies=['"silent-skip"', '{ kind = "weighted", weights = { usual = 3, trial = 1 } }'],
        asks=[Ask()] * 6,
        shown=4,
    ),
    bad=Scene(
        remark="The one on trial fails whenever it is drawn, and the other takes over.",
        candidates=["usual/m?after_s=0.3&words=6", "trial/m?fault=500&after_s=0.2"],
        policies=['"silent-skip"', '{ kind = "weighted", weights = { usual = 1, trial = 9 } }'],
        asks=[Ask()],
    ),
    events={},
    see=("random", "round-robin"),
)
