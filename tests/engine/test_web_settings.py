"""`[web_tools]`: off unless switched on, and every mistake told with its place."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config import ConfigError, WebTools, load
from tests.engine.catalogues import small


def configured(text: str, **environ: str) -> Any:
    return load(text, file="c.toml", catalogue=small(), environ=environ)


def test_the_tools_are_off_and_their_defaults_are_those_of_the_page() -> None:
    """Without a word, and without a key."""
    assert configured("").web_tools == WebTools(search_base_url="https://html.duckduckgo.com")


def test_the_flags_of_other_proxies_hold_where_the_file_says_nothing() -> None:
    """And what the file says stands above them."""
    flags = {"ENABLE_WEB_SERVER_TOOLS": "true", "WEB_FETCH_ALLOWED_SCHEMES": "https, gopher",
             "WEB_FETCH_ALLOW_PRIVATE_NETWORKS": "1"}  # fmt: skip
    config = configured("", **flags)
    web = config.web_tools
    assert (web.enabled, web.allowed_schemes, web.allow_private_networks) == (True, ("https",), True)
    assert any("gopher" in warning for warning in config.warnings)
    assert configured("[web_tools]\nenabled = false", **flags).web_tools.enabled is False


@pytest.mark.parametrize(("text", "message"), [
    ("[web_tools]\nenabld = true", "c.toml:2: web_tools.enabld: unknown key (did you mean 'enabled'?)"),
    ("[web_tools]\nenabled = true\nsearch = 'brave'", "'brave' needs a key, and BRAVE_API_KEY is not set"),
    ("[web_tools]\nenabled = true\nsearch = 'searxng'", "give its address in search_base_url"),
    ("[web_tools]\nsearch = 'bing'", "c.toml:2: web_tools.search: expected"),
    ("[web_tools]\napi_key = 'sk-1'", "name that in search_key_env"),
    ("[web_tools]\nmax_uses = 0", "c.toml:2: web_tools.max_uses: expected a whole number from 1 to 100, got 0"),
    ("[web_tools]\nallowed_ports = [80, 70000]", "a port from 1 to 65535, got 70000"),
    ("[web_tools]\nallowed_schemes = ['ftp']", "web_tools.allowed_schemes[0]: expected"),
    ("[web_tools]\nallowed_schemes = []", "expected at least one"),
])  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    """What was found, what is allowed, what to do."""
    with pytest.raises(ConfigError) as caught:
        configured(text)
    assert message in str(caught.value)


def test_a_key_is_taken_from_the_engines_own_variable_or_the_named_one() -> None:
    """And is shown nowhere."""
    for text, name in (("", "TAVILY_API_KEY"), ("search_key_env = 'MINE'", "MINE")):
        config = configured(f"[web_tools]\nenabled = true\nsearch = 'tavily'\n{text}", **{name: "s3cret-value"})
        assert config.web_tools.search_key.reveal() == "s3cret-value"
        assert "s3cret-value" not in repr(config.web_tools)
