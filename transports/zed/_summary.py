"""What is left of the messages that a new thread begins without.

A model that loses the first half of its conversation repeats it. The host's own model can sum it up, for one short request;
where it fails, or is not to be asked, what was wanted and what was done can still be listed.
"""

from __future__ import annotations

from collections import Counter

from engine import JSON
from transports.translate._texts import blocks_of, text_of, word

#: The most that a digest quotes of one text, in characters, and how many of the user's words and of the names used it lists.
_QUOTED, _PROMPTS, _NAMES = 600, 12, 40
#: The longest summary that is asked for, in tokens.
MAX_TOKENS = 2000
HEADING = "[The conversation so far, summed up: its beginning is not shown here]"
INSTRUCTION = (
    "Sum up the conversation so far for yourself, so that you can go on with it without having it before you: what the "
    "user wants, what was decided and why, which files and names matter, what was done, what is left. No preamble."
)
#: Keys of a call's input that name what it was about.
_ABOUT = ("file_path", "path", "notebook_path", "command", "pattern", "url", "query")


def request_for(messages: list[JSON], body: JSON) -> JSON:
    """The body that asks for a summary of `messages`, without tools and without thinking."""
    asked = {"type": "text", "text": INSTRUCTION}
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant":
        told = [*messages, {"role": "user", "content": [asked]}]
    else:
        told = [*messages[:-1], {"role": "user", "content": [*blocks_of(last.get("content")), asked]}]
    kept: JSON = {name: body[name] for name in ("system", "metadata", "tools") if name in body}
    choice = {"tool_choice": {"type": "none"}} if "tools" in kept else {}
    return {**kept, **choice, "model": body["model"], "max_tokens": MAX_TOKENS, "messages": told, "stream": True}


def digest(messages: list[JSON]) -> str:
    """What the user said and what the tools were used on, without a model."""
    prompts: list[str] = []
    used: Counter[str] = Counter()
    for message in messages:
        for block in blocks_of(message.get("content")):
            if block.get("type") == "tool_use":
                given = block.get("input")
                about = (
                    next((word(given[key]) for key in _ABOUT if given.get(key)), "") if isinstance(given, dict) else ""
                )
                used[f"{word(block.get('name'))} {about}".strip()[:200]] += 1
            elif (
                message.get("role") != "assistant" and block.get("type") == "text" and (text := text_of(block).strip())
            ):
                prompts.append(text[:_QUOTED])
    lines = [f"The user said: {text}" for text in (*prompts[:2], *prompts[2:][-_PROMPTS:])]
    lines += [f"Used: {name}" + (f" ({count} times)" if count > 1 else "") for name, count in used.most_common(_NAMES)]
    return "\n".join([HEADING, *lines])


def headed(summary: str) -> str:
    """A summary as the new thread begins with it."""
    return f"{HEADING}\n{summary.strip()}"
