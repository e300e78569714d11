"""The LSTM beside the trees: what its training and serving cost, and what it adds (spec M11).

As a script it fits the ensemble of a few folds, evenly spread over the monthly ones of five years,
with the LSTM among its members, and answers with processor times and log losses out of fold;
:func:`figures` asks it. PyTorch (extra ``sequence``) must be installed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import psutil
from data import BenchData, learning_plan
from figures import Figure, show
from processes import timed
from training import TIMERANGE, Memory

from quorum.learning.backends import BackendSettings
from quorum.learning.dataset import horizons, pair_rows, pool
from quorum.learning.ensemble_fitting import FoldRows, fit_ensemble
from quorum.learning.folds import walk_forward
from quorum.learning.inputs import WindowedRows
from quorum.learning.labels import recency
from quorum.learning.lstm import LENGTH, Lstm
from quorum.learning.market_models import FoldTask, fold_rows

MEMBERS = ("lightgbm", "xgboost", "lstm")
#: Monthly folds that are fitted.
FOLDS = 5
#: Candles served in bulk: five years of one pair.
SERVED = 43_800
TIMES_LIMIT, MEMORY_LIMIT, CANDLE_LIMIT = 3.0, 6.0, 2.0


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure once, whatever ``runs``; return the figures of the table and of every fold."""
    data = replace(data, timerange=TIMERANGE)
    tell(f"fitting {FOLDS} folds of {len(data.pairs)} pairs with an LSTM")
    with tempfile.TemporaryDirectory() as temporary:
        log = Path(temporary) / "log"
        timed([sys.executable, str(Path(__file__)), json.dumps(data.as_request())], log)
        lines = log.read_text(encoding="utf-8").splitlines()
    result = json.loads(lines[-1])
    folds = result["folds"]
    return table(result), [
        Figure(
            f"  {fold['from']}: ensemble {fold['ensemble']:.4f}, base rates {fold['prior']:.4f}, "
            f"LSTM {fold['lstm']} alone",
            1000 * fold["gain"]["estimate"],
            "millinats lower with it",
            None,
            f"{1000 * fold['gain']['low']:.2f} to {1000 * fold['gain']['high']:.2f}; "
            f"{'joins' if fold['joins'] else 'left out'}",
        )
        for fold in folds
    ]


def table(result: Mapping[str, Any]) -> list[Figure]:
    """Return what a measurement found, beside its limits."""
    folds = result["folds"]
    trees = sum(fold["trees"] for fold in folds)
    training = sum(fold["training"] for fold in folds)
    joined = sum(fold["joins"] for fold in folds)
    return [
        Figure(
            "LSTM's training against that of the trees, processor time",
            training / trees,
            "x",
            TIMES_LIMIT,
            f"{show(training / len(folds), 's')} a fold, trees {show(trees / len(folds), 's')}, "
            f"of {len(folds)} folds of {result['pairs']} pairs",
        ),
        Figure(
            "peak memory of fitting one fold at a time, PyTorch's process counted",
            result["memory"] / 1e9,
            "GB",
            MEMORY_LIMIT,
        ),
        Figure(
            "one candle by the LSTM, processor time",
            1000 * result["candle"],
            "ms",
            CANDLE_LIMIT,
            f"{SERVED:,} in bulk {show(result['bulk'], 's')}",
        ),
        Figure(
            "log loss that the LSTM takes off the ensemble, mean of the folds",
            1000 * mean(fold["gain"]["estimate"] for fold in folds),
            "millinats",
            None,
            f"it joins {joined} of {len(folds)}",
        ),
    ]


class Clock:
    """Adds up the processor time that the LSTM takes in this process and in PyTorch's."""

    def __init__(self) -> None:
        self.spent = 0.0
        fit, serve = Lstm.fit_rows, Lstm.predict_proba

        def fit_rows(member: Lstm, *given: Any) -> Lstm:
            started, before = time.process_time(), children()
            fitted = fit(member, *given)
            self.spent += time.process_time() - started + children() - before
            return fitted

        def predict_proba(member: Lstm, X: Any) -> Any:
            started = time.process_time()
            said = serve(member, X)
            self.spent += time.process_time() - started
            return said

        Lstm.fit_rows = fit_rows  # type: ignore[method-assign]
        Lstm.predict_proba = predict_proba  # type: ignore[method-assign]


def children() -> float:
    """Return the processor time of the processes below this one [s]."""
    used = (child.cpu_times() for child in psutil.Process().children(recursive=True))
    return sum(times.user + times.system for times in used)


def served() -> dict[str, float]:
    """Time a network of the usual size: one window, and five years of one pair."""
    rng = np.random.default_rng(1)
    source = rng.standard_normal((SERVED + LENGTH, Lstm.most_inputs or 1)).astype(np.float32)
    places = np.arange(SERVED)[:, None] + np.arange(LENGTH)
    model = drawn(source.shape[1])
    windows = WindowedRows(source, places)
    model.predict_proba(windows[:2])
    times = []
    for i in range(200):
        one = WindowedRows(source[i : i + LENGTH], places[:1])
        started = time.process_time()
        model.predict_proba(one)
        times.append(time.process_time() - started)
    started = time.process_time()
    model.predict_proba(windows)
    return {"candle": median(times), "bulk": time.process_time() - started}


def drawn(n_inputs: int) -> Lstm:
    """Return a network with weights of chance: its speed does not depend on them."""
    model = Lstm()
    rng = np.random.default_rng(2)
    gates = 4 * model.units
    shapes: dict[str, tuple[int, ...]] = {
        "centre": (n_inputs,),
        "scale": (n_inputs,),
        "w_in": (model.seeds, n_inputs, gates),
        "w_state": (model.seeds, model.units, gates),
        "bias": (model.seeds, gates),
        "w_out": (model.seeds, model.units, 3),
        "b_out": (model.seeds, 3),
    }
    arrays = {name: rng.uniform(0.1, 0.5, shape) for name, shape in shapes.items()}
    return model._adopt(arrays, 1)


def main(request: dict[str, Any]) -> None:
    """Fit the folds, and print the answer."""
    data = BenchData.from_request(request)
    plan = learning_plan(data, {"ensemble": {"members": list(MEMBERS)}})
    plan = replace(plan, backend=BackendSettings(n_jobs=1))
    s = plan.settings.learning
    pooled = pool([pair_rows(plan.load(pair), plan.settings) for pair in plan.pairs])
    time_of = pooled.arrays["known_at"]
    monthly = walk_forward(int(time_of[0]), int(time_of[-1]), s.folds)
    horizon, _ = horizons(s, plan.step)
    clock, found = Clock(), []
    with Memory() as memory:
        for i in np.linspace(len(monthly) // 5, len(monthly) - 1, FOLDS).astype(int):
            task = FoldTask(monthly[i], s, pooled.names, plan.step)
            rows = fold_rows(task, pooled.arrays, horizon, s.thin, "label_known")
            weight = pooled.arrays["weight"][rows] * recency(
                time_of[rows], task.fold.valid_from, s.labels.half_life_days
            )
            fold = FoldRows(s, pooled.names, plan.step, pooled.arrays, rows, weight, horizon)
            found.append(measured(fold, clock, task.fold.valid_from))
            print(json.dumps(found[-1]), flush=True)
    answer = {"folds": found, "memory": memory.peak, "pairs": len(plan.pairs), **served()}
    print(json.dumps(answer))


def measured(fold: FoldRows, clock: Clock, valid_from: int) -> dict[str, Any]:
    """Fit one fold; return what it cost, and what its members are worth out of fold."""
    clock.spent, before = 0.0, time.process_time() + children()
    fit = fit_ensemble(fold)
    whole = time.process_time() + children() - before
    gains = {**fit.metrics["added"], **fit.metrics["left_out"]}
    gain = gains["lstm"]
    told = {name: part.metrics["calibrated"] for name, part in fit.parts.items()}
    told["member_lstm"] = gain
    return {
        "from": time.strftime("%Y-%m-%d", time.gmtime(valid_from / 1000)),
        "rows": len(fold.rows),
        "training": clock.spent,
        "trees": whole - clock.spent,
        "gain": gain,
        "joins": "lstm" in fit.metrics["added"],
        "ensemble": fit.metrics["calibrated"]["log_loss"],
        "prior": fit.metrics["prior"]["log_loss"],
        "lstm": round(gain["log_loss"], 4),
        "members": {n: {k: m[k] for k in ("log_loss", "auc")} for n, m in told.items()},
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
