"""Calls written as text: every form of the models' templates is read, and what is only about calls is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.translate._spoken import CONTROL, MARKS, MAX_CHARS, bare, calls_in, may_become_calls

SCHEMAS: dict[str, Any] = {
    "Read": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["file_path"],
    },
    "ls": {"type": "object", "properties": {}},
    "WebFetch": {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]},
}
READ = ("Read", {"file_path": "/a b"})
BAR, DASH = "\uff5c", "\u2581"


def deepseek(name: str) -> str:
    """One of DeepSeek's marks."""
    return f"<{BAR}{name.replace(' ', DASH)}{BAR}>"


FORMS: dict[str, tuple[str, list[tuple[str, Any]]]] = {
    "bullet": ("\u25cf <function=Read><parameter=file_path>/a b</parameter></function>", [READ]),
    "bullet, nothing closed": (
        "\u25cf <function=Read>\n<parameter=file_path>/a b\n<parameter=limit>3",
        [("Read", {"file_path": "/a b", "limit": 3})],
    ),
    "hermes": ('<tool_call>\n{"name": "Read", "arguments": {"file_path": "/a b"}}\n</tool_call>', [READ]),
    "hermes, arguments as a text": (
        '<tool_call>{"name": "Read", "arguments": "{\\"file_path\\": \\"/a b\\"}"}</tool_call>',
        [READ],
    ),
    "hermes, two": (
        '<tool_call>{"name":"Read","arguments":{"file_path":"/a b"}}</tool_call>\n'
        '<tool_call>{"name":"ls","arguments":{}}</tool_call>',
        [READ, ("ls", {})],
    ),
    "hermes, never closed": ('<tool_call>\n{"name": "ls", "arguments": {}}\n', [("ls", {})]),
    "qwen coder": (
        "<tool_call>\n<function=Read>\n<parameter=file_path>\n/a b\n</parameter>\n</function>\n</tool_call>",
        [READ],
    ),
    "glm": (
        "<tool_call>Read\n<arg_key>file_path</arg_key>\n<arg_value>/a b</arg_value>\n"
        "<arg_key>limit</arg_key><arg_value>3</arg_value></tool_call>",
        [("Read", {"file_path": "/a b", "limit": 3})],
    ),
    "minimax": (
        '<minimax:tool_call>\n<invoke name="Read">\n<parameter name="file_path">/a b</parameter>\n</invoke>\n'
        "</minimax:tool_call>",
        [READ],
    ),
    "invoke": ('<function_calls><invoke name="ls"></invoke></function_calls>', [("ls", {})]),
    "kimi": (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.Read:0<|tool_call_argument_begin|>"
        '{"file_path":"/a b"}<|tool_call_end|><|tool_calls_section_end|>',
        [READ],
    ),
    "deepseek, fenced": (
        f"{deepseek('tool calls begin')}{deepseek('tool call begin')}function{deepseek('tool sep')}Read\n"
        f'```json\n{{"file_path":"/a b"}}\n```{deepseek("tool call end")}{deepseek("tool calls end")}',
        [READ],
    ),
    "deepseek": (
        f"{deepseek('tool calls begin')}{deepseek('tool call begin')}Read{deepseek('tool sep')}"
        f'{{"file_path":"/a b"}}{deepseek("tool call end")}{deepseek("tool calls end")}',
        [READ],
    ),
    "mistral, a list": ('[TOOL_CALLS] [{"name":"Read","arguments":{"file_path":"/a b"}}]</s>', [READ]),
    "mistral": ('[TOOL_CALLS]Read[ARGS]{"file_path":"/a b"}', [READ]),
    "llama": ('<|python_tag|>{"name":"Read","parameters":{"file_path":"/a b"}}<|eom_id|>', [READ]),
    "openai's shape": (
        '<tool_call>{"type":"function","function":{"name":"ls","arguments":"{}"}}</tool_call>',
        [("ls", {})],
    ),
    "a reader by its name": ('WebFetch {"url":"http://x"}', [("WebFetch", {"url": "http://x"})]),
    "a reader as a function": ('WebFetch({"url":"http://x"})', [("WebFetch", {"url": "http://x"})]),
}
NO_CALLS = {
    "a tool that was not offered": '<tool_call>{"name":"Bash","arguments":{"command":"rm"}}</tool_call>',
    "arguments that do not fit": '<tool_call>{"name":"Read","arguments":{"limit":3}}</tool_call>',
    "a parameter of the wrong type": "<function=Read><parameter=file_path>/a</parameter><parameter=limit>x</function>",
    "a sentence behind it": '<tool_call>{"name":"ls","arguments":{}}</tool_call>\nThat is the format.',
    "cut in the middle": '<tool_call>{"name":"Read","arguments":{"file_path":"/a',
    "an invoke that is not closed": '<invoke name="Read"><parameter name="file_path">/a</parameter>',
    "a parameter that is not closed": "<function=Read>\n<parameter=file_path>\n/a",
    "the same in a frame": "<tool_call>\n<function=Read>\n<parameter=file_path>\n/a",
    "the last parameter is not closed": "<function=Read><parameter=file_path>/a</parameter><parameter=limit>1",
    "one good, one bad": '<tool_call>{"name":"ls","arguments":{}}</tool_call><tool_call>{"name":"x"}</tool_call>',
    "arguments that are no object": '<tool_call>{"name":"ls","arguments":[1]}</tool_call>',
    "no name": '<tool_call>{"arguments":{}}</tool_call>',
    "a tag alone": "<tool_call>",
    "a writer by its name": 'ls {"a":1}',
    "nothing": "",
    "words": "Use the tool.",
}

SCRAPS = (
    *MARKS, *CONTROL, "Read", "ls", "{", "}", '"name":"ls"', "<parameter=a>", " ", "\n", "</function>", "[", "]", ",",
    ":", "(", "```", "<arg_key>",
)  # fmt: skip


class TestForms:
    @pytest.mark.parametrize("form", FORMS)
    def test_a_call_is_read(self, form: str) -> None:
        """Name and arguments, numbers as numbers where the schema wants them."""
        text, calls = FORMS[form]
        assert calls_in(text, SCHEMAS) == calls

    @pytest.mark.parametrize("form", FORMS)
    def test_any_beginning_of_a_call_may_become_one(self, form: str) -> None:
        """Nothing of a call is given up while it is still coming."""
        text, _ = FORMS[form]
        assert [text[:n] for n in range(1, len(text) + 1) if not may_become_calls(text[:n], SCHEMAS)] == []

    @pytest.mark.parametrize("case", NO_CALLS)
    def test_what_is_no_call_is_none(self, case: str) -> None:
        """A guess would be run as a command."""
        assert calls_in(NO_CALLS[case], SCHEMAS) is None

    @pytest.mark.parametrize("case", ["a tool that was not offered", "a sentence behind it", "one good, one bad"])
    def test_what_cannot_become_one_is_given_up_early(self, case: str) -> None:
        """It is an answer that somebody waits for."""
        assert not may_become_calls(NO_CALLS[case], SCHEMAS)

    def test_a_very_long_one_is_none(self) -> None:
        """Calls are short."""
        text = '<tool_call>{"name":"Read","arguments":{"file_path":"%s"}}</tool_call>' % ("x" * MAX_CHARS)
        assert calls_in(text, SCHEMAS) is None
        assert not may_become_calls(text, SCHEMAS)

    @given(st.lists(st.sampled_from(SCRAPS), max_size=12).map("".join))
    def test_anything_is_read_or_refused(self, text: str) -> None:
        """Only tools on offer come out, and what is all call may become one."""
        found = calls_in(text, SCHEMAS)
        if found is not None:
            assert all(name in SCHEMAS and isinstance(arguments, dict) for name, arguments in found)
            assert may_become_calls(text, SCHEMAS)


class TestLeftovers:
    @pytest.mark.parametrize("token", CONTROL)
    def test_what_a_template_left_is_cut_off(self, token: str) -> None:
        """At the end, and as often as it stands there."""
        assert bare(f"done{token}\n{token} ") == "done"
        assert bare(f"{token} is a token") == f"{token} is a token"
