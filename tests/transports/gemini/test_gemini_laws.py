"""Laws of Gemini's dialect, for whatever a client may send and for whatever a host may answer.

Any conversation becomes a body that a strict host takes, with everything in it that was said; any answer, wherever the reads
end, means the same in the strict grammar; what breaks off never looks whole; and nothing gets out of the decoder but events
and its own exceptions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Kind, StreamEvent
from engine.config import Model, Thinking
from policies import Capabilities
from tests.e2e.gemini_rules import NONE, breaches, signature
from tests.e2e.grammar import Reading
from tests.recordings import payloads
from tests.transports.asks import body
from tests.transports.chat.answers import INPUTS, NAMES, SAYINGS, WORDS
from tests.transports.chat.histories import Told, histories, tools, wishes
from tests.transports.chat.streams import raw_of, read_events, toolbox
from tests.transports.gemini.speech import Body, asked, call, chunk, decoder, frame, said_back, signed, stream, thought
from transports._anthropic import StreamError
from transports._dialect import TooDeep
from transports._sse import SSEError
from transports.gemini import OPTIONAL, gemini

LAW = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
MODELS = ("gemini-3-pro", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash", "gemma-3", "somebody/something")
TOOLS = toolbox(*NAMES)


def texts(sent: Body) -> str:
    """All that a body says in words, in order."""
    found = []
    for part in (part for content in sent["contents"] for part in content["parts"]):
        if "text" in part:
            found.append(part["text"])
        elif "functionCall" in part:
            found.append(orjson.dumps(part["functionCall"]["args"]).decode())
        elif "functionResponse" in part:
            found += part["functionResponse"]["response"].values()
    return "\n".join(found)


def check_nothing_is_lost(told: Told, sent: Body) -> None:
    """Each text once and whole, those of user and assistant in the order in which they were said."""
    whole = texts(sent)
    places = []
    for text in (*told.said, *told.shown):
        text = text.replace("\0", "\ufffd").rstrip()
        assert whole.count(text) == 1, text
        places.append(whole.index(text))
    said = places[: len(told.said)]
    assert said == sorted(said)


class TestRequests:
    """For any conversation and any wishes."""

    @LAW
    @given(histories(), wishes(), st.sampled_from(MODELS))
    def test_a_strict_host_takes_it(self, told: Told, wish: Body, model: str) -> None:
        """And all that was said, in order; the request itself stays as it was."""
        one = asked(body(messages=told.messages, **wish), model=model)
        before = orjson.dumps(one.request.body)
        sent = orjson.loads(gemini(one).body)
        assert breaches(sent, signs="gemini-3" in model or "/" in model) == []
        check_nothing_is_lost(told, sent)
        assert orjson.dumps(one.request.body) == before

    @LAW
    @given(histories(), wishes(), st.sampled_from(MODELS), st.frozensets(st.sampled_from(sorted(OPTIONAL)), max_size=6))
    def test_what_was_refused_is_not_sent_again(
        self, told: Told, wish: Body, model: str, without: frozenset[str]
    ) -> None:
        """Whatever it is; the rest still holds."""
        turn = gemini(asked(body(messages=told.messages, **wish), model=model, without=without))
        sent = orjson.loads(turn.body)
        assert not turn.optional & without
        assert turn.optional <= OPTIONAL
        plain = {name.partition(".")[0] for name in without if "." not in name}
        assert not plain & (sent["generationConfig"].keys() | sent.keys())
        assert breaches(sent, signs="gemini-3" in model or "/" in model) == []
        check_nothing_is_lost(told, sent)

    @LAW
    @given(histories(), wishes(), st.sampled_from(MODELS), st.data())
    def test_whatever_is_known_of_a_model(self, told: Told, wish: Body, model: str, data: st.DataObject) -> None:
        """Also what no row says: a body that holds."""
        flags = st.sampled_from([None, True, False])
        thinking = data.draw(
            st.none()
            | st.builds(
                Thinking,
                always=st.booleans(),
                toggle=st.booleans(),
                budget=st.booleans(),
                efforts=st.sampled_from([(), ("low", "high"), ("minimal", "low", "medium", "high")]),
            )
        )
        known = Model(
            id=model,
            capabilities=Capabilities(images=data.draw(flags), documents=data.draw(flags), context=9000),
            thinking=thinking,
            temperature=data.draw(st.booleans()),
        )
        sent = orjson.loads(gemini(asked(body(messages=told.messages, **wish), model=model, known=known)).body)
        assert breaches(sent, signs="gemini-3" in model or "/" in model) == []

    @LAW
    @given(st.lists(tools(), min_size=1, max_size=3), st.sampled_from(MODELS))
    def test_tools_of_any_shape(self, offered: list[list[Any]], model: str) -> None:
        """Their schemas are the client's, so anything may be in them."""
        sent = orjson.loads(gemini(asked(body(tools=[tool for some in offered for tool in some]), model=model)).body)
        assert breaches(sent) == []

    @pytest.mark.parametrize("depth", [30, 300, 900])
    @pytest.mark.parametrize(
        "block",
        [
            {"type": "tool_use", "id": "t", "name": "n", "input": {"a": "?"}},
            {"type": "redacted_thinking", "data": "?"},
            {"type": "later", "data": "?"},
            {"type": "image", "source": {"type": "base64", "data": "A", "media_type": "?"}},
        ],
    )
    def test_what_is_too_deep_says_so(self, block: Body, depth: int) -> None:
        """TooDeep, and nothing else."""
        fields = body(messages=[{"role": "assistant", "content": [block]}])
        raw = orjson.dumps(fields).replace(b'"?"', b"[" * depth + b"]" * depth)
        one = asked(fields)
        request = attrs.evolve(one.request, body=orjson.loads(raw), raw=raw)
        try:
            assert breaches(orjson.loads(gemini(attrs.evolve(one, request=request)).body)) == []
        except TooDeep:
            assert depth > 30


FINISHES = {"STOP": ("end_turn", "tool_use"), "MAX_TOKENS": ("max_tokens",) * 2, "SAFETY": ("refusal",) * 2}


@attrs.frozen
class Answer:
    """What is meant: thinking and text in turn, calls with the signatures of some, and an end."""

    said: list[tuple[str, str]]
    calls: list[tuple[str, dict[str, Any], str]]
    finish: str
    chunks: list[Body]

    def joined(self, kind: str) -> str:
        return "".join(text for one, text in self.said if one == kind)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """An answer, said in chunks of one or more parts."""
    said = draw(st.lists(st.tuples(st.sampled_from(["thinking", "text"]), SAYINGS), max_size=4))
    signatures = st.sampled_from(["", *(signature(name) for name in "ab")])
    calls = draw(st.lists(st.tuples(st.sampled_from(NAMES), INPUTS, signatures), max_size=3))
    parts: list[Body] = []
    for kind, text in said:
        places = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=3))})
        parts += [thought(text[a:b]) if kind == "thinking" else {"text": text[a:b]} for a, b in pairwise(places)]
    for name, given_, signed_by in calls:
        parts.append(call(name, given_, signed_by))
    if draw(st.booleans()):
        parts.append(signed("", signature("end")))
    groups = [[part] for part in parts] if draw(st.booleans()) else [parts] if parts else []
    finish = draw(st.sampled_from(sorted(FINISHES)))
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 3}
    chunks = [chunk(*group, usage={"promptTokenCount": 9}) for group in groups]
    return Answer(said, calls, finish, [*chunks, chunk(finish=finish, usage=usage)])


@st.composite
def cuttings(draw: st.DrawFn, sent: bytes) -> list[bytes]:
    places = draw(st.lists(st.integers(0, len(sent)), max_size=12))
    return [sent[a:b] for a, b in pairwise(sorted({0, len(sent), *places}))]


def run(parts: list[bytes]) -> tuple[list[StreamEvent], bool, bool]:
    """The events, whether the answer is complete, and whether it failed."""
    one = decoder(toolbox=TOOLS)
    events: list[StreamEvent] = []
    try:
        for piece in parts:
            events += one.feed(piece)
        events += one.finish()
    except (StreamError, SSEError):
        return events, one.complete, True
    return events, one.complete, False


def unfinished(events: list[StreamEvent]) -> Reading:
    found = Reading()
    for payload in payloads(raw_of(events)):
        found.take(payload)
    return found


def check_survived(events: list[StreamEvent], *, complete: bool, failed: bool) -> None:
    """Strict grammar as far as it goes; an end only where there was one."""
    found = unfinished(events)
    assert found.faults == []
    ended = Kind.MESSAGE_STOP in {event.kind for event in events}
    assert complete is (ended and bool(found.blocks))
    assert not (failed and ended)


class TestAnswers:
    """For any answer."""

    @LAW
    @given(st.data())
    def test_it_means_what_was_meant(self, data: st.DataObject) -> None:
        """Wherever the reads end."""
        answer: Answer = data.draw(answers())
        events, complete, failed = run(data.draw(cuttings(stream(*answer.chunks))))
        found = read_events(events)
        assert (failed, found.faults, found.error) == (False, [], None)
        withheld = answer.finish == "SAFETY" and not answer.said and not answer.calls
        assert found.text == ("[the provider withheld the answer: SAFETY]" if withheld else answer.joined("text"))
        assert found.thinking == answer.joined("thinking")
        assert found.tools == [(name, given_) for name, given_, _ in answer.calls]
        assert found.stop_reason == FINISHES[answer.finish][bool(answer.calls)]
        assert complete is bool(answer.said or answer.calls or withheld)

    @LAW
    @given(answers())
    def test_signatures_return_on_their_calls(self, answer: Answer) -> None:
        """To their author, and the first call is never without one."""
        if not answer.calls:
            return
        events, _, _ = run([stream(*answer.chunks)])
        messages = [{"role": "user", "content": "go"}, said_back(events), {"role": "user", "content": "on"}]
        sent = orjson.loads(gemini(asked(body(messages=messages))).body)
        assert breaches(sent) == []
        back = [part for part in sent["contents"][1]["parts"] if "functionCall" in part]
        first, *rest = [part.get("thoughtSignature", "") for part in back]
        assert [first, *rest] == [answer.calls[0][2] or NONE, *(given_ for _, _, given_ in answer.calls[1:])]

    @LAW
    @given(st.data())
    def test_what_breaks_off_never_looks_whole(self, data: st.DataObject) -> None:
        """Nothing before the finish reason makes an end; what was said by then stands, calls are not shown."""
        answer: Answer = data.draw(answers())
        sent = stream(*answer.chunks)
        part = sent[: data.draw(st.integers(0, sent.index(b'"finishReason"')))]
        events, complete, _ = run(data.draw(cuttings(part)))
        assert not complete
        assert not {event.kind for event in events} & {Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP}
        found = unfinished(events)
        assert found.faults == []
        assert answer.joined("text").startswith(found.text)
        assert found.tools == []


KEYS = (
    "candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args", "id", "index",
    "finishReason", "promptFeedback", "blockReason", "usageMetadata", "promptTokenCount", "error", "message", "code",
    "partialArgs", "jsonPath", "stringValue", "willContinue", "inlineData", "mimeType", "executableCode", "status",
)  # fmt: skip
SCRAPS = ("STOP", "SAFETY", "MAX_TOKENS", "OTHER", "read", "$.a", "$.a[0]", "$", "{", "[DONE]", "error")
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 20) | st.floats(allow_nan=False) | st.sampled_from([*SCRAPS, *WORDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)
PARTIAL = st.lists(
    st.fixed_dictionaries({"jsonPath": st.sampled_from(SCRAPS)}, optional={"stringValue": JSONS}), max_size=2
)
CALLS = st.fixed_dictionaries(
    {}, optional={"name": st.sampled_from(NAMES) | JSONS, "args": INPUTS | JSONS, "id": JSONS,
                  "willContinue": st.booleans() | JSONS, "partialArgs": PARTIAL | JSONS},
)  # fmt: skip
PARTS = st.fixed_dictionaries(
    {}, optional={"text": st.sampled_from(WORDS) | JSONS, "thought": st.booleans() | JSONS, "functionCall": CALLS | JSONS,
                  "thoughtSignature": st.sampled_from(["", "s"]) | JSONS, "inlineData": JSONS},
)  # fmt: skip
CANDIDATES = st.fixed_dictionaries(
    {"content": st.fixed_dictionaries({"parts": st.lists(PARTS, max_size=3)}) | JSONS},
    optional={"finishReason": st.sampled_from(SCRAPS) | JSONS, "index": JSONS},
)
CHUNKS = JSONS | st.fixed_dictionaries(
    {"candidates": st.lists(CANDIDATES, max_size=2) | JSONS},
    optional={"usageMetadata": JSONS, "promptFeedback": JSONS, "error": JSONS},
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good stream with some bytes changed, frames lost, doubled or moved."""
    frames = [frame(one) for one in draw(answers()).chunks]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(frames) - 1))
        match draw(st.sampled_from(["byte", "lost", "doubled", "half"])):
            case "byte":
                place = draw(st.integers(0, len(frames[at]) - 1))
                with_it = draw(st.sampled_from([b'"', b"{", b"}", b"0", b"\n", b"", b"\xff", b"\\", b",", b"n"]))
                frames[at] = frames[at][:place] + with_it + frames[at][place + 1 :]
            case "lost" if len(frames) > 1:
                del frames[at]
            case "doubled":
                frames.insert(at, frames[at])
            case "half" if len(frames[at]) > 1:
                frames[at] = frames[at][: len(frames[at]) // 2]
    return b"".join(frames)


class TestHostility:
    """For whatever a host may send."""

    @LAW
    @given(damaged(), st.data())
    def test_damaged_streams(self, sent: bytes, data: st.DataObject) -> None:
        """The grammar holds up to the failure."""
        events, complete, failed = run(data.draw(cuttings(sent)))
        check_survived(events, complete=complete, failed=failed)

    @settings(LAW, max_examples=40)
    @given(st.lists(CHUNKS.map(frame) | st.just(b"data: [DONE]\n\n") | st.just(b"event: error\n"), max_size=6))
    def test_any_json(self, frames: list[bytes]) -> None:
        """It is an answer, an error, or refused."""
        events, complete, failed = run(frames)
        check_survived(events, complete=complete, failed=failed)

    @LAW
    @given(CHUNKS.filter(lambda value: isinstance(value, dict)))
    def test_any_answer(self, answer: Any) -> None:
        """Given whole."""
        one = decoder(toolbox=TOOLS)
        try:
            events = one.whole(answer)
        except StreamError:
            return
        check_survived(events, complete=one.complete, failed=False)

    @LAW
    @given(
        st.lists(
            st.binary(max_size=20) | st.sampled_from([b"data: ", b"\n\n", b"{", b"}", b"event: error"]), max_size=9
        )
    )
    def test_any_bytes(self, parts: list[bytes]) -> None:
        """They are no answer."""
        events, complete, failed = run(parts)
        check_survived(events, complete=complete, failed=failed)

    @pytest.mark.parametrize("depth", [100, 250, 255, 300, 1000, 1023, 100_000])
    @pytest.mark.parametrize(
        "around",
        [
            '{"candidates":[{"content":{"parts":[{"functionCall":{"name":"read","args":{"a":%s}}}]},"finishReason":"STOP"}]}',
            '{"candidates":[{"content":{"parts":[{"functionCall":{"name":"read","partialArgs":[{"jsonPath":"$.a",'
            '"numberValue":%s}]}}]},"finishReason":"STOP"}]}',
            '{"candidates":[{"content":{"parts":[{"thoughtSignature":%s,"text":"a"}]},"finishReason":"STOP"}]}',
            '{"error":{"message":"busy","x":%s}}',
            '{"usageMetadata":%s}',
        ],
    )
    def test_any_depth(self, around: str, depth: int) -> None:
        """Nobody's stack is exhausted, and what is given out can be written again."""
        sent = b"data: %s\n\n" % (around % ("[" * depth + "]" * depth)).encode()
        events, complete, failed = run([sent])
        check_survived(events, complete=complete, failed=failed)
        for event in events:
            orjson.dumps(event.payload)


def test_a_path_that_is_long_is_none() -> None:
    """It would be a tree as deep."""
    one = {"functionCall": {"name": "read", "partialArgs": [{"jsonPath": "$" + ".a" * 5000, "boolValue": True}]}}
    assert run([stream(chunk(one, finish="STOP"))])[2]
