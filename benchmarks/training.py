"""Five years of ten pairs: the walk-forward training of all models, and one new candle's price.

As a script it trains into a store, then predicts single new candles with the newest models, and
answers with the times; :func:`figures` asks it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
from data import BenchData, learning_plan
from figures import Figure, show
from processes import timed

from quorum.features import compute_features
from quorum.market import Market
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.signals import signal_table

TIMERANGE = "20200501-20250430"
TIME_LIMIT = 600.0
MEMORY_LIMIT = 6.0
PREDICTION_LIMIT = 5.0
#: Candles a running bot keeps, and new ones that are timed.
HISTORY = 1400
NEW_CANDLES = 200
#: How often the memory of all processes is added up [s].
SAMPLE = 0.5


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure once, whatever ``runs``; return the figures of the table and the stages."""
    data = replace(data, timerange=TIMERANGE)
    tell(f"training {len(data.pairs)} pairs, {TIMERANGE}")
    result = measure(data)
    return table(data, result), [
        Figure(f"  until {stage} are done", seconds, "s")
        for stage, seconds in result["stages"].items()
    ]


def table(data: BenchData, result: Mapping[str, Any]) -> list[Figure]:
    """Return what a measurement found, beside its limits."""
    row = result["row"]
    return [
        Figure(
            f"training of all models: {len(data.pairs)} pairs, {data.timerange}, monthly refits",
            result["seconds"],
            "s",
            TIME_LIMIT,
            f"{result['vintages']} vintages of {result['folds']} folds, {result['rows']:,} rows "
            f"of {result['features']} features, {result['signals']:,} signals; processor time "
            f"{show(result['cpu'], 's')}",
        ),
        Figure(
            "peak memory of the training, all processes together",
            result["memory"] / 1e9,
            "GB",
            MEMORY_LIMIT,
            f"resident, shared pages counted once; largest process "
            f"{show(result['largest'] / 1e9, 'GB')}",
        ),
        Figure(
            f"one new candle of {HISTORY:,} by every model, median",
            1000 * row["median"],
            "ms",
            PREDICTION_LIMIT,
            f"p99 {show(1000 * row['p99'], 'ms')}; processor time "
            f"{show(1000 * row['cpu'], 'ms')}; {', '.join(row['models'])}",
        ),
    ]


def measure(data: BenchData, store: Path | None = None) -> dict[str, Any]:
    """Train in a process of its own, into ``store`` or a folder that is removed again."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        request = data.as_request(store=str(store or folder / "store"))
        log = folder / "log"
        usage = timed([sys.executable, str(Path(__file__)), json.dumps(request)], log)
        found: dict[str, Any] = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        return {**found, "largest": usage.peak}


class Memory(threading.Thread):
    """Adds up the memory of this process and all below it while it is entered.

    Attributes
    ----------
    peak : int
        Largest sum, bytes; a page that several share counts once where the system can tell.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._done = threading.Event()

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        """Look again and again until told to stop."""
        me = psutil.Process(os.getpid())
        while not self._done.wait(SAMPLE):
            self.peak = max(self.peak, sum(map(_resident, [me, *me.children(recursive=True)])))


def _resident(process: psutil.Process) -> int:
    """Return a process's memory, its part of shared pages; 0 where it has just ended."""
    try:
        info = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0
    return int(getattr(info, "pss", info.rss))


def _processor_time() -> float:
    """Return the seconds this process and those it has waited for have worked."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def new_candle(market: Market, settings: Settings, store: Path, timeframe: str) -> dict[str, Any]:
    """Time the predictions of single new candles by the newest models of a store."""
    from quorum.learning.prediction import Models
    from quorum.learning.store import ModelStore

    models, others = (
        Models(ModelStore(store), settings.learning, timeframe, remember=True) for _ in range(2)
    )
    times: list[float] = []
    worked: list[float] = []
    for new in range(NEW_CANDLES + 1):
        end = len(market) - NEW_CANDLES + new
        part = market.head(end).since(end - HISTORY)
        features = compute_features(part)
        features.begin("models")
        # What the meta-model judges follows from predictions: those of the others.
        signals = signal_table(evaluate(part, settings, others), settings)
        start, busy = time.perf_counter(), time.process_time()
        models.add_predictions(part, features)
        models.judge(signals, settings.consensus)
        if new > 0:  # before, the models were read, and the whole history was predicted
            times.append(time.perf_counter() - start)
            worked.append(time.process_time() - busy)
    newest = models.vintages[-1]
    return {
        "median": median(times),
        "cpu": median(worked),
        "p99": quantiles(times, n=100)[98],
        "models": sorted({name.split("/")[0] for name in newest.manifest.files}),
    }


def main(request: dict[str, Any]) -> None:
    """Train, predict, and print the answer."""
    from quorum.learning.store import ModelStore
    from quorum.learning.training import train

    data = BenchData.from_request(request)
    plan, store = learning_plan(data, {}), Path(request["store"])
    stages: dict[str, float] = {}
    start = time.perf_counter()

    def progress(stage: str, done: int, total: int) -> None:
        stages[stage] = time.perf_counter() - start

    with Memory() as memory:
        trained = train(plan, ModelStore(store), progress)
    seconds, cpu = time.perf_counter() - start, _processor_time()
    row = new_candle(plan.load(plan.pairs[0]), plan.settings, store, plan.timeframe)
    answer = {
        "seconds": seconds,
        "cpu": cpu,
        "stages": stages,
        "memory": memory.peak,
        "vintages": len(trained.vintages),
        "folds": len(trained.vintages) + len(trained.skipped),
        "rows": sum(len(rows.known_at) for rows in trained.rows),
        "features": len(trained.vintages[-1].features),
        "signals": len(trained.signals),
        "row": row,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
