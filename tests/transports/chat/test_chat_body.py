"""The fields of a chat body beside its messages: caps, sampling, formats, names of sessions, and what a host has refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine import Learned
from engine.config import Accent, Model, Settings, Switch
from policies import Capabilities
from tests.transports.asks import body
from tests.transports.chat.hosts import HOSTS, Body, Host, asked, said, sent
from tests.transports.chat.rules import faults
from transports.chat import openai_chat
from transports.chat._encoder import OPTIONAL


def test_a_small_request_whole() -> None:
    """To a host of which nothing is known: nothing but what OpenAI's description has."""
    assert sent(body(metadata={"user_id": "{}"}, betas=["b"], context_management={}, top_k=4, safeguards={})) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 32_000,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


class TestCap:
    """The longest answer that is asked for."""

    @pytest.mark.parametrize(
        ("settings", "learned", "can", "cap"),
        [
            (Settings(), Learned(), Capabilities(), 32_000),
            (Settings(max_output_tokens=9000), Learned(), Capabilities(), 9000),
            (Settings(), Learned(cap=8000), Capabilities(), 8000),
            (Settings(), Learned(), Capabilities(max_output=7000), 7000),
            (Settings(max_output_tokens=9000), Learned(cap=8000), Capabilities(max_output=8500), 8000),
            (Settings(), Learned(window=300), Capabilities(), 1024),
            (Settings(max_output_tokens=1), Learned(window=300), Capabilities(), 1),
        ],
    )
    def test_is_within_all_that_is_known(
        self, settings: Settings, learned: Learned, can: Capabilities, cap: int
    ) -> None:
        """Configured, learned, the model's; an estimate alone leaves room for an answer."""
        models = {"m": Model(id="m", capabilities=can)}
        turn = openai_chat(asked(settings=settings, learned=learned, models=models))
        assert turn.max_tokens == cap
        assert orjson.loads(turn.body)["max_tokens"] == cap

    @pytest.mark.parametrize(("learned", "window"), [(Learned(), 20_000), (Learned(window=10_000), 10_000)])
    def test_is_within_what_the_window_has_left(self, learned: Learned, window: int) -> None:
        """Of the window that the model was found to have, before the one it is said to have."""
        models = {"m": Model(id="m", capabilities=Capabilities(context=20_000))}
        ask = asked(learned=learned, models=models)
        assert openai_chat(ask).max_tokens == window - ask.request.need.input_tokens - 256

    @pytest.mark.parametrize(
        ("usual", "without", "field"),
        [
            ("max_tokens", (), "max_tokens"),
            ("max_completion_tokens", (), "max_completion_tokens"),
            ("max_tokens", ("max_tokens",), "max_completion_tokens"),
            ("max_completion_tokens", ("max_completion_tokens",), "max_tokens"),
            ("max_tokens", ("max_completion_tokens",), "max_tokens"),
            ("max_tokens", ("max_tokens", "max_completion_tokens"), None),
        ],
    )
    def test_goes_by_the_name_that_the_host_takes(
        self, usual: Any, without: tuple[str, ...], field: str | None
    ) -> None:
        """The one where the other was refused; none where both were."""
        out = sent(accent=Accent(cap=usual), without=without)
        assert [name for name in out if name.endswith("_tokens")] == ([field] if field else [])


class TestSampling:
    """Temperature and the like: within bounds, where the model takes them."""

    WISH = body(temperature=1, top_p=0.5, top_k=5, stop_sequences=list("abcdef"))

    def test_is_sent_where_it_is_taken(self) -> None:
        """Four stop sequences, unless the host is known to take more."""
        out = sent(self.WISH, accent=Accent(top_k=True))
        assert {name: out[name] for name in ("temperature", "top_p", "top_k", "stop")} == {
            "temperature": 1.0, "top_p": 0.5, "top_k": 5, "stop": list("abcd")}  # fmt: skip
        assert sent(self.WISH, accent=Accent(stops=None))["stop"] == list("abcdef")
        assert "top_k" not in sent(self.WISH)

    def test_is_left_out_where_it_is_not(self) -> None:
        """A model with a fixed temperature; a host that refuses a field."""
        out = sent(
            self.WISH, known=Model(id="m", temperature=False), accent=Accent(top_k=True, drop=frozenset(["stop"]))
        )
        assert out.keys().isdisjoint({"temperature", "top_p", "top_k", "stop"})

    @pytest.mark.parametrize(
        ("wish", "low", "high", "out"), [(0, 0.01, 1.0, 0.01), (1.7, 0.0, 1.0, 1.0), (1.7, 0.0, 2.0, 1.7)]
    )
    def test_a_temperature_is_within_bounds(self, wish: float, low: float, high: float, out: float) -> None:
        """Where the host has its own."""
        accent = Accent(temperature_min=low, temperature_max=high)
        assert sent(body(temperature=wish), accent=accent)["temperature"] == out

    def test_stop_sequences_of_nothing_are_none(self) -> None:
        """Hosts refuse blank ones, and an empty list."""
        assert "stop" not in sent(body(stop_sequences=["", " \n", 5]))
        assert sent(body(stop_sequences=["", "x", "\n\n"]))["stop"] == ["x"]


TITLE = {
    "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": False,
}  # fmt: skip
WORDS = "Answer with one JSON object and nothing else. It must fit this JSON schema: "


def form(schema: Any) -> Body:
    return body(system="s", output_config={"effort": "low", "format": {"type": "json_schema", "schema": schema}})


class TestFormat:
    """Structured output."""

    def test_as_a_schema(self) -> None:
        """Strictly, where the schema is one that strict mode takes."""
        out = sent(form(TITLE))
        assert out["response_format"] == {
            "type": "json_schema", "json_schema": {"name": "answer", "schema": TITLE, "strict": True}}  # fmt: skip
        assert out["messages"][0]["content"] == "s"

    @pytest.mark.parametrize(
        "schema",
        [
            {**TITLE, "additionalProperties": True},
            {k: v for k, v in TITLE.items() if k != "required"},
            {**TITLE, "required": []},
            {**TITLE, "properties": {"title": {"type": "object"}}},
            {**TITLE, "properties": {"title": {"anyOf": [{"type": "array", "items": {"properties": {"a": {}}}}]}}},
        ],
    )
    def test_as_a_schema_that_is_not_strict(self, schema: Body) -> None:
        """An open object, or a property that may be missing, in any place."""
        assert sent(form(schema))["response_format"]["json_schema"]["strict"] is False

    def test_as_an_object_with_the_schema_in_words(self) -> None:
        """Where the host knows no schemas."""
        out = sent(form(TITLE), accent=Accent(format="json_object"))
        assert out["response_format"] == {"type": "json_object"}
        assert out["messages"][0]["content"].startswith(f"s\n\n{WORDS}{{")

    @pytest.mark.parametrize(("accent", "without"), [(Accent(format="prompt"), ()), (Accent(), ("response_format",))])
    def test_in_words_alone(self, accent: Accent, without: tuple[str, ...]) -> None:
        """Where the host knows nothing of it, or was found not to."""
        out = sent(form(TITLE), accent=accent, without=without)
        assert "response_format" not in out
        assert WORDS in out["messages"][0]["content"]

    @pytest.mark.parametrize("schema", [None, 5, "x", []])
    def test_without_a_schema_there_is_none(self, schema: Any) -> None:
        """Nor words about it."""
        out = sent(form(schema))
        assert "response_format" not in out
        assert out["messages"][0]["content"] == "s"


class TestSession:
    """What keeps a session's cache warm."""

    def test_a_session_has_a_name_that_tells_nothing(self) -> None:
        """The same for the same session, in the host's field; the client's ids stay here."""
        accent = Accent(session="prompt_cache_key")
        names = [sent(accent=accent, session=id)["prompt_cache_key"] for id in ("secret-1", "secret-1", "secret-2")]
        assert names[0] == names[1] != names[2]
        assert "secret" not in names[0]
        assert len(names[0]) == 32

    def test_there_is_none_without_a_session_or_a_field(self) -> None:
        """Nor where the host refused it."""
        assert "prompt_cache_key" not in sent(accent=Accent(session="prompt_cache_key"))
        assert sent(session="s") == sent()
        assert sent(accent=Accent(session="prompt_cache_key"), session="s", without=("prompt_cache_key",)) == sent()


#: A request, and a host, that would have every field that can be left out.
EVERYTHING = said(
    "a",
    ({"type": "thinking", "thinking": "t", "signature": "x"}, {"type": "tool_use", "id": "t", "name": "Read", "input": {}}),
    [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}], ({"type": "text", "text": "So"},),
    tools=[{"name": "Read", "input_schema": {"type": "object"}}], temperature=1, top_p=0.5, top_k=5, stop_sequences=["x"],
    tool_choice={"type": "auto", "disable_parallel_tool_use": True}, output_config={"format": {"schema": TITLE}},
    thinking={"type": "enabled", "budget_tokens": 2000}, system="s",
)  # fmt: skip
_SWITCHES = (
    "chat_template_kwargs", "clear_thinking", "enable_thinking", "include_reasoning", "parse_reasoning", "reasoning",
    "reasoning_effort", "reasoning_format", "reasoning_split", "thinking", "tool_stream",
)  # fmt: skip
RICH = Accent(
    switch=Switch(on=dict.fromkeys(_SWITCHES, True), budget="thinking_budget"), replay="reasoning_content", top_k=True,
    session="prompt_cache_key", prefill="prefix", thought_signatures=True, system_role="developer",
)  # fmt: skip


def names_in(out: Body) -> set[str]:
    calls = [call for message in out["messages"] for call in message.get("tool_calls", ())]
    roles = {message["role"] for message in out["messages"]} & {"developer"}
    return {name for one in (out, *out["messages"], *calls) for name in one} | roles


ACCENTS = (RICH, *(Accent(cap="max_completion_tokens", prefill="partial", replay="reasoning_details", extra={"x": 1}),))


@pytest.mark.parametrize("name", sorted([*OPTIONAL, "developer"]))
def test_a_field_that_was_refused_is_not_sent_again(name: str) -> None:
    """Wherever it stands; and the body without it is a good one still."""
    for accent in ACCENTS:
        ask = asked(EVERYTHING, accent=accent, session="s")
        before = sent(EVERYTHING, accent=accent, session="s")
        assert (name in names_in(before)) == (name in openai_chat(ask).optional)
        after = sent(EVERYTHING, accent=accent, session="s", without=(name,))
        assert name not in names_in(after)
        assert [f for f in faults(after, accent) if "signature" not in f] == []
        if name not in names_in(before):
            assert after == before


def test_everything_optional_was_there_once() -> None:
    """Otherwise the test above proves little. Details have an envelope that only their author opens."""
    there = set[str]().union(*(names_in(sent(EVERYTHING, accent=accent, session="s")) for accent in ACCENTS))
    assert OPTIONAL - there == {"reasoning_details"}


def test_without_tool_choice_the_choice_is_made_otherwise() -> None:
    """By what is offered and by words, as on a host that never had it."""
    two = [{"name": name, "input_schema": {"type": "object"}} for name in ("Read", "Bash")]
    out = sent(body(tools=two, tool_choice={"type": "tool", "name": "Bash"}), without=("tool_choice",))
    assert [tool["function"]["name"] for tool in out["tools"]] == ["Bash"]
    assert out["messages"][0] == {"role": "system", "content": "Call the tool Bash now."}
    assert "tools" not in sent(body(tools=two, tool_choice={"type": "none"}), without=("tool_choice",))


def test_every_host_takes_everything() -> None:
    """A request of all sorts at once, to each host of the catalogue."""
    for host in HOSTS:
        assert faults(host.sent(EVERYTHING, session="s"), host.accent) == [], host


def test_openai_takes_no_sampling_on_models_that_reason() -> None:
    """Also on one that came out after the catalogue was written."""
    for id in ("openai", "azure"):
        for model in ("gpt-5.9", "o4-later"):
            assert Host(id, model).sent(EVERYTHING).keys().isdisjoint({"temperature", "top_p"})
        assert "stop" not in Host(id, "o3").sent(EVERYTHING)
        assert Host(id, "gpt-4o").sent(EVERYTHING)["temperature"] == 1.0
