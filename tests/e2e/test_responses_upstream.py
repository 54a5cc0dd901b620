"""The scripted upstream on its third wire: the same answers, the same faults, in Responses' own form."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from .faults import NAMES
from .upstream import Upstream, serving
from .wire import SIGNATURE

ENCRYPTED: dict[str, Any] = {"include": ["reasoning.encrypted_content"]}


def ask(text: str, *, stream: bool = True, model: str = "m", **more: Any) -> dict[str, Any]:
    """A request of one user turn."""
    return {"model": model, "input": [{"type": "message", "role": "user", "content": text}], "stream": stream, **more}


async def post(upstream: Upstream, body: dict[str, Any], prefix: str = "") -> httpx.Response:
    """One request on a connection of its own."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        return await client.post(f"{upstream.base_url}{prefix}/v1/responses", json=body)


def events(reply: httpx.Response) -> list[Any]:
    """What the frames hold; each is named as its payload says."""
    found = []
    for frame in reply.text.split("\n\n")[:-1]:
        name, _, data = frame.partition("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


async def test_a_stream_is_written_as_the_description_has_it(upstream: Upstream) -> None:
    """Numbered events, an item added, filled and done, the finished response last, and no `[DONE]`."""
    found = events(await post(upstream, ask("[[both /in /out]]")))
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    kinds = [event["type"].removeprefix("response.") for event in found]
    assert kinds[:3] == ["created", "in_progress", "output_item.added"]
    assert kinds.count("output_item.added") == kinds.count("output_item.done") == 2
    assert kinds[-1] == "completed"
    deltas = [e["delta"] for e in found if e["type"].endswith("arguments.delta") and e["output_index"] == 0]
    (item, _) = found[-1]["response"]["output"]
    assert "".join(deltas) == item["arguments"]
    assert len(deltas) > 1
    assert found[-1]["response"]["usage"]["output_tokens"] > 1


@pytest.mark.parametrize("script", ["[[say one two three]]", "[[think 42]]", "[[both /in /out]]", "no script at all"])
async def test_stream_and_whole_answer_say_the_same(upstream: Upstream, script: str) -> None:
    """They are two renderings of one message, apart from the ids made up for each."""
    told = events(await post(upstream, ask(script, **ENCRYPTED)))[-1]["response"]
    whole = (await post(upstream, ask(script, stream=False, **ENCRYPTED))).json()
    for response in (told, whole):
        for item in response["output"]:
            item.pop("id")
            item.pop("call_id", None)
    assert told["output"] == whole["output"]


async def test_reasoning_is_encrypted_only_where_that_was_asked_for(upstream: Upstream) -> None:
    """And is whole only when the item is done."""
    plain = events(await post(upstream, ask("[[think 42]]")))
    assert "encrypted_content" not in str(plain)
    found = events(await post(upstream, ask("[[think 42]]", **ENCRYPTED)))
    seen = [event["item"]["encrypted_content"] for event in found if "encrypted_content" in event.get("item", {})]
    assert seen == ["the beginning", SIGNATURE]


async def test_what_is_not_of_this_wire_is_refused() -> None:
    """With 422, in OpenAI's form; and the test that caused it fails."""
    async with serving(may_refuse=True) as upstream:
        reply = await post(upstream, ask("[[say x]]", stop=["a"]))
        assert reply.status_code == 422
        assert reply.json()["error"]["message"] == "stop: no such field"
        assert upstream.refused == ["request 1: stop: no such field"]


@pytest.mark.parametrize(
    "fault", sorted(set(NAMES) - {"silence", "silent-end", "stall", "stall-tool", "endless", "slow"})
)
async def test_every_fault_is_served_on_this_wire(upstream: Upstream, fault: str) -> None:
    """It answers, breaks or refuses, and what came in whole frames is of the wire."""
    try:
        reply = await post(upstream, ask("[[loop /in /out]]"), f"/{fault}")
    except httpx.HTTPError:
        assert upstream.asked[-1].ending in ("reset", "cut")
        return
    assert upstream.asked[-1].wire == "openai-responses"
    if reply.status_code == 200 and "event-stream" in reply.headers["content-type"]:
        assert all(event["type"] == "error" or event["type"].startswith("response.") for event in events(reply))
    elif reply.status_code != 200:
        assert reply.json()["error"]["message"]


async def test_items_overlap_where_that_is_the_fault(upstream: Upstream) -> None:
    """Two are open at once, told apart by their indexes."""
    found = events(await post(upstream, ask("[[both /in /out]]"), "/overlap"))
    places = [event["output_index"] for event in found if "output_index" in event]
    assert places[:4] == [0, 1, 0, 1]
