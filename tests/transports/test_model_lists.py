"""Lists of models in every shape in use, and what a hostile one may not do."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Capabilities, Price
from tests.recordings import Recording, recordings
from transports._models import MAX_MODELS, ListedModel, NotAList, models_in, next_page

#: One row of each host's list, as documented, and what it says.
ROWS: dict[str, tuple[Any, ListedModel]] = {
    "openai": ({"data": [{"id": "gpt-5", "object": "model", "owned_by": "openai"}]}, ListedModel(id="gpt-5")),
    "open_router": (
        {
            "data": [
                {
                    "id": "qwen/qwen3-coder",
                    "name": "Qwen3 Coder",
                    "context_length": 262_144,
                    "architecture": {"input_modalities": ["text", "image", "file"]},
                    "pricing": {"prompt": "0.0000003", "completion": "0.0000012", "input_cache_read": "0.00000003"},
                    "top_provider": {"context_length": 131_072, "max_completion_tokens": 65_536},
                    "supported_parameters": ["tools", "temperature"],
                }
            ]
        },
        ListedModel(
            id="qwen/qwen3-coder",
            name="Qwen3 Coder",
            capabilities=Capabilities(context=262_144, max_output=65_536, tools=True, images=True, documents=True),
            thinking=False,
            price=Price(input=0.3, output=1.2, cache_read=0.03),
        ),
    ),
    "a free one": (
        {"data": [{"id": "m:free", "pricing": {"prompt": "0", "completion": "0"}}]},
        ListedModel(id="m:free", free=True),
    ),
    "anthropic": (
        {
            "data": [
                {
                    "type": "model",
                    "id": "claude-haiku-4-5",
                    "display_name": "Claude Haiku 4.5",
                    "max_input_tokens": 200_000,
                    "max_tokens": 64_000,
                    "capabilities": {
                        "image_input": {"supported": True},
                        "pdf_input": {"supported": False},
                        "thinking": {"supported": True, "types": {}},
                    },
                }
            ],
            "has_more": False,
        },
        ListedModel(
            id="claude-haiku-4-5",
            name="Claude Haiku 4.5",
            capabilities=Capabilities(context=200_000, max_output=64_000, images=True, documents=False),
            thinking=True,
        ),
    ),
    "gemini": (
        {
            "models": [
                {
                    "name": "models/gemini-3.5-flash",
                    "displayName": "Gemini 3.5 Flash",
                    "inputTokenLimit": 1_048_576,
                    "outputTokenLimit": 65_536,
                    "supportedGenerationMethods": ["generateContent"],
                    "thinking": True,
                }
            ]
        },
        ListedModel(
            id="gemini-3.5-flash",
            name="Gemini 3.5 Flash",
            capabilities=Capabilities(context=1_048_576, max_output=65_536),
            thinking=True,
        ),
    ),
    "gemini, at its chat door": ({"data": [{"id": "models/gemini-3.5-flash"}]}, ListedModel(id="gemini-3.5-flash")),
    "ollama": (
        {"models": [{"name": "qwen3:8b", "model": "qwen3:8b", "size": 5, "details": {"family": "qwen3"}}]},
        ListedModel(id="qwen3:8b", name="qwen3:8b"),
    ),
    "lmstudio, loaded": (
        {
            "models": [
                {
                    "type": "llm",
                    "key": "qwen/qwen3-8b",
                    "display_name": "Qwen3 8B",
                    "loaded_instances": [{"id": "x", "config": {"context_length": 8192}}],
                    "max_context_length": 131_072,
                    "capabilities": {"vision": False, "trained_for_tool_use": True},
                }
            ]
        },
        ListedModel(
            id="qwen/qwen3-8b",
            name="Qwen3 8B",
            capabilities=Capabilities(context=8192, tools=True, images=False),
        ),
    ),
    "lmstudio, not loaded": (
        {"models": [{"key": "k", "loaded_instances": [], "max_context_length": 4096}]},
        ListedModel(id="k", capabilities=Capabilities(context=4096)),
    ),
    "llamacpp": (
        {"object": "list", "data": [{"id": "m.gguf", "meta": {"n_ctx_train": 40_960}}], "models": []},
        ListedModel(id="m.gguf", capabilities=Capabilities(context=40_960)),
    ),
    "vllm": (
        {"data": [{"id": "m", "max_model_len": 32_768}]},
        ListedModel(id="m", capabilities=Capabilities(context=32_768)),
    ),
    "groq": (
        {"data": [{"id": "m", "active": True, "context_window": 131_072, "max_completion_tokens": 65_536}]},
        ListedModel(id="m", capabilities=Capabilities(context=131_072, max_output=65_536)),
    ),
    "mistral": (
        {
            "data": [
                {"id": "m", "max_context_length": 1000, "capabilities": {"function_calling": True, "vision": False}}
            ]
        },
        ListedModel(id="m", capabilities=Capabilities(context=1000, tools=True, images=False)),
    ),
    "kimi": (
        {"data": [{"id": "m", "context_length": 1000, "supports_image_in": True, "supports_reasoning": False}]},
        ListedModel(id="m", capabilities=Capabilities(context=1000, images=True), thinking=False),
    ),
    "fireworks": (
        {"data": [{"id": "m", "context_length": 9, "supports_tools": True, "supports_image_input": False}]},
        ListedModel(id="m", capabilities=Capabilities(context=9, tools=True, images=False)),
    ),
    "together, a bare array": (
        [
            {
                "id": "m",
                "type": "chat",
                "display_name": "M",
                "context_length": 5,
                "pricing": {"input": 1.4, "output": 4.4},
            }
        ],
        ListedModel(id="m", name="M", capabilities=Capabilities(context=5), price=Price(input=1.4, output=4.4)),
    ),
    "huggingface, two hosts": (
        {
            "data": [
                {
                    "id": "m",
                    "architecture": {"input_modalities": ["text"]},
                    "providers": [
                        {"provider": "a", "context_length": 10, "supports_tools": False},
                        {
                            "provider": "b",
                            "context_length": 30,
                            "supports_tools": True,
                            "pricing": {"input": 0.1, "output": 0.2},
                        },
                    ],
                }
            ]
        },
        ListedModel(
            id="m",
            capabilities=Capabilities(context=30, tools=True, images=False, documents=False),
            price=Price(input=0.1, output=0.2),
        ),
    ),
    "github_models, a bare array": (
        [{"id": "openai/gpt", "limits": {"max_input_tokens": 8000, "max_output_tokens": 4000}}],
        ListedModel(id="openai/gpt", capabilities=Capabilities(context=8000, max_output=4000)),
    ),
    "github_copilot": (
        {
            "data": [
                {
                    "id": "m",
                    "capabilities": {
                        "limits": {
                            "max_context_window_tokens": 200,
                            "max_prompt_tokens": 100,
                            "max_output_tokens": 50,
                        },
                        "supports": {"tool_calls": True, "vision": True},
                    },
                }
            ]
        },
        ListedModel(id="m", capabilities=Capabilities(context=100, max_output=50, tools=True, images=True)),
    ),
    "zed": (
        {
            "models": [
                {
                    "provider": "anthropic",
                    "id": "claude",
                    "display_name": "Claude",
                    "max_token_count": 120_000,
                    "max_output_tokens": 8000,
                    "supports_tools": True,
                    "supports_images": True,
                    "supports_thinking": True,
                }
            ]
        },
        ListedModel(
            id="claude",
            name="Claude",
            capabilities=Capabilities(context=120_000, max_output=8000, tools=True, images=True),
            thinking=True,
        ),
    ),
}


@pytest.mark.parametrize("host", ROWS)
def test_each_hosts_list_is_read(host: str) -> None:
    """In its own words, into one shape."""
    answer, expected = ROWS[host]
    assert models_in(answer) == [expected]


@pytest.mark.parametrize("answer", [None, 7, "x", {}, {"data": {}}, {"error": {"message": "no"}}, {"models": None}])
def test_what_is_no_list_is_refused(answer: Any) -> None:
    """An error with status 200, a page of something else."""
    with pytest.raises(NotAList):
        models_in(answer)


@pytest.mark.parametrize(
    "entry",
    [None, 7, "id", [], {}, {"id": ""}, {"id": 7}, {"id": "a\nb"}, {"id": "x" * 600}, {"id": {"id": "x"}}],
)
def test_an_entry_that_is_no_model_is_left_out(entry: Any) -> None:
    """Its neighbours stay."""
    assert [model.id for model in models_in([{"id": "a"}, entry, {"id": "b"}])] == ["a", "b"]


@pytest.mark.parametrize("value", [True, -5, 0, 1.5, "8192", 10**12, None, [], {}])
def test_a_window_that_makes_no_sense_is_unknown(value: Any) -> None:
    """And the next place that tells one is looked at."""
    assert models_in([{"id": "m", "context_length": value}])[0].capabilities.context is None
    assert models_in([{"id": "m", "context_length": value, "max_model_len": 9}])[0].capabilities.context == 9


@pytest.mark.parametrize("value", [True, -1, "free", "nan", "inf", 10**400, None, [], {}])
def test_a_price_that_makes_no_sense_is_unknown(value: Any) -> None:
    """OpenRouter gives -1 for "it depends"; half a price is none."""
    (model,) = models_in([{"id": "m", "pricing": {"input": value, "output": 1}}])
    assert (model.price, model.free) == (None, False)


def test_each_model_is_told_once_in_the_hosts_order() -> None:
    """Lists repeat themselves; and one without end is read to a bound."""
    assert [model.id for model in models_in([{"id": "b"}, {"id": "a"}, {"id": "b", "name": "again"}])] == ["b", "a"]
    assert len(models_in([{"id": str(n)} for n in range(MAX_MODELS + 5)])) == MAX_MODELS


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        ({"has_more": True, "last_id": "m9"}, {"after_id": "m9"}),
        ({"has_more": False, "last_id": "m9"}, {}),
        ({"has_more": True, "last_id": None}, {}),
        ({"nextPageToken": "t"}, {"pageToken": "t"}),
        ({"nextPageToken": ""}, {}),
        ({"nextPageToken": 5}, {}),
        ([], {}),
        (None, {}),
    ],
)
def test_the_next_page_is_asked_for_as_its_host_wants_it(answer: Any, more: dict[str, str]) -> None:
    """Anthropic by the last id, Google by a token; nobody else has pages."""
    assert next_page(answer) == more


#: Recordings whose body is no list of models: refusals, and a job of Google's that was filed under lists.
NO_LISTS = {"deepseek/001.json", "gemini/121.json", "gemini/122.json", "gemini/123.json", "mistral/002.json"}


@pytest.mark.parametrize("recording", recordings("models", stream=False))
def test_recorded_lists_are_read(recording: Recording) -> None:
    """Every entry with an id is a model; what is no list is refused."""
    answer = orjson.loads(recording.body)
    if recording.file in NO_LISTS:
        with pytest.raises(NotAList):
            models_in(answer)
        return
    listed = models_in(answer)
    assert [model.id for model in listed] == list(dict.fromkeys(row["id"] for row in answer["data"]))
    assert next_page(answer) == {}
    if recording.file.startswith("openrouter"):
        assert all(
            model.price and model.capabilities.context and model.capabilities.tools is not None for model in listed
        )


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    (
        *("id", "name", "key", "context_length", "max_tokens", "pricing", "capabilities", "providers", "architecture"),
        *("loaded_instances", "limits", "meta", "supported_parameters", "supports_tools", "thinking"),
    )
)


@given(st.lists(st.dictionaries(_FIELDS, _VALUES, max_size=8) | _VALUES, max_size=6))
def test_whatever_a_host_lists_becomes_models_with_sensible_numbers(rows: list[Any]) -> None:
    """No exception, no empty id, no id twice, no number that is none; the same for a list in an object."""
    listed = models_in(rows)
    assert models_in({"data": rows}) == listed
    assert len({model.id for model in listed}) == len(listed) <= len(rows)
    for model in listed:
        assert model.id
        assert model.id.isprintable()
        assert (model.capabilities.context or 1) > 0
        assert model.price is None or (model.price.input >= 0 and not model.free)


@given(_VALUES)
def test_whatever_an_answer_is_it_is_a_list_or_refused(answer: Any) -> None:
    """Nothing else is raised, and there is a next page only where one is told."""
    next_page(answer)
    with suppress(NotAList):
        models_in(answer)
