"""A probe in the router: nobody is asked, the operator sees it, and the switches hold."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest

from engine._events import AnsweredLocally, EngineEvent, RequestAccepted, RequestFinished
from engine._names import Named
from engine._request import Request, need_of
from engine.config import ConfigError, load
from engine.observers.recent import Recent
from engine.testing import RecordingReply, answer, script
from policies import Candidate
from tests.engine.catalogues import small
from tests.engine.stage import MakeScenario


def quota(**fields: Any) -> Request:
    body = {"model": "nobody-knows-this", "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}], **fields}
    raw = orjson.dumps(body)
    return Request(id="req_q", model=body["model"], body=body, raw=raw, need=need_of(body, raw))


async def test_a_probe_asks_nobody_and_is_accounted_for(scenario: MakeScenario) -> None:
    """Accepted, answered as `local/quota`, finished; the account of recent requests shows it."""
    it = scenario({"a": script(answer("never"))})
    reply = RecordingReply()
    await it.router.serve(quota(), reply)
    assert reply.ending == "finish"
    assert it.transport.exchanges == []
    seen = [e for e in it.events(EngineEvent) if e.request_id == "req_q"]
    assert [type(e) for e in seen] == [RequestAccepted, AnsweredLocally, RequestFinished]
    assert it.events(RequestFinished)[0].candidate == Candidate("local", "quota")
    assert [(w.candidate, w.attempts) for w in reply.winners] == [(Candidate("local", "quota"), 0)]
    recent = Recent()
    for event in seen:
        recent.fold(event)
    told = recent.explain("req_q")
    assert told is not None
    assert (told["candidate"], told["outcome"], told["attempts"]) == ("local/quota", "answered", [])
    assert told["at"] is not None


async def test_a_turn_that_is_no_probe_is_asked_as_ever(scenario: MakeScenario) -> None:
    """The same words with room for an answer."""
    it = scenario({"a": script(answer("yes"))})
    await it.serve(it.request(messages=[{"role": "user", "content": "quota"}]))
    assert [exchange.provider for exchange in it.transport.exchanges] == ["a"]


async def test_a_probe_for_somebody_in_particular_is_asked_of_that_one(scenario: MakeScenario) -> None:
    """A name in our header is for this one request; one in the address or token is for all, and changes nothing."""
    it = scenario({"a": script(answer("yes"))})
    reply = RecordingReply()
    await it.router.serve(attrs.evolve(quota(), above=Named("nobody/m", by="hatch")), reply)
    assert reply.ending == "refuse"
    reply = RecordingReply()
    await it.router.serve(attrs.evolve(quota(), id="req_r", above=Named("nobody/m", by="address")), reply)
    assert reply.ending == "finish"


def configured(text: str, **environ: str) -> Any:
    return load(text, file="config.toml", catalogue=small(), environ=environ)


FLAGS = {
    "quota": "ENABLE_NETWORK_PROBE_MOCK",
    "prefix": "FAST_PREFIX_DETECTION",
    "title": "ENABLE_TITLE_GENERATION_SKIP",
    "suggestions": "ENABLE_SUGGESTION_MODE_SKIP",
    "filepaths": "ENABLE_FILEPATH_EXTRACTION_MOCK",
}


@pytest.mark.parametrize("key", FLAGS)
def test_the_file_stands_above_the_flag_and_the_flag_above_the_default(key: str) -> None:
    """For each of the five."""
    for value in (True, False):
        said = str(value).lower()
        assert getattr(configured("", **{FLAGS[key]: said}).local_answers, key) is value
        other = {FLAGS[key]: str(not value)}
        assert getattr(configured(f"[local_answers]\n{key} = {said}", **other).local_answers, key) is value


def test_the_defaults_answer_what_nobody_misses() -> None:
    """On: quota and file paths. Off: what decides what runs, and what a person reads."""
    assert attrs.asdict(configured("").local_answers) == {
        "quota": True, "prefix": False, "title": False, "suggestions": False, "filepaths": True,
    }  # fmt: skip


def test_a_flag_that_is_neither_true_nor_false_is_said_and_left_out() -> None:
    """Other programs read it too, so it stops nobody."""
    config = configured("", ENABLE_TITLE_GENERATION_SKIP="maybe")
    assert config.local_answers.title is False
    (warning,) = config.warnings
    assert "ENABLE_TITLE_GENERATION_SKIP" in warning
    assert "true or false" in warning


def test_a_mistake_in_the_table_is_told_with_its_place() -> None:
    """Line, key path, what was found, the nearest name."""
    with pytest.raises(ConfigError) as caught:
        configured("[local_answers]\nqouta = true\ntitle = 'yes'")
    told = str(caught.value)
    assert "config.toml:2: local_answers.qouta: unknown key (did you mean 'quota'?)" in told
    assert "config.toml:3: local_answers.title: expected true or false, got 'yes'" in told
