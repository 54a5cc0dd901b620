from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="how long an attempt may show nothing",
    what="""
    An attempt that has shown no content after `s` seconds has failed, and the next one starts. Pings and an empty head are no
    content; thinking is, and so is a tool call that is being written. Every attempt after the first has `fallback_s`: somebody
    has waited already.
    """,
    use="""
    Longer where a local model reads long prompts for minutes; shorter where the providers are quick and the chain is long.
    `timeouts` in a provider's table says it for that provider wherever it stands.
    """,
    avoid="as a substitute for a hedge: this gives up on the silent one, a hedge keeps it in the race.",
    fields={
        "s": Field("seconds, above 0 and at most a day", "for the first attempt"),
        "fallback_s": Field(
            "seconds, above 0 and at most a day", "for each later one; without it 20, or `s` if that is less"
        ),
    },
    toml="""
[chains.local_first]
candidates = ["workstation/qwen3-coder", "zai/glm-4.7-flash"]
policies = ["silent-skip", "in-order", { kind = "first-content-timeout", s = 120, fallback_s = 30 }]

[providers.workstation]
wire = "openai-chat"
base_url = "http://10.0.0.7:8000/v1"
""",
    good=Scene(
        remark="The first is silent for 3 s and is given up; the second answers.",
        candidates=["silent/m?fault=silence", "steady/m?after_s=0.4&words=12&gap_ms=50"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "first-content-timeout", s = 3, fallback_s = 1 }'],
    ),
    bad=Scene(
        remark="All are silent: 3 s for the first, 1 s for each other, and the client is told.",
        candidates=["silent/m?fault=silence", "mute/m?fault=silence", "dumb/m?fault=silence"],
        policies=['"silent-skip"', '"in-order"', '{ kind = "first-content-timeout", s = 3, fallback_s = 1 }'],
    ),
    events={"AttemptEnded": "`failed` with `first content timeout`; it counts against the health"},
    see=("idle-timeout", "deadline", "hedge"),
)
