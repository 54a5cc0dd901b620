"""Lists of models, whoever gives them: what a host says of each of its models, as far as it says anything.

Every host lists its models, and no two of them alike: one calls the window `context_length`, the next `max_model_len`, the
third hides it in a list of loaded instances. A reader for each host would be twelve readers that differ in names alone. So
there is one, and a table of the places where each fact has been seen; the first place that holds a sensible value counts.
What comes from outside may be anything: an entry that is no model is left out, a value that makes no sense is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from policies import Capabilities, Price

#: Models that are read of one list: Hugging Face and OpenRouter have hundreds, nobody has tens of thousands.
MAX_MODELS = 20_000
#: The longest id or name that is taken for one, in characters.
_MAX_NAME = 512
#: No window is larger, in tokens; a greater number is a mistake or a way to say "no limit".
_MAX_TOKENS = 100_000_000
#: Dollars per million tokens; nobody asks more.
_MAX_PRICE = 1e5


class NotAList(ValueError):
    """The answer is JSON, and no list of models."""


@attrs.frozen(kw_only=True)
class ListedModel:
    """One model as its host tells of it. None is "not told"; `price` is None as well where `free` is True."""

    id: str
    name: str = ""
    capabilities: Capabilities = Capabilities()
    thinking: bool | None = None
    price: Price | None = None
    free: bool = False


def models_in(answer: Any) -> list[ListedModel]:
    """The models of a list in any of the shapes in use, each id once, in the host's order. Raises NotAList."""
    rows = answer if isinstance(answer, list) else _rows(answer)
    if rows is None:
        raise NotAList("the answer is not a list of models")
    found: dict[str, ListedModel] = {}
    for row in rows[:MAX_MODELS]:
        model = _model(row) if isinstance(row, dict) else None
        if model is not None:
            found.setdefault(model.id, model)
    return list(found.values())


def next_page(answer: Any) -> Mapping[str, str]:
    """What to ask for besides, to be given the page behind this one; empty at the last. Anthropic's and Google's way."""
    if not isinstance(answer, dict):
        return {}
    after, token = answer.get("last_id"), answer.get("nextPageToken")
    if answer.get("has_more") is True and isinstance(after, str) and after:
        return {"after_id": after}
    return {"pageToken": token} if isinstance(token, str) and token else {}


def _rows(answer: Any) -> list[Any] | None:
    if not isinstance(answer, dict):
        return None
    rows = answer.get("data", answer.get("models"))
    return rows if isinstance(rows, list) else None


def _model(row: dict[str, Any]) -> ListedModel | None:
    id = next((name for key in ("id", "key", "model", "name") if (name := _name(row.get(key)))), "")
    if not id:
        return None
    free, price = _price(row)
    return ListedModel(
        id=id.removeprefix("models/"),  # Google's lists give a resource's name where a request takes the model's
        name=next((name for key in ("display_name", "displayName", "name") if (name := _name(row.get(key)))), ""),
        capabilities=Capabilities(
            context=_tokens(row, _CONTEXT),
            max_output=_tokens(row, _OUTPUT),
            **{what: _can(row, places) for what, places in _CAN.items()},
        ),
        thinking=_can(row, _THINKS),
        price=price,
        free=free,
    )


#: Where the window stands, in tokens. `*` is each entry of a list. That of a loaded model comes before what it could have.
_CONTEXT = (
    "loaded_instances.*.config.context_length",  # LM Studio
    "context_length",  # OpenRouter, Kimi, Fireworks, Together, SambaNova
    "context_window",  # Groq
    "max_model_len",  # vLLM
    "max_input_tokens",  # Anthropic
    "max_context_length",  # Mistral, LM Studio
    "inputTokenLimit",  # Google
    "limits.max_input_tokens",  # GitHub Models
    "capabilities.limits.max_prompt_tokens",  # GitHub Copilot
    "capabilities.limits.max_context_window_tokens",
    "max_token_count",  # Zed
    "providers.*.context_length",  # Hugging Face: the widest of those that serve it
    "meta.n_ctx",  # llama.cpp
    "meta.n_ctx_train",
)
_OUTPUT = (
    "top_provider.max_completion_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "outputTokenLimit",
    "limits.max_output_tokens",
    "capabilities.limits.max_output_tokens",
    "max_tokens",
)
#: Where an ability is told, and the word for it where it is one of a list.
_CAN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "tools": (
        ("supports_tools", ""),
        ("supported_parameters", "tools"),
        ("supported_features", "tools"),
        ("capabilities.function_calling", ""),
        ("capabilities.trained_for_tool_use", ""),
        ("capabilities.supports.tool_calls", ""),
        ("providers.*.supports_tools", ""),
    ),
    "images": (
        ("supports_images", ""),
        ("supports_image_input", ""),
        ("supports_image_in", ""),
        ("architecture.input_modalities", "image"),
        ("input_modalities", "image"),
        ("capabilities.vision", ""),
        ("capabilities.image_input.supported", ""),
        ("capabilities.supports.vision", ""),
    ),
    "documents": (("architecture.input_modalities", "file"), ("capabilities.pdf_input.supported", "")),
}
_THINKS = (
    ("supports_thinking", ""),
    ("supports_reasoning", ""),
    ("thinking", ""),
    ("supported_parameters", "reasoning"),
    ("supported_features", "reasoning"),
    ("capabilities.reasoning", ""),
    ("capabilities.thinking.supported", ""),
)


def _price(row: dict[str, Any]) -> tuple[bool, Price | None]:
    """Whether it is free, and else its price. OpenRouter gives dollars per token, in strings; the others per million."""
    for table in (row.get("pricing"), *_at(row, "providers.*.pricing")):
        if not isinstance(table, dict):
            continue
        per_token = "prompt" in table
        scale = 1e6 if per_token else 1.0
        read = [_dollars(table.get(key), scale) for key in _PRICES[per_token]]
        if read[0] is not None and read[1] is not None:
            free = not (read[0] or read[1])
            price = Price(input=read[0], output=read[1], cache_read=read[2], cache_write=read[3])
            return free, None if free else price
    return False, None


#: The fields of a price: input, output, read from a cache, written to one; per token and per million.
_PRICES: Mapping[bool, tuple[str, ...]] = {
    True: ("prompt", "completion", "input_cache_read", "input_cache_write"),
    False: ("input", "output", "cached_input", "cache_write"),
}


def _dollars(value: Any, scale: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        dollars = float(value) * scale
    except (ValueError, OverflowError):
        return None
    return round(dollars, 6) if math.isfinite(dollars) and 0 <= dollars <= _MAX_PRICE else None


def _tokens(row: dict[str, Any], places: tuple[str, ...]) -> int | None:
    for place in places:
        counts = [value for value in _at(row, place) if type(value) is int and 0 < value <= _MAX_TOKENS]
        if counts:
            return max(counts)
    return None


def _can(row: dict[str, Any], places: tuple[tuple[str, str], ...]) -> bool | None:
    """What the first place that says anything says; of several that serve a model one is enough."""
    for place, word in places:
        said = [truth for value in _at(row, place) if (truth := _said(value, word)) is not None]
        if said:
            return any(said)
    return None


def _said(value: Any, word: str) -> bool | None:
    """A yes or no, or whether a list holds the word; anything else says nothing."""
    if word:
        return word in value if isinstance(value, list) else None
    return value if isinstance(value, bool) else None


def _at(value: Any, place: str) -> Iterator[Any]:
    """The values at a dotted place, none where there is no such place."""
    first, _, rest = place.partition(".")
    if first == "*":
        found = value if isinstance(value, list) else []
    else:
        found = [value[first]] if isinstance(value, dict) and first in value else []
    for inner in found:
        if rest:
            yield from _at(inner, rest)
        else:
            yield inner


def _name(value: Any) -> str:
    """A name that can be shown in a line; anything else is none."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_NAME and value.isprintable() else ""
