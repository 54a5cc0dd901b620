"""`[local_answers]` and `[web_tools]`, where the file, the environment and the defaults each may have a word.

People come from proxies that had these as flags in the environment and expect them to hold. Reading a flag wherever it is
needed makes two sources that nobody can tell apart; here they meet once: what the file says stands, then the flag, then
the default. A flag that is neither true nor false is said and left out, since other programs read it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from engine.config._file import LocalAnswersTable, WebToolsTable
from engine.config._problems import Findings, Path, quotable
from engine.config._provider import Secret
from engine.config._schema import SEARCH_ENGINES, LocalAnswers, WebTools

T = TypeVar("T")

#: The flags of `[local_answers]`, as claude-code-proxy and its relatives call them.
LOCAL_FLAGS: Mapping[str, str] = {
    "quota": "ENABLE_NETWORK_PROBE_MOCK",
    "prefix": "FAST_PREFIX_DETECTION",
    "title": "ENABLE_TITLE_GENERATION_SKIP",
    "suggestions": "ENABLE_SUGGESTION_MODE_SKIP",
    "filepaths": "ENABLE_FILEPATH_EXTRACTION_MOCK",
}
WEB_FLAG = "ENABLE_WEB_SERVER_TOOLS"
PRIVATE_FLAG = "WEB_FETCH_ALLOW_PRIVATE_NETWORKS"
SCHEMES = "WEB_FETCH_ALLOWED_SCHEMES"

_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def local_answers(table: LocalAnswersTable, environ: Mapping[str, str], findings: Findings) -> LocalAnswers:
    """Which probes are answered here."""
    default = LocalAnswers()
    said = {name: _flag(environ, flag, findings) for name, flag in LOCAL_FLAGS.items()}
    return LocalAnswers(
        **{name: _first(getattr(table, name), said[name], getattr(default, name)) for name in LOCAL_FLAGS}
    )


def web_tools(table: WebToolsTable, environ: Mapping[str, str], findings: Findings) -> WebTools:
    """How the web tools work, whether they are on or off."""
    default = WebTools()
    enabled = _first(table.enabled, _flag(environ, WEB_FLAG, findings), default.enabled)
    variable, address = SEARCH_ENGINES[table.search]
    key_env = table.search_key_env or variable
    path: Path = ("web_tools",)
    key = environ.get(key_env, "").strip() if key_env else ""
    if enabled and variable and not key:
        findings.error((*path, "search"), f"'{table.search}' needs a key, and {key_env} is not set")
    if enabled and address is None and table.search_base_url is None:
        findings.error(
            (*path, "search"), f"'{table.search}' runs where you run it: give its address in search_base_url"
        )
    for name in ("allowed_schemes", "allowed_ports"):
        if getattr(table, name) == ():
            findings.error((*path, name), "expected at least one: enabled = false switches the tools off")
    return WebTools(
        enabled=enabled,
        search=table.search,
        search_base_url=table.search_base_url or address,
        search_key=Secret(key, key_env) if key and key_env else None,
        max_uses=table.max_uses,
        results=table.results,
        total_s=table.total_s,
        fetch_s=table.fetch_s,
        max_page_bytes=round(table.max_page_mb * 1024**2),
        max_page_chars=table.max_page_chars,
        allowed_schemes=_first(table.allowed_schemes, _schemes(environ, findings), default.allowed_schemes),
        allowed_ports=table.allowed_ports,
        allow_private_networks=_first(
            table.allow_private_networks, _flag(environ, PRIVATE_FLAG, findings), default.allow_private_networks
        ),
    )


def _first(given: T | None, flag: T | None, default: T) -> T:
    return given if given is not None else flag if flag is not None else default


def _flag(environ: Mapping[str, str], variable: str, findings: Findings) -> bool | None:
    value = environ.get(variable, "").strip()
    if value and value.lower() not in _TRUTH:
        findings.warn_of_environment(variable, f"expected true or false, got '{quotable(value)}': it is left out")
    return _TRUTH.get(value.lower())


def _schemes(environ: Mapping[str, str], findings: Findings) -> tuple[str, ...] | None:
    """The schemes of the environment; only the two that can be fetched count."""
    named = [part.strip().lower() for part in environ.get(SCHEMES, "").split(",") if part.strip()]
    for name in named:
        if name not in ("http", "https"):
            findings.warn_of_environment(SCHEMES, f"expected http or https, got '{quotable(name)}': it is left out")
    return tuple(dict.fromkeys(name for name in named if name in ("http", "https"))) or None
