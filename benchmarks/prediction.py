"""Learning: a row predicted by the largest models there may be, and the fit of one window.

As a script it answers with the times; :func:`figures` asks it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from data import BenchData, open_market
from figures import Figure
from processes import answer, call_script

from quorum.features import compute_features
from quorum.learning.dataset import feature_matrix, feature_names
from quorum.learning.fitting import fit_classifier
from quorum.learning.labels import LabelSettings, triple_barrier
from quorum.learning.member import Booster
from quorum.learning.model_settings import ModelSettings
from quorum.learning.models import MEMBERS, member_named

#: Two years of hours, as ten pairs thinned to every fifth candle have in one.
N_ROWS = 17_280
#: Candles before the first row, for the features to fill.
WARM_UP_CANDLES = 1000
CLASSES = (-1, 0, 1)
ROUNDS = ModelSettings.model_fields["rounds"].default
#: Rows the models of the latency are fitted on; their size is what counts, not their skill.
LATENCY_ROWS = 3000
PREDICTIONS = 300
ROW_LIMIT = 1.0
FIT_LIMIT = 4.0
DAY_MS = 86_400_000


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure; return the figures of the table and those of each member's fit."""
    tell(f"fits on {N_ROWS:,} rows, and single predictions")
    result = call_script("prediction.py", data.as_request(runs=runs))
    rows = [
        Figure(
            f"one row by {name}, {ROUNDS} rounds of three classes, one thread",
            1000 * seconds,
            "ms",
            ROW_LIMIT,
        )
        for name, seconds in result["row"].items()
    ]
    whole = Figure(
        f"fit of one window, {' and '.join(result['fit'])}, processor time",
        sum(result["fit"].values()),
        "s",
        FIT_LIMIT,
        f"{result['rows']:,} rows of {result['features']} features: three purged splits, "
        "calibration, final fit",
    )
    details = [Figure(f"  fit {name}", seconds, "s") for name, seconds in result["fit"].items()]
    return [*rows, whole], details


def single_row_latency(member: str, X: Any, y: Any) -> float:
    """Return the median seconds of one prediction by a loaded model of ``ROUNDS`` rounds."""
    kind = member_named(member)
    assert issubclass(kind, Booster)
    fitted = kind(CLASSES, rounds=ROUNDS, leaves=16, min_rows=5, min_hessian=0.1).fit(X, y)
    loaded = kind.from_bytes(fitted.to_bytes(), classes=CLASSES, n_features=X.shape[1])
    times = []
    for i in range(PREDICTIONS):
        row = X[i % len(X)][None, :]
        start = time.perf_counter()
        loaded.predict_proba(row)
        times.append(time.perf_counter() - start)
    return median(times)


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time the fits (processor time, one thread) and the predictions; medians in seconds."""
    market, _ = open_market(
        BenchData.from_request(request), N_ROWS + WARM_UP_CANDLES + LabelSettings().horizon
    )
    features = compute_features(market)
    labels = triple_barrier(market.candles, features["atr"], LabelSettings())
    rows = np.flatnonzero(labels.end >= 0)[WARM_UP_CANDLES:][:N_ROWS]
    X = feature_matrix(features, feature_names(features), rows)
    y = labels.label[rows].astype(np.int64)
    known = market.candles.close_time
    fits: dict[str, list[float]] = {name: [] for name in MEMBERS}
    for _ in range(request["runs"]):
        for name, times in fits.items():
            start = time.process_time()
            fit_classifier(
                X,
                y,
                np.ones(len(rows)),
                known[rows],
                known[labels.end[rows]],
                classes=CLASSES,
                member=name,
                embargo_ms=DAY_MS,
            )
            times.append(time.process_time() - start)
    last = slice(-LATENCY_ROWS, None)
    return {
        "rows": len(rows),
        "features": X.shape[1],
        "fit": {name: median(times) for name, times in fits.items()},
        "row": {name: single_row_latency(name, X[last], y[last]) for name in MEMBERS},
    }


if __name__ == "__main__":
    answer(measure)
