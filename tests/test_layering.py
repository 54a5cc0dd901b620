"""The architecture, read off the source: who imports whom, who imports what, and which files are pure.

A diagram rots, and an import that merely works is soon everywhere. Here every product file is parsed and each import in
it, at the top, in a function, under a condition or for type checking, is held against the tables below. The checkers
themselves are shown sources that they must refuse.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]

#: A module imports from its own package and from those to its left.
LINE = ("policies", "engine", "transports", "routes", "server", "cli")

#: What each may import of other people's, beside what those to its left may.
LIBRARIES = {
    "policies": {"attrs"},
    "engine": {"trio", "cattrs", "orjson", "tree_sitter", "tree_sitter_toml"},
    "transports": {"httpx", "h11", "trio_websocket", "jsonschema", "referencing", "lxml", "pypdf"},
    "routes": {"quart", "quart_trio", "werkzeug"},  # werkzeug: the exceptions that Quart raises
    "server": {"hypercorn", "click", "rich", "structlog"},
    "cli": set[str](),
}

#: Each observer may bring a library of its own, imported only when it is configured.
OBSERVERS = PurePosixPath("engine/observers")
OBSERVER_LIBRARIES = {"structlog"}

#: Files that decide without doing: no coroutine, no clock, no draw, no socket.
PURE = (
    "policies/*.py",
    "engine/_adaptive.py",
    "engine/_affinity.py",
    "engine/_affinity_break.py",
    "engine/_average.py",
    "engine/_bill.py",
    "engine/_books.py",
    "engine/_breaker.py",
    "engine/_breaker_row.py",
    "engine/_budget.py",
    "engine/_calls.py",
    "engine/_commands.py",
    "engine/_counts.py",
    "engine/_estimates.py",
    "engine/_event.py",
    "engine/_events.py",
    "engine/_events_of_candidates.py",
    "engine/_events_of_turns.py",
    "engine/_evidence.py",
    "engine/_failure.py",
    "engine/_growing.py",
    "engine/_histogram.py",
    "engine/_kept.py",
    "engine/_keys.py",
    "engine/_latency.py",
    "engine/_ledger.py",
    "engine/_lessons.py",
    "engine/_line.py",
    "engine/_load.py",
    "engine/_names.py",
    "engine/_pacer.py",
    "engine/_probes.py",
    "engine/_prompt.py",
    "engine/_pushback.py",
    "engine/_quota.py",
    "engine/_quoting.py",
    "engine/_refusals.py",
    "engine/_relay.py",
    "engine/_request.py",
    "engine/_rescue.py",
    "engine/_rests.py",
    "engine/_retries.py",
    "engine/_scopes.py",
    "engine/_seam.py",
    "engine/_settling.py",
    "engine/_shown.py",
    "engine/_size.py",
    "engine/_sliding.py",
    "engine/_spend.py",
    "engine/_splice.py",
    "engine/_stance.py",
    "engine/_stored.py",
    "engine/_stream.py",
    "engine/_tally.py",
    "engine/_throughput.py",
    "engine/_tool_errors.py",
    "engine/_turns.py",
    "engine/config/*.py",
    "engine/observers/_verdicts.py",
    "engine/observers/recent.py",
    "transports/_anthropic.py",
    "transports/_blocks.py",
    "transports/_claimed.py",
    "transports/_classify.py",
    "transports/_continuation.py",
    "transports/_deferred.py",
    "transports/_dialect.py",
    "transports/_envelope.py",
    "transports/_http1.py",
    "transports/_keys.py",
    "transports/_models.py",
    "transports/_outgoing.py",
    "transports/_overflow.py",
    "transports/_papers.py",
    "transports/_passing.py",
    "transports/_pool.py",
    "transports/_quotas.py",
    "transports/_quoted.py",
    "transports/_reduced.py",
    "transports/_remedies.py",
    "transports/_shelf.py",
    "transports/_sse.py",
    "transports/_text_calls.py",
    "transports/_waits.py",
    "transports/chat/*.py",
    "transports/gemini/*.py",
    "transports/ollama/*.py",
    "transports/responses/*.py",
    "transports/translate/*.py",
    "transports/web_tools/_blocks.py",
    "transports/web_tools/_offer.py",
    "transports/web_tools/_rounds.py",
    "transports/web_tools/_search.py",
    "transports/web_tools/_text.py",
    "transports/zed/__init__.py",
    "transports/zed/_decoder.py",
    "transports/zed/_mode.py",
    "transports/zed/_summary.py",
    "transports/zed/_threads.py",
    "routes/_aggregate.py",
    "routes/_auth.py",
    "routes/_capabilities.py",
    "routes/_display.py",
    "routes/_hatches.py",
    "routes/_models.py",
    "routes/_origin.py",
    "routes/_paths.py",
)

#: Entries of `PURE` that need not exist yet. Each file that arrives is struck off; in the end nothing is left.
NOT_YET: set[str] = set()

IMPURE_LIBRARIES = {"trio", "httpx", "quart", "time", "random", "socket", "ssl"}
_ASYNC = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def product_files() -> list[Path]:
    """Every Python file that is shipped."""
    packages = [path for name in LINE for path in sorted((ROOT / name).rglob("*.py"))]
    return [*packages, ROOT / "server.py"]


def module_of(path: PurePosixPath) -> tuple[str, ...]:
    """`engine/config/_load.py` -> `("engine", "config", "_load")`; a package's `__init__` is the package."""
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path: PurePosixPath, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything a module imports, wherever in it.

    `from a import b` counts as `a.b`, since `b` may be a module; relative imports are resolved, and one that climbs out
    of the top is named `..`. `import_module("a")` and `__import__("a")` count where the name is written out. What stands
    under `if __name__ == "__main__":` is no import of the module: `python server.py` starts the command line that way.
    """
    module = module_of(path)
    script = {id(inner) for node in ast.walk(tree) if _is_script_part(node) for inner in ast.walk(node)}
    package = module if path.name == "__init__.py" else module[:-1]
    for node in ast.walk(tree):
        if id(node) in script:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            if node.level and not base:
                yield node.lineno, ".."
            else:
                prefix = ".".join((*base, node.module) if node.module else base)
                yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    yield node.lineno, name


def _is_script_part(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def layering_faults(path: str, source: str) -> list[str]:
    """What a file imports that it must not: a package to its right, an observer, a library that is not on its list."""
    file = PurePosixPath(path)
    home = module_of(file)[0]
    rank = LINE.index(home)
    is_observer = OBSERVERS in file.parents
    libraries = set[str]().union(*(LIBRARIES[name] for name in LINE[: rank + 1]))
    libraries |= OBSERVER_LIBRARIES if is_observer else set()
    faults = []
    for line, name in imports(file, ast.parse(source)):
        top = name.partition(".")[0]
        if top in LINE:
            if LINE.index(top) > rank:
                faults.append(f"{path}:{line}: {home} imports {name}, which is to its right")
            elif home == "engine" and not is_observer and f"{name}.".startswith("engine.observers."):
                faults.append(f"{path}:{line}: the engine imports {name}; observers are handed in")
        elif top not in libraries and top not in sys.stdlib_module_names:
            faults.append(f"{path}:{line}: {home} imports {name}, which is not on its list")
    return faults


def purity_faults(path: str, source: str) -> list[str]:
    """What a pure file does that it must not."""
    tree = ast.parse(source)
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, _ASYNC):
            faults.append(f"{path}:{node.lineno}: {type(node).__name__}")
        elif isinstance(node, _COMPREHENSIONS) and any(generator.is_async for generator in node.generators):
            faults.append(f"{path}:{node.lineno}: async comprehension")
    for line, name in imports(PurePosixPath(path), tree):
        if name.partition(".")[0] in IMPURE_LIBRARIES:
            faults.append(f"{path}:{line}: imports {name}")
    return faults


def test_what_is_checked_is_what_is_shipped() -> None:
    """The walk covers the wheel, and finds something in it."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {PurePosixPath(name).stem for name in wheel["only-include"]} == set(LINE) == set(LIBRARIES)
    found = {path.relative_to(ROOT).as_posix() for path in product_files()}
    assert {"policies/__init__.py", "policies/_plan.py", "server.py", "cli/__init__.py"} <= found


def test_imports_form_a_line() -> None:
    """policies <- engine <- transports <- routes <- server <- cli, each with its libraries."""
    faults = [
        fault
        for path in product_files()
        for fault in layering_faults(path.relative_to(ROOT).as_posix(), path.read_text())
    ]
    assert faults == []


def test_pure_files_are_pure() -> None:
    """Nothing in them waits, reads a clock, draws or opens anything."""
    files = [path for entry in PURE for path in ROOT.glob(entry)]
    assert files
    faults = [fault for path in files for fault in purity_faults(path.relative_to(ROOT).as_posix(), path.read_text())]
    assert faults == []


def test_pure_files_are_there() -> None:
    """A file that was renamed would otherwise go unchecked."""
    assert set(PURE) >= NOT_YET
    assert {entry for entry in PURE if not any(ROOT.glob(entry))} <= NOT_YET


def test_the_rooms_of_the_house_are_there() -> None:
    """Each file that the table in `docs/how-it-works.md` names exists; a bare name stands in the folder of the one before."""
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    places = [row.split(" | ")[0] for row in page.splitlines() if row.startswith("| `")]
    assert len(places) > 20
    missing = []
    for place in places:
        folder = ""
        for name in re.findall(r"`([^`]+)`", place):
            folder, _, last = name.rpartition("/") if "/" in name else (folder, "", name)
            if not any((ROOT / folder).glob(last or "*")):
                missing.append(f"{folder}/{last}")
    assert missing == []


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("policies/_x.py", "import engine", "policies imports engine, which is to its right"),
        ("policies/_x.py", "from engine import Router", "engine.Router, which is to its right"),
        ("engine/_x.py", "import policies, transports._sse", "engine imports transports._sse"),
        ("transports/_x.py", "x = 1\nfrom routes import front", "transports/_x.py:2: transports imports routes.front"),
        ("routes/_x.py", "import server", "routes imports server, which is to its right"),
        ("server.py", "from cli.main import main", "server imports cli.main.main"),
        (
            "engine/_x.py",
            "if TYPE_CHECKING:\n    from routes import Front",
            "engine/_x.py:2: engine imports routes.Front",
        ),
        ("engine/_x.py", "try:\n    import cli\nexcept ImportError:\n    pass", "engine/_x.py:2: engine imports cli"),
        ("engine/_x.py", "def f():\n    import transports", "engine/_x.py:2: engine imports transports"),
        ("engine/config/_x.py", "from ... import routes", "engine/config/_x.py:1: engine imports .."),
        ("engine/_x.py", "importlib.import_module('routes')", "engine imports routes"),
        ("engine/_x.py", "__import__('transports')", "engine imports transports"),
        ("engine/_x.py", "import engine.observers", "the engine imports engine.observers; observers are handed in"),
        ("engine/_x.py", "from engine import observers", "the engine imports engine.observers"),
        ("engine/_x.py", "from . import observers", "the engine imports engine.observers"),
        ("engine/__init__.py", "from .observers import Journal", "the engine imports engine.observers.Journal"),
        ("engine/config/_x.py", "from ..observers._log import Log", "the engine imports engine.observers._log.Log"),
        ("policies/_x.py", "import trio", "policies imports trio, which is not on its list"),
        ("policies/_x.py", "import cattrs", "cattrs, which is not on its list"),
        ("engine/_x.py", "import httpx", "engine imports httpx, which is not on its list"),
        ("engine/_x.py", "import structlog", "engine imports structlog, which is not on its list"),
        ("engine/observers/_x.py", "import httpx", "engine imports httpx"),
        ("transports/_x.py", "import quart", "transports imports quart"),
        ("routes/_x.py", "from hypercorn.trio import serve", "routes imports hypercorn.trio.serve"),
        ("routes/_x.py", "import click", "routes imports click"),
        ("server.py", "import tests.strategies", "server imports tests.strategies, which is not on its list"),
    ],
)
def test_a_wrong_import_is_found(path: str, source: str, fault: str) -> None:
    """Exactly one fault each, with its place."""
    (found,) = layering_faults(path, source)
    assert fault in found
    assert found.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("policies/_x.py", "import attrs\nimport re\nfrom policies._plan import Plan\nfrom . import _facts"),
        ("engine/_x.py", "import trio, orjson, attrs\nfrom policies import Plan\nfrom ._events import Event"),
        ("engine/config/_x.py", "from .. import _names\nfrom ..config import _schema\nimport tree_sitter_toml"),
        ("engine/__init__.py", "from ._router import Router\nfrom .config import load"),
        (
            "engine/observers/__init__.py",
            "from ._log import Log\nfrom engine.observers import _journal\nimport structlog",
        ),
        ("engine/_x.py", "import engine.observers_of_stars"),
        ("transports/_x.py", "import httpx, h11, trio\nfrom engine import StreamEvent\nfrom policies import Candidate"),
        ("routes/_x.py", "import quart, quart_trio\nfrom transports import _sse\nfrom engine.observers import Feed"),
        ("server.py", "import hypercorn.trio, structlog\nfrom routes import front"),
        ("cli/main.py", "import click, rich, server\nfrom .serve import serve\nfrom policies import KINDS"),
        ("policies/_x.py", "importlib.import_module(module)\n'import trio'  # import engine"),
    ],
)
def test_a_right_import_is_let_through(path: str, source: str) -> None:
    """The checker objects to what is wrong and to nothing else."""
    assert layering_faults(path, source) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("async def f(): pass", "AsyncFunctionDef"),
        ("class A:\n    async def f(self): pass", "_x.py:2: AsyncFunctionDef"),
        ("async def f():\n    await g()", "_x.py:2: Await"),
        ("async def f():\n    async with g(): pass", "_x.py:2: AsyncWith"),
        ("async def f():\n    async for x in g(): pass", "_x.py:2: AsyncFor"),
        ("async def f():\n    return [x async for x in g()]", "_x.py:2: async comprehension"),
        ("async def f():\n    return {x: 1 async for x in g()}", "_x.py:2: async comprehension"),
        *((f"import {library}", f"_x.py:1: imports {library}") for library in sorted(IMPURE_LIBRARIES)),
        ("from time import monotonic", "imports time.monotonic"),
        ("def f():\n    from random import choice", "_x.py:2: imports random.choice"),
        ("if TYPE_CHECKING:\n    import trio", "_x.py:2: imports trio"),
        ("import socket as innocent", "imports socket"),
        ("__import__('ssl')", "imports ssl"),
    ],
)
def test_impurity_is_found(source: str, fault: str) -> None:
    """Each way of waiting and each library, wherever it hides."""
    assert any(fault in found for found in purity_faults("engine/_x.py", source))


def test_purity_is_let_through() -> None:
    """Generators, comprehensions and names that merely sound impure are none of its business."""
    source = "from engine import time_of\nimport datetime\ndef f(trio):\n    yield [time for time in trio]"
    assert purity_faults("engine/_x.py", source) == []
