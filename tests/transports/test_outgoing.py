"""What goes out over the anthropic wire: everything to Anthropic, the common part to its imitators, a key to nobody else."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import attrs
import orjson
import pytest

from engine import Ask, Learned
from engine.config import Auth, Model, Settings, Thinking, ThinkingWish
from tests.e2e.anthropic_rules import anthropic_breaches
from tests.transports.asks import ask, body
from transports import _outgoing
from transports._classify import classify
from transports._envelope import seal
from transports._outgoing import joined
from transports._reduced import FIELDS, reduced
from transports.chat import openai_chat

#: What Claude Code sends, with a block of every sort that somebody refuses.
RICH: dict[str, Any] = body(
    system=[
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.328.abc; cc_entrypoint=cli;"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
    ],
    tools=[
        {"name": "Read", "description": "reads", "input_schema": {"type": "object"}, "strict": True},
        {"name": "Later", "input_schema": {"type": "object"}, "defer_loading": True},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    ],
    tool_choice={"type": "tool", "name": "Read"},
    thinking={"type": "adaptive", "display": "updates"},
    context_management={"edits": []},
    output_config={"effort": "high"},
    metadata={"user_id": "u"},
    safeguards={},
    messages=[
        {"role": "user", "content": "one"},
        {"role": "system", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": ""}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}},
                                          {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                                          {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [
            {"type": "tool_reference", "tool_name": "Grep"}, {"type": "text", "text": "three"}]}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2", "content": "four"}]},
        {"role": "system", "content": []},
        {"role": "user", "content": "five"},
    ],
)  # fmt: skip


def sent(asked: Ask) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(_outgoing.body(asked))
    return parsed


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


class TestReduced:
    """To every other host."""

    def test_only_common_fields_are_left(self) -> None:
        """And of those none that the host refuses."""
        assert set(reduced(RICH, frozenset())) == FIELDS & RICH.keys()
        assert "metadata" not in reduced(RICH, frozenset({"metadata"}))

    def test_the_attribution_line_is_taken_from_the_system(self) -> None:
        """The rest of it, cache marks included, stays; a system that is a string stays as it is."""
        assert reduced(RICH, frozenset())["system"] == [RICH["system"][1]]
        assert reduced(body(system="be brief"), frozenset())["system"] == "be brief"

    @pytest.mark.parametrize(
        ("system", "left"),
        [
            ("x-anthropic-billing-header: cc_version=1;\nYou are careful.", "You are careful."),
            (
                [{"type": "text", "text": "x-anthropic-billing-header: a;\nBe brief."}],
                [{"type": "text", "text": "Be brief."}],
            ),
            ("x-anthropic-billing-header: a;", None),
        ],
    )
    def test_what_stands_behind_the_attribution_line_is_kept(self, system: Any, left: Any) -> None:
        """A line goes, and not the prompt that it heads."""
        assert reduced(body(system=system), frozenset()).get("system") == left

    def test_only_callable_tools_are_left(self) -> None:
        """Server tools and deferred ones go, and of the others the fields that all hosts know stay."""
        assert reduced(RICH, frozenset())["tools"] == [
            {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}
        ]

    def test_a_choice_among_no_tools_goes_as_well(self) -> None:
        """A host answers 400 to it."""
        out = reduced(body(tools=[RICH["tools"][2]], tool_choice={"type": "auto"}), frozenset())
        assert out.keys().isdisjoint({"tools", "tool_choice"})

    @pytest.mark.parametrize(
        ("max_tokens", "thinking"),
        [
            (32_000, {"type": "enabled", "budget_tokens": 8192}),
            (8_192, {"type": "enabled", "budget_tokens": 4096}),
            (2_048, {"type": "enabled", "budget_tokens": 1024}),
            (2_047, {"type": "disabled"}),
            (1, {"type": "disabled"}),
        ],
    )
    def test_adaptive_thinking_becomes_a_budget(self, max_tokens: int, thinking: dict[str, Any]) -> None:
        """At least 1024, the least there is, and less than max_tokens; where that is impossible, none."""
        out = reduced(body(thinking={"type": "adaptive"}, max_tokens=max_tokens), frozenset())
        assert out["thinking"] == thinking

    @pytest.mark.parametrize("thinking", [{"type": "enabled", "budget_tokens": 2000}, {"type": "disabled"}])
    def test_other_thinking_is_sent_as_it_is(self, thinking: dict[str, Any]) -> None:
        """It is what these hosts know."""
        assert reduced(body(thinking=thinking), frozenset())["thinking"] == thinking

    def test_roles_take_turns(self) -> None:
        """System entries join the user's, neighbours of one role are one message, empty entries and blocks are gone."""
        messages = reduced(RICH, frozenset())["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
        assert messages[0]["content"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
        assert [block["type"] for block in messages[1]["content"]] == ["tool_use", "text", "text"]
        assert [block["text"] for block in messages[1]["content"][1:]] == [
            "[searched the web for: ]",
            "[results of a web search]\n(nothing was found)",
        ]
        assert messages[2]["content"] == [
            {"type": "tool_result", "tool_use_id": "t1", "content": [
                {"type": "text", "text": "[tool available: Grep]"}, {"type": "text", "text": "three"}]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "four"},
            {"type": "text", "text": "five"},
        ]  # fmt: skip

    def test_block_types_that_a_host_refuses_are_told_in_words(self) -> None:
        """Inside tool results too."""
        document = {"type": "document", "source": {"type": "text", "data": "the text"}}
        messages = [
            {"role": "user", "content": [document, {"type": "text", "text": "a"},
                                         {"type": "tool_result", "tool_use_id": "t", "content": [document]}]}
        ]  # fmt: skip
        out = reduced(body(messages=messages), frozenset({"document"}))["messages"]
        words = {"type": "text", "text": "[document]\nthe text"}
        assert out[0]["content"] == [
            words,
            {"type": "text", "text": "a"},
            {"type": "tool_result", "tool_use_id": "t", "content": [words]},
        ]
        assert reduced(body(messages=messages), frozenset())["messages"] == messages

    def test_an_effort_goes_to_a_host_that_reads_it(self) -> None:
        """As the nearest that the model has; not where thinking is off, was refused, or the host does not read it."""
        models = {"m": Model(id="m", thinking=Thinking(efforts=("low", "high")))}
        wish = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium", "format": {"type": "x"}}}
        host: dict[str, Any] = {
            "open_lists": False,
            "quirks": frozenset({"takes-effort"}),
            "models": models,
            "model": "m",
        }
        assert sent(ask(body(**wish), **host))["output_config"] == {"effort": "low"}
        assert sent(ask(body(**wish), **{**host, "models": {}}))["output_config"] == {"effort": "medium"}
        off = {**wish, "thinking": {"type": "disabled"}}
        refused = Learned(without=frozenset({"output_config"}))
        for asked in (
            ask(body(**off), **host),
            ask(body(**wish), **{**host, "quirks": frozenset()}),
            ask(body(**wish), learned=refused, **host),
        ):
            assert "output_config" not in sent(asked)

    def test_quirks_of_a_host_are_heeded(self) -> None:
        """No tool may be named while it thinks; results of tools go as text."""
        out = reduced(RICH, frozenset(), frozenset({"no-named-tool-choice", "tool-results-as-text"}))
        assert out["tool_choice"] == {"type": "auto"}
        assert [block.get("content") for block in out["messages"][2]["content"]] == [
            "[tool available: Grep]\nthree",
            "four",
            None,
        ]
        assert reduced(RICH, frozenset())["tool_choice"] == RICH["tool_choice"]

    def test_the_twin_goes_without_thinking(self) -> None:
        """As to Anthropic."""
        assert "thinking" not in sent(ask(RICH, thinking=False, open_lists=False))

    @pytest.mark.parametrize("open_lists", [True, False])
    def test_the_clients_body_is_never_changed(self, open_lists: bool) -> None:
        """Other attempts send it as well."""
        asked = ask(RICH, model="theirs", thinking=False, open_lists=open_lists, drop=frozenset({"metadata"}))
        before = deepcopy(asked.request.body)
        _outgoing.body(asked)
        reduced(asked.request.body, frozenset({"tool_use"}), frozenset({"tool-results-as-text"}))
        assert asked.request.body == before == RICH


def test_marks_for_a_cache_go_only_where_they_are_known() -> None:
    """A host whose row drops them sees none: not in the system, nor on tools, nor in what came out of a tool."""
    mark = {"cache_control": {"type": "ephemeral"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x", **mark}], **mark}
    marked = body(
        system=[{"type": "text", "text": "s", **mark}],
        tools=[{"name": "Read", "input_schema": {"properties": {"cache_control": {}}}, **mark}],
        messages=[{"role": "user", "content": [result, {"type": "text", "text": "y", **mark}]}],
    )
    assert orjson.dumps(reduced(marked, frozenset())).count(b'"cache_control":{"type"') == 5
    bare = reduced(marked, frozenset(["cache_control"]))
    assert b'"cache_control":{"type"' not in orjson.dumps(bare)
    assert bare["tools"][0]["input_schema"] == {"properties": {"cache_control": {}}}, "an argument may be called so"


@pytest.mark.parametrize("depth", [3, 500])
def test_blocks_within_blocks_are_looked_into_as_far_as_there_are_any(depth: int) -> None:
    """A message holds results, a result blocks; what is nested deeper is nobody's block, and costs nobody the turn."""
    odd: Any = {"type": "odd"}
    for _ in range(depth):
        odd = {"type": "odd", "content": [odd]}
    messages = [{"role": "user", "content": [odd]}]
    assert reduced(body(messages=messages), frozenset(["cache_control"]))["messages"][0]["content"][0] is not odd


@pytest.mark.parametrize("name", ["Grep", ["Grep"], orjson.loads(b"[" * 1000 + b"]" * 1000), None])
def test_a_reference_of_any_shape_is_words(name: Any) -> None:
    """However deep."""
    out = reduced(
        body(messages=[{"role": "user", "content": [{"type": "tool_reference", "tool_name": name}]}]), frozenset()
    )
    word = name if isinstance(name, str) else ""
    assert out["messages"][0]["content"] == [{"type": "text", "text": f"[tool available: {word}]"}]


def test_what_a_host_has_no_block_for_is_words() -> None:
    """Left out, the model would answer as if it had never been there."""
    found = {"type": "search_result", "title": "T", "source": "http://x", "content": [{"type": "text", "text": "said"}]}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [found]}
    paper = {"type": "document", "source": {"type": "text", "data": "a paper"}}
    sealed = {"type": "redacted_thinking", "data": "xyz"}
    out = reduced(
        body(messages=[{"role": "user", "content": [found, result, paper, sealed]}]),
        frozenset(["document", "redacted_thinking"]),
    )
    said = {"type": "text", "text": "[T http://x]\nsaid"}
    assert out["messages"][0]["content"] == [
        said,
        {**result, "content": [said]},
        {"type": "text", "text": "[document]\na paper"},
    ]


def test_a_choice_of_a_tool_that_is_not_there_goes() -> None:
    """A host answers 400 to it."""
    tools = [{"name": "Read", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}]
    for name, kept in (("web_search", False), ("Read", True), (["Read"], False)):
        out = reduced(body(tools=tools, tool_choice={"type": "tool", "name": name}), frozenset())
        assert ("tool_choice" in out) is kept


def test_a_picture_elsewhere_is_told_to_a_host_that_fetches_none() -> None:
    """Such a host answers 400 to the address, and would never see the picture."""
    there = {"type": "image", "source": {"type": "url", "url": "https://pictures.example/1.png"}}
    here = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    asked = body(messages=[{"role": "user", "content": [there, here]}])
    assert reduced(asked, frozenset())["messages"][0]["content"] == [there, here]
    told, kept = reduced(asked, frozenset(), frozenset(["base64-images-only"]))["messages"][0]["content"]
    assert kept == here
    assert told == {
        "type": "text",
        "text": "[an image stood here, at https://pictures.example/1.png; this host fetches none]",
    }
