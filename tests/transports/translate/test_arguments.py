"""Arguments that are not quite JSON: what is certain is put right, everything else is refused.

An example shows that a repair works. What matters is that it is never wrong, so objects are drawn, damaged in each way
that is known, and must come back as they were or not at all.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transports.translate._arguments import fits, plain, repaired

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["\\", "\"'", "{", "}]", ",}", "True", "None", "```", "\n", "it's", "é\u2028", "C:\\new", "/"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)


def written(value: Any) -> str:
    return orjson.dumps(value).decode()


class TestPlain:
    """What needs no repair."""

    @pytest.mark.parametrize(
        ("text", "given"),
        [
            ("", {}), ("  \n", {}), ("null", {}), ("{}", {}), ('{"a": 1}', {"a": 1}), (' {"a": [1, {}]}\n', {"a": [1, {}]}),
            ("[]", None), ('"a"', None), ("7", None), ('{"a": 1', None), ("nul", None), ("{'a': 1}", None),
        ],
    )  # fmt: skip
    def test_objects_and_nothing(self, text: str, given: Any) -> None:
        """Nothing at all and null are no arguments; whatever else is no object is none."""
        assert plain(text) == given

    @given(OBJECTS)
    def test_any_object(self, value: dict[str, Any]) -> None:
        """As it is."""
        assert plain(written(value)) == value


class TestRepaired:
    """Each repair by itself, and what looks like it and is none."""

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ('```json\n{"a": 1}\n```', {"a": 1}),
            ('```\n{"a": 1}```', {"a": 1}),
            ('"{\\"a\\": 1}"', {"a": 1}),
            ('"\\"{}\\""', {}),
            ('""', {}),
            ('{"a": 1,}', {"a": 1}),
            ('{"a": [1, 2 , ] , }', {"a": [1, 2]}),
            ("{'a': True, 'b': [False, None]}", {"a": True, "b": [False, None]}),
            ("{'a': 'it\\'s \"b\" \\x41\\n'}", {"a": 'it\'s "b" A\n'}),
            ('{"a": "it\'s", \'b\': 1}', {"a": "it's", "b": 1}),
            ('{"a": {"b": "c"}', {"a": {"b": "c"}}),
            ('{"a": ["b"', {"a": ["b"]}),
            ('{"a": "True, }"', {"a": "True, }"}),
        ],
    )
    def test_what_is_certain(self, text: str, meant: Any) -> None:
        """There is one thing it can have been."""
        assert repaired(text, None) == meant

    @pytest.mark.parametrize(
        "text",
        [
            '{"a": "rm -rf /ho',  # in a string
            '{"a": "b\\"',
            '{"a": 12',  # there may have been more digits
            '{"a": tru',
            '{"a": true',
            '{"a":',
            '{"a"',
            '{"a": "b", "c"',
            '{"a": "b",',  # something was to come
            '{"a": [',
            "{",
            '{"a": "b" "c"}',  # Python joins them
            '{"a": ["rm" "-rf"]}',
            '{"a": 1 2}',
            '{"a": [1,,2]}',
            '{"a": [,]}',
            '{"a": 1]',
            '{"a": 1}}',
            '{"a": 1} {"b": 2}',
            "{'a': 'b\\/c'}",  # two characters in Python, one in JSON
            '{"a": "C:\\new\\x41"}',
            "{'a': '\\d'}",
            "{'a': r'b'}",
            "{'a': (1, 2)}",
            '{"a": {"b"}}',
            '{"a": 0x10}',
            '{"a": 1_000}',
            '{"a": NaN}',
            '{"a": 1e999}',
            '{a: 1}',
            '{"a": os.system}',
            '{"a": 1} # no',
            "ls -la",
            "[]",
            "[1]",
            '"ls"',
            "7",
            '{"a": "b\nc"}',
            '"{\\"a\\": \\"b"',
            '```json\n{"a": "b\n```',
        ],
    )  # fmt: skip
    def test_what_is_not(self, text: str) -> None:
        """Half a command, or a guess."""
        assert repaired(text, None) is None

    def test_it_must_fit_the_schema(self) -> None:
        """What was certain as to its form may still be nonsense."""
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        assert repaired('{"a": "b",}', schema) == {"a": "b"}
        assert repaired('{"a": 1,}', schema) is None
        assert repaired('""', schema) is None

    @pytest.mark.parametrize("depth", [99, 300, 100_000])
    def test_depth_is_no_trouble(self, depth: int) -> None:
        """Nobody's stack is exhausted; what could not be written again is not repaired."""
        text = '{"a":' * depth + "[1,]" + "}" * depth
        found = repaired(text, None)
        assert (found is not None) is (depth < 100)
        assert repaired(written('{"a":' * depth + "[]" + "}" * depth), None) is None or depth < 255

    @pytest.mark.parametrize(
        "text",
        [
            '{"a":"' + '\\"' * 200_000,
            "```\n" + " " * 400_000 + "x",
            '{"a":"' + "x" * 400_000 + '",}',
            "[1," * 150_000,
            '{"a":[' + "1," * 200_000 + "]}",
            "'" * 400_000,
            '{"a":' + " " * 400_000 + ",}",
            "\\" * 400_000,
        ],
        ids=lambda text: text[:8],
    )
    def test_size_is_no_trouble(self, text: str) -> None:
        """It comes to an end, and to an object or nothing."""
        assert repaired(text, None) is None or isinstance(repaired(text, None), dict)


def fenced(text: str) -> str:
    return f"```json\n{text}\n```"


def python(value: Any) -> str:
    return repr(value)


class TestNeverWrong:
    """For any object, damaged in any way."""

    LAW = settings(deadline=None, max_examples=80)

    @LAW
    @given(OBJECTS, st.integers(0, 2))
    def test_fences_and_encodings_come_off(self, value: dict[str, Any], layers: int) -> None:
        """In any order, up to three of them."""
        text = fenced(written(value))
        assert repaired(text, None) == value
        for _ in range(layers):
            text = written(text)
        assert repaired(text, None) == value

    @LAW
    @given(OBJECTS)
    def test_python_is_read_as_it_was_meant_or_not_at_all(self, value: dict[str, Any]) -> None:
        """Its words, its quotes, its escapes."""
        assert repaired(python(value), None) in (value, None)
        if not any(char in python(value) for char in "\\"):
            assert plain(python(value)) == value or repaired(python(value), None) == value

    @LAW
    @given(OBJECTS, st.data())
    def test_commas_too_many_are_dropped(self, value: dict[str, Any], data: st.DataObject) -> None:
        """Before any closing bracket; a comma within a string is a comma."""
        spaced = data.draw(st.booleans())
        text = with_commas(value, data, spaced)
        assert (plain(text) if plain(text) is not None else repaired(text, None)) == value

    @LAW
    @given(OBJECTS, st.data())
    def test_a_text_cut_anywhere_is_never_less_than_it_was(self, value: dict[str, Any], data: st.DataObject) -> None:
        """Cut behind a finished value only brackets are missing; then every value that was there is there."""
        text = written(value)
        cut = text[: data.draw(st.integers(1, max(1, len(text) - 1)))]
        found = repaired(cut, None)
        if found is not None and found != value:
            assert cut[-1] in '"}]'
            assert text.startswith(cut)
            assert written(found).rstrip("]}") == cut.rstrip("]}")

    @LAW
    @given(OBJECTS, st.data())
    def test_a_cut_string_or_word_is_never_completed(self, value: dict[str, Any], data: st.DataObject) -> None:
        """Wherever in it the end is."""
        text = written(value)
        inside = [at for at in range(1, len(text)) if within(text, at)]
        if inside:
            assert repaired(text[: data.draw(st.sampled_from(inside))], None) is None

    @LAW
    @given(st.text(alphabet="{}[]\"',:\\ntrueFalse01. `x\n", max_size=40))
    def test_noise_raises_nothing(self, text: str) -> None:
        """And what comes of it is an object."""
        assert isinstance(repaired(text, None), dict | None)

    @LAW
    @given(OBJECTS, st.sampled_from(["string", "integer", "array", "object"]), st.data())
    def test_what_is_repaired_fits(self, value: dict[str, Any], kind: str, data: st.DataObject) -> None:
        """Or is not repaired."""
        schema = {"type": "object", "additionalProperties": {"type": kind}}
        found = repaired(with_commas(value, data, False), schema)
        assert found is None or fits(found, schema)


def with_commas(value: Any, data: st.DataObject, spaced: bool) -> str:
    """JSON with a comma behind the last of some objects and lists."""
    gap = " " if spaced else ""
    inner: list[str]
    if isinstance(value, dict):
        inner = [f"{written(key)}:{gap}{with_commas(one, data, spaced)}" for key, one in value.items()]
        opening, closing = "{", "}"
    elif isinstance(value, list):
        inner = [with_commas(one, data, spaced) for one in value]
        opening, closing = "[", "]"
    else:
        return written(value)
    too_many: bool = data.draw(st.booleans())
    comma = f"{gap},{gap}" if inner and too_many else ""
    return opening + f",{gap}".join(inner) + comma + closing


def within(text: str, at: int) -> bool:
    """Whether `text` cut at `at` ends inside a string, or at a number or a word."""
    quoted = escaped = False
    for char in text[:at]:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = quoted
        elif char == '"':
            quoted = not quoted
    return quoted or text[at - 1] not in '{}[],:"'


class TestFits:
    """Schemas come from clients, and are as they are."""

    @pytest.mark.parametrize("schema", [None, {}])
    def test_no_schema_forbids_nothing(self, schema: Any) -> None:
        """There is nothing to hold the arguments against."""
        assert fits({"a": 1}, schema)

    @pytest.mark.parametrize(
        "schema",
        [{"type": "nonsense"}, {"type": 7}, {"$ref": "#/none"},
         {"description": "x", "properties": {"a": {"$ref": "#/description"}}}],
    )  # fmt: skip
    def test_a_schema_that_is_unusable_is_no_yes(self, schema: Any) -> None:
        """Nobody knows, so it is not certain."""
        assert not fits({"a": 1}, schema)

    @pytest.mark.parametrize(
        ("value", "schema", "fit"),
        [
            ({"x": "a" * 40 + "!"}, {"properties": {"x": {"pattern": "^(a+)+$"}}}, True),
            ({"x": [{"a": n} for n in range(5000)]}, {"properties": {"x": {"uniqueItems": True}}}, True),
            ({"x": [1, "2"] * 20_000}, {"properties": {"x": {"items": {"type": ["integer", "string"]}}}}, False),
        ],
        ids=["a pattern that backtracks", "items compared with all others", "more steps than there are"],
    )
    def test_no_schema_stops_everything_else(self, value: Any, schema: Any, fit: bool) -> None:
        """What may take for ever is not looked at; what takes too many steps is not certain."""
        assert fits(value, schema) is fit

    def test_a_union_that_multiplies_is_not_certain(self) -> None:
        """Two ways at each of forty levels."""
        value: dict[str, Any] = {}
        for _ in range(40):
            value = {"x": value}
        both = {"anyOf": [{"$ref": "#"}, {"$ref": "#", "required": ["y"]}]}
        assert not fits(value, {"type": "object", "properties": {"x": both}, "required": ["x"]})

    @pytest.mark.parametrize("name", ["$ref", "$dynamicRef", "$schema", "$id"])
    @pytest.mark.parametrize("address", ["http://schemas.test/a.json", "file:///etc/passwd", "http://["])
    def test_nothing_is_fetched(self, name: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """An address in a schema is a name."""

        def never(*args: object, **kwargs: object) -> None:
            raise AssertionError("a schema was fetched")

        monkeypatch.setattr("urllib.request.urlopen", never)
        monkeypatch.setattr("socket.create_connection", never)
        monkeypatch.setattr("socket.getaddrinfo", never)
        assert fits({"a": {}}, {"properties": {"a": {name: address}}}) in (True, False)

    def test_a_schema_without_end_is_not_certain(self) -> None:
        """It refers to itself."""
        assert not fits({"a": 1}, {"$ref": "#"})

    @settings(deadline=None, max_examples=60)
    @given(
        st.dictionaries(
            st.sampled_from(
                ["type", "properties", "required", "enum", "pattern", "items", "multipleOf", "$id", "allOf"]
            ),
            VALUES,
            max_size=3,
        )
    )
    def test_no_schema_raises(self, schema: dict[str, Any]) -> None:
        """Whatever it is."""
        assert fits({"a": 1e308, "b": ["x"]}, schema) in (True, False)
