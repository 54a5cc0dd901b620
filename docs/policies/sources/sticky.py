from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="a conversation stays where its beginning has been read, for as long as that pays",
    what="""
    Each turn sends the whole conversation again, and the host that has just read it has it in its cache. So the next turn stays
    there while the expected wait here is shorter than the expected wait elsewhere and the price of reading everything anew:
    the time of it, its money at what an hour of waiting is worth, and a fixed part for the thinking that others cannot read.

    When the home is blocked, ejected or fails, the turn goes elsewhere at once, and the next one comes back. It moves for good
    only when somebody else has won two contests of three, or when the home was away for several turns.
    """,
    use="""
    For Claude Code's long conversations on hosts with a prompt cache. First among the order policies: the others break its ties
    and order those that know nothing of the conversation.
    """,
    avoid="for single questions, or hosts without a cache: nothing is warm there, and it has no say.",
    fields={
        "usd_per_hour": Field("above 0", "what an hour of waiting is worth, in US dollars"),
        "reread_s": Field(
            "seconds, 0 or more", "how long a host reads 1,000 tokens that it does not have in its cache"
        ),
        "move_s": Field("seconds, 0 or more", "what any move costs beside"),
    },
    toml="""
[chains.coding]
candidates = ["zai/glm-4.7-flash", "deepseek/deepseek-v4-pro"]
policies = ["silent-skip", "sticky", "least-loaded", "hedge"]
""",
    good=Scene(
        remark="The second turn is served at home, although the other one is the faster of the two by now.",
        candidates=["home/m?after_s=1.2&words=6", "other/m?after_s=0.6&words=6"],
        policies=['"silent-skip"', '"sticky"', '"least-loaded"'],
        asks=[
            Ask(session="s", tokens=20_000),
            Ask(beside=True),
            Ask(after_s=0.1),
            Ask(after_s=2, session="s", tokens=21_000),
        ],
    ),
    bad=Scene(
        remark="The home has had its requests for now. The turn goes elsewhere at once, and the next comes back.",
        candidates=["home/m?after_s=0.5&words=6", "other/m?after_s=0.5&words=6"],
        policies=['"silent-skip"', '"sticky"', '"least-loaded"'],
        providers={"home": 'scope = { kind = "window", requests = 1, per_s = 6 }'},
        asks=[
            Ask(session="s", tokens=20_000),
            Ask(session="s", tokens=21_000),
            Ask(after_s=5, session="s", tokens=22_000),
        ],
        shown=2,
    ),
    events={
        "AffinityBroken": "a turn was answered elsewhere than at home: what that cost, and what it saved",
    },
    rarer={"AffinityChanged": "a conversation has another home from now on"},
    see=("least-loaded", "cheapest", "hedge"),
)
