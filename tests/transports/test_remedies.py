"""Refusals that one more try can mend: what hosts say, and what is to be changed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from policies import FailureKind as Kind
from tests.transports.test_classify import anthropic, google, of, openai
from transports._classify import classify
from transports.gemini import OPTIONAL

#: Texts of a prompt that fits, with too long an answer behind it: who says it, body, the answer that there is room for.
RESERVE: list[tuple[str, int, Any, int]] = [
    ("anthropic", 400, anthropic("invalid_request_error", "input length and `max_tokens` exceed context limit: "
        "190000 + 20000 > 200000, decrease input length or `max_tokens` and try again"), 9744),
    ("openai", 400, openai(
        "This model's maximum context length is 131072 tokens. However, you requested 150000 tokens (100000 in the messages, "
        "50000 in the completion). Please reduce the length of the messages or completion."), 30816),
    ("openrouter", 400, openai(
        "This endpoint's maximum context length is 128000 tokens. However, you requested about 140500 tokens (100000 of "
        "text input, 10500 of tool input, 30000 in the output).", None, 400), 17244),
    ("openrouter, no tools", 400, openai(
        "This endpoint's maximum context length is 128000 tokens. However, you requested about 140500 tokens (110500 of "
        "text input, 30000 in the output).", None, 400), 17244),
    ("vllm", 400, openai("'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum "
        "context length is 8192 tokens and your request has 6000 input tokens (4096 > 8192 - 6000)."), 1936),
    ("vllm, new", 400, openai("This model's maximum context length is 8192 tokens. However, you requested 6000 output "
        "tokens and your prompt contains at least 4000 input tokens.", "BadRequestError", 400), 3936),
    ("sglang", 400, openai("Requested token count exceeds the model's maximum context length of 8192 tokens. You requested "
        "a total of 9000 tokens: 4000 tokens from the input messages and 5000 tokens for the completion."), 3936),
    ("tgi", 422, {"error_type": "validation", "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be "
        "<= 4096. Given: 2000 `inputs` tokens and 3000 `max_new_tokens`"}, 1840),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "cap"), [row[1:] for row in RESERVE], ids=[row[0] for row in RESERVE])
def test_a_prompt_that_leaves_too_little_room(status: int, body: Any, cap: int) -> None:
    """One more try with the answer that there is room for."""
    failure = of(status, body)
    assert (failure.kind, failure.cap) == (Kind.RESERVE, cap)


CAP_FIELDS = {"max_tokens", "max_completion_tokens", "max_output_tokens"}
#: Limits on the answer: what each host says, and the longest answer it gives. 100,000 tokens were asked for.
CAPS: list[tuple[str, Any, int]] = [
    ("anthropic", anthropic("invalid_request_error", "max_tokens: 100000 > 64000, which is the maximum allowed number of "
        "output tokens for claude-sonnet-4-5"), 64_000),
    ("deepseek", openai("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"), 8192),
    ("qwen", openai("Range of max_tokens should be [1, 65536]", None, "InvalidParameter"), 65_536),
    ("openai", openai("max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you "
        "provided 100000.", "invalid_request_error"), 16_384),
    ("groq", openai("`max_completion_tokens` must be less than or equal to `8192`, the maximum value for "
        "`max_completion_tokens` is less than the `context_window` for this model"), 8192),
    ("responses", openai("Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 16384, but got "
        "100000 instead.", "invalid_request_error", "integer_above_max_value"), 16_384),
    ("responses, by name", {"error": {"message": "Invalid 'max_output_tokens': integer above maximum value. Expected a value "
        "<= 16384, but got 100000 instead.", "param": "max_output_tokens", "code": "integer_above_max_value"}}, 16_384),
    ("google", google("Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is "
        "from 1 (inclusive) to 65537 (exclusive). Update the value and try again."), 65_536),
    ("no number", openai("max_tokens is too high"), 8192),
    ("a status", openai("Request failed with status 400: max_tokens is too high"), 8192),
    ("a code", openai("Error code: 1210 - max_tokens is too high"), 8192),
    ("a request", openai("max_tokens is too high (request id 12345-678)"), 8192),
    ("a model", openai("max_tokens is too high for mistral-medium-2604"), 8192),
    ("a model and a limit", openai("max_tokens is too high: gpt-4-32768 gives at most 4096"), 4096),
]  # fmt: skip


@pytest.mark.parametrize(("body", "cap"), [row[1:] for row in CAPS], ids=[row[0] for row in CAPS])
def test_an_answer_that_may_not_be_so_long(body: Any, cap: int) -> None:
    """One more try with the longest that there is."""
    failure = classify(400, {}, orjson.dumps(body), max_tokens=100_000, sent=CAP_FIELDS)
    assert (failure.kind, failure.cap) == (Kind.CAP, cap)


#: Refusals of a field: who says it, status, body, the fields. The request had all of `SENT`.
SENT = frozenset(
    ["max_tokens", "stream_options", "parallel_tool_calls", "tool_choice", "reasoning_effort", "chat_template_kwargs", "stop",
     "reasoning_content", "temperature", "top_k", "developer", "response_format", "reasoning", "prompt_cache_key"]
)  # fmt: skip
EXTRA = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}
FIELDS: list[tuple[str, int, Any, set[str]]] = [
    ("openai, a recording", 400, {"error": {"message": "Unsupported parameter: 'stop' is not supported with this model.",
        "type": "invalid_request_error", "param": "stop", "code": "unsupported_parameter"}}, {"stop"}),
    ("openai, value", 400, {"error": {"message": "Unsupported value: 'temperature' does not support 0.5 with this model. Only "
        "the default (1) value is supported.", "param": "temperature", "code": "unsupported_value"}}, {"temperature"}),
    ("openai, the other cap", 400, {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this "
        "model. Use 'max_completion_tokens' instead.", "param": "max_tokens", "code": "unsupported_parameter"}},
     {"max_tokens"}),
    ("openai, unknown", 400, openai("Unrecognized request argument supplied: reasoning_effort"), {"reasoning_effort"}),
    ("openai, role", 400, {"error": {"message": "Unsupported value: 'messages[0].role' does not support 'developer' with this "
        "model.", "param": "messages[0].role", "code": "unsupported_value"}}, {"developer"}),
    ("groq", 400, openai("property 'prompt_cache_key' is unsupported", "invalid_request_error"), {"prompt_cache_key"}),
    ("google", 400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Invalid JSON payload received. "
        "Unknown name \"parallel_tool_calls\": Cannot find field."}}], {"parallel_tool_calls"}),
    ("mistral", 422, {"detail": [{**EXTRA, "loc": ["body", "stream_options"]}]}, {"stream_options"}),
    ("fastapi, two", 422, {"detail": [{**EXTRA, "loc": ["body", "top_k"]},
        {**EXTRA, "loc": ["body", "messages", 1, "reasoning_content"]}]}, {"top_k", "reasoning_content"}),
    ("nim", 400, {"status": 400, "title": "Bad Request", "detail": "Unsupported parameter: chat_template"},
     {"chat_template_kwargs"}),
    ("openrouter", 404, {"error": {"code": 404, "message": "No endpoints found that support the provided 'tool_choice' value: "
        "the parameter is not supported."}}, {"tool_choice"}),
    ("openrouter, thinking", 400, {"error": {"code": 400, "message": "Reasoning is mandatory for this endpoint and cannot be "
        "disabled."}}, {"reasoning", "reasoning_effort"}),
    ("groq, value", 400, openai("`reasoning_effort` must be one of `none` or `default`"), {"reasoning_effort"}),
    ("kimi, temperature", 400, openai("invalid temperature: only 1 is allowed for this model"), {"temperature"}),
    ("zai, choice", 400, openai("tool_choice 'required' is incompatible with thinking enabled"),
     {"tool_choice", "reasoning_effort"}),
    ("ollama, thinking", 400, {"error": "\"llama3.2\" does not support thinking"}, {"reasoning_effort"}),
    ("named apart", 400, {"error": {"message": "Invalid value.", "param": "top_k"}}, {"top_k"}),
    ("deepseek, format", 400, openai("This response_format type is unavailable now: json_schema is not supported"),
     {"response_format"}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "fields"), [row[1:] for row in FIELDS], ids=[row[0] for row in FIELDS])
def test_a_field_that_a_host_refuses(status: int, body: Any, fields: set[str]) -> None:
    """One more try without it; what was not sent is not found."""
    failure = classify(status, {}, orjson.dumps(body), sent=SENT)
    assert (failure.kind, set(failure.fields)) == (Kind.FIELD, fields)
    assert classify(status, {}, orjson.dumps(body)).kind in (Kind.CLIENT, Kind.GONE, Kind.FIELD)


#: The same of Gemini's own wire, whose request had all of `GEMINI`.
UNKNOWN = "Invalid JSON payload received. Unknown name \"{}\" at '{}': Cannot find field."
GEMINI: list[tuple[str, set[str]]] = [
    (UNKNOWN.format("parametersJsonSchema", "tools[0].function_declarations[0]"), {"parametersJsonSchema"}),
    (UNKNOWN.format("thinkingLevel", "generation_config.thinking_config"), {"thinkingLevel", "thinkingConfig"}),
    (UNKNOWN.format("thinkingConfig", "generation_config"), {"thinkingConfig"}),
    (UNKNOWN.format("parts", "contents[2].parts[0].function_response"), {"functionResponse.parts"}),
    (UNKNOWN.format("id", "contents[1].parts[0].function_call"), {"functionCall.id"}),
    ("Thinking level is not supported for this model.", {"thinkingLevel"}),
    ("The thinking budget 0 is invalid. Please choose a value between 128 and 32768.", {"thinkingBudget"}),
    ("Budget 0 is invalid. This model only works in thinking mode.", {"thinkingBudget", "thinkingConfig"}),
    ("Unable to submit request because thinking_budget is out of range; supported values are integers from 1 to 24576.",
     {"thinkingBudget"}),
    ("Corrupted thought signature.", {"thoughtSignature"}),
    ("Invalid thought signature.", {"thoughtSignature"}),
    ("Thought signature is not valid", {"thoughtSignature"}),
    ("Function calling with a response mime type: 'application/json' is unsupported", {"responseMimeType"}),
    ("Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and "
     "missing thought_signature may lead to degraded model performance.", set()),
    ("Please ensure that function call turn comes immediately after a user turn or after a function response turn.", set()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fields"), GEMINI)
def test_a_field_that_gemini_refuses(text: str, fields: set[str]) -> None:
    """By Google's names, and by those of what they hold."""
    failure = classify(400, {}, orjson.dumps(google(text)), sent=OPTIONAL)
    assert (failure.kind, set(failure.fields)) == (Kind.FIELD if fields else Kind.CLIENT, fields)


@pytest.mark.parametrize(
    "text",
    [
        "messages.3.content: Input should be a valid string",
        "Invalid schema for function 'get_temperature': unknown type",
        "'temperature' must be between 0 and 2",
        "tools.0.function.name: 'my-stop' is not allowed",
        "The value is not allowed. See the page on temperature.",
    ],
)
def test_a_request_that_is_wrong_in_itself_is_the_clients(text: str) -> None:
    """A name that is part of another, or a value that nobody takes, is no refusal of a field."""
    assert classify(400, {}, orjson.dumps(openai(text)), sent=SENT).kind is Kind.CLIENT


@pytest.mark.parametrize(
    ("text", "window"),
    [
        (
            "This model's maximum context length is 131072 tokens. However, your messages resulted in 140000 tokens.",
            131_072,
        ),
        ("Error code: 400 - maximum context length is 131072 tokens", 131_072),
        ("Llama-3.1-405B: maximum context length is 8192 tokens", 8192),
        ("prompt is too long (error 400, limit 131072)", None),
        ("The prompt is too long: 140000, of 131072", None),
    ],
)
def test_a_window_is_what_is_called_one(text: str, window: int | None) -> None:
    """A status, a version and the size of a model are numbers, too."""
    failure = classify(400, {}, orjson.dumps(openai(text)))
    assert (failure.kind, failure.window) == (Kind.TOO_LONG, window)
    assert failure.tokens is None or min(failure.tokens) >= 1024


@pytest.mark.parametrize("code", ["tool_use_failed", "json_validate_failed"])
def test_what_the_model_wrote_wrong_is_not_the_clients_fault(code: str) -> None:
    """The next candidate may do better."""
    assert of(400, openai("Failed to call a function.", "invalid_request_error", code)).kind is Kind.MALFORMED


def test_a_picture_that_nobody_takes_puts_no_model_out() -> None:
    """The next candidate is asked, and this one again with the next text."""
    body = {"error": {"code": 404, "message": "No endpoints found that support image input"}}
    assert of(404, body).kind is Kind.FIELD


def test_minimax_says_it_in_a_field_of_its_own() -> None:
    """With an error status as well as without."""
    body = {"base_resp": {"status_code": 2013, "status_msg": "invalid params, context window exceeds limit"}}
    assert of(400, body).kind is Kind.TOO_LONG


#: The same of what is sent over Responses.
RESPONSES = frozenset(
    ["include", "store", "reasoning", "reasoning.effort", "reasoning.summary", "text", "temperature", "max_output_tokens",
     "encrypted_content", "instructions", "prompt_cache_key", "strict", "tool_choice"]
)  # fmt: skip


def unsupported(param: str, text: str, code: str = "unsupported_parameter") -> dict[str, Any]:
    return {"error": {"message": text, "type": "invalid_request_error", "param": param, "code": code}}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (unsupported("reasoning.effort", "Unsupported parameter: 'reasoning.effort' is not supported with this model."),
         {"reasoning.effort"}),
        (unsupported("reasoning.summary", "Your organization must be verified to generate reasoning summaries.",
                     "unsupported_value"), {"reasoning.summary"}),
        (unsupported("reasoning", "Unknown parameter: 'reasoning'."), {"reasoning"}),
        (unsupported("include", "Encrypted content is not supported with this model."), {"include"}),
        (openai("Unsupported parameter: max_output_tokens"), {"max_output_tokens"}),
        (unsupported("max_output_tokens", "Unsupported parameter: 'max_output_tokens'."), {"max_output_tokens"}),
        (openai("Unknown parameter: 'text.format'."), {"text"}),
        (openai("The parameter `store` is not supported."), {"store"}),
        (openai("Argument not supported: instructions"), {"instructions"}),
        (unsupported("", "The encrypted content gAAA could not be verified.", "invalid_encrypted_content"),
         {"encrypted_content"}),
        # These name none of the fields, though their words are names of some.
        (openai("Unsupported content: the text must include instructions to store"), set()),
    ],
)  # fmt: skip
def test_a_field_of_responses_that_is_refused(body: Any, fields: set[str]) -> None:
    """A part of a field alone where that is what is refused; a word of plain English is no field."""
    failure = classify(
        400, {"content-type": "application/json"}, orjson.dumps(body), sent=RESPONSES, max_tokens=100_000
    )
    assert failure.fields == fields
    assert failure.kind is (Kind.FIELD if fields else Kind.CLIENT)
