"""What goes out over the anthropic wire: everything to Anthropic, the common part to its imitators, a key to nobody else."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest

from engine import Ask, Learned
from engine.config import Auth, Settings, ThinkingWish
from tests.e2e.anthropic_rules import anthropic_breaches
from tests.transports.asks import ask, body
from tests.transports.outgoing import RICH, sent
from transports import _outgoing
from transports._classify import classify
from transports._envelope import seal
from transports._outgoing import joined
from transports.chat import openai_chat


def head(asked: Ask) -> dict[bytes, bytes]:
    fields = _outgoing.headers(asked)
    assert len({name for name, _ in fields}) == len(fields)
    return dict(fields)


class TestOpenLists:
    """To Anthropic itself."""

    def test_a_body_that_agrees_goes_out_as_it_came(self) -> None:
        """Byte for byte, spaces and unknown fields included."""
        raw = b'{ "model" : "asked", "stream":true, "max_tokens": 5,"messages":[{"role":"user","content":"\xe2\x80\xa8"}] }'
        assert _outgoing.body(ask(raw=raw)) == raw

    def test_only_the_models_name_changes(self) -> None:
        """Where it stands first, as Claude Code writes it: the rest is byte for byte what the client sent."""
        rest = b', "stream":true, "max_tokens": 5,"messages":[{"role":"user","content":"\xe2\x80\xa8 \\u00e9"}] }'
        sent = ask(raw=b'{"model":"asked"' + rest, model='other "one"')
        assert _outgoing.body(sent) == b'{"model":"other \\"one\\""' + rest

    @pytest.mark.parametrize(
        "raw",
        [
            b'{"stream":true,"model":"asked","max_tokens":5,"messages":[{"role":"user","content":"x"}]}',
            b'{"model":"asked","stream":true,"max_tokens":5,"messages":[{"role":"user","content":[{"model":"asked"}]}]}',
            b'{"model":"early","model":"asked","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"x"}]}',
        ],
    )
    def test_a_name_that_stands_elsewhere_is_written_anew(self, raw: bytes) -> None:
        """No other part of a body is taken for it."""
        body = orjson.loads(_outgoing.body(ask(raw=raw, model="other")))
        assert body == {**orjson.loads(raw), "model": "other"}

    def test_only_model_and_stream_are_changed(self) -> None:
        """Everything else is sent as the client said it."""
        asked = ask({**RICH, "stream": False}, model="theirs")
        assert sent(asked) == {**RICH, "model": "theirs", "stream": True}

    def test_a_stream_is_always_asked_for(self) -> None:
        """Also where the client wants one JSON object."""
        fields = body()
        del fields["stream"]
        assert sent(ask(fields))["stream"] is True

    def test_the_twin_goes_without_thinking(self) -> None:
        """And without the field that speaks of thinking blocks."""
        assert sent(ask(RICH, thinking=False)) == {
            name: value for name, value in RICH.items() if name not in ("thinking", "context_management")
        }


class TestHead:
    """Fields of the head."""

    @pytest.mark.parametrize(
        ("auth", "field"),
        [
            ("x-api-key", (b"x-api-key", b"sk-1")),
            ("bearer", (b"authorization", b"Bearer sk-1")),
            ("api-key", (b"api-key", b"sk-1")),
            ("x-goog-api-key", (b"x-goog-api-key", b"sk-1")),
        ],
    )
    def test_the_key_stands_where_the_provider_wants_it(self, auth: Auth, field: tuple[bytes, bytes]) -> None:
        """In one field, and in no other."""
        fields = head(ask(auth=auth, key="sk-1"))
        assert [item for item in fields.items() if b"sk-1" in item[1]] == [field]

    @pytest.mark.parametrize(("auth", "key"), [("none", "sk-1"), ("bearer", None)])
    def test_there_is_no_credential_without_a_key_or_a_place(self, auth: Auth, key: str | None) -> None:
        """A keyless provider is sent none."""
        assert not head(ask(auth=auth, key=key)).keys() & {b"authorization", b"x-api-key"}

    @pytest.mark.parametrize("open_lists", [True, False])
    def test_the_clients_credential_goes_to_nobody(self, open_lists: bool) -> None:
        """Neither as itself nor under another name."""
        own = (
            (b"authorization", b"Bearer SECRET"), (b"x-api-key", b"SECRET"), (b"anthropic-auth-token", b"SECRET"),
            (b"cookie", b"SECRET"), (b"anthropic-beta", b"a,b"),
        )  # fmt: skip
        fields = head(ask(headers=own, key="sk-1", open_lists=open_lists))
        assert not [value for value in fields.values() if b"SECRET" in value]

    def test_what_anthropic_reads_is_forwarded_to_anthropic_only(self) -> None:
        """Betas and versions are lists that only it may judge."""
        own = ((b"anthropic-beta", b"a,b"), (b"anthropic-version", b"2030-01-01"), (b"accept-language", b"de"))
        assert head(ask(headers=own)).items() >= {own[0], own[1]}
        fields = head(ask(headers=own, open_lists=False))
        assert b"anthropic-beta" not in fields
        assert fields[b"anthropic-version"] == b"2023-06-01"
        assert b"accept-language" not in head(ask(headers=own))

    def test_a_name_is_forwarded_as_a_whole_or_by_its_family(self) -> None:
        """`x-app` is one field, and not the beginning of others."""
        own = ((b"x-app", b"cli"), (b"x-claude-code-session-id", b"s"), (b"anthropic-dangerous", b"1"))
        others = ((b"x-app-token", b"SECRET"), (b"x-apple", b"1"), (b"x-claude", b"1"))
        fields = head(ask(headers=(*own, *others)))
        assert fields.items() >= set(own)
        assert fields.keys().isdisjoint(dict(others))

    def test_no_compression_is_asked_for(self) -> None:
        """A compressing peer holds events back."""
        own = ((b"accept-encoding", b"gzip, br"),)
        assert head(ask(headers=own))[b"accept-encoding"] == b"identity"

    def test_the_providers_own_headers_come_last_and_win(self) -> None:
        """They are in the file for a reason, and a field is sent once."""
        asked = ask(headers=((b"anthropic-version", b"1"),))
        assert head(asked)[b"anthropic-version"] == b"1"
        own = (("Anthropic-Version", "2"), ("X-Title", "t"))
        fields = head(attrs.evolve(asked, provider=attrs.evolve(asked.provider, settings=Settings(headers=own))))
        assert (fields[b"anthropic-version"], fields[b"x-title"]) == (b"2", b"t")

    @pytest.mark.parametrize(
        ("query", "open_lists", "address"),
        [
            (b"beta=true", True, "http://host.test/v1/messages?beta=true"),
            (b"beta=true", False, "http://host.test/v1/messages"),
            (b"", True, "http://host.test/v1/messages"),
        ],
    )
    def test_the_query_goes_to_anthropic_only(self, query: bytes, open_lists: bool, address: str) -> None:
        """Another host may answer 404 to it."""
        assert joined("http://host.test/v1/messages", query, open_lists=open_lists) == address


class TestSettings:
    """What the configuration says stands above what the client asks for."""

    @pytest.mark.parametrize("open_lists", [True, False])
    @pytest.mark.parametrize(
        ("settings", "learned", "cap"),
        [
            (Settings(), Learned(), 32_000),
            (Settings(max_output_tokens=4000), Learned(), 4000),
            (Settings(max_output_tokens=64_000), Learned(), 32_000),
            (Settings(max_output_tokens=4000), Learned(cap=2000), 2000),
            (Settings(), Learned(cap=2000), 2000),
        ],
    )
    def test_an_answer_is_as_long_as_is_allowed(
        self, open_lists: bool, settings: Settings, learned: Learned, cap: int
    ) -> None:
        """The least of the client's wish, the configuration and what the host was found to take."""
        assert sent(ask(open_lists=open_lists, settings=settings, learned=learned))["max_tokens"] == cap

    @pytest.mark.parametrize(
        ("wish", "asked", "thinking"),
        [
            (ThinkingWish(enabled=False), {"type": "adaptive"}, None),
            (ThinkingWish(budget=2048), {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2048}),
            (ThinkingWish(budget=90_000), None, {"type": "enabled", "budget_tokens": 31_999}),
            (ThinkingWish(budget=100), {"type": "adaptive"}, {"type": "disabled"}),
            (ThinkingWish(), None, {"type": "adaptive"}),
            (ThinkingWish(), {"type": "enabled", "budget_tokens": 5000}, {"type": "enabled", "budget_tokens": 5000}),
        ],
    )
    def test_thinking_is_as_configured(
        self, wish: ThinkingWish, asked: dict[str, Any] | None, thinking: dict[str, Any] | None
    ) -> None:
        """On, off, or within a budget that leaves room for an answer."""
        fields = {"thinking": asked} if asked else {}
        assert sent(ask(body(**fields), settings=Settings(thinking=wish))).get("thinking") == thinking

    @pytest.mark.parametrize(
        ("cap", "thinking"),
        [
            (6000, {"type": "enabled", "budget_tokens": 5000}),
            (5000, {"type": "enabled", "budget_tokens": 2500}),
            (1500, {"type": "disabled"}),
        ],
    )
    @pytest.mark.parametrize("open_lists", [True, False])
    def test_a_shorter_answer_has_room_for_its_thinking(
        self, open_lists: bool, cap: int, thinking: dict[str, Any]
    ) -> None:
        """A budget that is no less than the answer is a 400."""
        asked = body(thinking={"type": "enabled", "budget_tokens": 5000}, context_management={"edits": []})
        for limits in ({"settings": Settings(max_output_tokens=cap)}, {"learned": Learned(cap=cap)}):
            found = sent(ask(asked, open_lists=open_lists, **limits))
            assert (found["max_tokens"], found["thinking"]) == (cap, thinking)
            kept = open_lists and thinking["type"] == "enabled"
            assert ("context_management" in found) is kept, "it speaks of thinking"

    def test_the_clients_own_credential_goes_to_the_one_provider_that_is_to_have_it(self) -> None:
        """In the header that it came in."""
        asked = ask(headers=((b"x-api-key", b"sk-own"), (b"cookie", b"c")), auth="client")
        assert head(asked)[b"x-api-key"] == b"sk-own"
        assert b"cookie" not in head(asked)

    @pytest.mark.parametrize(
        ("given", "sent_as"),
        [
            (((b"authorization", b"Bearer t"),), b"Bearer t"),
            (((b"x-api-key", b"k"),), b"Bearer k"),
            (((b"authorization", b"Bearer t"), (b"x-api-key", b"k")), b"Bearer k"),
        ],
    )
    def test_a_chat_host_gets_one_credential_in_its_own_place(
        self, given: tuple[tuple[bytes, bytes], ...], sent_as: bytes
    ) -> None:
        """Two in one field are refused, and one of them is meant for somebody else."""
        asked = ask(headers=given, auth="client", wire="openai-chat")
        found = [value for name, value in openai_chat(asked).headers if name == b"authorization"]
        assert found == [sent_as]

    def test_what_a_host_was_found_to_refuse_is_left_out(self) -> None:
        """Of a reduced body; Anthropic's own is the client's affair."""
        learned = Learned(without=frozenset(["temperature"]))
        asked = body(temperature=0.5)
        assert "temperature" not in sent(ask(asked, open_lists=False, learned=learned))
        assert sent(ask(asked, open_lists=True, learned=learned))["temperature"] == 0.5

    def test_marks_for_a_cache_are_left_out_where_they_were_refused(self) -> None:
        """They stand in every turn of Claude Code's, so that such a host would never answer one."""
        mark = {"cache_control": {"type": "ephemeral"}}
        asked = body(messages=[{"role": "user", "content": [{"type": "text", "text": "q", **mark}]}])
        told = b'{"error":{"message":"messages.0.content.0.cache_control: Extra inputs are not permitted"}}'
        turn = _outgoing.anthropic(ask(asked, open_lists=False, paths={"messages": "/v1/messages"}))
        without = classify(400, {"content-type": "application/json"}, told, sent=turn.optional).fields
        assert without == {"cache_control"}
        assert b"cache_control" in turn.body
        assert "cache_control" not in str(sent(ask(asked, open_lists=False, learned=Learned(without=without))))


class TestForeignThinking:
    """Thinking of a host that signs nothing, when the conversation moves here."""

    TURN = (
        {"role": "user", "content": "q"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": seal("other/m")},
                {"type": "redacted_thinking", "data": seal("other/m", {"a": 1})},
                {"type": "thinking", "thinking": "real", "signature": "EqQB"},
                {"type": "text", "text": "a"},
            ],
        },
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": seal("other/m")}]},
        {"role": "user", "content": "more"},
    )

    def test_anthropic_sees_its_own_alone(self) -> None:
        """One foreign signature would be a 400 for the whole conversation; a turn keeps its place."""
        asked = body(messages=list(self.TURN))
        told = sent(ask(asked, open_lists=True))["messages"]
        assert [block["type"] for block in told[1]["content"]] == ["thinking", "text"]
        assert told[1]["content"][0]["signature"] == "EqQB"
        assert [block["type"] for block in told[2]["content"]] == ["text"]

    @pytest.mark.parametrize(
        ("thinking", "sent_as"),
        [
            ({"type": "enabled", "budget_tokens": 2048}, {"type": "disabled"}),
            ({"type": "adaptive"}, {"type": "adaptive"}),
        ],
    )
    def test_a_tool_loop_that_moves_here_goes_on_without_the_thinking_it_has_lost(
        self, thinking: dict[str, Any], sent_as: dict[str, Any]
    ) -> None:
        """With a budget the turn of a call must begin with thinking, and another host's cannot stand there."""
        turn = [{"type": "thinking", "thinking": "hm", "signature": seal("other/m")},
                {"type": "tool_use", "id": "t", "name": "Read", "input": {}}]  # fmt: skip
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
        asked = body(messages=[{"role": "user", "content": "q"}, {"role": "assistant", "content": turn}, result])
        assert sent(ask({**asked, "thinking": thinking}, open_lists=True))["thinking"] == sent_as

    def test_a_call_of_a_host_that_does_not_think_is_one_without_thinking(self) -> None:
        """There is no envelope in the whole conversation then; nor may be said what becomes of old thinking."""
        call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]}
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
        asked = body(
            messages=[{"role": "user", "content": "q"}, call, result],
            thinking={"type": "enabled", "budget_tokens": 2048},
            context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        )
        told = sent(ask(asked, open_lists=True))
        assert told["thinking"] == {"type": "disabled"}
        assert "context_management" not in told
        assert anthropic_breaches(told) == []

    def test_a_host_gets_back_what_it_signed_itself(self) -> None:
        """As it gave it; what another one gave comes without, and hidden thinking of another's not at all."""
        mine, other = seal("host/asked", {"signature": "s"}), seal("other/m", {"signature": "o"})
        blocks = [
            {"type": "thinking", "thinking": "", "signature": mine},
            {"type": "thinking", "thinking": "hm", "signature": other},
            {"type": "redacted_thinking", "data": seal("host/asked", {"data": "d"})},
            {"type": "redacted_thinking", "data": seal("other/m", {"data": "o"})},
            {"type": "text", "text": "a"},
        ]
        asked = body(messages=[{"role": "user", "content": "q"}, {"role": "assistant", "content": blocks}])
        assert sent(ask(asked, open_lists=False))["messages"][1]["content"] == [
            {"type": "thinking", "thinking": "", "signature": "s"},
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "a"},
        ]

    @pytest.mark.parametrize(
        ("quirks", "signature", "sent_as"),
        [
            (set[str](), None, "disabled"),
            ({"random-signature"}, None, "enabled"),
            (set[str](), seal("other/m"), "enabled"),
        ],
    )
    def test_a_call_without_thinking_before_it_ends_thinking_for_once(
        self, quirks: set[str], signature: str | None, sent_as: str
    ) -> None:
        """At hosts that want to see some there; another's will do."""
        thought = [] if signature is None else [{"type": "thinking", "thinking": "hm", "signature": signature}]
        call = {"type": "tool_use", "id": "t", "name": "Read", "input": {}}
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
        asked = body(
            messages=[{"role": "user", "content": "q"}, {"role": "assistant", "content": [*thought, call]}, result],
            thinking={"type": "adaptive"},
        )
        assert sent(ask(asked, open_lists=False, quirks=frozenset(quirks)))["thinking"]["type"] == sent_as

    def test_a_reseller_of_anthropics_models_is_sent_no_strangers_thinking(self) -> None:
        """It passes an empty signature on, and Anthropic refuses that."""
        told = sent(ask(body(messages=list(self.TURN)), model="anthropic/Claude-Opus", open_lists=False))["messages"]
        thoughts = [b for m in told for b in m["content"] if b["type"] == "thinking"]
        assert [(b["thinking"], b["signature"]) for b in thoughts] == [("real", "EqQB")]

    def test_a_host_that_checks_no_signature_sees_the_words(self) -> None:
        """Some want the thinking before a tool call back, whoever thought it."""
        told = sent(ask(body(messages=list(self.TURN)), open_lists=False))["messages"]
        thoughts = [b for m in told for b in m["content"] if b["type"] == "thinking"]
        assert [(b["thinking"], b["signature"]) for b in thoughts] == [("hm", ""), ("real", "EqQB"), ("hm", "")]
        assert b"hedgerow." not in orjson.dumps(told)
