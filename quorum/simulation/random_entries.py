"""The same trades entered at random times: what a run owes to its exits and to its luck.

Every run draws, per pair and direction, as many entries as were taken, at random tradable candles
of the same span, with the same way of entering and of leaving and the bands of the trades that
were taken. What refuses a signal for its structure refuses a random one too, so that only the
*time* is random. Random entries of one pair may overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quorum.errors import DataError
from quorum.evidence.bootstrap import percentile_of
from quorum.section import Section
from quorum.simulation.book import Book
from quorum.simulation.context import read_context
from quorum.simulation.material import Material
from quorum.simulation.portfolio import Run, Trade
from quorum.simulation.trades import Outcomes, simulate
from quorum.typing import Floats


class RandomSettings(Section):
    """How random entries are drawn."""

    runs: int = Field(1000, ge=1, le=1_000_000, description="random runs [runs]")
    pool: int = Field(
        3000,
        ge=10,
        description="candles per pair and direction that entries are drawn from [candles]",
    )
    refusals: bool = Field(
        True, description="whether vetoes and the smallest R:R refuse random entries too"
    )
    seed: int = Field(7, ge=0, description="seed of all random numbers")


@dataclass(frozen=True)
class RandomEntries:
    """What random entries made beside the run itself.

    Attributes
    ----------
    total_r, profit : ndarray of shape (n_runs,), float64
        Of each random run: sum of R, profit in the quote currency.
    actual_r, actual_profit : float
        Of the trades that were taken.
    percentile_r, percentile_profit : float
        Share of the random runs that did worse, 0-100.
    beaten_by : int
        Random runs with a larger profit.
    trades : int
        Trades in each run.
    left_out : int
        Trades of pairs and directions for which no random entry could be found.
    """

    total_r: Floats
    profit: Floats
    actual_r: float
    actual_profit: float
    percentile_r: float
    percentile_profit: float
    beaten_by: int
    trades: int
    left_out: int


def random_entries(
    materials: Sequence[Material],
    books: Sequence[Book],
    run: Run,
    settings: RandomSettings | None = None,
) -> RandomEntries:
    """Enter at random as often as a run did, many times.

    Parameters
    ----------
    materials : sequence of Material
    books : sequence of Book
        Those of the run.
    run : Run
    settings : RandomSettings, default the defaults

    Raises
    ------
    DataError
        If the run has no trades.
    """
    s = settings or RandomSettings()
    if not run.trades:
        raise DataError("random entries: the run has no trades to be held against")
    rng = np.random.default_rng(s.seed)
    by_pair = {book.pair: book for book in books}
    total_r, profit = np.zeros(s.runs), np.zeros(s.runs)
    actual_r = actual_profit = 0.0
    count = left_out = 0
    for material in materials:
        for side in (1, -1):
            taken = [t for t in run.trades if t.pair == material.pair and t.direction == side]
            if not taken:
                continue
            pool = _pool(material, by_pair[material.pair], taken, side, s, rng)
            if len(pool) == 0:
                left_out += len(taken)
                continue
            drawn = rng.integers(len(pool), size=(s.runs, len(taken)))
            total_r += pool.r[drawn].sum(axis=1)
            invested = np.array(
                [t.profit / t.profit_ratio if t.profit_ratio else t.notional for t in taken]
            )
            profit += pool.profit_ratio[drawn] @ invested
            actual_r += sum(t.r for t in taken)
            actual_profit += sum(t.profit for t in taken)
            count += len(taken)
    return RandomEntries(
        total_r=total_r,
        profit=profit,
        actual_r=actual_r,
        actual_profit=actual_profit,
        percentile_r=100 * percentile_of(actual_r, total_r),
        percentile_profit=100 * percentile_of(actual_profit, profit),
        beaten_by=int((profit > actual_profit).sum()),
        trades=count,
        left_out=left_out,
    )


def _pool(
    material: Material,
    book: Book,
    taken: Sequence[Trade],
    side: int,
    settings: RandomSettings,
    rng: np.random.Generator,
) -> Outcomes:
    """Return what became of entries at random candles, those that began and ended."""
    atr = material.table.columns["atr"]
    tradable = np.flatnonzero(material.tradable & np.isfinite(atr) & (atr > 0))
    rows = rng.permutation(tradable[tradable < len(material.candles) - 1])[: settings.pool]
    rows = np.sort(rows)
    directions: NDArray[np.int8] = np.full(len(rows), side, np.int8)
    of_taken = book.table.plan_band[book.outcomes.row[[t.entry for t in taken]]]
    outcomes = simulate(
        book.table,
        material.candles,
        material.settings,
        rows=rows,
        directions=directions,
        venue=material.venue,
        context=read_context(book.table, rows, directions, material.settings),
        bands=rng.choice(of_taken, len(rows)),
    )
    usable = outcomes.ended
    if settings.refusals:
        usable = usable & (outcomes.veto == 0)
    return outcomes.take(usable)
