"""What becomes of every entry, each for itself: the strategy's trades without the account.

Entry, stop, ladder and management are those of the strategy (spec Z2, P1-P4); within a candle
things happen in the order of the host's backtest (:mod:`quorum.simulation.follow`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from quorum.candles import Candles
from quorum.context.zones import Zones, entry_price
from quorum.errors import DataError
from quorum.exits import FIRST_TARGET_UNDER_MIN_RR, ExitPlans, plan_many
from quorum.exits.rules import EXPIRED
from quorum.settings import Settings
from quorum.signals import SignalTable
from quorum.simulation import follow, matrices
from quorum.simulation.context import STRATEGIES, Context, read_context
from quorum.simulation.inputs import market_matrix, terms_of
from quorum.simulation.rungs import merge_small
from quorum.simulation.venue import Venue
from quorum.typing import Bools, Floats, Ints


@dataclass(frozen=True)
class Outcomes:
    """What became of every entry; each array has the shape (n_entries,).

    Attributes
    ----------
    row : int64
        Candle whose close gave the signal; the order is placed at the next open.
    direction : int8
        +1 long, -1 short.
    entry_row : int64
        Candle the entry filled in, -1 where it never did or the candles end first.
    entry_price, stop, target, risk_reward : float64
        Price of the entry order, the first stop, the first target; its R:R.
    exit_row : int64
        Candle the trade ended in, -1 where it did not.
    exit_price : float64
        Of its last fill, NaN where it has not ended.
    reason : int8
        Place in :data:`~quorum.exits.rules.REASONS`.
    rungs : int64
        Rungs of the ladder filled before the end.
    r, profit_ratio : float64
        Profit after all costs: as a multiple of the distance of the stop, and of the position
        value (a leverage of 1). NaN where the trade has not ended or never began.
    mae, mfe : float64
        Largest move against and for the trade from its entry to the end of its last candle, as
        multiples of the distance of the stop, never negative.
    known_row : int64
        Row at whose close all of this is known, also that an entry never filled; -1 where the
        candles end first. A model may learn from the entry after that.
    veto : int16
        Place in ``vetoes`` of what refuses the entry, 0 for nothing. A refused entry is followed
        like any other.
    vetoes : tuple of str
        Reason codes; the first is empty.
    """

    row: Ints
    direction: NDArray[np.int8]
    entry_row: Ints
    entry_price: Floats
    stop: Floats
    target: Floats
    risk_reward: Floats
    exit_row: Ints
    exit_price: Floats
    reason: NDArray[np.int8]
    rungs: Ints
    r: Floats
    profit_ratio: Floats
    mae: Floats
    mfe: Floats
    known_row: Ints
    veto: NDArray[np.int16]
    vetoes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def ended(self) -> Bools:
        """Whether each trade began and ended."""
        ended: Bools = self.exit_row >= 0
        return ended

    def take(self, entries: Ints | Bools) -> Outcomes:
        """Return some of the entries."""
        arrays = {
            f.name: getattr(self, f.name)[entries] for f in fields(self) if f.name != "vetoes"
        }
        return replace(self, **arrays)


@dataclass(frozen=True)
class Asked:
    """Everything that is settled about entries before they are followed.

    Attributes
    ----------
    rows, directions, prices : ndarray of shape (n_entries,)
    waits : ndarray of shape (n_entries,), bool
        Whether the entry is a limit that waits for its price.
    plans : ExitPlans
    trailing : float
        Distance of the trailing stop that the sizing asks for, NaN for none.
    lots : ndarray of shape (n_entries,), float64
        Lots in each position, 0 where any part of it may be taken out.
    """

    rows: Ints
    directions: NDArray[np.int8]
    prices: Floats
    waits: Bools
    plans: ExitPlans
    trailing: float
    lots: Floats

    def matrix(self) -> Floats:
        """Return the entries as the kernel takes them, shape (n_entries, 14)."""
        p = self.plans
        n = len(self.rows)
        return np.column_stack(
            [
                self.rows.astype(np.float64),
                self.directions.astype(np.float64),
                self.prices,
                self.waits.astype(np.float64),
                p.stop,
                p.rungs.astype(np.float64),
                np.full(n, self.trailing),
                self.lots,
                p.targets,
                p.shares,
            ]
        )


def simulate(
    table: SignalTable,
    candles: Candles,
    settings: Settings,
    *,
    rows: Ints | None = None,
    directions: NDArray[np.int8] | None = None,
    venue: Venue | None = None,
    context: Context | None = None,
    bands: NDArray[np.int8] | None = None,
    notional: Floats | None = None,
) -> Outcomes:
    """Follow entries of one pair to their end, each as if it were the only trade.

    1. Entry at the open of the next candle, or a limit that waits for a better price (Z2).
    2. Stop, targets and ladder from the row of the signal and the price of the order (P1-P3).
    3. The trade candle by candle (P4).

    Parameters
    ----------
    table : SignalTable
        Of the same candles, row for row.
    candles : Candles
    settings : Settings
    rows : ndarray of shape (n_entries,), int64, default every row with a signal
        Candles whose close is followed by an entry.
    directions : ndarray of shape (n_entries,), int8, default that of the signals
        +1 long, -1 short.
    venue : Venue, default the default costs, no funding, no rounding
    context : Context, default what :func:`read_context` reads
        Effects of the adjusters on these entries.
    bands : ndarray of shape (n_entries,), int8, default those of the rows
        Confidence bands, which set the R:R of the target.
    notional : ndarray of shape (n_entries,), float64, optional
        Position values, for which rungs that are too small for the venue are merged.

    Returns
    -------
    Outcomes

    Raises
    ------
    DataError
        If table and candles do not belong together, or rows are outside of them.
    """
    rows, directions = _entries(table, candles, rows, directions)
    venue = venue or Venue()
    if context is None:
        context = read_context(table, rows, directions, settings)
    asked = ask(
        table,
        candles,
        settings,
        rows,
        directions,
        venue=venue,
        context=context,
        bands=bands,
        notional=notional,
    )
    found = follow.follow_all(
        market_matrix(table, candles, venue), asked.matrix(), terms_of(settings, candles, venue)
    )
    return outcomes(asked, found, venue, context)


def _entries(
    table: SignalTable,
    candles: Candles,
    rows: Ints | None,
    directions: NDArray[np.int8] | None,
) -> tuple[Ints, NDArray[np.int8]]:
    """Check the entries; take the table's own where none are given."""
    if not np.array_equal(table.time, candles.time):
        raise DataError(
            f"simulation: the signals ({len(table.time)} rows) are not those of the candles "
            f"({len(candles)} rows)"
        )
    if rows is None:
        rows = np.flatnonzero(table.entry)
    rows = np.asarray(rows, dtype=np.int64)
    if directions is None:
        directions = table.entry[rows]
    directions = np.asarray(directions, dtype=np.int8)
    if len(rows) != len(directions):
        raise DataError(f"simulation: {len(rows)} rows but {len(directions)} directions")
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(candles)):
        raise DataError(f"simulation: rows {rows.min()} to {rows.max()} of {len(candles)} candles")
    if not np.isin(directions, (-1, 1)).all():
        raise DataError("simulation: an entry needs a direction, +1 or -1")
    return rows, directions


def ask(
    table: SignalTable,
    candles: Candles,
    settings: Settings,
    rows: Ints,
    directions: NDArray[np.int8],
    *,
    venue: Venue,
    context: Context,
    bands: NDArray[np.int8] | None = None,
    notional: Floats | None = None,
) -> Asked:
    """Settle price, stop and ladder of every entry."""
    next_row = np.minimum(rows + 1, len(candles) - 1)
    prices, waits = _prices(table, candles, settings, rows, next_row, directions, context, venue)
    plans = plan_many(
        table.columns,
        rows,
        directions,
        prices,
        table.plan_band[rows] if bands is None else bands,
        settings.exits,
        context.stops(),
    )
    lots = np.zeros(len(rows))
    if notional is not None:
        plans = merge_small(plans, prices, notional, venue)
        lots = venue.lots(notional, prices)
    sides = directions.astype(np.float64)
    plans = replace(
        plans,
        stop=venue.rounded_stop(plans.stop, sides),
        targets=venue.rounded(plans.targets),
    )
    return Asked(rows, directions, prices, waits, plans, trailing_of(settings), lots)


def trailing_of(settings: Settings) -> float:
    """Return the trailing stop that the sizing method asks for, NaN for none (spec S2)."""
    sizing = settings.sizing
    if sizing.method != "confluence":
        return np.nan
    own = sizing.confluence
    return (own.manager if own.profile == "manager" else own.executor).trailing_stop / 100


def _prices(
    table: SignalTable,
    candles: Candles,
    settings: Settings,
    rows: Ints,
    next_row: Ints,
    directions: NDArray[np.int8],
    context: Context,
    venue: Venue,
) -> tuple[Floats, Bools]:
    """Return the price of every entry order, and whether it waits."""
    prices = candles.open[next_row].copy()
    strategies = context.strategies()
    zones = settings.context_of(Zones)
    edges = [table.columns.get(name) for name in ("zone_premium_edge", "zone_discount_edge")]
    for i in np.flatnonzero(strategies).tolist():
        row = int(rows[i])
        known = {
            name: float(edge[row])
            for name, edge in zip(("zone_premium_edge", "zone_discount_edge"), edges, strict=True)
            if edge is not None
        }
        way = STRATEGIES[strategies[i]]
        prices[i] = entry_price(way, int(directions[i]), float(prices[i]), known, zones)
    waiting = strategies > 0
    prices = np.where(waiting, venue.rounded(prices), prices)
    # The host keeps a limit on the near side of the candle it is placed in.
    worst = np.where(directions > 0, candles.high[next_row], candles.low[next_row])
    prices = np.where(directions > 0, np.minimum(prices, worst), np.maximum(prices, worst))
    return prices, waiting


def outcomes(asked: Asked, found: Floats, venue: Venue, context: Context) -> Outcomes:
    """Turn the kernel's result into outcomes."""
    sides = asked.directions.astype(np.float64)
    plans = asked.plans
    risk = np.abs(asked.prices - plans.stop)
    exit_row = found[:, matrices.EXIT_ROW].astype(np.int64)
    reason = found[:, matrices.REASON].astype(np.int8)
    ended, rungs = exit_row >= 0, found[:, matrices.FILLED_RUNGS]
    profit = np.where(ended, found[:, matrices.PROFIT], np.nan)
    # The host holds profit against what the entry has cost with its fee.
    invested = asked.prices * (1 + sides * venue.fee)
    best = sides * (found[:, matrices.BEST] - asked.prices) / risk
    worst = sides * (asked.prices - found[:, matrices.WORST]) / risk
    known = np.where(reason == EXPIRED, found[:, matrices.ORDER_END].astype(np.int64), exit_row)
    vetoes = (*context.vetoes, FIRST_TARGET_UNDER_MIN_RR)
    veto = context.first_veto()
    veto = np.where((veto == 0) & plans.too_near, len(vetoes) - 1, veto).astype(np.int16)
    return Outcomes(
        row=asked.rows,
        direction=asked.directions,
        entry_row=found[:, matrices.FILL_ROW].astype(np.int64),
        entry_price=asked.prices,
        stop=plans.stop,
        target=plans.targets[:, 0],
        risk_reward=plans.risk_reward,
        exit_row=exit_row,
        exit_price=found[:, matrices.EXIT_PRICE],
        reason=reason,
        rungs=np.where(np.isnan(rungs), 0.0, rungs).astype(np.int64),
        r=profit / risk,
        profit_ratio=profit / invested,
        mae=np.where(ended, worst, np.nan),
        mfe=np.where(ended, best, np.nan),
        known_row=known,
        veto=veto,
        vetoes=vetoes,
    )
