"""What a refusal asks to be changed: a shorter answer, or a request without some field.

Such a 400 is no failure of anybody's: put right, the same request is answered. But each host words it in its own way, and
a text may quote the request. So only fields that were really sent are looked for, only in sentences that refuse something,
and the numbers are taken from sentences whose every number has a known meaning.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import attrs

#: Room that is left between a prompt, its answer and the end of the window, in tokens.
MARGIN = 256
#: With less room than this for its answer a prompt counts as too long, in tokens.
LEAST_ROOM = 1024
#: What an answer is cut to where a host refuses its length and does not say what it takes, in tokens.
A_SHORT_ANSWER = 8192


@attrs.frozen
class Room:
    """A prompt and a window, in tokens, from a text that names both. `asked` is what the answer was to have."""

    prompt: int
    window: int
    asked: int

    @property
    def left(self) -> int:
        """What an answer may have."""
        return self.window - self.prompt - MARGIN

    @property
    def enough(self) -> bool:
        return self.left >= LEAST_ROOM


_W, _P, _Q, _A = (rf"(?P<{name}>\d[\d,]{{0,11}})" for name in ("window", "prompt", "more", "asked"))
_LENGTH = rf"maximum context length is {_W} tokens"
#: Sentences that tell prompt and answer apart.
_ROOMS = tuple(
    re.compile(pattern, re.I | re.S)
    for pattern in (
        # Anthropic
        rf"input length and `?max_tokens`? exceed context limit: {_P} \+ {_A} > {_W}",
        # OpenAI, Azure, DeepSeek, older vLLM
        rf"{_LENGTH}.{{0,80}}?requested (?:about )?[\d,]+ tokens \({_P} in the messages, {_A} in the completion",
        # OpenRouter
        rf"{_LENGTH}.{{0,80}}?\({_P} of text input, (?:{_Q} of tool input, )?{_A} in the output",
        # vLLM
        rf"{_LENGTH}.{{0,60}}?requested {_A} output tokens and your prompt contains (?:at least )?{_P} input",
        rf"too large: {_A}\..{{0,40}}{_LENGTH} and your request has {_P} input tokens",
        # SGLang
        rf"maximum context length of {_W} tokens.{{0,80}}?: {_P} tokens from the input messages and {_A} tokens for the",
        # TGI
        rf"must be <= {_W}\. Given: {_P} `inputs` tokens and {_A} `max_new_tokens`",
    )
)


def room_in(text: str) -> Room | None:
    """The prompt and the window that a text names, where it tells the prompt from the answer."""
    for pattern in _ROOMS:
        if match := pattern.search(text):
            found = {name: int(value.replace(",", "")) for name, value in match.groupdict().items() if value}
            return Room(found["prompt"] + found.get("more", 0), found["window"], found["asked"])
    return None


#: Google names the first number that is too large.
_EXCLUSIVE = re.compile(r"(\d{1,12}) \(exclusive\)")
#: Numbers that are no length: of a status, an error or a request, and in the names of models.
_NO_LENGTH = re.compile(r"\b(?:status|code|error|http|id)\W{0,3}\d[\w-]*|(?<![\w.])[a-z][\w.]*(?:-[\w.]+)+", re.I)
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]{0,11}(?![\w.]*\d)")


def cap_in(text: str, asked: int | None) -> int | None:
    """The longest answer that a host says it gives: the largest number in its text that is smaller than what was asked.

    Where it names none, a short answer's length, if that is less than was asked.
    """
    if asked is None:
        return None
    text = _EXCLUSIVE.sub(lambda found: str(int(found[1]) - 1), _NO_LENGTH.sub(" ", text))
    numbers = [int(found.replace(",", "")) for found in _NUMBER.findall(text)]
    smaller = [number for number in numbers if 16 <= number < asked]
    return max(smaller, default=A_SHORT_ANSWER if asked > A_SHORT_ANSWER else None)


#: How a host says that it refuses a field.
_REFUSING = re.compile(
    r"unsupported|not supported|does not support|doesn't support|no longer supported|unrecogni[sz]ed|unknown|"
    r"not permitted|not allowed|extra (inputs?|fields?)|extra_forbidden|unexpected|cannot (be disabled|find field)|"
    r"is mandatory|not available|deprecated|invalid (parameter|argument|field|value)|must be (one of|'|`|\")|"
    r"only .{0,40}(is|are) (supported|allowed)|incompatible|is missing in|could not be verified|out of range|is invalid|"
    r"is not valid|only set (only )?one of|(can't|can not) be disabled|only works in|corrupted|invalid thought|invalid value",
    re.I,
)
_SENTENCES = re.compile(r"(?<=[.;!?])\s+|\n+")
_OTHER_CAP = re.compile(r"use '?`?max_(completion_)?tokens", re.I)
_TOO_MUCH = re.compile(r"above maximum|too (large|high)|at most|<=|less than or equal", re.I)
_CAPS = frozenset(["max_tokens", "max_completion_tokens", "max_output_tokens"])
#: Fields whose refusal is worded with a part of their name, or with the name of what they hold.
_ALSO_CALLED = {
    "chat_template_kwargs": ("chat_template", "enable_thinking", "reasoning_budget"),
    "reasoning_effort": ("reasoning.effort", "thinking", "reasoning"),
    "reasoning": ("reasoning",),
    "think": ("thinking",),
    "thinking": ("thinking",),
    "response_format": ("json_schema", "structured output", "structured outputs"),
    "stream_options": ("include_usage",),
    "text": ("text.format", "json_schema", "structured output", "structured outputs"),
    "include": ("reasoning.encrypted_content", "encrypted content is"),
    # Reasoning that is sent back, and was encrypted for another account.
    "encrypted_content": ("the encrypted content",),
    "reasoning.summary": ("reasoning summaries", "reasoning summary"),
    # Gemini: Google names fields as its protocol buffers do, and calls a signature by its name.
    "functionCall.id": ('"id"',),
    "functionResponse.parts": ('"parts"',),
    "includeThoughts": ("include_thoughts",),
    "parametersJsonSchema": ("parameters_json_schema",),
    "responseJsonSchema": ("response_json_schema",),
    "responseMimeType": ("response_mime_type", "response mime type"),
    "stopSequences": ("stop_sequences", "stop sequences"),
    "thinkingBudget": ("thinking_budget", "thinking budget", "budget"),
    "thinkingConfig": ("thinking_config", "thinking is", "thinking mode"),
    "thinkingLevel": ("thinking_level", "thinking level"),
    "thoughtSignature": ("thought_signature", "thought signature", "thought signatures"),
    "toolConfig": ("tool_config", "function_calling_config"),
    "topK": ("top_k",),
    "topP": ("top_p",),
    "developer": ("'developer'", "developer role", "role 'developer'"),
}


def fields_in(text: str, sent: Collection[str], named: Collection[str] = ()) -> frozenset[str]:
    """The fields among those `sent` that a text refuses; `named` are names that the error states apart from its text."""
    found = {name for name in sent if name in named}
    for sentence in _SENTENCES.split(text):
        if _REFUSING.search(sentence):
            found |= {name for name in sent if _mentions(sentence, (name, *_ALSO_CALLED.get(name, ())))}
    unknown = _OTHER_CAP.search(text) or re.search("unsupported|unrecog", text, re.I)
    if not unknown and (_TOO_MUCH.search(text) or not _CAPS & set(named)):
        found -= _CAPS  # a cap that is refused for its value
    # Where a part of a field is refused, the field is not.
    return frozenset(name for name in found if not any(other.startswith(f"{name}.") for other in found))


#: Fields whose names are words: they are meant where they stand in quotes or behind a colon.
_WORDS = frozenset(["include", "instructions", "store", "strict", "text"])


def _mentions(text: str, names: Collection[str]) -> bool:
    return any(re.search(_before(name) + rf"{re.escape(name)}(?![\w-])", text, re.I) for name in names)


def _before(name: str) -> str:
    return r"(?:['\"`]|: )" if name in _WORDS else r"(?<![\w-])"


def names_in(error: Any) -> frozenset[str]:
    """The field names that an error object states: `param`, and the places of a validation error."""
    found: set[str] = set()
    if isinstance(error, dict):
        if isinstance(error.get("param"), str):
            found |= {_root(error["param"]), error["param"]}
        details = error.get("detail")
        for detail in details if isinstance(details, list) else ():
            place = detail.get("loc") if isinstance(detail, dict) else None
            if isinstance(place, list):
                found |= {part for part in place if isinstance(part, str)}
    return frozenset(found)


def _root(param: str) -> str:
    return re.split(r"[.\[]", param, maxsplit=1)[0]
