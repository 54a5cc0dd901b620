"""What is known of a prompt's length, as facts that an event can carry: numbers, and not a word of the prompt."""

from __future__ import annotations

import attrs

from engine._prompt import Prompt
from policies import Candidate


@attrs.frozen(kw_only=True)
class Estimate:
    """A prompt's size, and where its conversation was counted before, by whom, and the estimate of what was added since.

    `conversation` is session, agent and a digest of how it begins. All but `prompt` is at its default for a first turn.
    """

    conversation: tuple[str, str, int]
    prompt: Prompt
    counted: int = 0
    by: Candidate | None = None
    added: float = 0.0
    added_media: int = 0
