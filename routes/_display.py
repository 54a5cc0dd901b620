"""What a person reads in the picker: "Kimi K2.6 · nvidia_nim" instead of "nvidia_nim/moonshotai/kimi-k2.6".

An id says it all and is read by nobody; a table of pretty names is out of date with the next model. Ids are made by rule,
so the rule is read backwards: the vendor goes, words get their capitals, numbers their point. Where that makes two models
of a host look alike, their ids are shown instead. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from policies import Candidate

#: Words that are not written like others.
_SPELLED: Mapping[str, str] = {
    "gpt": "GPT", "glm": "GLM", "oss": "OSS", "vl": "VL", "moe": "MoE", "deepseek": "DeepSeek", "minimax": "MiniMax",
    "mimo": "MiMo", "ai": "AI", "it": "IT", "openai": "OpenAI", "xai": "xAI",
}  # fmt: skip
#: 480b, a35b, fp8, q4, v4, k2.6, m3, r1: a size or a version, all capitals.
_SIZE = re.compile(r"[a-z]{0,2}\d+(?:\.\d+)?[bkmt]?", re.IGNORECASE)
#: Two short numbers in a row are one version: `opus-4-8`.
_VERSION = re.compile(r"(?<![\w.])(\d{1,2})-(\d{1,2})(?![\w.])")
#: What a host adds to say what a model costs there.
_TAG = re.compile(r"[:-](free|beta|preview|latest|exp)$", re.IGNORECASE)


def pretty(model: str) -> str:
    """A model's id as a person would write it. Never empty."""
    name = model.rpartition("/")[2]
    tags: list[str] = []
    while (tag := _TAG.search(name)) and tag.start():
        tags.insert(0, tag[1].lower())
        name = name[: tag.start()]
    words = re.split(r"[-_:\s]+", _VERSION.sub(r"\1.\2", name))
    spoken = " ".join(map(_word, filter(None, words)))
    return " ".join([spoken, *(f"({tag})" for tag in tags)]) if spoken else model


def _word(word: str) -> str:
    if word.lower() in _SPELLED:
        return _SPELLED[word.lower()]
    if _SIZE.fullmatch(word):
        return word.upper()
    return word if not word.islower() else word[0].upper() + word[1:]


def names(candidates: Iterable[Candidate]) -> dict[Candidate, str]:
    """Each candidate's name for people, no two alike."""
    said = {candidate: f"{pretty(candidate.model)} \u00b7 {candidate.provider}" for candidate in candidates}
    seen = Counter(said.values())
    return {c: name if seen[name] == 1 else f"{c.model} \u00b7 {c.provider}" for c, name in said.items()}
