from docs.policies._page import Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="the most output tokens a second first",
    what="""
    Tokens a second from first content to the end, as their hosts reported them. An answer of less than half a second or 32
    tokens is no sample. Who was not measured within half an hour is taken for the middle one of those that were.
    """,
    use="""
    For long answers, where the whole turn counts and not its beginning: code by the file, translations.
    """,
    avoid="for short answers, where the wait for the first word is most of it: `fastest` or `least-loaded`.",
    toml="""
[chains.long]
candidates = ["zai/glm-4.7-flash", "groq/llama-3.3-70b-versatile"]
policies = ["silent-skip", "highest-throughput"]
""",
    good=Scene(
        remark="Both have been measured by earlier requests: the second writes four times as fast.",
        candidates=["slow/m?after_s=0.2&words=40&gap_ms=80", "quick/m?after_s=0.6&words=40&gap_ms=20"],
        policies=['"silent-skip"', '"highest-throughput"', '{ kind = "max-in-flight", n = 1 }'],
        providers={"slow": 'scope = { kind = "concurrency", limit = 1 }'},
        asks=[Ask(beside=True), Ask(after_s=0.1), Ask(after_s=4)],
    ),
    bad=Scene(
        remark="Nobody has been measured yet: all are alike, and the order of the file stays.",
        candidates=["slow/m?after_s=0.2&words=40&gap_ms=80", "quick/m?after_s=0.6&words=40&gap_ms=20"],
        policies=['"silent-skip"', '"highest-throughput"'],
    ),
    events={},
    see=("fastest", "least-loaded"),
)
