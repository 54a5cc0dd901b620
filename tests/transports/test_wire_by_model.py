"""Hosts that speak another wire for some of their models: each request goes out on the wire of its model, whole."""

from __future__ import annotations

import orjson
import pytest

from engine import Ask
from engine.config import Provider, load
from policies import Candidate
from tests.transports.asks import ask, body
from tests.transports.chat.streams import body as chunks
from tests.transports.chat.streams import chunk, raw_of, read_events
from tests.transports.exchanges import GOOD, host
from transports import DIALECTS, load_catalogue
from transports._wire import WireHTTP

CATALOGUE = load_catalogue()
CHAT = chunks(chunk(content="hi"), chunk("stop"))
TOOL = {"name": "Read", "input_schema": {"type": "object", "properties": {}}}


def provider(id: str, text: str = "", **environ: str) -> Provider:
    text = f"[providers.{id}]\n{text}"
    return load(text, file="", catalogue=CATALOGUE, environ=environ).providers[id]


@pytest.mark.parametrize(
    ("id", "model", "wire", "path", "header"),
    [
        ("opencode_go", "minimax-m3", "anthropic", "/zen/go/v1/messages", "x-api-key"),
        ("opencode_go", "MiniMax-M3", "anthropic", "/zen/go/v1/messages", "x-api-key"),
        ("opencode_go", "qwen3.7-max", "anthropic", "/zen/go/v1/messages", "x-api-key"),
        ("opencode_go", "glm-5.2", "openai-chat", "/zen/go/v1/chat/completions", "authorization"),
        ("opencode_go", "not-minimax-m3", "openai-chat", "/zen/go/v1/chat/completions", "authorization"),
        ("zen", "claude-sonnet-5", "anthropic", "/zen/v1/messages", "x-api-key"),
        ("zen", "big-pickle", "openai-chat", "/zen/v1/chat/completions", "authorization"),
    ],
)
async def test_a_model_is_asked_on_its_own_wire(id: str, model: str, wire: str, path: str, header: str) -> None:
    """Address, credential and body are of one wire, and the answer is read as that wire's."""
    made = provider(id, OPENCODE_API_KEY="oc-key-of-nobody").on(model)
    one = ask(body(tools=[TOOL], system="Be brief."))
    asked = Ask(request=one.request, candidate=Candidate(id, model), provider=made, key=made.keys[0])
    where = host(GOOD if wire == "anthropic" else CHAT)
    events = []
    async with WireHTTP(lambda _: where, lambda: 0.0, DIALECTS[made.wire]).open(asked) as upstream:
        while (batch := await upstream.read()) is not None:
            events += batch
    (seen,) = where.seen
    sent = orjson.loads(seen.content)
    assert (made.wire, seen.url.path, seen.url.host) == (wire, path, "opencode.ai")
    assert seen.headers[header].removeprefix("Bearer ") == "oc-key-of-nobody"
    assert len({"x-api-key", "authorization"} & set(seen.headers)) == 1
    assert (sent["model"], "input_schema" in sent["tools"][0], "system" in sent) == (model, *[wire == "anthropic"] * 2)
    assert read_events(events).text == "hi"
    assert b"message_stop" in raw_of(events)


def test_its_wires_share_everything_else() -> None:
    """Keys, scope, settings and models: a limit on the host is a limit on all its doors."""
    made = provider("opencode_go", 'max_output_tokens = 9\nheaders = { X-Team = "a" }', OPENCODE_API_KEY="k" * 20)
    one, other = made.on("minimax-m3"), made.on("glm-5.2")
    assert one.wire != other.wire
    for field in ("id", "keys", "scope", "settings", "breaker", "models", "proxy"):
        assert getattr(one, field) is getattr(other, field)


@pytest.mark.parametrize("said", ['wire = "openai-chat"', 'base_url = "http://box:1"\nwire = "anthropic"'])
def test_the_file_may_choose_one_for_all(said: str) -> None:
    """Then the row's rule is not asked."""
    made = provider("opencode_go", said, OPENCODE_API_KEY="k" * 20)
    assert {made.wire_of(model) for model in ("minimax-m3", "glm-5.2")} == {made.wire}
    assert made.on("minimax-m3").wire == made.wire


def test_without_a_key_only_the_free_models_of_the_first_wire_are_asked() -> None:
    """The public key is a bearer, and Claude is not free."""
    made = provider("zen")
    assert made.unusable_for("big-pickle") == ""
    assert "only its free models answer" in made.unusable_for("claude-sonnet-5")
