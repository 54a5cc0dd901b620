"""Estimates of a prompt: what a text is made of, what answers teach, and the conversation that was counted before."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._estimates import CONVERSATIONS, GREATEST, LEAST, NAMES, EstimateBook, names_of
from engine._events import AttemptEnded, TokensCounted
from engine._prompt import DOCUMENT_TOKENS, IMAGE_TOKENS, SAMPLE_BYTES, Prompt, measure, tokens_in
from engine._size import Estimate
from engine._stream import Usage
from policies import Candidate
from tests.engine.said import NEED

ONE, TWO = Candidate("one", "glm-5"), Candidate("two", "zai/glm-5:free")
PROSE = "The quick brown fox jumps over the lazy dog, and then it rests. "


def body(*texts: str, **fields: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)], **fields}


def sized(*texts: str, **fields: Any) -> tuple[dict[str, Any], Prompt]:
    made = body(*texts, **fields)
    return made, measure(made, orjson.dumps(made))


def estimated(book: EstimateBook, *texts: str, session: str = "s", agent: str = "", **fields: Any) -> Estimate:
    return book.estimate(session, agent, *sized(*texts, **fields))


def answered(book: EstimateBook, estimate: Estimate, tokens: int, who: Candidate = ONE, **usage: Any) -> None:
    told = Usage(**{"input": tokens, "output": 1, "reported": True, **usage})
    book.fold(
        AttemptEnded(
            at=0.0, attempt=1, candidate=who, ending="won", elapsed_s=1.0, need=NEED, usage=told, estimate=estimate
        )
    )


class TestText:
    """What a text is made of."""

    @pytest.mark.parametrize(
        ("text", "tokens"),
        [
            (PROSE * 10, 150),
            ("代理服务器在收到请求之后会根据策略选择一个候选者" * 10, 170),
            ("def walk(self, node):\n    for child in node.children:\n        self.walk(child)\n" * 10, 200),
            ("1234567890 " * 50, 220),
        ],
    )
    def test_an_estimate_is_near_what_tokenizers_say(self, text: str, tokens: int) -> None:
        """Of prose, ideograms, code and digits, where bytes divided by four are wrong by half; figures of o200k_base."""
        assert tokens_in(orjson.dumps(text)) == pytest.approx(tokens, rel=0.25)

    def test_a_long_text_is_judged_by_slices_of_it(self) -> None:
        """Evenly taken: the half that is Chinese is not overlooked."""
        half, other = PROSE * 1000, "代理服务器在收到请求之后" * 1500
        both = tokens_in((half + other).encode())
        assert both == pytest.approx(tokens_in(half.encode()) + tokens_in(other.encode()), rel=0.1)

    @given(st.binary(max_size=3 * SAMPLE_BYTES))
    def test_any_bytes_have_an_estimate(self, text: bytes) -> None:
        """Never below an eighth of the bytes, never above them."""
        assert len(text) / 8 <= tokens_in(text) <= len(text)

    def test_images_and_documents_are_apart(self) -> None:
        """By what they cost, not by their base64; a long document costs more."""
        image = {"type": "image", "source": {"type": "base64", "data": "A" * 90_000}}
        paper = {"type": "document", "source": {"type": "base64", "data": "A" * 250_000}}
        made = {"messages": [{"role": "user", "content": [image, {"type": "tool_result", "content": [paper, image]}]}]}
        found = measure(made, orjson.dumps(made))
        assert (found.images, found.documents, found.media) == (2, 1, 2 * IMAGE_TOKENS + 3 * DOCUMENT_TOKENS)
        assert found.size < 200

    def test_what_only_looks_like_an_image_is_none(self) -> None:
        """A text about one."""
        _, found = sized('an "image" of {"type": "document"}')
        assert (found.images, found.documents, found.media) == (0, 0, 0)


class TestFactors:
    """What answers teach of a model."""

    def test_an_answer_puts_the_next_right(self) -> None:
        """Of another conversation with the same candidate; the three counts of the prompt are one."""
        book = EstimateBook()
        first = estimated(book, PROSE * 200, session="a")
        real = round(first.prompt.text * 1.5)
        answered(book, first, 0, input=real - 900, cache_read=600, cache_write=300)
        other = estimated(book, PROSE * 100, session="b")
        assert book.tokens(other, ONE) == pytest.approx(other.prompt.text * 1.5, rel=0.01)

    def test_the_same_model_elsewhere_learns_too(self) -> None:
        """Then its family, then everybody: better than nothing."""
        book = EstimateBook()
        first = estimated(book, PROSE * 200, session="a")
        answered(book, first, round(first.prompt.text * 1.4))
        answered(book, first, round(first.prompt.text * 0.8), Candidate("x", "qwen-3"))
        other = estimated(book, PROSE * 100, session="b")
        by = {who: book.tokens(other, who) / other.prompt.text for who in (TWO, Candidate("y", "glm-4"))}
        assert all(1.35 < factor < 1.45 for factor in by.values())
        assert book.tokens(other, Candidate("z", "qwen-9")) / other.prompt.text == pytest.approx(0.8, rel=0.02)
        assert 0.8 < book.tokens(other, Candidate("z", "kimi")) / other.prompt.text < 1.4

    def test_names_go_from_near_to_far(self) -> None:
        """A vendor's prefix and a variant's suffix are no other model."""
        assert names_of(TWO) == ("two/zai/glm-5:free", "model glm-5", "family glm", "*")

    def test_one_strange_count_moves_little(self) -> None:
        """A host's mistake is not the next hundred estimates'."""
        book = EstimateBook()
        for n in range(10):
            each = estimated(book, PROSE * 200, session=str(n))
            answered(book, each, round(each.prompt.text))
        strange = estimated(book, PROSE * 200, session="strange")
        answered(book, strange, round(strange.prompt.text * 3.5))
        after = estimated(book, PROSE * 200, session="after")
        assert book.tokens(after, ONE) < after.prompt.text * 1.05

    @pytest.mark.parametrize("usage", [{"reported": False}, {"input": 0}, {"input": 3}, {"input": 10**9}])
    def test_what_is_no_count_teaches_nothing(self, usage: dict[str, Any]) -> None:
        """Our own estimate, a zero, a number out of all proportion."""
        book = EstimateBook()
        first = estimated(book, PROSE * 200)
        answered(book, first, round(first.prompt.text * 1.5), **usage)
        assert not book._counted
        assert not book._whole

    def test_a_native_count_teaches_as_well(self) -> None:
        """It is the provider's own word."""
        book = EstimateBook()
        first = estimated(book, PROSE * 200)
        book.fold(TokensCounted(at=0.0, candidate=ONE, wire="anthropic", tokens=5000, estimate=first))
        assert book.tokens(estimated(book, PROSE * 200), ONE) == 5000

    def test_a_prompt_of_pictures_teaches_nothing_of_words(self) -> None:
        """What an image costs is not known so well."""
        book = EstimateBook()
        made = {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PROSE}]}]}
        answered(book, book.estimate("s", "", made, measure(made, orjson.dumps(made))), 4000)
        assert book._whole == {}


class TestConversations:
    """What was counted a turn ago need not be estimated again."""

    def grown(self, book: EstimateBook, real: int = 4321) -> Estimate:
        answered(book, estimated(book, PROSE * 200, "yes"), real)
        return estimated(book, PROSE * 200, "yes", PROSE * 3)

    def test_only_what_was_added_is_estimated(self) -> None:
        """On top of the last real count."""
        book = EstimateBook()
        again = self.grown(book)
        assert again.counted == 4321
        assert 4321 + 30 < book.tokens(again, ONE) < 4321 + 100

    def test_another_candidates_count_is_converted(self) -> None:
        """By the two factors: after a failover the number is neither's."""
        book = EstimateBook()
        other = Candidate("x", "qwen-3")
        strange = estimated(book, PROSE * 100, session="z")
        answered(book, strange, round(strange.prompt.text * 2), other)
        again = self.grown(book, real=round(estimated(book, PROSE * 200, "yes").prompt.text))
        assert book.tokens(again, other) == pytest.approx(2 * book.tokens(again, ONE), rel=0.06)

    @pytest.mark.parametrize(
        "other",
        [
            {"session": "other"},
            {"agent": "other"},
            {"system": "be brief"},
            {"tools": [{"name": "t"}]},
        ],
    )
    def test_another_conversation_is_another(self, other: dict[str, Any]) -> None:
        """A sub-agent's, a title's, another session's: what they begin with differs."""
        book = EstimateBook()
        self.grown(book)
        assert estimated(book, PROSE * 200, "yes", PROSE * 3, **other).by is None

    def test_a_compacted_history_is_estimated_afresh(self) -> None:
        """It begins alike, and is much shorter."""
        book = EstimateBook()
        long = estimated(book, PROSE * 10, *(PROSE * 100 for _ in range(9)))
        answered(book, long, 20_000)
        assert estimated(book, PROSE * 10, "summary").by is None

    def test_what_was_cut_out_in_the_middle_is_taken_off(self) -> None:
        """Claude Code clears old results of tools: fewer bytes, and the number of messages grows on."""
        book = EstimateBook()
        texts = [PROSE * 100] * 6
        answered(book, estimated(book, *texts), 10_000)
        cleared = estimated(book, *texts[:3], "[cleared]", *texts[4:], PROSE)
        assert cleared.by is not None
        assert 7_500 < book.tokens(cleared, ONE) < 9_000

    def test_memory_is_bounded(self) -> None:
        """Conversations and names, however many a client makes up; the last used stay."""
        book = EstimateBook()
        for n in range(CONVERSATIONS + 50):
            each = estimated(book, PROSE * 20, session=str(n))
            answered(book, each, 300, Candidate("p", f"model-{n}"))
        assert len(book._counted) == CONVERSATIONS
        assert len(book._whole) <= NAMES
        assert ("0", "", each.prompt.head) not in book._counted
        assert (str(CONVERSATIONS + 49), "", each.prompt.head) in book._counted


_TURNS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 60_000), st.sampled_from(["a", "b"]), st.booleans()), max_size=25
)


@given(_TURNS)
def test_whatever_hosts_say_an_estimate_stays_one(turns: list[tuple[int, int, str, bool]]) -> None:
    """At least 1 and finite; factors stay within their bounds; and a recorded log folds to the same book."""
    one, two = EstimateBook(), EstimateBook()
    texts = {"a": [PROSE * 20], "b": ["代理服务器" * 50]}
    for more, told, session, cut in turns:
        history = texts[session]
        history += [PROSE * (7 * more)] * more
        if cut:
            del history[1:]
        estimate = estimated(one, *history, session=session)
        assert estimate == estimated(two, *history, session=session)
        for book in (one, two):
            assert 1 <= book.tokens(estimate, ONE) < 10**7
            answered(book, estimate, told)
        assert one.tokens(estimate, TWO) == two.tokens(estimate, TWO)
    for book in (one, two):
        assert all(LEAST <= book._factor(book._whole, who) <= GREATEST for who in (ONE, TWO))
