"""A small catalogue with one row of each kind, so that tests of configurations do not depend on facts that age."""

from __future__ import annotations

from collections.abc import Mapping

from engine.config import Catalogue, Config, Endpoint, Listing, Model, load
from policies import Capabilities, Price, Unlimited, Window

FREE = Model(id="free-coder", capabilities=Capabilities(context=100_000, tools=True), free=True)
PAID = Model(id="paid-coder", capabilities=Capabilities(context=200_000, tools=True), price=Price(input=1, output=2))


def small() -> Catalogue:
    """Keyed and paid, keyed and free, local, per-model wires, a shared variable, an ambiguous one, odd wires, unsupported."""
    rows = [
        Listing(
            id="anthropic",
            name="Anthropic",
            wires={"anthropic": Endpoint(base="https://api.anthropic.com", auth="x-api-key")},
            env=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
            auth_by_env={"ANTHROPIC_AUTH_TOKEN": "bearer"},
            only_named=True,
            open_lists=True,
            counts_tokens=True,
            default="claude",
        ),
        Listing(
            id="desk",
            name="Desk",
            wires={
                "anthropic": Endpoint(base="http://localhost:1234", paths={"models": "/tags"}),
                "zed": Endpoint(base="http://localhost:1234/v1"),
            },
            env=("DESK_KEY",),
            base_url_env=("DESK_HOST",),
            local=True,
        ),
        Listing(
            id="paid",
            name="Paid",
            aliases=("dear",),
            wires={
                "anthropic": Endpoint(base="https://paid.example/api", paths={"models": "https://paid.example/list"}),
                "zed": Endpoint(base="https://paid.example/v1"),
            },
            regions={
                "cn": {"anthropic": Endpoint(base="https://paid.example.cn/api")},
                "plan": {"zed": Endpoint(base="https://plan.paid.example/v1")},
            },
            region_env={"cn": "PAID_CN_KEY"},
            env=("PAID_KEY", "PAID_TOKEN"),
            models={PAID.id: PAID},
            default=PAID.id,
            drop=frozenset(["document"]),
            quirks=frozenset(["trailing-done"]),
        ),
        Listing(
            id="free",
            name="Free",
            wires={"anthropic": Endpoint(base="https://free.example")},
            env=("FREE_KEY",),
            scope=Window(requests=40, per_s=60, concurrency=5),
            models={FREE.id: FREE},
            default=FREE.id,
        ),
        Listing(
            id="garden",
            name="Garden",
            wires={
                "anthropic": Endpoint(base="https://garden.example", auth="x-api-key"),
                "zed": Endpoint(base="https://garden.example/v1"),
            },
            wire_by_model={"claude-*": "anthropic", "*": "zed"},
            env=("GARDEN_KEY",),
            scope=Unlimited(),
            default="tomato",
        ),
        Listing(
            id="garden_go",
            name="Garden Go",
            wires={"anthropic": Endpoint(base="https://garden.example/go")},
            env=("GARDEN_KEY",),
        ),
        Listing(
            id="talker",
            name="Talker",
            wires={"zed": Endpoint(base="https://talker.example/v1")},
            env=("TALKER_KEY",),
            default="chat",
        ),
        Listing(
            id="cloud",
            name="Cloud",
            wires={"anthropic": Endpoint(base="https://{resource}.cloud.example")},
            env=("CLOUD_KEY",),
            fill={"resource": "CLOUD_RESOURCE"},
        ),
        Listing(
            id="signed",
            name="Signed",
            wires={"anthropic": Endpoint(base="https://signed.example")},
            env=("SIGNED_KEY",),
            unsupported="it needs signed requests",
        ),
    ]
    return Catalogue.of(rows, {"vendor": "paid", "maker": "free"})


def config(text: str = "", environ: Mapping[str, str] | None = None, **answering: str | None) -> Config:
    """A file that is loaded with the small one."""
    return load(text, file="c.toml", catalogue=small(), environ=environ or {}, answering=answering)
