"""The whole ``freqtrade backtesting`` process: Quorum beside an EMA cross without callbacks."""

from __future__ import annotations

import json
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


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure; return the figures of the table and every single run."""
    usages = measure(data, runs, tell)
    seconds = {c.name: median(u.seconds for u in usages[c.name]) for c in CONTESTANTS}
    cpu = {c.name: median(u.cpu for u in usages[c.name]) for c in CONTESTANTS}
    own = [u.peak for c in (QUORUM, FAST) for u in usages[c.name]]
    peer_peak = max(u.peak for u in usages[PEER.name]) / GIGABYTE
    span = f"{len(data.pairs)} pairs, 1h, {data.timerange}"
    table = [
        Figure(
            name,
            seconds[c.name] / seconds[PEER.name],
            "x",
            limit,
            f"{show(seconds[c.name], 's')}, {PEER.name} {show(seconds[PEER.name], 's')}; "
            f"processor time {cpu[c.name] / cpu[PEER.name]:.2f} x",
        )
        for c, name, limit in (
            (QUORUM, f"freqtrade backtesting, {span}", RATIO_LIMIT),
            (FAST, "the same with fast_callbacks", FAST_RATIO_LIMIT),
        )
    ]
    peak = max(own) / GIGABYTE
    beside = f"{PEER.name} {show(peer_peak, 'GB')}"
    table.append(Figure("peak memory of the backtest", peak, "GB", MEMORY_LIMIT, beside))
    details = [
        Figure(
            f"  run {run + 1}: {c.name}",
            u.seconds,
            "s",
            None,
            f"processor {show(u.cpu, 's')}, {show(u.peak / GIGABYTE, 'GB')}",
        )
        for run in range(runs)
        for c in CONTESTANTS
        for u in (usages[c.name][run],)
    ]
    return table, details


def measure(data: BenchData, runs: int, tell: Callable[[str], None]) -> dict[str, list[Usage]]:
    """Run every contestant in turn, ``runs`` times over, so that all meet the same machine."""
    usages: dict[str, list[Usage]] = {c.name: [] for c in CONTESTANTS}
    datadir = Path(data.datadir)
    with ExchangeServer(datadir) as exchange, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        overlay = write_overlay(folder, exchange, datadir, "futures", data.pairs)
        tell("backtest: warming up")
        timed(_command(data, QUORUM, folder, overlay, days=10), folder / "backtest.log")
        for run in range(runs):
            for contestant in CONTESTANTS:
                tell(f"backtest {run + 1} of {runs}: {contestant.name}")
                command = _command(data, contestant, folder, overlay)
                usages[contestant.name].append(timed(command, folder / "backtest.log"))
    return usages


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
