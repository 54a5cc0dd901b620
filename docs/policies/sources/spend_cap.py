from docs.policies._page import Field, Page
from docs.policies._stage import Ask, Scene

PAGE = Page(
    line="passes over providers at which so many dollars were spent in this hour, day or month",
    what="""
    What was spent is the sum of the bills of all attempts, won, lost or failed, by the tokens that providers reported and the
    prices that are known: of this process since its start, over all chains. At the cap the provider is passed over until the
    period is over (UTC). What is free goes on.
    """,
    use="""
    Beside every paid candidate. It holds before a request is sent, where a provider's own limit shows itself by a refusal.
    """,
    avoid="""as the last word: a restart begins at nothing, requests under way may pass the cap by what they cost, and other
    programs spend, too. Set the provider's own limit as well.""",
    fields={
        "usd": Field("above 0, at most 1000000", "the cap in US dollars"),
        "per": Field("`hour`, `day`, `month`", "the period, in UTC"),
        "providers": Field("ids of providers; none: all of the chain", "whose spending counts"),
        "together": Field("true, false", "one cap for all of them instead of one for each"),
    },
    toml="""
[chains.coding]
candidates = ["deepseek/deepseek-v4-pro", "zai/glm-4.7-flash"]
policies = ["silent-skip", { kind = "spend-cap", usd = 5, per = "day", providers = ["deepseek"] }, "in-order"]
""",
    good=Scene(
        remark="Little was spent so far, so the paid one is asked.",
        candidates=["paid/m?after_s=0.3&words=9", "free/m"],
        policies=['"silent-skip"', '{ kind = "spend-cap", usd = 0.5, per = "hour" }', '"in-order"'],
        providers={"paid": '[providers.paid.models."m?after_s=0.3&words=9"]\nprice = { input = 1000, output = 2000 }'},
    ),
    bad=Scene(
        remark="The cap is reached. The free one takes over until the hour is over.",
        candidates=["paid/m?after_s=0.3&words=9", "free/m?after_s=0.5&words=10&gap_ms=40"],
        policies=['"silent-skip"', '{ kind = "spend-cap", usd = 0.2, per = "hour" }', '"in-order"'],
        providers={"paid": '[providers.paid.models."m?after_s=0.3&words=9"]\nprice = { input = 1000, output = 2000 }'},
        asks=[Ask(), Ask(), Ask()],
    ),
    events={},
    see=("cheapest", "except"),
)
