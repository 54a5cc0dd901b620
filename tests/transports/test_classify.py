"""What providers' errors mean, in their own words. Each row is a status, a body as that provider sends it, and the verdict."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Failure
from policies import FailureKind as Kind
from transports._classify import MAX_TEXT, classify, classify_in_stream
from transports._waits import retry_after_s


def of(status: int, body: Any = b"", headers: dict[str, str] | None = None, *, now: float = 0.0) -> Failure:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return classify(status, headers or {"content-type": "application/json"}, raw, now_wall_s=now)


def anthropic(type: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_1"}


def openai(message: str, type: str | None = None, code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


def google(message: str, status: str = "INVALID_ARGUMENT", code: int = 400, *, reason: str = "") -> dict[str, Any]:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return {"error": {"code": code, "message": message, "status": status, "details": [info] if reason else []}}


#: Texts of a prompt that is too long: who says it, status, body, (needed, maximum).
TOO_LONG: list[tuple[str, int, Any, tuple[int, int] | None]] = [
    ("anthropic", 400, anthropic("invalid_request_error", "prompt is too long: 205000 tokens > 200000 maximum"),
     (205000, 200000)),
    ("openai", 400, openai("Your input exceeds the context window of this model", None, "context_length_exceeded"), None),
    ("openai chat", 400, openai(
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, "
        "1000 in the completion). Please reduce the length of the messages or completion.",
        "invalid_request_error", "context_length_exceeded"), (9000, 8192)),
    ("openai chat, prompt alone", 400, openai(
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9100 tokens."),
     (9100, 8192)),
    ("openrouter", 400, openai(
        "This endpoint's maximum context length is 128000 tokens. However, you requested about 140500 tokens (120000 of "
        "text input, 10500 of tool input, 10000 in the output).", None, 400), (140500, 128000)),
    ("gemini", 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}, (1200000, 1048576)),
    ("gemini compat", 400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}], (1200000, 1048576)),
    ("xai", 400, {"code": "Client specified an invalid argument", "error":
        "This model's maximum prompt length is 131072 but the request contains 140000 tokens."}, (140000, 131072)),
    ("groq", 400, openai("Please reduce the length of the messages or completion.", None, "context_length_exceeded"), None),
    ("cerebras", 400, {"message": "Please reduce the length of the messages or completion. Current length is 9000 while "
        "limit is 8192", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"},
     (9000, 8192)),
    ("deepseek", 400, openai("This model's maximum context length is 131072 tokens. However, you requested 140000 tokens "
        "(130000 in the messages, 10000 in the completion)."), (140000, 131072)),
    ("kimi", 400, openai("Invalid request: Your request exceeded model token limit: 131072 (requested: 140000)",
        "invalid_request_error"), (140000, 131072)),
    ("kimi, older", 400, openai("Input token length too long"), None),
    ("zai", 400, openai("Prompt exceeds max length", None, "1261"), None),
    ("zai, chinese", 400, openai("Prompt \u8d85\u957f", None, "1261"), None),
    ("minimax", 400, openai("invalid params, context window exceeds limit (2013)"), None),
    ("mistral", 400, {"object": "error", "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model "
        "with 32768 maximum context length", "type": "invalid_request_message", "param": None, "code": "3051"},
     (40000, 32768)),
    ("qwen", 400, openai("Range of input length should be [1, 30720]", None, "InvalidParameter"), None),
    ("vllm, new", 400, openai("This model's maximum context length is 8192 tokens. However, you requested 1000 output "
        "tokens and your prompt contains at least 8000 input tokens.", "BadRequestError", 400), (9000, 8192)),
    ("vllm, no room in the text", 400, openai("'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's "
        "maximum context length is 8192 tokens and your request has 7600 input tokens (4096 > 8192 - 7600)."), (11696, 8192)),
    ("vllm, flat", 400, {"object": "error", "type": "BadRequestError", "code": 400, "message":
        "The decoder prompt (length 9000) is longer than the maximum model length of 8192."}, (9000, 8192)),
    ("sglang", 400, openai("Requested token count exceeds the model's maximum context length of 8192 tokens. You requested "
        "a total of 9000 tokens: 8000 tokens from the input messages and 1000 tokens for the completion."), (9000, 8192)),
    ("sglang, input", 400, openai("The input (9000 tokens) is longer than the model's context length (8192 tokens)."),
     (9000, 8192)),
    ("tgi", 422, {"error_type": "validation", "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be "
        "<= 4096. Given: 4000 `inputs` tokens and 500 `max_new_tokens`"}, (4500, 4096)),
    ("llama.cpp", 400, {"error": {"code": 400, "type": "exceed_context_size_error", "message":
        "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "n_prompt_tokens": 9000, "n_ctx": 8192}}, (9000, 8192)),
    ("lm studio", 400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length"},
     None),
    ("ollama", 400, {"error": "the input length exceeds the context length"}, None),
    ("bedrock", 400, {"message": "Input is too long for requested model."}, None),
    ("copilot", 400, openai("prompt token count of 140000 exceeds the limit of 128000", None,
        "model_max_prompt_tokens_exceeded"), (140000, 128000)),
    ("fireworks", 400, openai("The prompt is too long: 140000, model maximum context length: 131072"), (140000, 131072)),
    ("groq, one request over the minute", 413, openai("Request too large for model `m` in organization `o` on tokens per "
        "minute (TPM): Limit 6000, Requested 9000, please reduce your message size", "tokens", "rate_limit_exceeded"),
     (9000, 6000)),
    ("anybody", 413, openai("context_length_exceeded: too many tokens"), None),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "tokens"), [row[1:] for row in TOO_LONG], ids=[row[0] for row in TOO_LONG])
def test_a_prompt_that_is_too_long(status: int, body: Any, tokens: tuple[int, int] | None) -> None:
    """Nobody's failure: a bigger window is wanted, and the client is told the numbers where they are known."""
    failure = of(status, body)
    assert (failure.kind, failure.tokens, failure.status) == (Kind.TOO_LONG, tokens, status)


def exhausted(*quotas: str, delay: str = "17s") -> dict[str, Any]:
    """Google's 429: one sentence for every quota, whose name alone says how long it is."""
    violations = [{"quotaId": quota, "quotaValue": "20"} for quota in quotas]
    return {"error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota, please check your plan and billing details. For more information on "
        "this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ],
    }}  # fmt: skip


DAY, MINUTE = (
    "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
)


@pytest.mark.parametrize(
    ("body", "kind", "wait_s"),
    [
        (exhausted(MINUTE), Kind.RATE_LIMITED, 17.0),
        (exhausted(DAY), Kind.QUOTA, None),
        (exhausted(MINUTE, DAY, delay="36.5s"), Kind.QUOTA, None),
        ([exhausted(DAY)], Kind.QUOTA, None),
        (google("Resource exhausted. Please try again later.", "RESOURCE_EXHAUSTED", 429), Kind.RATE_LIMITED, None),
    ],
)
def test_a_quota_of_googles(body: Any, kind: Kind, wait_s: float | None) -> None:
    """A minute's is waited for; a day's takes the key out, however short the wait that stands beside it."""
    failure = of(429, body)
    assert (failure.kind, failure.retry_after_s) == (kind, wait_s)


KINDS: list[tuple[str, int, Any, Kind]] = [
    # Limits on the answer: one more try with less, never a bigger window.
    ("anthropic, cap", 400, anthropic("invalid_request_error", "max_tokens: 128000 > 64000, which is the maximum allowed "
        "number of output tokens for claude-sonnet-4-5"), Kind.CAP),
    ("deepseek, cap", 400, openai("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"), Kind.CAP),
    ("qwen, cap", 400, openai("Range of max_tokens should be [1, 8192]", None, "InvalidParameter"), Kind.CAP),
    ("openai, cap", 400, openai("max_tokens is too large: 99999. This model supports at most 4096 completion tokens, "
        "whereas you provided 99999.", "invalid_request_error"), Kind.CAP),
    # Rates, among them texts that speak of tokens.
    ("openai, rate", 429, openai("Rate limit reached for gpt-x in organization o on tokens per min (TPM): Limit 30000, "
        "Used 29000, Requested 2000. Please try again in 2s.", "tokens", "rate_limit_exceeded"), Kind.RATE_LIMITED),
    ("anthropic, rate", 429, anthropic("rate_limit_error", "This request would exceed your organization's rate limit of "
        "50,000 input tokens per minute."), Kind.RATE_LIMITED),
    ("groq, a full minute", 413, openai("Request too large for model `m` in organization `o` on tokens per minute (TPM): "
        "Limit 9000, Requested 6000, please reduce your message size", "tokens", "rate_limit_exceeded"), Kind.RATE_LIMITED),
    ("qwen, throttling", 429, openai("Requests throttling triggered, allocated quota exceeded.", None,
        "Throttling.AllocationQuota"), Kind.RATE_LIMITED),
    ("zai, the plan's window", 429, openai("You have reached your usage limit", None, "1308"), Kind.QUOTA),
    ("zai, busy", 429, openai("The model is at capacity", None, "1312"), Kind.OVERLOADED),
    ("kimi, rate", 429, openai("Your account request reached max request per minute", "rate_limit_reached_error"),
     Kind.RATE_LIMITED),
    ("zai, concurrency", 429, openai("High concurrency usage of this API", None, "1302"), Kind.RATE_LIMITED),
    ("cerebras, rate", 429, {"message": "Requests per minute limit exceeded - too many requests sent.",
        "type": "too_many_requests_error", "param": "quota", "code": "request_quota_exceeded"}, Kind.RATE_LIMITED),
    ("no text", 429, b"", Kind.RATE_LIMITED),
    # Money, under any status.
    ("openai, quota", 429, openai("You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota", "insufficient_quota"), Kind.QUOTA),
    ("openai, balance", 429, openai("Add credits to continue.", None, "credit_balance_exhausted"), Kind.QUOTA),
    ("anthropic, balance", 400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic "
        "API. Please go to Plans & Billing to upgrade or purchase credits."), Kind.QUOTA),
    ("openrouter, credits", 402, {"error": {"code": 402, "message": "This request requires more credits, or fewer "
        "max_tokens."}}, Kind.QUOTA),
    ("deepseek, balance", 402, openai("Insufficient Balance", "unknown_error", "invalid_request_error"), Kind.QUOTA),
    ("kimi, balance", 403, openai("Your account is suspended due to insufficient balance",
        "exceeded_current_quota_error"), Kind.QUOTA),
    ("zai, balance", 429, openai("Insufficient balance or no resource package. Please recharge.", None, "1113"), Kind.QUOTA),
    ("qwen, balance", 400, openai("Access denied, please make sure your account is in good standing.", None, "Arrearage"),
     Kind.QUOTA),
    ("huggingface, credits", 402, {"error": "You have exceeded your monthly included credits"}, Kind.QUOTA),
    # Keys.
    ("anthropic, key", 401, anthropic("authentication_error", "invalid x-api-key"), Kind.AUTH),
    ("mistral, key", 401, {"message": "Unauthorized", "request_id": "r"}, Kind.AUTH),
    ("openai, region", 403, openai("Country, region, or territory not supported", None, "unsupported_country"), Kind.AUTH),
    ("google, key", 400, google("API key not valid. Please pass a valid API key.", reason="API_KEY_INVALID"), Kind.AUTH),
    ("google, an old key", 400, google("API key expired. Please renew the API key.", reason="API_KEY_INVALID"), Kind.AUTH),
    ("google, place", 400, google("User location is not supported for the API use.", "FAILED_PRECONDITION"), Kind.AUTH),
    ("google, permission", 403, google("Permission denied", "PERMISSION_DENIED", 403), Kind.AUTH),
    ("google, a quoted reason", 400, google("Invalid value: API_KEY_INVALID"), Kind.CLIENT),
    ("google, busy", 503, google("The model is overloaded. Please try again later.", "UNAVAILABLE", 503), Kind.OVERLOADED),
    ("google, withdrawn", 404, google("models/m is not found for API version v1beta", "NOT_FOUND", 404), Kind.GONE),
    ("google, cap", 400, google("Unable to submit request because it has a maxOutputTokens value of 100000 but the supported "
        "range is from 1 (inclusive) to 65537 (exclusive)."), Kind.CAP),
    ("google, no cap at all", 400, google("max_output_tokens must be positive."), Kind.CAP),
    # Overloads, under any status.
    ("anthropic, overloaded", 529, anthropic("overloaded_error", "Overloaded"), Kind.OVERLOADED),
    ("kimi, overloaded", 429, openai("The engine is currently overloaded, please try again later",
        "engine_overloaded_error"), Kind.OVERLOADED),
    ("nim, degraded", 400, {"status": 400, "title": "Bad Request",
        "detail": "Function id 'f': DEGRADED function cannot be invoked"}, Kind.OVERLOADED),
    ("llama.cpp, loading", 503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
     Kind.OVERLOADED),
    ("groq, capacity", 498, openai("Flex tier capacity exceeded"), Kind.OVERLOADED),
    ("a gateway", 503, b"<html><h1>503 Service Unavailable</h1></html>", Kind.OVERLOADED),
    # Models.
    ("nim, withdrawn", 404, {"status": 404, "title": "Not Found", "detail": "Function 'f': Not found for account 'a'"},
     Kind.GONE),
    ("ollama, missing", 404, {"error": "model 'm' not found"}, Kind.GONE),
    # The client's own.
    ("anthropic, field", 400, anthropic("invalid_request_error", "messages.0: Input does not match the expected shape."),
     Kind.CLIENT),
    ("anthropic, attribution", 400, anthropic("invalid_request_error", "system.0: x-anthropic-billing-header is a reserved "
        "keyword and may not be used in the system prompt"), Kind.CLIENT),
    ("fastapi", 422, {"detail": [{"loc": ["body", "x"], "msg": "extra fields", "type": "value_error"}]}, Kind.CLIENT),
    ("anthropic, size", 413, anthropic("request_too_large", "Request exceeds the maximum size"), Kind.CLIENT),
    ("teapot", 418, b"", Kind.CLIENT),
    # The client's own in a text that quotes it: no key is at fault, and no provider is ill.
    ("quoted, billing", 400, anthropic("invalid_request_error", "tools.3.custom.input_schema: property 'billing_address' is "
        "not valid JSON schema"), Kind.CLIENT),
    ("quoted, balance", 400, anthropic("invalid_request_error", "tools.0.custom.name: 'insufficient_balance' is taken"),
     Kind.CLIENT),
    ("quoted, 1113", 400, anthropic("invalid_request_error", "messages.1113: `tool_use` ids were found without "
        "`tool_result` blocks"), Kind.CLIENT),
    ("quoted, overloaded", 400, anthropic("invalid_request_error", "tools.0.custom.name: 'overloaded_fn' duplicate tool "
        "names"), Kind.CLIENT),
    ("quoted, degraded", 422, openai("tools.0.name: 'degraded function' is not a name"), Kind.CLIENT),
    ("quoted, by another host", 400, openai("Invalid schema for function 'credit_balance': 'billing' is not of type "
        "'object'", "invalid_request_error", "invalid_function_parameters"), Kind.CLIENT),
    ("quoted, in a plain text", 422, b"unknown field billing at messages.1113", Kind.CLIENT),
    # What is meant under the same statuses is said by a code, or in a sentence of the provider's own.
    ("meant, balance", 400, openai("Insufficient Balance", "unknown_error"), Kind.QUOTA),
    ("meant, 1113", 400, openai("Please recharge.", None, 1113), Kind.QUOTA),
    ("meant, overloaded", 400, openai("Try later.", "engine_overloaded_error"), Kind.OVERLOADED),
    # The rest is the server's, redirects and odd successes included.
    *((f"status {status}", status, b"", Kind.SERVER)
      for status in (204, 302, 307, 408, 409, 425, 500, 501, 502, 504, 520, 521, 522, 523, 524)),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), [row[1:] for row in KINDS], ids=[row[0] for row in KINDS])
def test_what_an_error_stands_for(status: int, body: Any, kind: Kind) -> None:
    """The text decides before the status does."""
    failure = of(status, body)
    assert (failure.kind, failure.tokens, failure.status) == (kind, None, status)


class TestWords:
    """What a person, and the client, are shown."""

    def test_a_native_error_is_kept_as_it_came(self) -> None:
        """Claude Code matches Anthropic's wording and mends its request."""
        body = orjson.dumps(anthropic("invalid_request_error", "max_tokens: 9 > 8"))
        failure = of(400, body)
        assert (failure.native, failure.body) == (True, body)

    @pytest.mark.parametrize(
        "body",
        [
            openai("no"),
            {"type": "error", "error": "no"},
            {"type": "error", "error": {"message": "no"}},
            b"no",
            b"",
            b"[]",
        ],
    )
    def test_any_other_is_not(self, body: Any) -> None:
        """The client is told in Anthropic's form instead."""
        failure = of(400, body)
        assert (failure.native, failure.body) == (False, None)

    @pytest.mark.parametrize(
        ("status", "content_type", "body", "message"),
        [
            (500, "application/json", b'{"error":{"type":"api_error","message":"boom"}}', "api_error: boom"),
            (500, "application/json", b'{"error":{"type":"error","code":null,"message":"boom"}}', "boom"),
            (500, "application/json", b'{"error":"boom"}', "boom"),
            (500, "application/json", b'{"detail":"boom"}', "boom"),
            (500, "application/json", b'[{"error":{"status":"INTERNAL","message":"boom"}}]', "INTERNAL: boom"),
            (500, "text/plain", b"boom,\n  loudly", "boom, loudly"),
            (502, "text/html", b"<html>secret</html>", "an HTML page instead of an answer"),
            (502, "", b"  <!doctype html>", "an HTML page instead of an answer"),
            (500, "application/json", b"", "status 500 without a text"),
            (500, "application/json", b"[]", "status 500 without a text"),
            (500, "application/json", b"7", "status 500 without a text"),
            (500, "application/json", b'{"error":[1]}', "status 500 without a text"),
        ],
    )
    def test_the_message_is_short_and_on_one_line(
        self, status: int, content_type: str, body: bytes, message: str
    ) -> None:
        """Whatever form the provider gave it."""
        assert of(status, body, {"content-type": content_type}).message == message

    @pytest.mark.parametrize(
        ("location", "where"),
        [
            ("https://user:pass@elsewhere.test/v1?token=t", " on elsewhere.test"),
            ("/v2/messages", ""),
            ("http://[::bad", ""),
            ("", ""),
        ],
    )
    def test_a_redirect_is_called_one(self, location: str, where: str) -> None:
        """With the host that was named, and nothing else of the address."""
        failure = of(307, b"", {"location": location})
        assert failure.message == f"redirects to another address{where}, which is not followed"

    def test_a_long_text_is_cut(self) -> None:
        """A page of it helps nobody."""
        assert len(of(500, openai("x" * 5000)).message) == MAX_TEXT

    @pytest.mark.parametrize("name", ["request-id", "x-request-id"])
    def test_the_providers_own_id_is_kept(self, name: str) -> None:
        """Its support will ask for it."""
        assert of(500, b"", {name: "up-1"}).upstream_id == "up-1"


NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


class TestRetryAfter:
    """How long a provider asks us to wait."""

    @pytest.mark.parametrize(
        ("headers", "text", "seconds"),
        [
            ({"retry-after": "7"}, "", 7.0),
            ({"retry-after": "1.5"}, "", 1.5),
            ({"retry-after": "0"}, "", 0.0),
            ({"retry-after-ms": "250"}, "", 0.25),
            ({"retry-after-ms": "250", "retry-after": "7"}, "try again in 9s", 0.25),
            ({"retry-after-ms": "soon", "retry-after": "7"}, "", 7.0),
            ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, "", 30.0),
            ({"retry-after": "Fri, 15 Jan 2027 07:59:30 GMT"}, "", 0.0),
            ({"retry-after": "-3"}, "", None),
            ({"retry-after": "nan"}, "", None),
            ({"retry-after": "inf"}, "", None),
            ({"retry-after": "tomorrow"}, "Please try again in 5.289s.", 5.289),
            ({}, "Please try again in 1m2.5s.", 62.5),
            ({}, "Please TRY AGAIN in 120ms", 0.12),
            ({}, "try again in 2m", 120.0),
            ({}, "try again in a moment", None),
            ({}, "Your limit will reset at 2027-01-15 08:01:00", 60.0),
            ({}, "Your limit will reset at 2027-01-15 17:00:00", 3600.0),
            ({}, "Your limit will reset at 2027-01-15T08:00:30Z", 30.0),
            ({}, "Your limit will reset at 2027-99-99 17:00:00", None),
            ({}, "The limit was reset at 2020-01-15 17:00:00", None),
            ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.5s"}, "", 179.5),
            ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, "", 0.12),
            ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"}, "", 3600.0),
            ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, "", None),
            ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "9s"}, "", None),
            ({}, "", None),
        ],
    )
    def test_each_form_is_read(self, headers: dict[str, str], text: str, seconds: float | None) -> None:
        """Milliseconds, seconds, a date, the text: in this order."""
        assert retry_after_s(headers, text, NOW) == (None if seconds is None else pytest.approx(seconds))

    def test_a_moment_in_the_body_is_read(self) -> None:
        """Seconds since the epoch, as the Codex service gives them for a plan's window."""
        body = b'{"error": {"type": "usage_limit_reached", "resets_at": %d}}' % (NOW + 7200)
        assert retry_after_s({}, "", NOW, body) == 7200.0

    def test_a_date_needs_the_time_of_day(self) -> None:
        """Without it there is no telling."""
        assert retry_after_s({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}) is None

    def test_it_comes_with_the_failure(self) -> None:
        """From the headers or from the body's text."""
        assert of(429, openai("slow down"), {"retry-after": "12"}).retry_after_s == 12
        assert of(429, openai("Rate limit reached. Please try again in 5.289s")).retry_after_s == pytest.approx(5.289)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "type", "code", "message", "detail", "status"]), inner, max_size=4)
    ),
    max_leaves=12,
)
_texts = st.sampled_from(
    ["9" * 5000, "try again in " + "9" * 400 + "m", "1" * 13 + " tokens > 99,999 maximum", "prompt is too long: 1,,, 2"]
)


@settings(deadline=None, max_examples=300)
@given(
    status=st.integers(100, 999),
    body=st.binary(max_size=80) | _json.map(orjson.dumps) | _texts.map(str.encode),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "content-type", "request-id"]),
        st.text(max_size=30)
        | st.sampled_from(["Mon, 01 Jan 0001 00:00:00 -0000", "Mon, 99 Foo 99999 25:61:61 +9999", "1e400", "9" * 5000]),
    ),
)
def test_no_answer_of_a_provider_raises(status: int, body: bytes, headers: dict[str, str]) -> None:
    """It may send what it likes; the wait is a finite number, the message is short and the numbers are in order."""
    failure = classify(status, headers, body, now_wall_s=NOW)
    assert failure.message
    assert len(failure.message) <= MAX_TEXT
    assert failure.retry_after_s is None or 0 <= failure.retry_after_s < float("inf")
    assert failure.tokens is None or failure.tokens[0] > failure.tokens[1]


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, b'{"error":{"details":[{"@type":"x.RetryInfo","retryDelay":"17s"}]}}', 17.0),
        ({}, b'{"error":{"type":"usage_limit_reached","resets_in_seconds": 90}}', 90.0),
        ({"retry-after": "3"}, b'{"retryDelay":"17s"}', 3.0),
        ({"x-ratelimit-reset": "1800000030000", "x-ratelimit-remaining": "0"}, b"", 30.0),
        ({"x-ratelimit-reset": "1800000030000", "x-ratelimit-remaining": "7"}, b"", None),
        ({"x-ratelimit-reset": "30", "x-ratelimit-remaining": "0"}, b"", 30.0),
    ],
)
def test_a_wait_stands_in_places_of_a_hosts_own(headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    """After the usual ones."""
    assert retry_after_s(headers, "", 1_800_000_000.0, body) == seconds


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("context_length_exceeded", "Your input exceeds the context window of this model.", Kind.TOO_LONG),
        ("rate_limit_exceeded", "Limit 1, Requested 30 on tokens per min (TPM)", Kind.RATE_LIMITED),
        ("insufficient_quota", "You exceeded your current quota.", Kind.QUOTA),
        ("server_is_overloaded", "Our servers are currently overloaded.", Kind.OVERLOADED),
        ("slow_down", "Slow down.", Kind.OVERLOADED),
        ("server_error", "The server had an error.", Kind.ERROR_EVENT),
        ("invalid_prompt", "Invalid prompt.", Kind.ERROR_EVENT),
        (None, "Something is overloaded.", Kind.ERROR_EVENT),
    ],
)
def test_what_a_responses_stream_fails_with(code: str | None, text: str, kind: Kind) -> None:
    """The codes of `response.failed` and of `error` events, before any content."""
    failure = classify_in_stream({"upstream": {"code": code, "message": text}})
    assert (failure.kind, failure.status) == (kind, 200)
