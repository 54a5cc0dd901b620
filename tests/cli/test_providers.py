"""`hedgerow providers`: what is listed, what is shown of one, and what one lists when it is asked."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

import server
from cli.main import hedgerow
from cli.tables import show_table
from tests.cli.loopback import answering

pytestmark = pytest.mark.usefixtures("_nothing_local")

KEY = "sk-0123456789abcdef"
LISTED = {
    "data": [
        {"id": "known", "context_length": 131_072, "supports_tools": True, "pricing": {"input": 1, "output": 2}},
        {"id": "new", "supports_thinking": True, "pricing": {"input": 0, "output": 0}},
    ]
}


@attrs.define(eq=False)
class Host:
    """A host on loopback that lists models to whoever has the key."""

    url: str
    heads: list[dict[str, str]] = attrs.field(factory=list)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    found = Host("")

    def answer(_: str, head: Mapping[str, str]) -> tuple[int, bytes]:
        found.heads.append(dict(head))
        allowed = head.get("authorization") == f"Bearer {KEY}"
        status, value = (200, LISTED) if allowed else (401, {"error": {"message": "no such key"}})
        return status, json.dumps(value).encode()

    with answering(answer) as url:
        found.url = f"{url}/v1"
        yield found


@pytest.fixture
def config(tmp_path: Path, host: Host) -> str:
    """A file with a provider of one's own."""
    path = tmp_path / "team.toml"
    path.write_text(
        f'[providers.mine]\nname = "Ours"\nwire = "openai-chat"\nbase_url = "{host.url}"\nkeys_env = "MINE_KEY"\n'
        "[providers.mine.models.known]\nprice = { input = 1, output = 2, cache_read = 0.1 }\ncontext = 1000\n"
        "[providers.mine.models.gone]\n"
    )
    return str(path)


def run(*args: str, **environ: str) -> Result:
    """The command, with nothing set but `environ`; no value of a key is ever in what it prints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.environ", {"HOME": ".", **environ})
        result = CliRunner().invoke(hedgerow, ["providers", *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert KEY not in result.output
    return result


def lines(result: Result) -> dict[str, str]:
    return {line.split()[0]: line for line in result.stdout.splitlines() if line}


class TestList:
    """Who there is."""

    def test_all_are_listed_with_the_one_thing_to_do(self) -> None:
        """Wires in order, variables, models, price, and why not."""
        told = lines(run(DEEPSEEK_API_KEY=KEY))
        assert len(told) == 1 + len(server.read_config(None, {}).providers)
        assert told["deepseek"].split("  ")[-1].strip() == "usable"
        assert "anthropic, openai-chat" in told["deepseek"]
        assert told["groq"].endswith("GROQ_API_KEY is not set")
        assert "free and paid" in told["zen"]
        assert "local" in told["ollama"]
        assert "not supported: it needs signed requests" in told["bedrock"]

    def test_a_term_narrows_by_id_name_alias_and_variable(self) -> None:
        """And says so where there is nobody left."""
        assert list(lines(run("hugg"))) == ["id", "huggingface"]
        assert list(lines(run("HF_TOKEN"))) == ["id", "huggingface"]
        assert list(lines(run("moonshotai"))) == ["id", "kimi"]
        nobody = run("nonsense")
        assert (nobody.stdout, nobody.exit_code) == ("", 0)
        assert "no provider with 'nonsense'" in nobody.stderr

    def test_usable_ones_alone(self) -> None:
        """A key makes one; the built-in provider always is."""
        assert list(lines(run("--usable", GROQ_API_KEY=KEY))) == ["id", "groq", "rehearsal"]

    def test_as_json(self) -> None:
        """The same, for programs."""
        (row,) = json.loads(run("cerebras", "--json", CEREBRAS_API_KEY=f"{KEY},{KEY}2").stdout)
        assert row == {
            "id": "cerebras",
            "name": "Cerebras",
            "aliases": [],
            "wires": ["openai-chat"],
            "asked_on": "openai-chat",
            "usable": True,
            "because": None,
            "keys_env": ["CEREBRAS_API_KEY", "CEREBRAS_API_KEYS"],
            "keys_set": 2,
            "models": 2,
            "cost": "paid",
            "local": False,
            "named": False,
        }

    def test_providers_of_the_file_are_among_them(self, config: str) -> None:
        """Usable ones first, and among those the ones of the file."""
        assert lines(run("--config", config))["mine"].endswith("MINE_KEY is not set")
        result = run("--config", config, GROQ_API_KEY=KEY, MINE_KEY=KEY)
        assert list(lines(result))[:4] == ["id", "mine", "groq", "rehearsal"]

    def test_a_mistake_in_the_file_is_told_with_its_place(self, tmp_path: Path) -> None:
        """And ends with 2."""
        path = tmp_path / "wrong.toml"
        path.write_text('[providers.groq]\nregon = "x"\n')
        result = run("--config", str(path))
        assert result.exit_code == 2
        assert "wrong.toml:2: providers.groq.regon" in result.stderr
        assert run("--config", "absent.toml").exit_code == 2


class TestShow:
    """Everything known of one."""

    def test_addresses_settings_and_models(self, config: str) -> None:
        """Of a row of the catalogue, by its alias, and of a provider of one's own."""
        told = run("show", "glm", ZAI_API_KEY=KEY).stdout
        assert "ZHIPUAI_API_KEYS (1 set)" in told
        assert "anthropic at https://api.z.ai/api/anthropic" in told
        assert "cn, coding, cn-coding" in told
        (row,) = (line for line in told.splitlines() if line.startswith("glm-5.2"))
        assert row.split() == ["glm-5.2", "1,000,000", "131,072", "tools", "high,", "max", "1.4/4.4", "0.26/0"]
        assert "openai-chat at http://127.0.0.1" in run("show", "mine", "--config", config).stdout

    def test_as_json(self, config: str) -> None:
        """Models and prices included."""
        row = json.loads(run("show", "mine", "--json", "--config", config, MINE_KEY=KEY).stdout)
        assert (row["usable"], row["auth"], row["keys_env"]) == (True, "bearer", ["MINE_KEY"])
        price = {"input": 1.0, "output": 2.0, "cache_read": 0.1, "cache_write": None}
        assert {model["id"]: model["price"] for model in row["models"]} == {"known": price, "gone": None}

    @pytest.mark.long
    def test_every_row_can_be_shown(self) -> None:
        """Whatever it is made of."""
        for id in server.read_config(None, {}).providers:
            if id != "rehearsal":
                assert run("show", id).exit_code == 0
                json.loads(run("show", id, "--json").stdout)

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("grok", "'grok' is no provider (did you mean 'groq'?)"),
            ("rehearsal", "'rehearsal' answers in process"),
        ],
    )
    def test_a_wrong_name_is_told(self, name: str, told: str) -> None:
        """With the nearest, and 2."""
        result = run("show", name)
        assert result.exit_code == 2
        assert told in result.stderr


class TestModels:
    """What a provider lists when it is asked."""

    def test_its_list_and_what_the_catalogue_knows_of_it(self, config: str, host: Host) -> None:
        """A star for the known, and a word on what is gone; the key went out as for a request."""
        result = run("models", "mine", "--config", config, MINE_KEY=KEY)
        assert result.exit_code == 0
        _, known, new = (line.split("  ") for line in result.stdout.splitlines())
        assert [cell.strip() for cell in known if cell] == ["*", "known", "131,072", "-", "tools", "1/2"]
        assert [cell.strip() for cell in new if cell.strip()] == ["new", "-", "-", "thinking", "free"]
        assert result.stderr == "Known, and not listed: gone\n"
        assert host.heads[-1]["authorization"] == f"Bearer {KEY}"

    def test_as_json_and_narrowed(self, config: str) -> None:
        """Unknown is null."""
        told = json.loads(run("models", "mine", "NEW", "--json", "--config", config, MINE_KEY=KEY).stdout)
        assert told["known_but_not_listed"] == ["gone"]
        (row,) = told["models"]
        assert (row["id"], row["context"], row["price"], row["known"]) == (
            "new",
            None,
            {"input": 0, "output": 0},
            False,
        )
        assert "none with 'x'" in run("models", "mine", "x", "--config", config, MINE_KEY=KEY).stdout

    def test_a_refusal_is_one_line_and_ends_with_1(self, config: str) -> None:
        """Which key it was, and what the host said."""
        result = run("models", "mine", "--config", config, MINE_KEY="sk-another-key")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.count("\n") == 1
        assert "answers 401: the key is refused (it comes from MINE_KEY) - no such key" in result.stderr

    def test_who_cannot_be_asked_says_why(self) -> None:
        """Not supported, and a port where nobody listens."""
        result = run("models", "vertex")
        assert (result.exit_code, "not supported" in result.stderr) == (1, True)
        result = run("models", "vllm", VLLM_BASE_URL="http://127.0.0.1:9")
        assert (result.exit_code, "cannot be reached" in result.stderr) == (1, True)


@pytest.mark.parametrize("args", [(), ("list",), ("show",), ("models",)])
def test_each_has_its_help(args: tuple[str, ...]) -> None:
    """With examples where there is something to choose."""
    result = run(*args, "--help")
    assert result.exit_code == 0
    assert ("Examples:" in result.output) == (args != ("list",))


def test_a_table_is_drawn_on_a_terminal_and_plain_elsewhere() -> None:
    """Cells are text, whatever they look like."""
    rows = [("[bold]a[/]", "7"), ("b", "1,000")]
    plain, drawn = io.StringIO(), io.StringIO()
    show_table(Console(file=plain), ("name", "#count"), rows)
    show_table(Console(file=drawn, force_terminal=True, width=60), ("name", "#count"), rows)
    assert plain.getvalue() == "name        count\n[bold]a[/]      7\nb           1,000\n"
    assert "[bold]a[/]" in drawn.getvalue()
    assert "─" in drawn.getvalue()
