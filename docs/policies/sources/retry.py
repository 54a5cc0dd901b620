from docs.policies._page import Field, Page
from docs.policies._stage import Scene

PAGE = Page(
    line="who has failed is asked again, when nobody else is left to be asked",
    what="""
    A failure sends a request on to the next candidate at once, with or without this policy. With it, the end of the chain is
    not the end: candidates that have failed in a way that may pass are asked again, up to `tries` times, after a wait that
    doubles from `base_s` to `cap_s`. Of each wait between a half and all is drawn, so that many requests do not come back at
    once. A longer Retry-After holds instead. The wait holds nothing, and the tries are paid from a budget of the chain's.
    """,
    use="""
    For a chain of one provider, which then rides out a 503, a 429 or a reset; and for work over night.
    """,
    avoid="instead of a second candidate: waiting for the same one is what a chain is there to spare you.",
    fields={
        "tries": Field("1 to 20", "how many further attempts there may be; they count towards `max-attempts`"),
        "base_s": Field("seconds, above 0 and at most a day", "the wait before the first of them"),
        "cap_s": Field("seconds, above 0 and at most a day", "the longest wait"),
    },
    toml="""
[chains.single]
candidates = ["zai/glm-4.7-flash"]
policies = ["silent-skip", { kind = "retry", tries = 4, base_s = 1, cap_s = 30 }]
""",
    good=Scene(
        remark="The only candidate fails twice and then answers. The client notices nothing but the time.",
        candidates=["single/m?fault=reset&times=2&after_s=0.3&words=12&gap_ms=50"],
        policies=['"silent-skip"', '{ kind = "retry", tries = 4, base_s = 1 }'],
    ),
    bad=Scene(
        remark="It stays broken. Two more tries, each after a longer wait; then the client is told.",
        candidates=["single/m?fault=500&after_s=0.3"],
        policies=['"silent-skip"', '{ kind = "retry", tries = 2, base_s = 1 }'],
    ),
    events={"AttemptStarted": "the same candidate again, after the wait"},
    see=("max-attempts", "max-wait", "deadline", "on-failure"),
)
