"""Which door a path means, and what it says of the model."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routes._paths import METHODS, PROBED, Door, Place, place

TABLE: list[tuple[str, Door, str | None] | tuple[str, Door, str | None, str]] = [
    ("/v1/messages", "messages", None),
    ("/v1/messages/", "messages", None),
    ("/v1/messages/count_tokens", "count_tokens", None),
    ("/v1/models", "models", None),
    ("/v1/v1/messages", "messages", None),
    ("/v1/v1/models/", "models", None),
    # A base URL with a colon: the first one before the first slash separates.
    ("/zen:glm/v1/messages", "messages", "zen/glm"),
    ("/openai:foo/bar:free/v1/messages", "messages", "openai/foo/bar:free"),
    ("/zen:a:b/v1/messages/count_tokens", "count_tokens", "zen/a:b"),
    ("/zen:glm/v1/v1/messages", "messages", "zen/glm"),
    ("/zen:org/model/v1/models", "models", "zen/org/model"),
    ("/zen%3Aglm/v1/messages", "messages", "zen/glm"),
    # One with slashes: the first separates.
    ("/zen/glm/v1/messages", "messages", "zen/glm"),
    ("/open_router/z-ai/glm-4.5-air:free/v1/messages", "messages", "open_router/z-ai/glm-4.5-air:free"),
    ("/open_router/z-ai/glm/v1/messages/count_tokens", "count_tokens", "open_router/z-ai/glm"),
    ("/a%2Fb/v1/messages", "messages", "a/b"),
    ("/zen/org%2Fmodel%3Afree/v1/messages", "messages", "zen/org/model:free"),
    ("/zen/glm//v1/messages", "messages", "zen/glm"),
    ("/zen/v1-turbo/v1/messages", "messages", "zen/v1-turbo"),
    # One model's entry: what is behind the door is its id, with slashes, colons and all.
    ("/v1/models/zen", "models", None, "zen"),
    ("/v1/models/anthropic/zen/org/m:free/", "models", None, "anthropic/zen/org/m:free"),
    ("/v1/models/anthropic%2Fzen%2Fglm", "models", None, "anthropic/zen/glm"),
    ("/v1/v1/models/zen", "models", None, "zen"),
    ("/zen:glm/v1/models/x", "models", "zen/glm", "x"),
    ("/zen/v1/models/x", "people", None),
    ("/v1/models//", "models", None),
    # What names nobody, or is no door of ours.
    ("/zen/v1/messages", "people", None),
    ("/:glm/v1/messages", "people", None),
    ("/zen:/v1/messages", "people", None),
    ("/xv1/messages", "people", None),
    ("/v1/messages/batches", "people", None),
    ("/v1/messagesx", "people", None),
    ("/v1", "people", None),
    ("/", "people", None),
    ("//", "people", None),
    ("", "people", None),
    ("/health", "people", None),
    ("/admin/static/app.js", "people", None),
    ("/%ff%fe/v1/messages", "people", None),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] or "(empty)" for row in TABLE])
def test_a_path_leads_to_its_door(row: tuple[str, Door, str | None] | tuple[str, Door, str | None, str]) -> None:
    """Whatever a base URL holds comes before the door; a `/v1` too many is forgiven."""
    path, *expected = row
    assert place(path.encode()) == Place(*expected)  # type: ignore[arg-type]


def test_every_door_has_its_methods() -> None:
    """As `Allow` will state them."""
    assert set(METHODS) == set(get_args(Door))
    assert all(place(path.encode()).door == "people" for path in PROBED)


_word = st.text("abz019-_.", min_size=1, max_size=8).filter(lambda word: word != "v1")


@settings(deadline=None)
@given(
    provider=_word,
    parts=st.lists(_word, min_size=1, max_size=3),
    tag=st.sampled_from(["", ":free"]),
    colon=st.booleans(),
)
def test_any_candidate_can_be_put_into_an_address(provider: str, parts: list[str], tag: str, colon: bool) -> None:
    """And comes out again."""
    model = "/".join(parts) + tag
    prefix = f"{provider}:{model}" if colon else f"{provider}/{model}"
    assert place(f"/{prefix}/v1/messages".encode()) == Place("messages", f"{provider}/{model}")


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_lead_somewhere(raw: bytes) -> None:
    """A path is the client's to choose."""
    assert place(raw).door in METHODS
