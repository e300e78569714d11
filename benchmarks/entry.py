"""One ``populate_entry_trend``: what each hyperopt epoch pays per pair.

As a script it answers with the times; :func:`figures` asks it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from data import BenchData, open_strategy
from figures import Figure
from processes import answer, call_script

N_CANDLES = 20_000
LIMIT = 30.0
WARM_UP = 2


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure; return the figure of the table and that of the exit signals."""
    tell(f"populate_entry_trend on {N_CANDLES:,} candles")
    result = call_script("entry.py", data.as_request(runs=runs))
    main = Figure(
        f"populate_entry_trend, {result['candles']:,} candles, one core",
        1000 * result["entry"],
        "ms",
        LIMIT,
        f"{result['signals']:,} signals; each hyperopt epoch pays it per pair",
    )
    return [main], [Figure("  populate_exit_trend", 1000 * result["exit"], "ms")]


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time the calls on the columns of one pair; medians in seconds."""
    data = BenchData.from_request(request)
    strategy, candles = open_strategy(data)
    candles = candles.tail(N_CANDLES).reset_index(drop=True)
    metadata = {"pair": data.pairs[0]}
    analysed = strategy.populate_indicators(candles, metadata)
    entries: list[float] = []
    exits: list[float] = []
    for run in range(-WARM_UP, request["runs"]):
        frame = analysed.copy(deep=True)
        start = time.perf_counter()
        frame = strategy.populate_entry_trend(frame, metadata)
        middle = time.perf_counter()
        strategy.populate_exit_trend(frame, metadata)
        if run >= 0:
            entries.append(middle - start)
            exits.append(time.perf_counter() - middle)
    return {
        "candles": len(frame),
        "signals": int(frame["enter_long"].sum() + frame["enter_short"].sum()),
        "entry": median(entries),
        "exit": median(exits),
    }


if __name__ == "__main__":
    answer(measure)
