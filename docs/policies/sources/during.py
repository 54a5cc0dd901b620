from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="these candidates only within these hours",
    what="""
    At any other time the candidates are passed over. The hours are those of the moment at which the plan was made, in a time
    zone of your choice; a span that passes midnight belongs to the day on which it begins. The skip is a hard one: nobody waits
    for the evening.
    """,
    use="""
    For prices that are lower at night, and for machines that are somebody's own by day.
    """,
    avoid="for a limit of so many requests a day: that is a `window` in the provider's scope.",
    fields={
        "hours": Field("spans such as `22:00-06:00`, several with commas between", "when they may be asked"),
        "days": Field("`mon` to `sun`; none: every day", "on which days"),
        "zone": Field("`UTC`, `+02:00`, `Europe/Berlin`", "whose hours these are"),
        "names": Field("candidates, providers' ids, globs; none: everybody", "whom it is about"),
    },
    toml="""
[chains.coding]
candidates = ["workstation/qwen3-coder", "deepseek/deepseek-v4-pro"]
policies = [
  "silent-skip",
  { kind = "during", hours = "19:00-07:30", zone = "Europe/Berlin", names = ["workstation"] },
]

[providers.workstation]
wire = "openai-chat"
base_url = "http://10.0.0.7:8000/v1"
""",
    good=Scene(
        remark="At half past ten in the evening the machine is free.",
        candidates=["by_night/m?after_s=0.5&words=10&gap_ms=40", "always/m"],
        policies=['"silent-skip"', '{ kind = "during", hours = "22:00-06:00", names = ["by_night"] }', '"in-order"'],
        hours=12.5,
    ),
    bad=Scene(
        remark="At ten in the morning it is not.",
        candidates=["by_night/m", "always/m?after_s=0.5&words=10&gap_ms=40"],
        policies=['"silent-skip"', '{ kind = "during", hours = "22:00-06:00", names = ["by_night"] }', '"in-order"'],
    ),
    events={},
    see=("only", "spend-cap"),
)
