"""Simulated trades: ten thousand entries followed, every variant of the strategy, random entries.

As a script it answers with the times; :func:`figures` asks it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from data import BenchData, configuration
from figures import Figure
from processes import answer, call_script

from quorum.bot.host import load_market
from quorum.cli.ablation import account_of, load_materials
from quorum.cli.spans import read_timerange
from quorum.pipeline import evaluate
from quorum.signals import signal_table
from quorum.simulation import ablate, books_of, random_entries, run_portfolio, simulate

N_ENTRIES = 10_000
FOLLOW_LIMIT = 1.0


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure; return the figures of the table and the parts of the ablation."""
    tell("simulating trades")
    found = call_script("ablation.py", data.as_request(runs=runs))
    table = [
        Figure(
            f"follow {N_ENTRIES:,} entries to their end",
            found["follow"],
            "s",
            FOLLOW_LIMIT,
            f"{found['candles']:,} candles, context and plan of each included",
        ),
        Figure(
            f"ablation, {len(data.pairs)} pairs, {found['variants']} variants",
            found["ablation"],
            "s",
            None,
            f"after one evaluation of {found['evaluation']:.1f} s; {found['trades']:,} trades",
        ),
        Figure("1,000 runs of random entries", found["random"], "s"),
    ]
    return table, []


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time the parts; seconds, the first one as a median."""
    data = BenchData.from_request(request)
    config, settings = configuration(data)
    market = load_market(config, settings, data.pairs[0])
    table = signal_table(evaluate(market, settings), settings)
    rng = np.random.default_rng(7)
    rows = rng.integers(settings.market.min_history, len(market) - 1, N_ENTRIES)
    sides = rng.choice(np.array([-1, 1], np.int8), N_ENTRIES)
    follow = []
    for run in range(-1, request["runs"]):
        start = time.perf_counter()
        simulate(table, market.candles, settings, rows=rows, directions=sides)
        if run >= 0:
            follow.append(time.perf_counter() - start)
    start = time.perf_counter()
    span = read_timerange(data.timerange)
    materials = load_materials(
        {**config, "datadir": Path(data.datadir)}, settings, data.pairs, span
    )
    evaluated = time.perf_counter()
    found = ablate(materials, settings, account_of(config))
    ablated = time.perf_counter()
    books = books_of(materials, settings)
    run_of_all = run_portfolio(books, settings, account_of(config))
    taken = time.perf_counter()
    random_entries(materials, books, run_of_all)
    return {
        "candles": len(market),
        "follow": median(follow),
        "evaluation": evaluated - start,
        "ablation": ablated - evaluated,
        "variants": len(found),
        "trades": sum(row.trades for row in found),
        "random": time.perf_counter() - taken,
    }


if __name__ == "__main__":
    answer(measure)
