"""The whole ``freqtrade backtesting`` process: Quorum beside an EMA cross without callbacks."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from data import CONFIG, BenchData
from figures import Figure, show
from processes import ROOT, Usage, timed

from quorum.cli.run import write_overlay
from quorum.replay.exchange import ExchangeServer

RATIO_LIMIT = 2.0
FAST_RATIO_LIMIT = 1.5
MEMORY_LIMIT = 3.0
GIGABYTE = 1e9


@dataclass(frozen=True)
class Contestant:
    """One strategy as it is run.

    Attributes
    ----------
    name : str
    strategy : str
        Class name.
    folder : Path
        Where its file lies, relative to the project.
    fast_callbacks : bool, default False
        Whether the setting of that name is on.
    """

    name: str
    strategy: str
    folder: Path
    fast_callbacks: bool = False


QUORUM = Contestant("Quorum", "Quorum", Path("strategies"))
FAST = Contestant("Quorum, fast_callbacks", "Quorum", Path("strategies"), fast_callbacks=True)
PEER = Contestant("EmaCross", "EmaCross", Path("benchmarks/strategies"))
CONTESTANTS = (QUORUM, FAST, PEER)


@dataclass(frozen=True)
class Run:
    """One backtest: what it took, and how many trades it made (they are what a host pays for)."""

    usage: Usage
    trades: int


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure; return the figures of the table and every single run."""
    results = measure(data, runs, tell)
    details = [
        Figure(
            f"  run {run + 1}: {c.name}",
            found.usage.seconds,
            "s",
            None,
            f"processor {show(found.usage.cpu, 's')}, {show(found.usage.peak / GIGABYTE, 'GB')}",
        )
        for run in range(runs)
        for c in CONTESTANTS
        for found in (results[c.name][run],)
    ]
    return _table(data, results), details


def _table(data: BenchData, results: dict[str, list[Run]]) -> list[Figure]:
    """Return both ratios and the peak memory."""
    seconds = {name: median(r.usage.seconds for r in found) for name, found in results.items()}
    cpu = {name: median(r.usage.cpu for r in found) for name, found in results.items()}
    peak = {name: max(r.usage.peak for r in found) / GIGABYTE for name, found in results.items()}
    trades = {name: found[-1].trades for name, found in results.items()}
    span = f"{len(data.pairs)} pairs, 1h, {data.timerange}"
    ratios = [
        Figure(
            name,
            seconds[c.name] / seconds[PEER.name],
            "x",
            limit,
            f"{show(seconds[c.name], 's')} with {trades[c.name]:,} trades, {PEER.name} "
            f"{show(seconds[PEER.name], 's')} with {trades[PEER.name]:,}; "
            f"processor time {cpu[c.name] / cpu[PEER.name]:.2f} x",
        )
        for c, name, limit in (
            (QUORUM, f"freqtrade backtesting, {span}", RATIO_LIMIT),
            (FAST, "the same with fast_callbacks", FAST_RATIO_LIMIT),
        )
    ]
    memory = Figure(
        "peak memory of the backtest",
        max(peak[QUORUM.name], peak[FAST.name]),
        "GB",
        MEMORY_LIMIT,
        f"{PEER.name} {show(peak[PEER.name], 'GB')}",
    )
    return [*ratios, memory]


def measure(data: BenchData, runs: int, tell: Callable[[str], None]) -> dict[str, list[Run]]:
    """Run every contestant in turn, ``runs`` times over, so that all meet the same machine."""
    results: dict[str, list[Run]] = {c.name: [] for c in CONTESTANTS}
    datadir = Path(data.datadir)
    with ExchangeServer(datadir) as exchange, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        log = folder / "backtest.log"
        overlay = write_overlay(folder, exchange, datadir, "futures", data.pairs)
        tell("backtest: warming up")
        timed(_command(data, QUORUM, folder, overlay, days=10), log)
        for run in range(runs):
            for contestant in CONTESTANTS:
                tell(f"backtest {run + 1} of {runs}: {contestant.name}")
                usage = timed(_command(data, contestant, folder, overlay), log)
                trades = _trades(log.read_text(encoding="utf-8"))
                results[contestant.name].append(Run(usage, trades))
    return results


def _trades(output: str) -> int:
    """Read the number of trades from what the host printed; 0 where it printed none."""
    found = re.search(r"Total/Daily Avg Trades\W+(\d+)", output)
    return int(found[1]) if found else 0


def _command(
    data: BenchData, contestant: Contestant, folder: Path, overlay: Path, days: int | None = None
) -> list[str]:
    """Return the command line of one backtest; ``days`` shortens it."""
    switch = folder / "fast.json"
    switch.write_text(json.dumps({"quorum": {"fast_callbacks": contestant.fast_callbacks}}))
    timerange = data.timerange
    if days is not None:
        start = timerange.partition("-")[0]
        timerange = f"{start}-{int(start) + days}"
    results = folder / "user_data"
    (results / "backtest_results").mkdir(parents=True, exist_ok=True)
    call = [sys.executable, "-m", "freqtrade", "backtesting", "--cache", "none"]
    call += ["--strategy", contestant.strategy, "--strategy-path", str(ROOT / contestant.folder)]
    call += ["--timerange", timerange, "--datadir", data.datadir, "--userdir", str(results)]
    for layer in (CONFIG, overlay, switch):
        call += ["--config", str(layer)]
    return call
