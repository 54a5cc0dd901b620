"""How conversations are kept as threads by a host that wants them so (wire `zed`).

That host's API is private and has changed its fields more than once, so whatever it may want or refuse is a setting here.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

#: When a dearer mode with a larger window is asked for by itself.
Trigger = Literal["long_context", "complex_coding_task", "multi_step_analysis"]
TRIGGERS: tuple[Trigger, ...] = ("long_context", "complex_coding_task", "multi_step_analysis")


def _share(_: object, __: object, value: Any) -> None:
    if not 0.1 <= value <= 1:
        raise ValueError(f"expected a share from 0.1 to 1, got {value:g}")


def _positive(_: object, __: object, value: Any) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"expected more than 0, got {value:g}")


@attrs.frozen(kw_only=True)
class ThreadSettings:
    """`[providers.zed.thread]`. Tokens, seconds, US dollars.

    A thread is left for a new one when its conversation holds `rotation_threshold` of `max_context_tokens`, and after
    `ttl_s`; what it held by then goes on as a summary, written by the model, as a digest without one, or not at all.
    """

    upstream: Literal["anthropic", "open_ai", "google", "x_ai"] | None = (
        None  #: whose models; None: by the model's name
    )
    max_context_tokens: int = attrs.field(default=120_000, validator=_positive)
    rotation_threshold: float = attrs.field(default=0.8, validator=_share)
    ttl_s: float = attrs.field(default=3600.0, validator=_positive)
    summary: Literal["model", "digest", "off"] = "model"
    mode: Literal["auto", "normal", "burn", "off"] = "auto"  #: `off`: the field is left out
    burn_word: Literal["burn", "max"] = "burn"  #: what the dearer mode is called on the wire
    auto_burn_mode_triggers: tuple[Trigger, ...] = TRIGGERS
    burn_max_usd: float | None = attrs.field(
        default=0.5, validator=_positive
    )  #: a prompt that costs more stays `normal`
    calls_per_prompt: int = attrs.field(
        default=25, validator=_positive
    )  #: tool calls that one prompt may have, `normal`
    intent: bool = True
    name_model: bool = True
