"""What a wrong file says of itself: the line, the path, what was found, what is allowed, the nearest name."""

from __future__ import annotations

import pytest

from engine.config import ConfigError, load
from policies import KINDS
from tests.engine.catalogues import small

CATALOGUE = small()
POLICIES = ", ".join(KINDS)
SECTIONS = "server, providers, chains, routes, vendors, local_answers, web_tools"
PROVIDER = (
    "name, wire, base_url, region, keys_env, key_env, key_usage_limit, auth, enabled, scope, breaker, headers, open_lists, "
    "text_calls, cache_s, like, public_key, proxy, proxy_env, websocket, max_output_tokens, thinking, timeouts, num_ctx, "
    "keep_alive, thread, fill, models"
)
WIRES = "'anthropic', 'openai-chat', 'openai-responses', 'gemini', 'ollama', 'zed' or 'rehearsal'"
OWN = (
    "a provider of your own needs wire (one of anthropic, openai-chat, openai-responses, gemini, ollama, zed, rehearsal) "
    "and base_url (where requests go)"
)
NO_KEY = "a key never stands in this file: put it in an environment variable and name that in keys_env"
ENV_NAME = "expected the name of an environment variable (capitals, digits, underscores), never a key itself"
SECONDS = "expected seconds, above 0 and at most a day"


def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
    """Every problem of a file, as a person reads it."""
    with pytest.raises(ConfigError) as caught:
        load(text, file="c.toml", catalogue=CATALOGUE, environ=environ or {})
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem) for problem in caught.value.problems]


def chain(policy: str) -> str:
    """A file whose fourth line is one policy of a chain."""
    return f'[chains.c]\ncandidates = ["paid/x"]\npolicies = [\n  {policy},\n]\n'


SYNTAX = [
    ("[server\nbind = 1", "c.toml:1: not valid TOML: expected ']' at the end of a table declaration (column 8)"),
    ("a = 1\na = 2", "c.toml:2: not valid TOML: the key is there twice"),
    ("\nserver", "c.toml:2: not valid TOML: expected '=' after the key"),
    ("[server]\nbind = 127.0.0.1", "c.toml:2: not valid TOML: expected the end of the line (column 13)"),
    ("[server]\nbind = localhost", "c.toml:2: not valid TOML: this is no value (strings stand in quotes) (column 8)"),
    ("[a.b]\n[c]\n[a.b]\n", "c.toml:3: not valid TOML: the table 'a.b' is there twice (column 5)"),
    ("p = { a = 1, a = 2 }", "c.toml:1: not valid TOML: the key is there twice (column 19)"),
    ("p = { a = 1 }\n[p.b]\n", "c.toml:2: not valid TOML: the table 'p.b' is there twice (column 5)"),
    (
        "p = { a = {} }\np.a.b = 1\n",
        "c.toml:2: not valid TOML: 'p.a' is complete already and cannot be added to (column 10)",
    ),
    ('s = "abc', "c.toml:1: not valid TOML: a string is not closed: its quote is missing"),
    ("n = " + "9" * 5000, "c.toml:1: not valid TOML: a number too long to be read"),
    ("n = " + "[" * 5000, "c.toml:1: nested too deeply"),
]

SERVER = [
    ("server = 1", "c.toml:1: server: expected a table, got 1"),
    ("[servr]\n", f"c.toml:1: servr: unknown key (did you mean 'server'?); available: {SECTIONS}"),
    (
        "[server]\nbnd = 1",
        "c.toml:2: server.bnd: unknown key (did you mean 'bind'?); available: bind, auth_token_env, insecure, max_body_mb, "
        "body_s, drain_s, write_s, duplicates",
    ),
    (
        "[server]\nbind = 8082",
        "c.toml:2: server.bind: expected an address and a port, such as '127.0.0.1:8082', got 8082",
    ),
    (
        '[server]\nbind = "127.0.0.1:99999"',
        "c.toml:2: server.bind: expected an address and a port, such as '127.0.0.1:8082', got '127.0.0.1:99999'",
    ),
    (
        '[server]\nbind = "::1:80"',
        "c.toml:2: server.bind: expected an IPv6 address in brackets, such as '[::1]:8082', got '::1:80'",
    ),
    (
        '[server]\nbind = "0.0.0.0:8082"',
        "c.toml:2: server.bind: 0.0.0.0 can be reached from other machines and ANTHROPIC_AUTH_TOKEN is not set: set it, "
        "bind to 127.0.0.1, or say insecure = true",
    ),
    (
        '[server]\ntoken = "abc"',
        "c.toml:2: server.token: a token never stands in this file: put it in an environment variable and name that in "
        "auth_token_env",
    ),
    ('[server]\nauth_token_env = "hunter2"', f"c.toml:2: server.auth_token_env: {ENV_NAME}"),
    ('[server]\ninsecure = "yes"', "c.toml:2: server.insecure: expected true or false, got 'yes'"),
    (
        "[server]\nmax_body_mb = 0",
        "c.toml:2: server.max_body_mb: expected megabytes, above 0 and at most 1024, got 0",
    ),
    ("[server]\nbody_s = true", f"c.toml:2: server.body_s: {SECONDS}, got true"),
    ("[server]\ndrain_s = nan", "c.toml:2: server.drain_s: expected seconds, from 0 to a day, got nan"),
    ("[server]\nwrite_s = 1979-05-27", f"c.toml:2: server.write_s: {SECONDS}, got a date or a time"),
]

PROVIDERS = [
    ("providers = []", "c.toml:1: providers: expected tables such as [providers.NAME], got a list"),
    ("[providers]\npaid = 1", "c.toml:2: providers.paid: expected a table, got 1"),
    ('[providers."a/b"]', "c.toml:1: providers.\"a/b\": expected a name of letters, digits, '_', '-' and '.'"),
    ("[providers.payed]", f"c.toml:1: providers.payed: unknown provider 'payed' (did you mean 'paid'?); {OWN}"),
    (
        '[providers.mine]\nwire = "anthropic"',
        "c.toml:1: providers.mine: this provider needs base_url (where requests go)",
    ),
    (
        "[providers.paid]\nscop = 1",
        f"c.toml:2: providers.paid.scop: unknown key (did you mean 'scope'?); available: {PROVIDER}",
    ),
    (
        '[providers.paid]\nscope = "unlimted"',
        "c.toml:2: providers.paid.scope: expected 'unlimited' or a table with a kind, got 'unlimted'",
    ),
    (
        '[providers.paid]\nscope = { kind = "windw" }',
        "c.toml:2: providers.paid.scope.kind: expected window, concurrency, adaptive or unlimited, got 'windw' "
        "(did you mean 'window'?)",
    ),
    (
        '[providers.paid]\nscope = { kind = "window", requests = 5 }',
        "c.toml:2: providers.paid.scope: per_s is missing",
    ),
    (
        '[providers.paid]\nscope = { kind = "concurrency", limit = 0 }',
        "c.toml:2: providers.paid.scope.limit: expected more than 0, got 0",
    ),
    (
        '[providers.paid]\nscope = { kind = "concurrency", per = "user" }',
        "c.toml:2: providers.paid.scope.per: expected 'key' or 'provider', got 'user'",
    ),
    ('[providers.paid]\nbreaker = "on"', "c.toml:2: providers.paid.breaker: expected 'off' or a table, got 'on'"),
    (
        "[providers.paid]\nbreaker = { max_open_s = 0 }",
        "c.toml:2: providers.paid.breaker.max_open_s: expected more than 0, got 0",
    ),
    (
        "[providers.paid]\nbreaker = { ramp_s = -1 }",
        "c.toml:2: providers.paid.breaker.ramp_s: expected 0 or more, got -1",
    ),
    (
        "[providers.paid]\nbreaker = { probes = 30 }",
        "c.toml:2: providers.paid.breaker.probes: unknown key (did you mean 'probe_s'?); available: failures, rate, volume, "
        "window_s, open_s, max_open_s, ramp_s, probe_s",
    ),
    (
        "[providers.paid]\nbreaker = { failures = 2.5 }",
        "c.toml:2: providers.paid.breaker.failures: expected a whole number, got 2.5",
    ),
    ('[providers.paid]\nkeys_env = "sk-ant-abc"', f"c.toml:2: providers.paid.keys_env: {ENV_NAME}"),
    ('[providers.paid]\nkeys_env = ["A", "b"]', f"c.toml:2: providers.paid.keys_env[1]: {ENV_NAME}"),
    (
        "[providers.paid]\nkeys_env = []",
        "c.toml:2: providers.paid.keys_env: expected the name of an environment variable, or a list of names, got a list",
    ),
    (
        '[providers.paid]\nkeys_env = "A"\nkey_env = "B"',
        "c.toml:3: providers.paid.key_env: keys_env says the same: keep one of them",
    ),
    ('[providers.paid]\napi_key = "sk-ant-abc"', f"c.toml:2: providers.paid.api_key: {NO_KEY}"),
    (
        '[providers.paid]\nheaders = { Authorization = "Bearer abc" }',
        f"c.toml:2: providers.paid.headers.Authorization: {NO_KEY}",
    ),
    (
        '[providers.paid]\nheaders = { "x-auth-token" = "sk-ant-planted-1" }',
        f"c.toml:2: providers.paid.headers.x-auth-token: {NO_KEY}",
    ),
    (
        '[providers.paid]\nheaders = { "x-custom" = "Token Zm9vYmFyMTIzNDU2Nzg5MGFiY2Rl" }',
        f"c.toml:2: providers.paid.headers.x-custom: {NO_KEY}",
    ),
    (
        '[providers.paid.headers]\nhost = "x"',
        "c.toml:2: providers.paid.headers.host: this header is written for each request and cannot be set",
    ),
    ('[providers.paid.headers]\nx-y = "a\\nb"', "c.toml:2: providers.paid.headers.x-y: expected printable ASCII text"),
    (
        '[providers.paid]\nauth = "basic"',
        "c.toml:2: providers.paid.auth: expected 'x-api-key', 'bearer', 'api-key', 'x-goog-api-key', 'client' or 'none', "
        "got 'basic'",
    ),
    (
        '[providers.paid]\nauth = "none"\nkeys_env = "A"',
        "c.toml:2: providers.paid.auth: 'none' sends no key, yet a variable with keys is named: remove one of them",
    ),
    (
        '[providers.mine]\nwire = "anthropic"\nbase_url = "http://x"\nauth = "bearer"',
        "c.toml:4: providers.mine.auth: 'bearer' sends a key, yet none is named: add keys_env",
    ),
    (
        '[providers.paid]\nwire = "anthropc"',
        f"c.toml:2: providers.paid.wire: expected {WIRES}, got 'anthropc' (did you mean 'anthropic'?)",
    ),
    (
        '[providers.paid]\nwire = "gemini"',
        "c.toml:2: providers.paid.wire: 'paid' is asked on anthropic or zed; for another wire give a base_url as well",
    ),
    (
        '[providers.mine]\nwire = "anthropic"\nbase_url = "x.org"',
        "c.toml:3: providers.mine.base_url: expected a URL that begins with http:// or https:// and names a host",
    ),
    (
        '[providers.mine]\nwire = "anthropic"\nbase_url = "https://me:pw@x.org"',
        "c.toml:3: providers.mine.base_url: a URL here holds no credentials: put the key in an environment variable and "
        "name it in keys_env",
    ),
    (
        '[providers.mine]\nwire = "anthropic"\nbase_url = "https://x.org/?key=1"',
        "c.toml:3: providers.mine.base_url: expected a base URL without '?' and '#': paths are appended to it",
    ),
    ('[providers.paid]\nregion = "us"', "c.toml:2: providers.paid.region: unknown region; available: cn, plan"),
    ('[providers.free]\nregion = "cn"', "c.toml:2: providers.free.region: unknown region; 'free' has no regions"),
    (
        '[providers.paid]\nregion = "cn"\nbase_url = "https://x.org"',
        "c.toml:2: providers.paid.region: base_url says where requests go: keep one of them",
    ),
    (
        "[providers.paid]\n[providers.dear]\n",
        "c.toml:2: providers.dear: 'paid' has a table already, under its other name",
    ),
    (
        '[providers.rehearsal]\nkeys_env = "A"',
        "c.toml:2: providers.rehearsal.keys_env: the rehearsal wire answers in process: it has no address and no key",
    ),
    (
        "[providers.paid.models.m]\n\ncontext = 0",
        "c.toml:3: providers.paid.models.m.context: expected a whole number of tokens, at least 1, got 0",
    ),
    (
        '[providers.paid.models."a/b"]\nprice = { input = 1 }',
        'c.toml:2: providers.paid.models."a/b".price: output is missing',
    ),
    (
        "[providers.paid.models.m]\nprice = { input = -1, output = 1 }",
        "c.toml:2: providers.paid.models.m.price.input: expected US dollars per million tokens, 0 or more, got -1",
    ),
    ('[providers.paid]\nname = ""', "c.toml:2: providers.paid.name: expected a string, got an empty string"),
]

CHAINS = [
    (
        "[chains.c]",
        "c.toml:1: chains.c: candidates is missing: a list of 'provider/model', the first to be asked first",
    ),
    ("[chains.c]\ncandidates = []", "c.toml:2: chains.c.candidates: expected at least one 'provider/model'"),
    ('[chains.c]\ncandidates = "paid/x"', "c.toml:2: chains.c.candidates: expected a list, got 'paid/x'"),
    ("[chains.c]\ncandidates = [1]", "c.toml:2: chains.c.candidates[0]: expected 'provider/model', got 1"),
    (
        '[chains.c]\ncandidates = [\n  "paid/x",\n  "free",\n]',
        "c.toml:4: chains.c.candidates[1]: expected 'provider/model', got 'free'; '/*' after a provider passes the "
        "requested name on",
    ),
    (
        '[chains.c]\ncandidates = ["payed/x"]',
        "c.toml:2: chains.c.candidates[0]: unknown provider 'payed' (did you mean 'paid'?); your own need a "
        "[providers.NAME] table",
    ),
    ('[chains."a b"]', "c.toml:1: chains.\"a b\": expected a name of letters, digits, '_', '-' and '.'"),
    (
        '[chains.auto]\ncandidates = ["paid/x"]',
        "c.toml:1: chains.auto: this chain is built in: choose another name, and route to that",
    ),
    ("[chains]\nc = 1", "c.toml:2: chains.c: expected a table, got 1"),
    (chain("5"), "c.toml:4: chains.c.policies[0]: expected the name of a policy or a table with a kind, got 5"),
    (
        chain('"least-lodaed"'),
        "c.toml:4: chains.c.policies[0]: unknown policy 'least-lodaed' (did you mean 'least-loaded'?); "
        f"available: {POLICIES}",
    ),
    (chain("{}"), "c.toml:4: chains.c.policies[0]: kind is missing: the name of the policy"),
    (chain("{ kind = 1 }"), "c.toml:4: chains.c.policies[0]: expected the name of a policy, got 1"),
    (
        chain('{ kind = "hedge", aftr = "p92" }'),
        "c.toml:4: chains.c.policies[0].aftr: unknown key (did you mean 'after'?); available: after_s, after, at_least, "
        "at_most, floor_s, ceiling_s, cold_s, extra_load, paid, second_usd, warm",
    ),
    (
        chain('{ kind = "hedge", after = "p93" }'),
        "c.toml:4: chains.c.policies[0].after: expected one of p50, p75, p90, p92, p95, p99, got 'p93'",
    ),
    (
        chain('{ kind = "retry", base_s = nan }'),
        "c.toml:4: chains.c.policies[0].base_s: expected a number that can be meant, got nan",
    ),
    (chain('{ kind = "hedge", after_s = "5" }'), "c.toml:4: chains.c.policies[0].after_s: expected a number, got '5'"),
    (
        chain('{ kind = "race", width = 1 }'),
        "c.toml:4: chains.c.policies[0].width: expected at least 2, got 1 (one at a time is 'sequence')",
    ),
    (
        chain('{ kind = "commit-at", at = "contents" }'),
        "c.toml:4: chains.c.policies[0].at: expected 'content', 'block', 'tool' or 'message', got 'contents' "
        "(did you mean 'content'?)",
    ),
    (chain('"unlimited-scope"'), "c.toml:4: chains.c.policies[0]: for is missing"),
    (chain('{ kind = "unlimited-scope", for = [] }'), "c.toml:4: chains.c.policies[0].for: expected at least one"),
    (
        chain('{ kind = "unlimited-scope", for = ["payed"] }'),
        "c.toml:4: chains.c.policies[0].for[0]: unknown provider 'payed' (did you mean 'paid'?); your own need a "
        "[providers.NAME] table",
    ),
    (
        chain('{ kind = "in-order", priority = [["paid"], ["free"]] }'),
        "c.toml:4: chains.c.policies[0].priority[1][0]: 'free' is nobody in this chain",
    ),
    (
        chain('{ kind = "in-order", priority = ["paid"] }'),
        "c.toml:4: chains.c.policies[0].priority[0]: expected a list, got 'paid'",
    ),
    (
        chain('"nowhere_at_all:Policy"'),
        "c.toml:4: chains.c.policies[0]: policy 'nowhere_at_all:Policy' cannot be loaded: No module named 'nowhere_at_all'",
    ),
    (
        chain('"policies:Plan"'),
        "c.toml:4: chains.c.policies[0]: 'policies:Plan' is not a policy: expected a subclass of policies.Policy",
    ),
    (
        chain('"sequence",\n  "race"'),
        "c.toml:3: chains.c.policies: 'sequence' and 'race' exclude each other: a chain has at most one pace policy",
    ),
]

ROUTES = [
    ("routes = 1", "c.toml:1: routes: expected tables such as [[routes]], got 1"),
    ('[routes]\nmatch = "*"', "c.toml:1: routes: expected tables such as [[routes]], got a table"),
    ('[[routes]]\nmatch = "*"', "c.toml:1: routes[0]: chain is missing: the name of a chain"),
    ('[[routes]]\nchain = "auto"', "c.toml:1: routes[0]: match is missing: a model name or a glob"),
    (
        '[[routes]]\nmatch = "*"\nchain = "atuo"',
        "c.toml:3: routes[0].chain: unknown chain 'atuo' (did you mean 'auto'?); available: auto",
    ),
    (
        '[[routes]]\nmatch = "*"\nchain = "auto"\n[[routes]]\nmatch = "*"\nchain = "auto"\nenabld = true',
        "c.toml:7: routes[1].enabld: unknown key (did you mean 'enabled'?); available: match, chain, enabled, thinking",
    ),
    ("vendors = 1", "c.toml:1: vendors: expected a table of vendor = 'provider', got 1"),
    ("[vendors]\nqwen = 1", "c.toml:2: vendors.qwen: expected a string, got 1"),
    (
        '[vendors]\nqwen = "fre"',
        "c.toml:2: vendors.qwen: unknown provider 'fre' (did you mean 'free'?); your own need a [providers.NAME] table",
    ),
]


@pytest.mark.parametrize(("text", "message"), [*SYNTAX, *SERVER, *PROVIDERS, *CHAINS, *ROUTES])
def test_a_mistake_is_said_with_its_line_its_path_and_what_is_allowed(text: str, message: str) -> None:
    """One mistake, one message, word for word."""
    assert problems(text) == [message]


FIVE = """\
[server]
bind = "0.0.0.0:8082"

[providers.paid]
connect_s = "8"
scop = 1

[chains.coding]
candidates = ["nobody/x", "paid/y"]
policies = [
  "silent-skip",
  { kind = "hedge", after = "p93", extra_load = 2 },
]

[[routes]]
match = "*"
chain = "codin"
"""


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    """Structure, ranges, references and cross-checks are one list; a wrong neighbour hides nothing."""
    paths = [message.split(": ")[:2] for message in problems(FIVE)]
    assert paths == [
        ["c.toml:2", "server.bind"],
        ["c.toml:5", "providers.paid.connect_s"],
        ["c.toml:6", "providers.paid.scop"],
        ["c.toml:9", "chains.coding.candidates[0]"],
        ["c.toml:12", "chains.coding.policies[1].after"],
        ["c.toml:12", "chains.coding.policies[1].extra_load"],
        ["c.toml:17", "routes[0].chain"],
    ]


def test_a_chain_that_cannot_be_read_is_still_there_for_a_route() -> None:
    """One mistake is not reported a second time by whoever refers to it."""
    text = '[chains.c]\ncandidates = [5]\n[providers.mine]\nwire = 1\n[[routes]]\nmatch = "*"\nchain = "c"\n'
    assert [message.split(": ")[1] for message in problems(text)] == [
        "chains.c.candidates[0]",
        "providers.mine",
        "providers.mine.wire",
    ]


def test_a_mistake_in_the_order_of_the_environment_is_an_error() -> None:
    """The variable is ours, so what stands in it is meant for us."""
    assert problems("", {"AUTO_MODEL_ORDER": "payed/x, nonsense"}) == [
        "environment: AUTO_MODEL_ORDER: unknown provider 'payed' (did you mean 'paid'?)",
        "environment: AUTO_MODEL_ORDER: 'nonsense' is not 'provider/model'",
    ]
