"""Azure in each of its forms, from the file and the environment to the request as a host sees it."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from engine import Ask, Failure, StreamEvent
from engine.config import ConfigError, Provider, load
from policies import Candidate, FailureKind
from tests.transports.asks import ask, body
from tests.transports.chat.streams import body as chunks
from tests.transports.chat.streams import chunk, read_events, usage
from tests.transports.exchanges import GOOD, Host, host
from transports import DIALECTS, load_catalogue
from transports._classify import classify, classify_in_stream
from transports._wire import WireHTTP

CATALOGUE = load_catalogue()
KEY = {"AZURE_OPENAI_API_KEY": "az-key-of-nobody", "AZURE_RESOURCE_NAME": "acme"}
FOUNDRY = {"ANTHROPIC_FOUNDRY_API_KEY": "fo-key-of-nobody", "ANTHROPIC_FOUNDRY_RESOURCE": "acme"}
OLD = '[providers.azure]\nregion = "deployments"\n'
ROOT = "https://acme.openai.azure.com/openai"


def provider(id: str, text: str = "", **environ: str) -> Provider:
    return load(text, file="c.toml", catalogue=CATALOGUE, environ=environ).providers[id]


def wrong(text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, file="c.toml", catalogue=CATALOGUE, environ=environ)
    (problem,) = caught.value.problems
    return str(problem)


def asked(of: Provider, model: str, fields: Any = None) -> Ask:
    """A request for one of its models, with its first key."""
    one = ask(fields or body())
    made = of.on(model)
    return Ask(
        request=one.request, candidate=Candidate(of.id, model), provider=made, key=made.keys[0] if made.keys else None
    )


async def had(where: Host, one: Ask) -> tuple[httpx.Request, list[StreamEvent]]:
    """The request as it came, and what the host's answer became."""
    events: list[StreamEvent] = []
    async with WireHTTP(lambda _: where, lambda: 0.0, DIALECTS[one.provider.wire]).open(one) as upstream:
        while (batch := await upstream.read()) is not None:
            events += batch
    (seen,) = where.seen
    return seen, events


ANNOTATED = {
    "choices": [],
    "created": 0,
    "id": "",
    "model": "",
    "object": "",
    "prompt_filter_results": [{"prompt_index": 0}],
}
ANSWER = chunks(
    ANNOTATED,
    chunk(role="assistant", content=""),
    chunk(content="hello"),
    chunk("stop", choice={"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}),
    usage(9, 2),
)


class TestChat:
    """Deployments that speak chat completions."""

    async def test_the_newer_form(self) -> None:
        """The model stands in the body; a first chunk without choices says nothing."""
        seen, events = await had(host(ANSWER), asked(provider("azure", **KEY), "gpt-x"))
        assert str(seen.url) == f"{ROOT}/v1/chat/completions"
        assert (seen.headers["api-key"], "authorization" in seen.headers) == ("az-key-of-nobody", False)
        assert orjson.loads(seen.content)["model"] == "gpt-x"
        found = read_events(events)
        assert (found.faults, found.text, found.stop_reason, found.usage["input_tokens"]) == (
            [],
            "hello",
            "end_turn",
            9,
        )

    async def test_the_older_form_names_the_deployment_in_its_address(self) -> None:
        """Quoted as one segment, whatever it is called; the version of the interface stands behind it."""
        of = provider("azure", OLD, **KEY, AZURE_API_VERSION="2024-10-21")
        seen, events = await had(host(ANSWER), asked(of, "my chat/ä?"))
        assert seen.url.raw_path.decode() == (
            "/openai/deployments/my%20chat%2F%C3%A4%3F/chat/completions?api-version=2024-10-21"
        )
        assert (seen.url.host, seen.headers["api-key"]) == ("acme.openai.azure.com", "az-key-of-nobody")
        assert read_events(events).text == "hello"
        assert of.url("models") == f"{ROOT}/models?api-version=2024-10-21"

    def test_what_fills_an_address_may_stand_in_the_file(self) -> None:
        """It stands above the environment."""
        text = OLD + 'fill = { resource = "other", api_version = "2025-04-01-preview" }\n'
        of = provider("azure", text, **KEY, AZURE_API_VERSION="2024-10-21")
        assert of.url("messages", "d") == (
            "https://other.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-04-01-preview"
        )
        assert of.usable

    def test_what_is_missing_is_named(self) -> None:
        """The version only where an address has it."""
        assert provider("azure", OLD, **KEY).unusable_because == (
            "AZURE_API_VERSION is not set: it names the api_version (or say fill.api_version, or give a base_url)"
        )
        assert provider("azure", **KEY).usable
        assert provider("azure", OLD, **KEY, AZURE_API_VERSION="x/../y").unusable_because
        assert provider("azure", AZURE_API_KEY="k" * 20).unusable_because == (
            "AZURE_RESOURCE_NAME is not set: it names the resource (or say fill.resource, or give a base_url)"
        )

    @pytest.mark.parametrize(
        ("fill", "why"),
        [
            ('{ resource = "a/b" }', "fill.resource: expected letters, digits and hyphens, such as 'my-resource'"),
            ("{ resource = 3 }", "fill.resource: expected letters, digits and hyphens, such as 'my-resource'"),
            (
                '{ resurce = "a" }',
                "fill.resurce: no such placeholder (did you mean 'resource'?); available: resource, api_version",
            ),
        ],
    )
    def test_a_mistake_in_it_is_said(self, fill: str, why: str) -> None:
        """With what may stand there."""
        assert why in wrong(f"[providers.azure]\nfill = {fill}\n", **KEY)

    def test_a_host_without_placeholders_is_filled_with_nothing(self) -> None:
        """And says so."""
        assert "the addresses of 'groq' have none" in wrong('[providers.groq]\nfill = { resource = "a" }\n')

    @pytest.mark.parametrize("text", ["", '[providers.azure]\nauth = "bearer"\nkeys_env = "ENTRA"\n'])
    async def test_a_token_of_entra_is_a_bearer(self, text: str) -> None:
        """By its own variable, or by one that the file names."""
        token = {"AZURE_OPENAI_AD_TOKEN": "entra-token-of-nobody", "ENTRA": "entra-token-of-nobody"}
        of = provider("azure", text, AZURE_RESOURCE_NAME="acme", **token)
        seen, _ = await had(host(ANSWER), asked(of, "gpt-x"))
        assert (seen.headers["authorization"], "api-key" in seen.headers) == ("Bearer entra-token-of-nobody", False)


class TestClaude:
    """Claude on Foundry: Anthropic's own interface behind Azure's doors."""

    @pytest.mark.parametrize(
        ("variable", "header", "value"),
        [
            ("ANTHROPIC_FOUNDRY_API_KEY", "x-api-key", "fo-key-of-nobody"),
            ("ANTHROPIC_FOUNDRY_AUTH_TOKEN", "authorization", "Bearer fo-key-of-nobody"),
        ],
    )
    async def test_it_is_a_provider_of_its_own(self, variable: str, header: str, value: str) -> None:
        """With keys of its own, and everything that Claude Code sends."""
        of = provider("foundry", ANTHROPIC_FOUNDRY_RESOURCE="acme", **{variable: "fo-key-of-nobody"})
        seen, events = await had(host(GOOD), asked(of, "claude-sonnet-5", body(context_management={"edits": []})))
        assert str(seen.url) == "https://acme.services.ai.azure.com/anthropic/v1/messages"
        assert seen.headers[header] == value
        assert "context_management" in orjson.loads(seen.content)
        assert read_events(events).text == "hi"

    async def test_a_key_may_go_by_azures_own_header(self) -> None:
        """Where the file says so."""
        of = provider("foundry", '[providers.foundry]\nauth = "api-key"\n', **FOUNDRY)
        seen, _ = await had(host(GOOD), asked(of, "claude-sonnet-5"))
        assert (seen.headers["api-key"], "x-api-key" in seen.headers) == ("fo-key-of-nobody", False)

    def test_its_key_is_not_the_other_services(self) -> None:
        """Nor the other way round."""
        assert not provider("azure", **FOUNDRY, AZURE_RESOURCE_NAME="acme").usable
        assert not provider("foundry", **KEY, ANTHROPIC_FOUNDRY_RESOURCE="acme").usable


FILTERED = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}},
    }
}


class TestFilters:
    """What a host's own filter refuses, others may take."""

    def refused(self, error: Any, status: int = 400) -> Failure:
        return classify(status, {"content-type": "application/json"}, orjson.dumps(error))

    @pytest.mark.parametrize(
        "error",
        [
            FILTERED,
            {"error": {"code": "content_policy_violation", "message": "no"}},
            {"error": {"code": "data_inspection_failed", "message": "no"}},
            {"error": {"code": "DataInspectionFailed", "message": "no"}},
            {"error": {"code": "1301", "message": "no"}},
        ],
    )
    def test_its_refusal_sends_the_request_on(self, error: Any) -> None:
        """Whatever else its text speaks of, also inside an answer with status 200."""
        assert self.refused(error).kind is FailureKind.FILTERED
        assert classify_in_stream(error).kind is FailureKind.FILTERED

    def test_a_text_that_speaks_of_a_filter_is_no_filter(self) -> None:
        """Only its code is."""
        assert self.refused({"error": {"message": "unknown field content_filter"}}).kind is FailureKind.CLIENT

    async def test_an_answer_that_was_filtered_is_a_refusal(self) -> None:
        """In the middle of it."""
        answer = chunks(chunk(content="so "), chunk("content_filter"))
        _, events = await had(host(answer), asked(provider("azure", **KEY), "gpt-x"))
        assert (read_events(events).text, read_events(events).stop_reason) == ("so ", "refusal")
