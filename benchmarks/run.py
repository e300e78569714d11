"""Speed and memory of Quorum beside its peers, in one table (``make bench``).

    python benchmarks/run.py [--datadir FOLDER] [--only NAME] [--slow] [--runs N] [--details]

Those that take minutes run with ``--slow``, or when they are named. Limits are printed beside
the figures, never enforced: they mean something on a quiet machine only.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from data import BenchData, bench_data
from figures import Figure, render
from processes import ROOT, BenchmarkError

from quorum.cli.app import console
from quorum.errors import QuorumError

Measure = Callable[[BenchData, int, Callable[[str], None]], tuple[list[Figure], list[Figure]]]
#: Modules beside this one, with the runs each figure is the median of. Each is imported when it
#: is its turn: what one needs (the ``learning`` extra, FreqAI) the others do without.
BENCHMARKS = {
    "columns": 5,
    "startup": 3,
    "backtest": 3,
    "entry": 9,
    "labels": 5,
    "prediction": 3,
    "dashboard": 5,
}
#: The same, of those that take minutes; hyperopt and training run once, whatever is asked.
SLOW = {
    "ablation": 3,
    "latency": 1,
    "freqai": 1,
    "hyperopt": 1,
    "training": 1,
    "sequence": 1,
}
#: Epochs with votes computed once, and with votes computed per epoch.
HYPEROPT_EPOCHS = (50, 6)


def main(
    datadir: Annotated[
        Path | None, typer.Option(help="recorded candles; without it a synthetic market is made")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"one of {', '.join((*BENCHMARKS, *SLOW))}; may be repeated"),
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help=f"also those that take minutes: {', '.join(SLOW)}")
    ] = False,
    runs: Annotated[
        int | None, typer.Option(min=1, help="runs each figure is the median of")
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="also every family, head, kernel and run")
    ] = False,
) -> None:
    """Measure speed and memory of Quorum beside its peers."""
    known = {**BENCHMARKS, **SLOW}
    unknown = sorted(set(only or ()) - set(known))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)} (known: {', '.join(known)})")
    datadir = datadir.absolute() if datadir else None
    os.chdir(ROOT)
    table: list[Figure] = []
    parts: list[Figure] = []
    with console.status("preparing the candles") as status:
        try:
            data = bench_data(datadir, status.update)
            for name in only or (known if slow else BENCHMARKS):
                found, below = _measure(name)(data, runs or known[name], status.update)
                table += found
                parts += below
        except (BenchmarkError, QuorumError) as error:
            console.print(f"[bold red]error[/] {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error
    console.print(render(_title(data), table, parts if details else ()))


def _measure(name: str) -> Measure:
    """Return the function of a benchmark.

    Raises
    ------
    BenchmarkError
        If a package it needs is not installed.
    """
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        raise BenchmarkError(
            f"{name}: {error.name} is not installed: pip install 'freqtrade-quorum[learning]'"
        ) from error
    found: Measure = _hyperopt if name == "hyperopt" else module.figures
    return found


def _hyperopt(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure hyperopt, which is also a command of its own, as that does."""
    import hyperopt

    tell("hyperopt, votes computed once")
    cached = hyperopt.measure(data, HYPEROPT_EPOCHS[0], cached=True)
    tell("hyperopt, votes computed per epoch")
    anew = hyperopt.measure(data, HYPEROPT_EPOCHS[1], cached=False)
    return hyperopt.figures(cached, anew), []


def _title(data: BenchData) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("freqtrade", "numba", "pandas"))
    return (
        f"{data.title}; medians; Python {platform.python_version()}, {libraries}, "
        f"{os.cpu_count()} cores"
    )


if __name__ == "__main__":
    typer.run(main)
