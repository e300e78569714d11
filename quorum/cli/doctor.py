"""``quorum doctor``: what is wrong with this set-up, each finding with its fix."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from quorum.bot.inspection import look_at
from quorum.cli.app import DatadirOption, command, console
from quorum.doctor import Finding, Level, examine
from quorum.errors import DataError

_COLORS = {
    Level.OK: "green",
    Level.HINT: "cyan",
    Level.WARNING: "yellow",
    Level.PROBLEM: "bold red",
}
#: Where the host looks for a configuration that is not named, in its order.
PLACES = (Path("user_data/config.json"), Path("config.json"))


def default_config() -> list[Path]:
    """Return the configuration the host would take."""
    for path in PLACES:
        if path.is_file():
            return [path]
    raise DataError("there is no configuration here: run `quorum init`, or name one with -c")


@command("doctor")
def doctor_command(
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", "-c", help="freqtrade configuration file; may be repeated"),
    ] = None,
    datadir: DatadirOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="ask the exchange nothing, say `not checked`")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for scripts")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="show what is in order as well")
    ] = False,
) -> None:
    """Examine configuration, candles, models, keys, clock, folders and versions.

    Ends with status 1 if there is a problem.
    """
    with _quiet_host():
        findings = examine(look_at(config or default_config(), datadir=datadir, online=not offline))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _print(findings, verbose)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(1)


@contextmanager
def _quiet_host() -> Iterator[None]:
    """Keep the host from warning of what the checks report with a fix."""
    host = logging.getLogger("freqtrade")
    before = host.level
    host.setLevel(logging.ERROR)
    try:
        yield
    finally:
        host.setLevel(before)


def _print(findings: list[Finding], verbose: bool) -> None:
    for level in (Level.PROBLEM, Level.WARNING, Level.HINT, Level.OK):
        if level is Level.OK and not verbose:
            continue
        for finding in (f for f in findings if f.level is level):
            color = _COLORS[level]
            console.print(
                f"[{color}]{level.value:<8}[/] [bold]{finding.check}[/]: {escape(finding.what)}",
                highlight=False,
                soft_wrap=True,
            )
            for name, text in (("where", finding.where), ("fix", finding.fix)):
                if text and (name == "where" or level is not Level.OK):
                    console.print(
                        f"         [dim]{name:<5}[/] {escape(text)}",
                        highlight=False,
                        soft_wrap=True,
                    )
    counts = Counter(finding.level for finding in findings)
    console.print(", ".join(f"{counts[level]} {level.value}" for level in Level), highlight=False)
