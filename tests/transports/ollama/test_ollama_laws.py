"""Laws of Ollama's wire: for whatever a client may send, for any answer, and for whatever is none.

The encoder is held against the rules that the scripted host of the end-to-end tests has, which were written down from the
wire's description; the decoder against answers that are drawn first and said afterwards.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Kind, Learned, StreamEvent
from engine.config import Model, Settings, Thinking
from policies import Capabilities
from tests.e2e.grammar import Reading
from tests.e2e.ollama_rules import ollama_breaches
from tests.recordings import payloads
from tests.transports.asks import body
from tests.transports.chat.answers import INPUTS, SAYINGS, WORDS
from tests.transports.chat.histories import Told, histories, schemas, tools, wishes
from tests.transports.chat.streams import ids_of, raw_of, read_events
from tests.transports.ollama.answers import Answer, told
from tests.transports.ollama.lines import NAMES, decoder
from tests.transports.ollama.test_ollama_body import asked
from transports._anthropic import StreamError
from transports._dialect import TooDeep
from transports.ollama import ollama
from transports.translate._schemas import fitted

LAW = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

MODELS = ("qwen3", "gpt-oss:20b", "some/where:latest")


def texts(sent: dict[str, Any]) -> str:
    """All that a body says in words, in order."""
    found = []
    for message in sent["messages"]:
        found.append(message["content"])
        found += [orjson.dumps(one["function"]["arguments"]).decode() for one in message.get("tool_calls", ())]
    return "\n".join(found)


class TestRequests:
    """For whatever a client may send."""

    @LAW
    @given(histories(), wishes(), st.sampled_from(MODELS), st.data())
    def test_the_body_is_one_that_a_strict_host_takes(
        self, told: Told, wish: Any, model: str, data: st.DataObject
    ) -> None:
        """And all that was said is in it, in order; the request itself stays as it was."""
        fields = body(messages=told.messages, **wish)
        flags = st.sampled_from([None, True, False])
        known = Model(
            id=model,
            capabilities=Capabilities(images=data.draw(flags), context=data.draw(st.sampled_from([None, 9000]))),
            thinking=data.draw(
                st.sampled_from([None, Thinking(), Thinking(toggle=True), Thinking(efforts=("low", "high"))])
            ),
            temperature=data.draw(st.booleans()),
        )
        without = data.draw(st.sampled_from([frozenset(), frozenset(["think"]), frozenset(["format", "think"])]))
        settings = Settings(
            num_ctx=data.draw(st.sampled_from([None, 4096])), keep_alive=data.draw(st.sampled_from([None, "1m", -1]))
        )
        one = asked(fields, model=model, models={model: known}, learned=Learned(without=without), settings=settings)
        before = orjson.dumps(one.request.body)
        turn = ollama(one)
        sent = orjson.loads(turn.body)
        assert ollama_breaches(sent) == []
        assert orjson.dumps(one.request.body) == before
        assert not sent.keys() & without
        assert turn.optional == sent.keys() & {"think", "format"}
        whole, places = texts(sent), []
        for text in (*told.said, *told.shown):
            text = text.replace("\0", "\ufffd").rstrip()
            assert whole.count(text) == 1, text
            places.append(whole.index(text))
        assert places[: len(told.said)] == sorted(places[: len(told.said)])

    @LAW
    @given(tools())
    def test_any_tools_become_tools(self, given_tools: list[Any]) -> None:
        """Whatever their schemas hold."""
        try:
            sent = orjson.loads(ollama(asked(body(tools=given_tools))).body)
        except TooDeep:
            return
        assert ollama_breaches(sent) == []

    @settings(LAW, max_examples=100)
    @given(schemas())
    def test_a_schema_is_cut_to_what_is_kept(self, schema: Any) -> None:
        """As often as it is asked for, and twice as well as once."""
        fit = fitted(schema if isinstance(schema, dict) else {"properties": {"a": schema}}, "ollama")
        assert fit is not None
        assert fitted(fit, "ollama") == fit


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    said = draw(st.lists(st.tuples(st.sampled_from(["thinking", "text"]), SAYINGS), max_size=4))
    said = [(kind, text) for kind, text in said if kind == "thinking" or not text.lstrip().startswith(("<", "[T"))]
    calls = draw(st.lists(st.tuples(st.sampled_from(NAMES), INPUTS), max_size=3))
    finish = draw(st.sampled_from(["stop", "length"]))
    return Answer(said, calls, finish, draw(st.integers(1, 99)), draw(st.integers(1, 99)))


@st.composite
def streams(draw: st.DrawFn) -> tuple[Answer, bytes]:
    """An answer, and a stream that says it."""
    answer = draw(answers())
    return answer, draw(told(answer))


@st.composite
def cuttings(draw: st.DrawFn, sent: bytes) -> list[bytes]:
    places = draw(st.lists(st.integers(0, len(sent)), max_size=20))
    return [sent[a:b] for a, b in pairwise(sorted({0, len(sent), *places}))]


def read(chunks: list[bytes]) -> tuple[list[StreamEvent], bool, bool]:
    """The events, whether the answer is complete, and whether it failed."""
    one = decoder()
    events: list[StreamEvent] = []
    try:
        for piece in chunks:
            events += one.feed(piece)
        events += one.finish()
    except StreamError:
        return events, one.complete, True
    return events, one.complete, False


def unfinished(events: list[StreamEvent]) -> Reading:
    """What events say that need not have come to an end."""
    found = Reading()
    for payload in payloads(raw_of(events)):
        found.take(payload)
    return found


class TestAnswers:
    """For any answer."""

    @LAW
    @given(st.data())
    def test_it_means_what_was_meant(self, data: st.DataObject) -> None:
        """Wherever the reads end."""
        answer, sent = data.draw(streams())
        events, complete, failed = read(data.draw(cuttings(sent)))
        found = read_events(events)
        assert (failed, found.faults, found.error) == (False, [], None)
        assert (found.text, found.thinking) == (answer.joined("text"), answer.joined("thinking"))
        assert (found.tools, found.stop_reason) == (answer.calls, answer.stop)
        assert (found.usage["input_tokens"], found.usage["output_tokens"]) == (answer.prompt, answer.output)
        assert complete is bool(answer.said or answer.calls)
        ids = ids_of(found)
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", id) for id in ids)

    @LAW
    @given(st.data())
    def test_what_breaks_off_never_looks_whole(self, data: st.DataObject) -> None:
        """Before the last line is there; and what was said by then stands."""
        answer, sent = data.draw(streams())
        events, complete, _ = read(data.draw(cuttings(sent[: data.draw(st.integers(0, len(sent) - 2))])))
        found = unfinished(events)
        assert not complete
        assert not {event.kind for event in events} & {Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP}
        assert (found.faults, found.tools) == ([], [])
        assert answer.joined("text").startswith(found.text)
        assert answer.joined("thinking").startswith(found.thinking)


KEYS = (
    "message", "done", "done_reason", "error", "content", "thinking", "tool_calls", "function", "name", "arguments", "id",
    "prompt_eval_count", "eval_count", "role", "status_code",
)  # fmt: skip
SCRAPS = ("stop", "load", "read", "{", "{}", '{"a":1}', "<think>", "</think>", *WORDS)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats(allow_nan=False) | st.sampled_from(SCRAPS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "function": st.fixed_dictionaries({}, optional={"name": st.sampled_from(NAMES) | JSONS, "arguments": JSONS})
        },
    ),
    max_size=2,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "content": st.sampled_from(SCRAPS) | JSONS,
        "thinking": st.sampled_from(WORDS) | JSONS,
        "tool_calls": CALLS | JSONS,
    },
)
LINES = JSONS | st.fixed_dictionaries(
    {"message": MESSAGES},
    optional={"done": st.booleans() | JSONS, "done_reason": st.sampled_from(SCRAPS), "error": JSONS},
)


def check_survived(events: list[StreamEvent], *, complete: bool, failed: bool) -> None:
    """Strict grammar as far as it goes; an end only where there was one."""
    found = unfinished(events)
    assert found.faults == []
    ended = Kind.MESSAGE_STOP in {event.kind for event in events}
    assert complete is (ended and bool(found.blocks))
    assert not (failed and ended)


class TestHostility:
    """For whatever a host may send."""

    @settings(LAW, max_examples=60)
    @given(st.lists(LINES.map(lambda one: orjson.dumps(one) + b"\n") | st.binary(max_size=9), max_size=6))
    def test_any_lines(self, lines: list[bytes]) -> None:
        """They are an answer, an error, or refused."""
        events, complete, failed = read(lines)
        check_survived(events, complete=complete, failed=failed)

    @LAW
    @given(st.data())
    def test_damaged_streams(self, data: st.DataObject) -> None:
        """The grammar holds up to the failure."""
        _, sent = data.draw(streams())
        at = data.draw(st.integers(0, len(sent) - 1))
        scrap = data.draw(st.sampled_from([b'"', b"{", b"}", b"\n", b"", b"\xff", b"\\", b",", b"0"]))
        events, complete, failed = read(data.draw(cuttings(sent[:at] + scrap + sent[at + 1 :])))
        check_survived(events, complete=complete, failed=failed)

    @LAW
    @given(LINES.filter(lambda value: isinstance(value, dict)))
    def test_any_answer(self, answer: Any) -> None:
        """Given whole."""
        one = decoder()
        try:
            events = one.whole(answer)
        except StreamError:
            return
        check_survived(events, complete=one.complete, failed=False)

    @pytest.mark.parametrize("depth", [100, 253, 254, 255, 300, 1023, 1024, 100_000])
    @pytest.mark.parametrize(
        "around",
        [
            b'{"message":{"content":%s},"done":false}\n',
            b'{"message":{"tool_calls":[{"function":{"name":"read","arguments":{"a":%s}}}]},"done":true}\n',
            b'{"error":{"message":"x","code":%s}}\n',
            b"%s\n",
        ],
    )
    def test_any_depth(self, around: bytes, depth: int) -> None:
        """No recursion of anybody's ends the process."""
        events, complete, failed = read([around % (b"[" * depth + b"]" * depth)])
        check_survived(events, complete=complete, failed=failed)
