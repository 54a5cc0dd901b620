from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="for requests with tools, the smallest share of bad tool calls first",
    what="""
    Bad is a call that is not JSON, of a tool that is not on offer, or whose arguments lack a required field or have one of
    another type. The share fades within hours and needs eight calls to be believed; up to 2 % counts as faultless. For a
    request without tools it is indifferent.
    """,
    use="""
    For agents on open models: hosts of the same model differ in how well they parse its calls, by the day.
    """,
    avoid="alone: put `least-loaded` behind it, for those that are equally sound.",
    toml="""
[chains.agents]
candidates = ["open_router/qwen/qwen3-coder:free", "zai/glm-4.7-flash"]
policies = ["silent-skip", "fewest-tool-errors", "least-loaded"]
""",
    good=Scene(
        remark="Of forty calls each, one host has spoilt eight. (Remembered from before this picture.)",
        candidates=["sloppy/m", "sound/m?after_s=0.5&words=10&gap_ms=40"],
        policies=['"silent-skip"', '"fewest-tool-errors"', '"in-order"'],
        asks=[Ask(tools=True)],
        tool_calls={"sloppy/m": (40, 8), "sound/m?after_s=0.5&words=10&gap_ms=40": (40, 0)},
    ),
    bad=Scene(
        remark="The sound one fails, and the sloppy one is asked after all: a worse answer is better than none.",
        candidates=["sloppy/m?after_s=0.5&words=10", "sound/m?fault=500&after_s=0.3"],
        policies=['"silent-skip"', '"fewest-tool-errors"', '"in-order"'],
        asks=[Ask(tools=True)],
        tool_calls={"sloppy/m?after_s=0.5&words=10": (40, 8), "sound/m?fault=500&after_s=0.3": (40, 0)},
    ),
    events={},
    see=("least-loaded", "require-capability"),
)
