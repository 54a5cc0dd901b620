"""Providers that do anything at all, in any order of the tasks: what holds nevertheless."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from engine._events import Committed, Rescued
from engine._stream import Kind, error_event
from engine.testing import (
    HANG,
    Act,
    RecordingReply,
    Scenario,
    Script,
    failing,
    head,
    script,
    tail,
    text,
    thinking,
    tool,
)
from policies import CommitAt, CommitPoint, FailureKind, IdleTimeout, Policy, Race, Sequence
from tests.engine.stage import hedge, unsound, virtual


@st.composite
def scripts(draw: st.DrawFn, id: str) -> Script:
    """Anything a provider may do: before its head, in the stream, at its end, and on being left."""
    delays = st.sampled_from([0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 30.0])
    failures = st.sampled_from([FailureKind.RESET, FailureKind.RATE_LIMITED, FailureKind.AUTH, FailureKind.TOO_LONG])
    asking: list[Act] = draw(st.lists(delays, max_size=1))
    if draw(st.integers(0, 4)) == 0:
        asking.append(draw(st.builds(failing, failures)))
    kind = draw(st.sampled_from(["text", "text", "text", "thinking", "tool"]))
    pieces = [f"{id}{i} " for i in range(draw(st.integers(0, 3)))]
    block = {"text": text, "thinking": thinking, "tool": tool}[kind](*(pieces if kind != "tool" else ['{"a":', "1}"]))
    events = [head(), *block, *tail()]
    cuts = sorted(draw(st.sets(st.integers(1, len(events) - 1), max_size=3)))
    reading: list[Act] = []
    for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        reading += [draw(delays), events[start:end]]
    ending = draw(st.sampled_from(["whole"] * 6 + [*LAST]))
    if ending != "whole":
        reading = [*reading[: draw(st.integers(0, len(reading) - 1))], *LAST[ending]]
    return script(*reading, asking=asking, leaving=draw(st.lists(delays, max_size=1)))


#: How an answer may break off.
LAST: dict[str, list[Act]] = {
    "cut": [],
    "error": [[error_event("api_error", "no")]],
    "hang": [HANG],
    "fail": [failing(FailureKind.RESET)],
}


def words(played: Script) -> str:
    """All the text and thinking in a script."""
    events = [item for act in played.reading if isinstance(act, list) for item in act]
    deltas = [payload["delta"] for item in events if item.kind is Kind.DELTAS for payload in item.payloads()]
    return "".join(delta.get("text") or delta.get("thinking") or "" for delta in deltas)


PACES: tuple[Policy, ...] = (Sequence(), hedge(0.5), hedge(1.0), hedge(2.0), Race(), Race(width=3))
POINTS: tuple[CommitPoint, ...] = ("content", "content", "block", "tool", "message")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Mapping[str, Script], tuple[Policy, ...], bool, float, int]:
    ids = "abcde"[: draw(st.integers(1, 5))]
    made = {id: draw(scripts(id)) for id in ids}
    policies = (draw(st.sampled_from(PACES)), CommitAt(at=draw(st.sampled_from(POINTS))), IdleTimeout(s=10))
    stream, write_s = draw(st.sampled_from([True, True, False])), draw(st.sampled_from([0.0, 0.0, 0.5, 12.0]))
    return made, policies, stream, write_s, draw(st.integers(0, 2**16))


@given(cases())
def test_whatever_the_providers_do_the_client_gets_one_sound_answer(
    case: tuple[Mapping[str, Script], tuple[Policy, ...], bool, float, int],
) -> None:
    """The winner's output, whole and in order, and of those who broke before it what was shown; nothing left behind."""
    made, policies, stream, write_s, seed = case
    it = Scenario.of(made, *policies)
    reply = RecordingReply(stream=stream, write_s=write_s)

    async def run() -> None:
        await it.serve(it.request(stream=stream), reply)

    virtual(run, seed=seed)
    it.assert_nothing_left()
    assert unsound(reply) == []
    assert reply.ending in {"finish", "refuse", "reset"}
    commits = [commit.at for commit in it.events(Committed)]
    assert len(commits) <= 1 + len(it.events(Rescued)) or not stream
    if not reply.writes:
        assert reply.ending == "refuse"
        return
    said, meant = reply.said, ""
    for winner in reply.winners[0 if stream else -1 :]:
        meant = words(made[winner.candidate.provider])
        part = next(meant[:n] for n in range(len(meant), -1, -1) if said.startswith(meant[:n]))
        said = said[len(part) :]
    assert said == ""
    assert part == meant or reply.ending != "finish"
    if commits:
        assert reply.writes[0][0] >= commits[0 if stream else -1]
    else:
        assert reply.said == "", "only an empty message may go out without a winner"
