"""Layout: which part may import which, and the shape of files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from slow import SLOW

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "quorum"
SOURCES = sorted(PACKAGE.rglob("*.py"))
EVERYTHING = [
    *SOURCES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "strategies").glob("*.py")),
]
#: Names that say nothing of what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "lib", "tools"}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Return the modules a file imports, wherever in the file."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(path: Path, package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in imported(path))


def part(path: Path) -> str:
    """Return the part of the package a file belongs to, for example ``"bot"``."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_only_the_adapters_import_the_host():
    importers = {part(path) for path in SOURCES if imports(path, "freqtrade")}
    assert importers == {"bot"}


def test_nothing_but_the_command_line_and_the_strategy_imports_the_adapters():
    importers = {part(path) for path in SOURCES if imports(path, "quorum.bot")}
    assert importers == {"bot", "cli"}


@pytest.mark.parametrize("step", ["features", "heads", "context", "exits", "sizing"])
def test_the_steps_of_the_flow_know_nothing_of_what_comes_later(step):
    for path in sorted((PACKAGE / step).glob("*.py")):
        later_steps = ("pipeline", "signals", "settings", "explain", "verify", "replay", "report")
        for later in (*later_steps, "bot", "cli"):
            assert not imports(path, f"quorum.{later}"), f"{path} imports {later}"


def test_the_state_store_stands_below_everything_that_is_kept_in_it():
    below = {"quorum.errors", "quorum.extras", "quorum.typing", "quorum.section", "quorum.state"}
    for path in sorted((PACKAGE / "state").rglob("*.py")):
        names = (name for name in imported(path) if name.startswith("quorum."))
        assert {".".join(name.split(".")[:2]) for name in names} <= below, path


def test_features_know_nothing_of_heads_and_no_head_of_another():
    for path in sorted((PACKAGE / "features").glob("*.py")):
        assert not imports(path, "quorum.heads"), path
        assert not imports(path, "quorum.consensus"), path
    from quorum.heads import HEADS

    modules = {head.__module__ for head in HEADS}
    assert len(modules) == len(HEADS)
    for module in modules:
        path = ROOT / Path(*module.split(".")).with_suffix(".py")
        for other in modules - {module}:
            assert not imports(path, other), f"{path} imports {other}"


def test_nothing_reaches_for_the_network_but_the_local_exchange():
    clients = ("requests", "httpx", "aiohttp", "urllib.request", "http.client", "ccxt", "socket")
    importers = {path for path in SOURCES for client in clients if imports(path, client)}
    writers = {"advisors": ("client",), "recorder": ("feed", "session")}
    for folder, names in writers.items():
        importers -= {PACKAGE / folder / f"{name}.py" for name in names}
    assert {part(path) for path in importers} <= {"replay"}


def test_only_a_command_opens_the_streams_of_an_exchange():
    inside = PACKAGE / "recorder"
    for path in SOURCES:
        if not path.is_relative_to(inside) and part(path) != "cli":
            for module in ("feed", "session"):
                assert not imports(path, f"quorum.recorder.{module}"), path


def test_only_commands_can_ask_a_provider():
    for module in ("client", "writer", "simulated"):
        inside = PACKAGE / "advisors"
        for path in SOURCES:
            if not path.is_relative_to(inside) and part(path) != "cli":
                assert not imports(path, f"quorum.advisors.{module}"), path
    readers = ("answers", "columns", "consensus", "hybrid", "ledger", "facts")
    for path in (PACKAGE / "advisors" / f"{name}.py" for name in readers):
        if path.exists():
            assert not any(
                imports(path, f"quorum.advisors.{module}")
                for module in ("client", "writer", "simulated")
            ), path


def test_files_are_short_and_their_names_say_what_is_inside():
    for path in EVERYTHING:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 500, path
        assert not EMPTY_NAMES & set(path.relative_to(ROOT).with_suffix("").parts), path
        if path.is_relative_to(PACKAGE) or path.parent.name == "strategies":
            assert ast.get_docstring(tree_of(path)), f"{path} says what it is for"


def test_every_folder_of_the_package_is_a_package():
    folders = {path.parent for path in SOURCES}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_names_of_test_modules_are_unique():
    names = [path.name for path in (ROOT / "tests").rglob("*.py")]
    assert len(names) == len(set(names))


def test_what_is_called_slow_is_there():
    for name in SLOW:
        file, _, test = name.partition("::")
        names = {getattr(node, "name", "") for node in tree_of(ROOT / "tests" / file).body}
        assert not test or test in names, name


def test_no_file_names_a_folder_of_one_machine():
    homes = ("/" + "work/", "/" + "home/", "/" + "Users/", "/" + "root/")
    for path in [*EVERYTHING, ROOT / "Makefile", ROOT / "config.json", ROOT / "pyproject.toml"]:
        text = path.read_text(encoding="utf-8")
        assert not any(home in text for home in homes), path


def test_errors_are_caught_by_kind():
    for path in EVERYTHING:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno}"


def test_the_strategy_is_found_by_the_host_and_alone_in_its_folder():
    files = sorted(path.name for path in (ROOT / "strategies").glob("*.py"))
    assert files == ["quorum_strategy.py"]
    tree = ast.parse((ROOT / "strategies/quorum_strategy.py").read_text(encoding="utf-8"))
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes == ["Quorum"]
