from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="passes over models known to lack tools, images, documents or a large enough window",
    what="""
    What a request needs is read off its body: tools, images, documents, and about how long its prompt is. What a model can do
    comes from the catalogue, from the provider's table, and from what its refusals have taught. Unknown is never a reason to
    pass a model over: only a known lack is.

    The skip is a hard one, since no waiting mends it.
    """,
    use="""
    In chains that mix large and small models, or models with and without eyes. It saves the 400 and its time.
    """,
    avoid="nowhere in particular; it costs a few comparisons. Without it the refusal itself sends the request on.",
    toml="""
[chains.coding]
candidates = ["workstation/qwen3-coder", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", "require-capability", "sequence"]

[providers.workstation]
wire = "openai-chat"
base_url = "http://10.0.0.7:8000/v1"

[providers.workstation.models."qwen3-coder"]
context = 32000
images = false
""",
    good=Scene(
        remark="A request with an image and a long prompt: two of three are known to be no good for it.",
        candidates=["small/m", "blind/m", "able/m?after_s=0.5&words=10&gap_ms=40"],
        policies=['"silent-skip"', '"require-capability"', '"in-order"'],
        providers={
            "small": "[providers.small.models.m]\ncontext = 8000",
            "blind": "[providers.blind.models.m]\nimages = false",
        },
        asks=[Ask(images=True, tokens=20_000)],
    ),
    bad=Scene(
        remark="Nobody can serve it. The client is told at once, and why; nobody is waited for, since nothing would change.",
        candidates=["small/m", "smaller/m"],
        policies=['"silent-skip"', '"require-capability"', '"in-order"'],
        providers={
            "small": "[providers.small.models.m]\ncontext = 8000",
            "smaller": "[providers.smaller.models.m]\ncontext = 4000",
        },
        asks=[Ask(tokens=20_000)],
    ),
    events={},
    rarer={"LessonLearned": "a refusal has taught what a candidate cannot do"},
    see=("silent-skip", "../providers.md"),
)
