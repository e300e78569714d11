"""``quorum init``: sets a freqtrade user directory up for Quorum and says what it did."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from quorum.bot.host import load_files
from quorum.cli.app import command, console
from quorum.errors import DataError
from quorum.shipped import shipped

#: Folders that hold shipped files: name in the package, pattern, name in the user directory.
FOLDERS = (("strategies", "*.py"), ("hyperopts", "*.py"), ("overlays", "*.json"))
CONFIG = "config.json"
#: What is laid over a configuration that is there already.
OVERLAY = "quorum.json"
#: Of the shipped configuration, what Quorum needs of every other one.
NEEDED = (
    "strategy",
    "stake_amount",
    "custom_price_max_distance_ratio",
    "entry_pricing",
    "exit_pricing",
    "order_types",
    "quorum",
)


@dataclass(frozen=True)
class Change:
    """One file to be written.

    Attributes
    ----------
    path : Path
    content : str
    purpose : str
        In words.
    """

    path: Path
    content: str
    purpose: str

    def state(self) -> str:
        """Return ``new``, ``unchanged`` or ``differs``."""
        if not self.path.exists():
            return "new"
        if not self.path.is_file():
            raise DataError(f"{self.path}: is in the way, a file is to be written there")
        # Bytes, for a file that is no text is one that differs.
        same = self.path.read_bytes() == self.content.encode("utf-8")
        return "unchanged" if same else "differs"


@command("init")
def init_command(
    user_dir: Annotated[
        Path, typer.Option("--user-dir", "--userdir", help="freqtrade's user directory")
    ] = Path("user_data"),
    force: Annotated[
        bool, typer.Option("--force", help="replace files that differ; the old ones are kept")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be done, write nothing")
    ] = False,
) -> None:
    """Set a freqtrade user directory up for Quorum; files of yours are never overwritten.

    Strategy, hyperopt loss and notification overlays go into the user directory, a configuration
    beside it. Where there is a configuration it is left alone, and an overlay is put beside it.
    """
    if user_dir.exists() and not user_dir.is_dir():
        raise DataError(f"{user_dir}: is not a folder")
    existing = _existing(user_dir)
    changes = [*_files(user_dir), *_configuration(user_dir, existing)]
    states = [change.state() for change in changes]  # all of them before anything is written
    for change, state in zip(changes, states, strict=True):
        done = _apply(change, state, force=force, dry_run=dry_run)
        console.print(
            f"{done:<12} {escape(str(change.path))}  [dim]{escape(change.purpose)}[/]",
            highlight=False,
            soft_wrap=True,
        )
    if existing is not None:
        console.print(
            f"{'left alone':<12} {escape(str(existing))}  [dim]your configuration[/]",
            highlight=False,
            soft_wrap=True,
        )
    kept = "differs" in states and not force
    for line in _advice(user_dir, existing, kept=kept):
        console.print(line, highlight=False, soft_wrap=True)


def _existing(user_dir: Path) -> Path | None:
    """Return the configuration that is there already, where the host looks first."""
    return next((p for p in (user_dir / CONFIG, user_dir.parent / CONFIG) if p.is_file()), None)


def _files(user_dir: Path) -> Iterator[Change]:
    purposes = {"strategies": "strategy", "hyperopts": "hyperopt loss", "overlays": "notifications"}
    for folder, pattern in FOLDERS:
        for path in sorted(shipped(folder).glob(pattern)):
            yield Change(
                user_dir / folder / path.name, path.read_text(encoding="utf-8"), purposes[folder]
            )


def _configuration(user_dir: Path, existing: Path | None) -> Iterator[Change]:
    if existing is None:
        text = configuration_text(user_dir)
        yield Change(user_dir.parent / CONFIG, text, "configuration, dry-run, no keys")
        return
    if load_files([existing]).get("strategy") == "Quorum":
        return  # It is set up already, and may hold what its owner has changed.
    ours = load_files([shipped(CONFIG)])
    overlay = {name: ours[name] for name in NEEDED}
    yield Change(
        existing.with_name(OVERLAY),
        json.dumps(overlay, indent=4) + "\n",
        f"what Quorum needs, laid over {existing.name}",
    )


def configuration_text(user_dir: Path) -> str:
    """Return the shipped configuration, with its comments, for a user directory."""
    here = user_dir.name if user_dir.parent == Path() else str(user_dir.resolve())
    text = shipped(CONFIG).read_text(encoding="utf-8")
    text = re.sub(r'^\s*"strategy_path":.*\n', "", text, count=1, flags=re.MULTILINE)
    named = f'"user_data_dir": {json.dumps(here)}'
    return re.sub(r'"user_data_dir": "[^"]*"', lambda _: named, text, count=1)


def _apply(change: Change, state: str, *, force: bool, dry_run: bool) -> str:
    """Write one file, whole or not at all, and return what was done."""
    if state == "unchanged":
        return "unchanged"
    if state == "differs" and not force:
        return "kept"
    verb = "written" if state == "new" else "replaced"
    if dry_run:
        return f"would be {verb}"
    change.path.parent.mkdir(parents=True, exist_ok=True)
    if state == "differs":
        change.path.rename(_free_name(change.path))
    fresh = change.path.with_name(f".{change.path.name}.{os.getpid()}")
    fresh.write_text(change.content, encoding="utf-8", newline="\n")
    fresh.replace(change.path)
    return verb


def _free_name(path: Path) -> Path:
    """Return a name beside a file under which it can be kept."""
    number = 1
    while (kept := path.with_name(f"{path.name}.{number}.bak")).exists():
        number += 1
    return kept


def _advice(user_dir: Path, existing: Path | None, *, kept: bool) -> Iterator[str]:
    if kept:
        yield (
            "[yellow]kept[/] files differ from those of this version; look at them, then "
            "`quorum init --force` replaces them (yours stay beside them as .bak)"
        )
    options = _options(user_dir, existing)
    yield "next:"
    yield f"  quorum doctor{options}"
    yield f"  freqtrade backtesting{options} --timerange 20240101-"
    yield f"  freqtrade trade{options}"


def _options(user_dir: Path, existing: Path | None) -> str:
    """Return the options by which the host finds the configuration."""
    path = existing or user_dir.parent / CONFIG
    paths: list[Any] = [path]
    if existing is not None and load_files([existing]).get("strategy") != "Quorum":
        paths.append(existing.with_name(OVERLAY))
    if paths == [Path(CONFIG)]:
        return ""  # found without being named
    return "".join(f" -c {escape(str(path))}" for path in paths)
