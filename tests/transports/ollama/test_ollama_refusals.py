"""What Ollama's refusals mean, by status and inside an answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from policies import FailureKind as Kind
from transports._classify import classify, classify_in_stream
from transports.ollama._encoder import OPTIONAL


@pytest.mark.parametrize(
    ("status", "error", "kind", "fields"),
    [
        (400, '"llama3" does not support thinking', Kind.FIELD, {"think"}),
        (400, 'think value "low" is not supported for this model', Kind.FIELD, {"think"}),
        (400, "invalid format: json_schema is not supported", Kind.FIELD, {"format"}),
        (400, "the input length exceeds the context length", Kind.TOO_LONG, set()),
        (500, "the input length exceeds the context length", Kind.TOO_LONG, set()),
        (500, "prompt exceeds maximum context length", Kind.TOO_LONG, set()),
        (500, "model requires more system memory (5.6 GiB) than is available (3.1 GiB)", Kind.SERVER, set()),
        (404, "model 'nobody' not found", Kind.GONE, set()),
        (429, "you have reached your hourly usage limit", Kind.RATE_LIMITED, set()),
        (503, "server busy, please try again. maximum pending requests exceeded", Kind.OVERLOADED, set()),
    ],
)
def test_a_refusal_means_what_it_says(status: int, error: str, kind: Kind, fields: set[str]) -> None:
    """Its only form is a text."""
    failure = classify(status, {}, orjson.dumps({"error": error}), sent=OPTIONAL)
    assert (failure.kind, set(failure.fields), failure.message) == (kind, fields, error)


@pytest.mark.parametrize(
    ("upstream", "kind"),
    [
        ({"message": "the input length exceeds the context length"}, Kind.TOO_LONG),
        ({"message": "an error was encountered while running the model"}, Kind.ERROR_EVENT),
        ({"message": "rate limit exceeded"}, Kind.RATE_LIMITED),
        ({"message": "busy", "status_code": 503}, Kind.ERROR_EVENT),
    ],
)
def test_so_does_a_line_with_an_error(upstream: Any, kind: Kind) -> None:
    """Before anything was said."""
    assert classify_in_stream({"type": "error", "upstream": upstream}).kind is kind
