"""Labels of a million candles: triple barrier with funding, and regimes, on one core.

As a script it answers with the times; :func:`figures` asks it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from data import BenchData
from figures import Figure
from processes import answer, call_script

from quorum.candles import Candles, timeframe_ms
from quorum.learning.labels import LabelSettings, triple_barrier, uniqueness
from quorum.learning.regime_labels import regime_labels
from quorum.market import FUNDING_FILED_MS, Published

N_CANDLES = 1_000_000
LIMIT = 100.0
#: Five years of 4h candles.
N_REGIMES = 10_950
WARM_UP = 2


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure; return the figure of the table and the details."""
    tell(f"labels of {N_CANDLES:,} candles")
    result = call_script("labels.py", {"runs": runs})
    shares = ", ".join(f"{name} {share:.0%}" for name, share in result["shares"].items())
    main = Figure(
        f"triple-barrier labels with costs and funding: {N_CANDLES:,} candles, one core",
        1000 * result["labels"],
        "ms",
        LIMIT,
        f"horizon {LabelSettings().horizon}; {shares}; ends after {result['held']:.1f} candles",
    )
    details = [
        Figure("  none touches a barrier (the slowest case)", 1000 * result["slowest"], "ms"),
        Figure("  without funding", 1000 * result["plain"], "ms"),
        Figure("  uniqueness", 1000 * result["uniqueness"], "ms"),
        Figure(f"  regime labels of {N_REGIMES:,} 4h candles", 1000 * result["regimes"], "ms"),
    ]
    return [main], details


def walk(n: int, timeframe: str) -> Candles:
    """Return candles of a random walk."""
    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(0.004 * rng.standard_normal(n)))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = 0.003 * np.abs(rng.standard_normal((2, n))) * close
    times = np.arange(n, dtype=np.int64) * timeframe_ms(timeframe)
    high, low = np.maximum(opened, close) + wick[0], np.minimum(opened, close) - wick[1]
    return Candles(timeframe, times, opened, high, low, close, np.ones(n))


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time the calls; medians in seconds."""
    candles, four = walk(N_CANDLES, "1h"), walk(N_REGIMES, "4h")
    atr = 0.008 * candles.close
    settled = candles.time[::8]
    funding = Published(settled + FUNDING_FILED_MS, np.full(len(settled), 1e-4))
    labels = triple_barrier(candles, atr, funding=funding)
    rows = np.flatnonzero(labels.known)
    calls: dict[str, Callable[[], Any]] = {
        "labels": lambda: triple_barrier(candles, atr, funding=funding),
        "plain": lambda: triple_barrier(candles, atr),
        "slowest": lambda: triple_barrier(candles, 100 * atr, funding=funding),
        "uniqueness": lambda: uniqueness(rows + 1, labels.end[rows], N_CANDLES),
        "regimes": lambda: regime_labels(four),
    }
    kinds = {"up": 1, "down": -1, "neither": 0}
    return {
        **{name: _seconds(call, request["runs"]) for name, call in calls.items()},
        "shares": {name: float(np.mean(labels.label[rows] == k)) for name, k in kinds.items()},
        "held": float(np.mean(labels.end[rows] - rows)),
    }


def _seconds(call: Callable[[], Any], runs: int) -> float:
    """Return the median time of a call, warm."""
    times = []
    for run in range(-WARM_UP, runs):
        start = time.perf_counter()
        call()
        if run >= 0:
            times.append(time.perf_counter() - start)
    return median(times)


if __name__ == "__main__":
    answer(measure)
