from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="how long to wait for somebody who is merely busy",
    what="""
    When nobody can be asked just now, and somebody will be back within this time, the request waits for that moment, holding
    nothing but its place: pings keep the client patient. When it would take longer, the client is told at once, with a
    `retry-after`.
    """,
    use="""
    Shorter where the client has somewhere else to go; 0 answers at once. Longer for work over night.
    """,
    avoid="beyond what the client waits: Claude Code gives up on a JSON request after 300 s.",
    fields={"s": Field("seconds, 0 to a day", "the longest wait")},
    toml="""
[chains.patient]
candidates = ["nvidia_nim/z-ai/glm4.7"]
policies = ["silent-skip", { kind = "max-wait", s = 120 }]
""",
    good=Scene(
        remark="Its window is full for another four seconds. The request waits, and is answered.",
        candidates=["one/m?after_s=0.3&words=10&gap_ms=40"],
        policies=['"silent-skip"', '{ kind = "max-wait", s = 10 }'],
        providers={"one": 'scope = { kind = "window", requests = 1, per_s = 5 }'},
        asks=[Ask(), Ask()],
    ),
    bad=Scene(
        remark="It will be back later than anybody wants to wait, and the client is told so without delay.",
        candidates=["one/m?after_s=0.3&words=10&gap_ms=40"],
        policies=['"silent-skip"', '{ kind = "max-wait", s = 2 }'],
        providers={"one": 'scope = { kind = "window", requests = 1, per_s = 30 }'},
        asks=[Ask(), Ask()],
    ),
    events={"RequestFinished": "`refused` at once: the first to be back is too late"},
    see=("silent-skip", "deadline"),
)
