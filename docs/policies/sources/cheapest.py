from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="the smallest expected price of this request first; unknown prices last",
    what="""
    The price of the prompt as it is estimated, of what the candidate's cache still holds of it at the price of reading that,
    and of an answer of `output_tokens` tokens. What is free comes first, then by price, then whoever has no known price.
    """,
    use="""
    For work without hurry. Put `least-loaded` behind it: of the free ones the idlest.
    """,
    avoid="where rate windows are tight: what is free stays first until it is used up.",
    fields={
        "output_tokens": Field(
            "0 to 1000000", "how long an answer is reckoned with; less where the request allows less"
        )
    },
    toml="""
[chains.batch]
candidates = ["deepseek/deepseek-v4-pro", "zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", "cheapest", "least-loaded"]
""",
    good=Scene(
        remark="From dear to free in the file, from free to dear in the plan.",
        candidates=["dear/m", "cheap/m", "free/m?after_s=0.5&words=10&gap_ms=40"],
        policies=['"silent-skip"', '"cheapest"'],
        providers={
            "dear": "[providers.dear.models.m]\nprice = { input = 3, output = 15 }",
            "cheap": "[providers.cheap.models.m]\nprice = { input = 0.3, output = 1.2 }",
            "free": '[providers.free.models."m?after_s=0.5&words=10&gap_ms=40"]\nprice = { input = 0, output = 0 }',
        },
        asks=[Ask(tokens=20_000)],
    ),
    bad=Scene(
        remark="The free one fails, and the cheap one is next.",
        candidates=["dear/m", "cheap/m?after_s=0.5&words=10&gap_ms=40", "free/m?fault=500&after_s=0.3"],
        policies=['"silent-skip"', '"cheapest"'],
        providers={
            "dear": "[providers.dear.models.m]\nprice = { input = 3, output = 15 }",
            "cheap": '[providers.cheap.models."m?after_s=0.5&words=10&gap_ms=40"]\nprice = { input = 0.3, output = 1.2 }',
            "free": '[providers.free.models."m?fault=500&after_s=0.3"]\nprice = { input = 0, output = 0 }',
        },
        asks=[Ask(tokens=20_000)],
    ),
    events={},
    see=("spend-cap", "sticky"),
)
