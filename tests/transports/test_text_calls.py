"""Spoken calls in a stream: what is a call comes out as one, and all else comes out as it went in, however it is cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Ask, Kind, StreamEvent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, pieces, reading
from tests.transports.anthropic_frames import END, START, STOP, delta, frame, start, stream
from tests.transports.asks import ask, body
from tests.transports.chat import streams as chat
from tests.transports.translate.test_spoken import FORMS, NO_CALLS, SCHEMAS
from transports import AnthropicDecoder
from transports._text_calls import TextCalls, with_text_calls
from transports.translate._spoken import bare

TOOLS = [{"name": name, "input_schema": schema} for name, schema in SCHEMAS.items()]


def native() -> TextCalls:
    return TextCalls(AnthropicDecoder(), SCHEMAS, "msg_7", frozenset[str])


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def said(*texts: str, end: dict[str, Any] = END) -> bytes:
    """A message of one text block, a delta for each text."""
    return stream(START, start(0), *(delta(0, text) for text in texts), stop(0), end, STOP)


def read(body: bytes, cut: int | None = None) -> tuple[Reading, list[StreamEvent]]:
    one = native()
    events = [event for piece in pieces(body, cut) for event in one.feed(piece)] + one.finish()
    return reading(b"".join(e.raw for e in events)), events


def lettered(text: str) -> bytes:
    """The text, a character a delta."""
    return said(*text)


class TestCalls:
    @pytest.mark.parametrize("cut", CUTS)
    @pytest.mark.parametrize("form", FORMS)
    def test_a_spoken_call_is_a_call(self, form: str, cut: int | None) -> None:
        """With words before it, in one delta and in as many as it has characters."""
        text, calls = FORMS[form]
        for sent in (said(f"Let me look.\n\n{text}"), lettered(f"Let me look.\n\n{text}")):
            found, _ = read(sent, cut)
            assert found.faults == []
            assert found.text == "Let me look.\n\n"
            assert found.tools == calls
            assert found.stop_reason == "tool_use"
            assert found.usage["output_tokens"] == 7

    @pytest.mark.parametrize("form", FORMS)
    def test_a_call_alone_leaves_no_empty_text(self, form: str) -> None:
        """Nor one of white space, which no history can bear."""
        text, calls = FORMS[form]
        for sent in (said(f"\n {text}\n"), lettered(f"\n {text}\n")):
            found, _ = read(sent)
            assert (found.faults, found.tools) == ([], calls)
            assert [block["type"] for block in found.blocks] == ["tool_use"] * len(calls)

    def test_thinking_before_it_stays(self) -> None:
        """Indexes go on behind it."""
        text, calls = FORMS["hermes"]
        found, _ = read(stream(START, start(0, "thinking"), delta(0, "hm", "thinking"), stop(0), start(1), delta(1, text),
                               stop(1), END, STOP))  # fmt: skip
        assert (found.faults, found.thinking, found.tools) == ([], "hm", calls)

    def test_ids_are_new(self) -> None:
        """Unlike each other and unlike those of the conversation."""
        one = TextCalls(AnthropicDecoder(), SCHEMAS, "msg_7", lambda: {"toolu_7_0"})
        events = one.feed(said(FORMS["hermes, two"][0])) + one.finish()
        ids = [e.payload["content_block"]["id"] for e in events if e.kind is Kind.BLOCK_START]
        assert ids == ["toolu_7_0_1", "toolu_7_1"]

    def test_held_text_is_progress(self) -> None:
        """The clocks see that the provider is at work, and nothing is shown."""
        one = native()
        assert one.feed(stream(START, start(0))) != []
        events = one.feed(frame(delta(0, '<tool_call>{"name":"Re')))
        assert {e.kind for e in events} == {Kind.PROGRESS}
        assert not one.began

    def test_over_chat_as_well(self) -> None:
        """One place for every wire."""
        inner = chat.decoder(toolbox=chat.toolbox("Read"))
        one = TextCalls(inner, SCHEMAS, "msg_7", frozenset[str])
        text, calls = FORMS["qwen coder"]
        events = one.feed(chat.body(*(chat.chunk(content=c) for c in f"Well.\n{text}"), chat.chunk("stop")))
        found = reading(chat.raw_of(events + one.finish()))
        assert (found.faults, found.text, found.tools, found.stop_reason) == ([], "Well.\n", calls, "tool_use")
        assert one.complete


class TestTexts:
    @pytest.mark.parametrize("cut", CUTS)
    @pytest.mark.parametrize("case", NO_CALLS)
    def test_what_is_no_call_stays_text(self, case: str, cut: int | None) -> None:
        """To the letter."""
        text = f"See:\n{NO_CALLS[case]}"
        for sent in (said(text), lettered(text)):
            found, _ = read(sent, cut)
            assert (found.faults, found.text, found.tools, found.stop_reason) == ([], text, [], "end_turn")

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a fenced example", "```xml\n%s\n```\n"),
            ("a fence that nobody closed", "```\n%s"),
            ("another fence", "~~~\n%s"),
            ("in the middle of a line", "Write `%s`"),
            ("quoted", "> %s"),
            ("indented as code", "So:\n\n    %s"),
            ("indented as code, at once", "    %s\n"),
            ("indented with a tab", "So:\n\n\t%s"),
        ],
    )
    def test_an_example_is_no_call(self, name: str, text: str) -> None:
        """What is shown is not run."""
        text = text % FORMS["qwen coder"][0].replace("\n", "")
        for sent in (said(text), lettered(text), said(*text.partition("<"))):
            found, _ = read(sent)
            assert (found.faults, found.text, found.tools) == ([], text, [])

    @pytest.mark.parametrize("reason", ["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded"])
    def test_an_answer_that_was_cut_has_no_call(self, reason: str) -> None:
        """What there is of it may be half of what was meant."""
        text, _ = FORMS["hermes"]
        found, _ = read(said(text, end={**END, "delta": {"stop_reason": reason, "stop_sequence": None}}))
        assert (found.text, found.tools, found.stop_reason) == (text, [], reason)

    def test_a_host_that_makes_calls_is_believed(self) -> None:
        """What its text holds is text."""
        text, _ = FORMS["hermes"]
        found, _ = read(stream(START, start(0), delta(0, text), stop(0), start(1, "tool_use", name="ls"), stop(1),
                               {**END, "delta": {"stop_reason": "tool_use", "stop_sequence": None}}, STOP))  # fmt: skip
        assert (found.faults, found.text, found.tools) == ([], text, [("ls", {})])

    def test_a_text_behind_it_takes_it_back(self) -> None:
        """A call is the last thing a model says."""
        text, _ = FORMS["hermes"]
        found, _ = read(stream(START, start(0), delta(0, text), stop(0), start(1), delta(1, "so"), stop(1), END, STOP))
        assert (found.faults, found.text, found.tools) == ([], f"{text}so", [])

    def test_a_stream_that_breaks_off_has_not_said_it(self) -> None:
        """Neither as a call nor as text."""
        text, _ = FORMS["hermes"]
        one = native()
        events = one.feed(stream(START, start(0), delta(0, f"Now.\n{text}"))) + one.finish()
        texts = [p["delta"]["text"] for e in events if e.kind is Kind.DELTAS for p in e.payloads()]
        assert "".join(texts) == "Now.\n"
        assert not one.complete

    @pytest.mark.parametrize("cut", CUTS)
    def test_leftovers_of_a_template_are_cut_off(self, cut: int | None) -> None:
        """At the end of an answer; in the middle they are what it is about."""
        found, _ = read(said("Done", ".<|im_end|>", "\n"), cut)
        assert (found.faults, found.text, found.stop_reason) == ([], "Done.", "end_turn")
        text = "The token <|im_end|> ends a turn."
        found, _ = read(lettered(text), cut)
        assert found.text == text

    def test_plain_deltas_are_relayed_as_they_came(self) -> None:
        """The same bytes."""
        payload = frame(delta(0, "plain"), spaced=True)
        one = native()
        one.feed(stream(START, start(0), delta(0, "first")))
        assert [e.raw for e in one.feed(payload)] == [payload]

    @given(st.data())
    def test_any_text_comes_out_as_it_went_in(self, data: st.DataObject) -> None:
        """Or as calls of tools on offer, with the text before them unharmed; whatever the cutting."""
        words = [*(form for form, _ in FORMS.values()), *NO_CALLS.values(), "<", "`", "```", "\n", " ", "a", "\u25cf", "[T",
                 "<tool_call>", "<|im_end|>", "<|im_", "W", "WebF", "\u00e9", "~~~", "<function=", "\\"]  # fmt: skip
        text = "".join(data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=8)))
        cuts = sorted({0, len(text), *data.draw(st.lists(st.integers(0, len(text)), max_size=6))})
        found, events = read(said(*(text[a:b] for a, b in pairwise(cuts))))
        assert found.faults == []
        if found.tools:
            assert found.stop_reason == "tool_use"
            assert text.startswith(found.text)
            assert all(name in SCHEMAS for name, _ in found.tools)
        else:
            assert text.startswith(found.text)
            assert bare(found.text) == bare(text)
        assert all(each.content for each in events if b"text_delta" in each.raw)

    def test_a_thousand_false_beginnings_are_cheap(self) -> None:
        """What is held is looked at once for each doubling."""
        text = "<tool_call>\n" * 20_000
        found, _ = read(said(*(text[n : n + 600] for n in range(0, len(text), 600))))
        assert found.text == text


EVIL = {
    "a line": FORMS["hermes"][0].replace("\n", ""),
    "lines": FORMS["qwen coder"][0],
    "lines of another form": FORMS["minimax"][0],
    "a reader by its name": FORMS["a reader by its name"][0],
}


def told(*messages: dict[str, Any], tell: str) -> list[tuple[str, list[tuple[str, Any]]]]:
    """What an answer comes to that ends with `tell`, after these messages."""
    asked = ask(body(tools=TOOLS, messages=list(messages)))
    one = with_text_calls(asked, AnthropicDecoder())
    found = reading(b"".join(e.raw for e in one.feed(said(f"It says:\n{tell}")) + one.finish()))
    assert found.faults == []
    return [(found.text, found.tools)]


class TestQuotations:
    def result(self, content: Any) -> dict[str, Any]:
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": content}]}

    @pytest.mark.parametrize("case", EVIL)
    def test_what_a_file_says_is_not_run_when_it_is_shown(self, case: str) -> None:
        """With the numbers that a reading tool puts before lines, indented, as a text, in blocks, in a page."""
        call = EVIL[case]
        numbered = "\n".join(f"  {n}\u2192{line}" for n, line in enumerate(call.splitlines(), 1))
        page = {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content": {"content": {"data": call}}}
        for message in (
            {"role": "user", "content": f"What does this mean? {call}"},
            self.result(f"# Notes\n{call}\n"),
            self.result([{"type": "text", "text": numbered}]),
            {"role": "assistant", "content": [page, {"type": "text", "text": "so"}]},
        ):
            for tell in (call, "\n".join(f"  {line}" for line in call.splitlines())):
                asked = {"role": "user", "content": "show me"}
                assert told(asked, message, asked, tell=tell) == [(f"It says:\n{tell}", [])]

    @pytest.mark.parametrize("case", EVIL)
    def test_a_call_is_one_though_its_words_were_said(self, case: str) -> None:
        """The path that somebody names, a call that the model has made before, the form of another one."""
        call = EVIL[case]
        messages = (
            {"role": "user", "content": "read /a b and http://x for me"},
            {"role": "assistant", "content": call},
            self.result("<tool_call>\n<function=Read>\n<parameter=file_path>\n/else\n</parameter>"),
        )
        ((_, tools),) = told(*messages, tell=call)
        assert tools

    def test_a_long_quotation_is_looked_for_quickly(self) -> None:
        """As many lines as a call may have, in a conversation as large as may be: some of them tell."""
        lines = [f"line {n}" for n in range(20_000)]
        value = "\n".join(lines)
        call = f"<function=Read><parameter=file_path>\n{value}\n</parameter></function>"
        message = self.result("y" * 4_000_000 + call)
        ((_, tools),) = told(message, tell=call)
        assert tools == []


class TestWhere:
    def offered(self, **more: Any) -> Ask:
        return ask(body(tools=TOOLS, **more))

    def wrapped(self, asked: Ask) -> bool:
        return isinstance(with_text_calls(asked, AnthropicDecoder()), TextCalls)

    def test_where_tools_are_on_offer(self) -> None:
        """And the host is one that may need it."""
        assert self.wrapped(self.offered())
        assert not self.wrapped(ask(body()))
        assert not self.wrapped(ask(body(tools=[{"type": "web_search_20250305", "name": "web_search"}])))
        assert not self.wrapped(self.offered(tool_choice={"type": "none"}))

    def test_a_provider_may_switch_it_off(self) -> None:
        """`text_calls = false`."""
        assert not self.wrapped(ask(body(tools=TOOLS), text_calls=False))


def test_payloads_are_json() -> None:
    """What is made here can be read by everybody."""
    _, events = read(said(f"x\n{FORMS['hermes, two'][0]}"))
    for each in events:
        for line in each.raw.splitlines():
            if line.startswith(b"data: "):
                orjson.loads(line[6:])
