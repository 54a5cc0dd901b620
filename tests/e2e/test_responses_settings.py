"""What a Responses host refuses and states inside its streams, seen from its end of a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .proxy import running_proxy
from .test_chat_settings import configured, hosting, no, text_of, told, turn

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long

KEY = "sk-test-of-a-host"


def said(text: str) -> tuple[int, dict[str, Any]]:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    usage = {"input_tokens": 3, "output_tokens": 2}
    return 200, {"id": "resp_1", "object": "response", "status": "completed", "output": [message], "usage": usage}


def on_responses(config: str) -> str:
    return config.replace('wire = "openai-chat"', 'wire = "openai-responses"')


async def test_a_refused_part_of_a_field_and_a_refused_length_heal_unseen_and_are_remembered() -> None:
    """The summary goes, the effort stays; the next request is right at once."""

    def manner(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "summary" in body.get("reasoning", {}):
            text = "Your organization must be verified to generate reasoning summaries."
            return no(text, param="reasoning.summary", code="unsupported_value")
        if body["max_output_tokens"] > 8192:
            asked = body["max_output_tokens"]
            return no(
                f"Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 8192, but got {asked}.",
                param="max_output_tokens",
                code="integer_above_max_value",
            )
        return said("healed")

    thinking = {"type": "enabled", "budget_tokens": 5000}
    async with hosting(manner) as host, running_proxy(on_responses(configured(host.port))) as proxy:
        assert [text_of(await turn(proxy.base_url, thinking=thinking)) for _ in range(2)] == ["healed", "healed"]
        known = (await told(proxy.base_url, "/providers"))["providers"]["gw"]["models"]["m"]["learned"]
    assert [(body["reasoning"], body["max_output_tokens"]) for body in host.bodies] == [
        ({"summary": "auto", "effort": "medium"}, 32_000),
        ({"effort": "medium"}, 32_000),
        ({"effort": "medium"}, 8192),
        ({"effort": "medium"}, 8192),
    ]
    assert known == {"max_tokens": 8192, "window": None, "without": ["reasoning.summary"]}


@pytest.mark.parametrize(
    ("code", "text", "status", "kind"),
    [
        (
            "context_length_exceeded",
            "Your input exceeds the context window of this model.",
            400,
            "invalid_request_error",
        ),
        ("rate_limit_exceeded", "Limit 1, Requested 30 on tokens per min", 429, "rate_limit_error"),
        ("server_is_overloaded", "Our servers are overloaded.", 503, "api_error"),
    ],
)
async def test_a_failure_stated_with_200_is_told_as_what_it_is(code: str, text: str, status: int, kind: str) -> None:
    """Alone; with another candidate at hand that one answers."""
    failed = {"object": "response", "status": "failed", "error": {"code": code, "message": text}, "output": []}
    async with hosting(lambda _: (200, failed)) as bad, hosting(lambda _: said("other")) as good:
        second = f'[providers.other]\nwire = "openai-chat"\nbase_url = "http://127.0.0.1:{good.port}/v1"'
        both = on_responses(configured(bad.port, others=second, chain='"gw/m", "other/m"'))
        async with running_proxy(both) as proxy:
            assert text_of(await turn(proxy.base_url)) == "other"
        async with running_proxy(on_responses(configured(bad.port))) as proxy:
            reply = await turn(proxy.base_url)
    assert (reply.status_code, reply.json()["error"]["type"]) == (status, kind), reply.text


async def test_openai_is_asked_over_responses_with_its_key() -> None:
    """Its row's first wire; only the address is another."""
    config = '[providers.openai]\nbase_url = "http://127.0.0.1:{port}/v1"\nwire = "openai-responses"\n'
    chain = '[chains.main]\ncandidates = ["openai/gpt-5.4-mini"]\n[[routes]]\nmatch = "*"\nchain = "main"\n'
    async with hosting(lambda _: said("yes")) as host:
        async with running_proxy(config.format(port=host.port) + chain, {"OPENAI_API_KEY": KEY}) as proxy:
            assert text_of(await turn(proxy.base_url, temperature=0.5)) == "yes"
    (body,), (head,) = host.bodies, host.heads
    assert head["authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["store"], body["reasoning"]) == ("gpt-5.4-mini", False, {"effort": "none"})
    assert "temperature" not in body
    assert KEY not in json.dumps(body)
