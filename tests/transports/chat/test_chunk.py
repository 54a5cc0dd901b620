"""What a chunk says, wherever its host has put it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transports.chat import _chunk
from transports.chat._chunk import (
    STOPS,
    calls_in,
    choices_of,
    error_in,
    finish_of,
    reasoning_of,
    said_by,
    said_in,
    stop_sequence_of,
    tokens_of,
    usage_in,
)


def tokens(usage: dict[str, Any], **settings: bool) -> tuple[int, ...]:
    """Input, cache reads, cache writes, output."""
    found = tokens_of(usage, **settings)
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    return tuple(found[name] for name in names)


class TestChoices:
    """The one choice that was asked for."""

    @pytest.mark.parametrize(
        ("choices", "count"),
        [
            (None, 0), ([], 0), ([None], 0), ({}, 0), ("x", 0), ([{}], 1), ([{"index": None}], 1), ([{"index": 0}], 1),
            ([{"index": "0"}], 1), ([{"index": 1}], 0), ([{"index": 1}, {"index": 0}], 1), ([{}, {}], 2),
        ],
    )  # fmt: skip
    def test_the_first_counts(self, choices: Any, count: int) -> None:
        """Another index is another answer; Copilot gives one in two halves."""
        assert len(choices_of({"choices": choices})) == count

    def test_a_message_beside_a_delta_is_nothing_new(self) -> None:
        """Some hosts say all of it once more with the last piece."""
        assert said_by({"delta": {}, "message": {"content": "all"}}) == {}
        assert said_by({"delta": None, "message": {"content": "all"}}) == {"content": "all"}
        assert said_by({"message": "all"}) == said_by({}) == {}


class TestFinish:
    """Why it ended."""

    @pytest.mark.parametrize(
        ("choice", "finish"),
        [
            ({}, ""), ({"finish_reason": None}, ""), ({"finish_reason": ""}, ""), ({"finish_reason": 7}, ""),
            ({"finish_reason": "STOP"}, "stop"),
            ({"finish_reason": "tool_calls", "native_finish_reason": "MAX_TOKENS"}, "max_tokens"),
            ({"finish_reason": "tool_calls", "native_finish_reason": "length"}, "length"),
            ({"finish_reason": "tool_calls", "native_finish_reason": "stop"}, "tool_calls"),
            ({"finish_reason": "error", "native_finish_reason": "length"}, "error"),
            ({"finish_reason": None, "native_finish_reason": "length"}, ""),
        ],
    )  # fmt: skip
    def test_the_reason(self, choice: dict[str, Any], finish: str) -> None:
        """In lower case; a cut that OpenRouter hides is taken from beside it."""
        assert finish_of(choice) == finish

    @pytest.mark.parametrize(
        ("given", "sequence"),
        [("\n\nHuman", "\n\nHuman"), (128009, None), (None, None), ("", None), ("stop", None), ("end_turn", None),
         ("tool_calls", None)],
    )  # fmt: skip
    def test_the_sequence(self, given: Any, sequence: str | None) -> None:
        """vLLM gives the text or a token's number; what others give there is a reason."""
        assert stop_sequence_of({"stop_reason": given}) == sequence

    def test_reasons_are_written_in_lower_case(self) -> None:
        """They are looked up so."""
        assert all(name == name.lower() for name in (*STOPS, *_chunk.FAILED))


class TestReasoning:
    """Where reasoning is."""

    @pytest.mark.parametrize(
        ("delta", "text"),
        [
            ({"reasoning_content": "a"}, "a"), ({"reasoning": "a"}, "a"), ({"reasoning_text": "a"}, "a"),
            ({"reasoning_content": "a", "reasoning": "a"}, "a"),
            ({"reasoning_content": "", "reasoning": "a"}, "a"),
            ({"reasoning_content": None, "reasoning": None, "reasoning_text": "a"}, "a"),
            ({"reasoning": {"effort": "low"}}, ""), ({}, ""),
            ({"reasoning_details": [{"type": "reasoning.text", "text": "a"}, {"summary": "b"}, {"data": "c"}, None]}, "ab"),
            ({"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]}, "a"),
            ({"reasoning_details": "a"}, ""), ({"reasoning_details": [{"text": 7}]}, ""),
        ],
    )  # fmt: skip
    def test_the_first_that_is_not_empty(self, delta: dict[str, Any], text: str) -> None:
        """Two fields with the same text are one text."""
        assert reasoning_of(delta) == text

    def test_parts_of_a_content(self) -> None:
        """Mistral's thinking, texts of every sort; what is no text is nothing."""
        parts = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {"type": "reference"}, None]},
            {"type": "thinking", "thinking": "b"},
            {"type": "thinking"},
            {"type": "text", "text": "c"},
            {"type": "output_text", "text": "d"},
            {"text": "e"},
            "f",
            {"type": "refusal", "refusal": "g"},
            {"type": "reference", "reference_ids": [1]},
            {"type": "text", "text": 7},
            None,
        ]
        said = list(said_in(parts))
        assert "".join(text for kind, text in said if kind == "thinking") == "ab"
        assert "".join(text for kind, text in said if kind == "text") == "cdefg"
        assert list(said_in({"text": "a"})) == list(said_in(7)) == []


class TestCalls:
    """Where calls are."""

    def test_a_list_an_object_and_the_older_way(self) -> None:
        """Where both ways are used they say the same."""
        entry, legacy = {"function": {"name": "a"}}, {"name": "a", "arguments": "{}"}
        assert calls_in({"tool_calls": [entry, None]}) == [entry]
        assert calls_in({"tool_calls": entry}) == [entry]
        assert calls_in({"function_call": legacy}) == [{"index": 0, "function": legacy}]
        assert calls_in({"tool_calls": [entry], "function_call": legacy}) == [entry]
        assert calls_in({"tool_calls": "x", "function_call": "y"}) == []


CHOICE: dict[str, Any] = {"index": 0, "delta": {}}


class TestErrors:
    """An answer with status 200 that is none."""

    @pytest.mark.parametrize(
        ("chunk", "error"),
        [
            ({"error": {"message": "no", "code": 429}}, {"message": "no", "code": 429}),
            ({"error": "no"}, {"message": "no"}),
            ({"code": "busy", "error": "no"}, {"message": "no", "code": "busy"}),
            ({"error": {"message": "no", "code": "x"}, "status_code": 429}, {"message": "no", "code": "x", "status_code": 429}),
            ({"error": {"detail": "no"}}, {"message": "no", "detail": "no"}),
            ({"error": {"message": {"en": "no"}}}, {"message": "an error without a text"}),
            ({"error": {"message": None}}, {"message": "an error without a text"}),
            ({"error": {}}, {"message": "an error without a text"}),
            ({"error": 500}, {"message": "an error without a text"}),
            ({"error": True, "message": "no"}, {"message": "no"}),
            ({"error": [{"message": "no"}]}, {"message": "no"}),
            ({"x_groq": {"error": "no"}}, {"message": "no"}),
            ({"x_groq": {"error": {"message": "no"}}, "choices": [CHOICE]}, {"message": "no"}),
            ({"choices": [{**CHOICE, "error": {"message": "no", "code": 502}}]}, {"message": "no", "code": 502}),
            ({"choices": [CHOICE], "error": {"message": "no", "code": 502}}, {"message": "no", "code": 502}),
            ({"type": "error", "error": {"type": "overloaded_error", "message": "no"}},
             {"type": "overloaded_error", "message": "no"}),
            ({"base_resp": {"status_code": 1002, "status_msg": "no"}, "choices": []}, {"message": "no", "code": 1002}),
            ({"base_resp": {"status_code": 1002}}, {"message": "an error", "code": 1002}),
            ({"object": "error", "message": "no", "code": 400}, {"message": "no", "code": 400, "object": "error"}),
            ({"message": "no", "type": "x", "param": None, "code": "y"},
             {"message": "no", "type": "x", "param": None, "code": "y"}),
            ({"detail": "no"}, {"message": "no", "detail": "no"}),
            ({"detail": [{"loc": ["body"], "msg": "no"}]}, {"message": "an error without a text"}),
            ({"status": 404, "title": "Not Found", "detail": "no"},
             {"message": "no", "status": 404, "status_code": 404}),
        ],
    )  # fmt: skip
    def test_an_error_is_an_object_with_a_text(self, chunk: dict[str, Any], error: dict[str, Any]) -> None:
        """Its codes come along, those beside it too."""
        found = error_in(chunk, choices_of(chunk))
        assert found is not None
        assert found | error == found

    @pytest.mark.parametrize(
        "chunk",
        [
            {}, {"error": None}, {"choices": []}, {"choices": [CHOICE], "error": {}}, {"choices": [CHOICE], "error": None},
            {"base_resp": {"status_code": 0, "status_msg": "success"}}, {"usage": {}, "detail": "x"}, {"type": "ping"},
            {"choices": [CHOICE], "message": "x", "type": "y"}, {"x_groq": {"id": "req"}}, {"error": "", "choices": []},
        ],
    )  # fmt: skip
    def test_what_is_none(self, chunk: dict[str, Any]) -> None:
        """An empty field is no error."""
        assert error_in(chunk, choices_of(chunk)) is None


class TestUsage:
    """What was counted, and how Anthropic counts it."""

    @pytest.mark.parametrize(
        "chunk",
        [
            {"usage": {"prompt_tokens": 1}}, {"choices": [{"usage": {"prompt_tokens": 1}}]},
            {"x_groq": {"usage": {"prompt_tokens": 1}}}, {"usage": None, "choices": [{"usage": {"prompt_tokens": 1}}]},
            {"usage": {}, "x_groq": {"usage": {"prompt_tokens": 1}}},
        ],
    )  # fmt: skip
    def test_where_it_is(self, chunk: dict[str, Any]) -> None:
        """Null and nothing are no usage."""
        assert usage_in(chunk, choices_of(chunk)) == {"prompt_tokens": 1}

    def test_the_timings_of_llama_cpp_belong_to_it(self) -> None:
        """They hold what was cached."""
        found = usage_in({"usage": {"prompt_tokens": 9}, "timings": {"cache_n": 4}}, [])
        assert tokens(found or {}) == (5, 4, 0, 0)

    @pytest.mark.parametrize("wrong", [None, [], "x", 7, {}])
    def test_what_is_none(self, wrong: Any) -> None:
        """And raises nothing."""
        assert usage_in({"usage": wrong, "choices": [{"usage": wrong}], "x_groq": wrong}, []) is None

    @pytest.mark.parametrize(
        ("usage", "counted"),
        [
            ({}, (0, 0, 0, 0)),
            ({"prompt_tokens": 10, "completion_tokens": 5}, (10, 0, 0, 5)),
            ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, (6, 4, 0, 0)),
            ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 4}, (6, 4, 0, 0)),
            ({"prompt_tokens": 10, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6}, (6, 4, 0, 0)),
            ({"prompt_tokens": 10, "cached_tokens": 4}, (6, 4, 0, 0)),
            ({"prompt_tokens": 10, "num_cached_tokens": 4}, (6, 4, 0, 0)),
            ({"prompt_tokens": 10, "prompt_token_details": {"cached_tokens": 4}}, (6, 4, 0, 0)),
            ({"prompt_tokens": 10, "timings": {"cache_n": 4}}, (6, 4, 0, 0)),
            ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}}, (3, 4, 3, 0)),
            ({"prompt_tokens": 10, "prompt_tokens_details": {"cache_creation_input_tokens": 3}}, (7, 0, 3, 0)),
            ({"prompt_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}, (2, 8, 0, 0)),  # xAI
            ({"prompt_tokens": 8, "prompt_tokens_details": {"cached_tokens": 8}}, (0, 8, 0, 0)),
            ({"prompt_tokens": None, "completion_tokens": "5", "prompt_tokens_details": None}, (0, 0, 0, 0)),
            ({"prompt_tokens": -1, "completion_tokens": True, "prompt_tokens_details": 7}, (0, 0, 0, 0)),
            ({"prompt_tokens": 10.0, "completion_tokens": 2.5}, (10, 0, 0, 2)),
            ({"prompt_tokens": 1e300}, (0, 0, 0, 0)),
        ],
    )  # fmt: skip
    def test_the_prompt_is_parted(self, usage: dict[str, Any], counted: tuple[int, ...]) -> None:
        """Input, reads and writes add up to it."""
        assert tokens(usage) == counted

    def test_reasoning_may_stand_beside_the_output(self) -> None:
        """At xAI, and nowhere else."""
        usage = {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 7}}
        assert tokens(usage) == (0, 0, 0, 5)
        assert tokens(usage, reasoning_beside=True) == (0, 0, 0, 12)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "choices", "delta", "message", "error", "usage", "x_groq", "content", "type", "thinking", "text", "tool_calls",
        "function", "index", "id", "name", "arguments", "code", "detail", "base_resp", "status_code", "object", "custom",
        "prompt_tokens", "prompt_tokens_details", "cached_tokens", "timings", "finish_reason", "reasoning_details", "refusal",
    ]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(ANYTHING.filter(lambda value: isinstance(value, dict)))
def test_nothing_that_is_json_raises(chunk: Any) -> None:
    """Every question has an answer."""
    choices = choices_of(chunk)
    error = error_in(chunk, choices)
    assert error is None or (isinstance(error["message"], str) and error["message"])
    assert all(count >= 0 for count in tokens(usage_in(chunk, choices) or {}, reasoning_beside=True))
    for delta in (said_by(chunk), *map(said_by, choices), chunk):
        assert isinstance(reasoning_of(delta) + finish_of(delta) + (stop_sequence_of(delta) or ""), str)
        assert all(isinstance(entry, dict) for entry in calls_in(delta))
        assert all(isinstance(text, str) for _, text in said_in(delta.get("content")))
