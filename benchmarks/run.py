"""Speed and memory of Quorum beside its peers, in one table (``make bench``).

    python benchmarks/run.py [--datadir FOLDER] [--only NAME] [--runs N] [--details]

Limits are printed beside the figures, never enforced: they mean something on a quiet machine only.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import backtest
import columns
import entry
import startup
import typer
from data import BenchData, bench_data
from figures import Figure, render
from processes import ROOT, BenchmarkError

from quorum.cli.app import console
from quorum.errors import QuorumError

Measure = Callable[[BenchData, int, Callable[[str], None]], tuple[list[Figure], list[Figure]]]
#: Benchmarks by name with the runs each is the median of.
BENCHMARKS: dict[str, tuple[Measure, int]] = {
    "columns": (columns.figures, 5),
    "startup": (startup.figures, 3),
    "backtest": (backtest.figures, 3),
    "entry": (entry.figures, 9),
}


def main(
    datadir: Annotated[
        Path | None, typer.Option(help="recorded candles; without it a synthetic market is made")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help=f"one of {', '.join(BENCHMARKS)}; may be repeated")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="runs each figure is the median of")
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="also every family, head, kernel and run")
    ] = False,
) -> None:
    """Measure speed and memory of Quorum beside its peers."""
    unknown = sorted(set(only or ()) - set(BENCHMARKS))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)} (known: {', '.join(BENCHMARKS)})")
    datadir = datadir.absolute() if datadir else None
    os.chdir(ROOT)
    table: list[Figure] = []
    parts: list[Figure] = []
    with console.status("preparing the candles") as status:
        try:
            data = bench_data(datadir, status.update)
            for name in only or BENCHMARKS:
                measure, usual = BENCHMARKS[name]
                found, below = measure(data, runs or usual, status.update)
                table += found
                parts += below
        except (BenchmarkError, QuorumError) as error:
            console.print(f"[bold red]error[/] {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error
    console.print(render(_title(data), table, parts if details else ()))


def _title(data: BenchData) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("freqtrade", "numba", "pandas"))
    return (
        f"{data.title}; medians; Python {platform.python_version()}, {libraries}, "
        f"{os.cpu_count()} cores"
    )


if __name__ == "__main__":
    typer.run(main)
