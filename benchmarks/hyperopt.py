"""Epochs of hyperopt per minute, with votes computed once and with votes computed per epoch.

    python benchmarks/hyperopt.py [--datadir FOLDER] [--epochs 50] [--uncached-epochs 6]

Stock ``freqtrade hyperopt`` in a process of its own, five pairs, one year, all cores. Processor
time counts the start of the command too; on a shared machine it is the fairer figure.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from data import CONFIG, BenchData, bench_data
from figures import Figure, render
from processes import ROOT, BenchmarkError, Usage, timed

from quorum.cli.app import console
from quorum.cli.run import write_overlay
from quorum.errors import QuorumError
from quorum.replay.exchange import ExchangeServer

N_PAIRS = 5
TIMERANGE = "20230101-20240101"
#: Every space whose parameters change a trade.
SPACES = ("buy", "stops", "targets")


@dataclass(frozen=True)
class Run:
    """One hyperopt.

    Attributes
    ----------
    epochs : int
        Those that were run.
    seconds : float
        From the start of the first epoch to the end of the last; the host notes whole seconds.
    usage : Usage
        Of the whole command.
    """

    epochs: int
    seconds: float
    usage: Usage

    @property
    def rate(self) -> float:
        """Epochs per minute, once the candles are loaded and, if at all, analysed."""
        return 60 * self.epochs / max(self.seconds, 1.0)

    @property
    def whole(self) -> float:
        """Epochs per minute of the whole command."""
        return 60 * self.epochs / self.usage.seconds


def measure(data: BenchData, epochs: int, *, cached: bool) -> Run:
    """Run hyperopt once; without ``cached`` every epoch computes features and votes anew."""
    with tempfile.TemporaryDirectory() as temporary, ExchangeServer(Path(data.datadir)) as exchange:
        folder = Path(temporary)
        user_data = folder / "user_data"
        (user_data / "hyperopt_results").mkdir(parents=True)
        pairs = data.pairs[:N_PAIRS]
        overlay = write_overlay(folder, exchange, Path(data.datadir), "futures", pairs)
        log = folder / "log"
        usage = timed(_command(data, epochs, user_data, overlay, cached=cached), log)
        (results,) = (user_data / "hyperopt_results").glob("strategy_*.fthypt")
        lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        if not lines:
            raise BenchmarkError(f"no epoch was run:\n{log.read_text(encoding='utf-8')[-2000:]}")
        began = min(line["results_metrics"]["backtest_run_start_ts"] for line in lines)
        ended = max(line["results_metrics"]["backtest_run_end_ts"] for line in lines)
        return Run(len(lines), ended - began, usage)


def _command(
    data: BenchData, epochs: int, user_data: Path, overlay: Path, *, cached: bool
) -> list[str]:
    # The strategy alone: a parameter file beside it would be in force.
    strategies = user_data / "strategies"
    strategies.mkdir()
    for path in (ROOT / "strategies").glob("*.py"):
        shutil.copy(path, strategies)
    call = [sys.executable, "-m", "freqtrade", "hyperopt", "--epochs", str(epochs)]
    call += ["--spaces", *SPACES, "--hyperopt-loss", "QuorumLoss", "--disable-param-export"]
    call += ["--hyperopt-path", str(ROOT / "hyperopts"), "--strategy-path", str(strategies)]
    call += ["--timerange", TIMERANGE, "--datadir", data.datadir, "--userdir", str(user_data)]
    call += ["--random-state", "1"]
    for layer in (CONFIG, overlay):
        call += ["--config", str(layer)]
    return call if cached else [*call, "--analyze-per-epoch"]


def figures(cached: Run, anew: Run) -> list[Figure]:
    """Return what both runs measured."""
    beside = f"{cached.epochs} epochs; {anew.epochs} with votes computed per epoch"
    return [
        Figure("epochs per minute, votes computed once", cached.rate, "/min", beside=beside),
        Figure("epochs per minute, votes computed per epoch", anew.rate, "/min"),
        Figure("faster by", cached.rate / anew.rate, "x"),
        Figure("epochs per minute of the whole command, once", cached.whole, "/min"),
        Figure("epochs per minute of the whole command, per epoch", anew.whole, "/min"),
        Figure("processor time per epoch, once", cached.usage.cpu / cached.epochs, "s"),
        Figure("processor time per epoch, per epoch", anew.usage.cpu / anew.epochs, "s"),
        Figure("whole command, votes computed once", cached.usage.seconds, "s"),
        Figure("largest process of it", cached.usage.peak / 1e9, "GB"),
    ]


def main(
    datadir: Annotated[
        Path | None, typer.Option(help="recorded candles; without it a synthetic market is made")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="with votes computed once")] = 50,
    uncached_epochs: Annotated[int, typer.Option(min=1, help="with votes per epoch")] = 6,
) -> None:
    """Measure hyperopt with and without keeping votes between epochs."""
    datadir = datadir.absolute() if datadir else None
    os.chdir(ROOT)
    with console.status("preparing the candles") as status:
        try:
            data = bench_data(datadir, status.update)
            status.update("hyperopt, votes computed once")
            cached = measure(data, epochs, cached=True)
            status.update("hyperopt, votes computed per epoch")
            anew = measure(data, uncached_epochs, cached=False)
        except (BenchmarkError, QuorumError) as error:
            console.print(f"[bold red]error[/] {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error
    pairs = ", ".join(pair.partition("/")[0] for pair in data.pairs[:N_PAIRS])
    title = f"hyperopt on {data.title}: {pairs}; {TIMERANGE}; {os.cpu_count()} cores"
    console.print(render(title, figures(cached, anew)))


if __name__ == "__main__":
    typer.run(main)
