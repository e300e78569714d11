"""A year of walk-forward training: FreqAI's one model per pair and window beside all of ours.

The same candles of four pairs, the same windows of 180 days, fitted anew every 30: FreqAI fits
LightGBM with 200 trees per class; Quorum computes features and labels, fits LightGBM and XGBoost
on purged splits and on all rows, calibrates, stacks them, and predicts the year.

As a script it trains Quorum's models, and prints what came of it; :func:`figures` runs both.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from data import CONFIG, BenchData, learning_plan
from figures import Figure, show
from processes import ROOT, Usage, timed

from quorum.cli.run import write_overlay
from quorum.replay.exchange import ExchangeServer

PAIRS = tuple(f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "BNB"))
TIMERANGE = "20240101-20250101"
WINDOW_DAYS, REFIT_DAYS = 180, 30
TREES = 200
#: Folds begin on whole multiples of the refit days: the first one before the year does.
HISTORY = "20230605-20250101"
#: Theirs may take this share of the peer's time: five times as fast.
LIMIT = 0.2

FREQAI: dict[str, Any] = {
    "enabled": True,
    "identifier": "peer",
    "train_period_days": WINDOW_DAYS,
    "backtest_period_days": REFIT_DAYS,
    # A log for TensorBoard would cost it time.
    "activate_tensorboard": False,
    "feature_parameters": {
        "include_timeframes": ["1h", "4h"],
        "include_corr_pairlist": [],
        "include_shifted_candles": 1,
        "indicator_periods_candles": [10, 20, 50],
        "label_period_candles": 48,
    },
    "data_split_parameters": {"test_size": 0.1, "shuffle": False},
    "model_training_parameters": {"n_estimators": TREES, "verbosity": -1},
}


@dataclass(frozen=True)
class Contestant:
    """One training as it is run.

    Attributes
    ----------
    name : str
    fixed : bool
        All rounds in every fit, instead of stopping where the loss out of fold stops falling.
    """

    name: str
    fixed: bool = False


SHIPPED = Contestant("Quorum")
FIXED = Contestant(f"Quorum, all {TREES} rounds", fixed=True)
PEER = Contestant("FreqAI")


@dataclass(frozen=True)
class Run:
    """One training: what it took, and what it made."""

    usage: Usage
    made: str


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure; return how much of FreqAI's time ours take, and every single run."""
    results = measure(replace(data, pairs=PAIRS, timerange=TIMERANGE), runs, tell)
    seconds = {name: median(r.usage.seconds for r in found) for name, found in results.items()}
    cpu = {name: median(r.usage.cpu for r in found) for name, found in results.items()}
    table = [
        Figure(
            f"{name}: share of FreqAI's wall time, {len(PAIRS)} pairs, {TIMERANGE}",
            seconds[name] / seconds[PEER.name],
            "x",
            LIMIT if name == SHIPPED.name else None,
            f"{show(seconds[name], 's')} for {results[name][-1].made}; FreqAI "
            f"{show(seconds[PEER.name], 's')} for {results[PEER.name][-1].made}; "
            f"{seconds[PEER.name] / seconds[name]:.1f} times as fast, processor time "
            f"{show(cpu[name], 's')} and {show(cpu[PEER.name], 's')}",
        )
        for name in (SHIPPED.name, FIXED.name)
    ]
    details = [
        Figure(
            f"  run {i + 1}: {name}",
            run.usage.seconds,
            "s",
            None,
            f"processor {show(run.usage.cpu, 's')}, largest process {run.usage.peak / 1e9:.2f} GB",
        )
        for name, found in results.items()
        for i, run in enumerate(found)
    ]
    return table, details


def measure(data: BenchData, runs: int, tell: Callable[[str], None]) -> dict[str, list[Run]]:
    """Run every contestant ``runs`` times over, each turn in the opposite order of the last."""
    order = [SHIPPED, PEER, FIXED]
    results: dict[str, list[Run]] = {c.name: [] for c in order}
    for run in range(runs):
        for contestant in order if run % 2 == 0 else order[::-1]:
            tell(f"training {run + 1} of {runs}: {contestant.name}")
            with tempfile.TemporaryDirectory() as temporary:
                train = _peer if contestant is PEER else _ours
                results[contestant.name].append(train(data, contestant, Path(temporary)))
    return results


def _ours(data: BenchData, contestant: Contestant, folder: Path) -> Run:
    """Train in a process of its own, on all cores, into an empty store."""
    request = data.as_request(store=str(folder / "store"), fixed=contestant.fixed)
    log = folder / "log"
    usage = timed([sys.executable, str(Path(__file__)), json.dumps(request)], log)
    return Run(usage, log.read_text(encoding="utf-8").splitlines()[-1])


def _peer(data: BenchData, contestant: Contestant, folder: Path) -> Run:
    """Run the host's backtest with FreqAI, whose trades are few: it trains nearly all the time."""
    datadir = Path(data.datadir)
    user_data, log = folder / "user_data", folder / "log"
    (user_data / "backtest_results").mkdir(parents=True)
    layer = folder / "freqai.json"
    layer.write_text(json.dumps({"freqai": FREQAI}), encoding="utf-8")
    with ExchangeServer(datadir) as exchange:
        overlay = write_overlay(folder, exchange, datadir, "futures", data.pairs)
        call = [sys.executable, "-m", "freqtrade", "backtesting", "--cache", "none"]
        call += ["--strategy", "FreqaiPeer", "--freqaimodel", "LightGBMClassifier"]
        call += ["--strategy-path", str(ROOT / "benchmarks/strategies")]
        call += ["--timerange", data.timerange, "--datadir", data.datadir]
        call += ["--userdir", str(user_data)]
        for path in (CONFIG, overlay, layer):
            call += ["--config", str(path)]
        usage = timed(call, log)
    fits = log.read_text(encoding="utf-8").count("Done training ")
    return Run(usage, f"{fits} fits of one model")


def main(request: dict[str, Any]) -> None:
    """Train Quorum's models and say what was made."""
    from quorum.learning.store import ModelStore
    from quorum.learning.training import train

    learning: dict[str, Any] = {
        "folds": {
            "window_days": WINDOW_DAYS,
            "refit_days": REFIT_DAYS,
            "first_days": WINDOW_DAYS,
        }
    }
    if request["fixed"]:
        fitting = {"rounds": TREES, "patience": TREES}
        learning["fitting"] = {name: fitting for name in ("lightgbm", "xgboost")}
    data = replace(BenchData.from_request(request), timerange=HISTORY)
    trained = train(learning_plan(data, learning), ModelStore(Path(request["store"])))
    parts = {name.split("/")[0] for vintage in trained.vintages for name in vintage.files}
    print(
        f"{len(trained.vintages) + len(trained.skipped)} folds of all pairs "
        f"({', '.join(sorted(parts))}), {len(trained.vintages)} promoted, {len(PAIRS)} years "
        f"predicted, {len(trained.signals):,} signals judged"
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
