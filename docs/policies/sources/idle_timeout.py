from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="silence after first content",
    what="""
    After its first content an attempt may be silent for `s` seconds; then it counts as broken. Content resets the clock; pings
    and comments do not, since a gateway sends those while the model behind it is gone.
    """,
    use="""
    Longer for models that think between blocks without saying anything; shorter where a stalled answer should end soon.
    """,
    avoid="below ten seconds for models that pause: a broken answer costs more than a pause.",
    fields={"s": Field("seconds, above 0 and at most a day", "the longest silence")},
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "open_router/qwen/qwen3-coder:free"]
policies = ["silent-skip", { kind = "idle-timeout", s = 90 }]
""",
    good=Scene(
        remark="A slow talker, with a second between its words, is left alone.",
        candidates=["slow/m?after_s=0.2&words=4&gap_ms=1000", "next/m"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "idle-timeout", s = 2 }'],
    ),
    bad=Scene(
        remark="Three seconds of silence in the middle of an answer: it is broken, and what the client has seen decides.",
        candidates=["stalled/m?after_s=0.2&words=4&gap_ms=3000", "next/m?words=4"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "idle-timeout", s = 2 }'],
    ),
    events={
        "AttemptEnded": "`failed` with `idle timeout`; it counts against the health",
        "Rescued": "somebody else goes on with the answer",
    },
    see=("first-content-timeout", "deadline", "commit-at", "../chains.md"),
)
