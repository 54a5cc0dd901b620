"""Zed's hosted models: a request of another wire, nested in an envelope that names thread, prompt, intent and mode.

The envelope is the only thing that is peculiar here, and its contents are those of the vendor whose model is asked. So the
vendor's own dialect writes what is inside and reads what comes out, and this one adds the envelope and takes it off. The
API is private to an editor: nothing is sent there unless the file has a table for it, with an address and a token.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import orjson

from engine import JSON, Ask
from engine.config import ThreadSettings, Wire
from transports._dialect import Dialect, Turn, head
from transports.zed._decoder import LINES, ZedDecoder
from transports.zed._threads import Standing

#: How the vendors are called there, and the wire that each of them is asked and answers on.
VENDORS: Mapping[str, Wire] = {
    "anthropic": "anthropic",
    "open_ai": "openai-responses",
    "google": "gemini",
    "x_ai": "openai-chat",
}
#: How a model's name begins -> its vendor; any other is Anthropic's.
_BY_NAME = (("gpt-", "open_ai"), ("o1", "open_ai"), ("o3", "open_ai"), ("o4", "open_ai"), ("gemini", "google"),
            ("grok", "x_ai"))  # fmt: skip
#: Headers by which the host is told that the answer may hold news of its queue.
_HEADERS = [
    (b"x-zed-client-supports-status-messages", b"true"),
    (b"x-zed-client-supports-stream-ended-request-completion-status", b"true"),
]


def vendor_of(model: str, settings: ThreadSettings) -> str:
    """Whose model this is."""
    return settings.upstream or next((v for start, v in _BY_NAME if model.lower().startswith(start)), "anthropic")


def nested(ask: Ask, standing: Standing, dialects: Mapping[Wire, Dialect]) -> Turn:
    """The turn of `ask`, in the envelope of its thread. Raises ValueError for a vendor whose wire is not spoken."""
    settings = ask.provider.thread
    model = ask.candidate.model
    vendor = vendor_of(model, settings)
    wire = VENDORS[vendor]
    if wire not in dialects:
        raise ValueError(f"{vendor} is asked on the wire {wire}, which is not spoken")
    # Inside it is one of the hosts that are not Anthropic: what goes in is the reduced body.
    inside = attrs.evolve(ask.provider, wire=wire, open_lists=False, paths={"messages": "/"})
    turn = dialects[wire](attrs.evolve(ask, provider=inside))
    envelope: JSON = {"thread_id": standing.thread_id, "prompt_id": standing.prompt_id}
    if settings.intent:
        envelope["intent"] = standing.intent
    if standing.mode is not None:
        envelope["mode"] = standing.mode
    envelope["provider"] = vendor
    if settings.name_model:
        envelope["model"] = model
    opening = orjson.dumps(envelope)[:-1]
    return attrs.evolve(
        turn,
        url=ask.provider.url("messages"),
        headers=head(ask, _HEADERS, stream_type=LINES),
        body=b'%s,"provider_request":%s}' % (opening, turn.body),
        decoder=ZedDecoder(turn.decoder, named_events=wire == "anthropic"),
        stream_type=LINES,
    )
