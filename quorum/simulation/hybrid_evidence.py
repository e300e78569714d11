"""What models alone, advisors alone and both together would have made (spec H-7).

The same candles, the same stops, targets and costs; only who decides on the direction differs.
Each of the three holds one trade a pair at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.consensus import Band
from quorum.context.hybrid import Strength
from quorum.evidence.bootstrap import Interval, bootstrap_interval
from quorum.simulation.context import read_context
from quorum.simulation.material import Material
from quorum.simulation.trades import simulate
from quorum.typing import Floats, Ints

#: Who decides.
DECIDERS = ("models", "advisors", "hybrid")
#: Days of a year, for the Sharpe ratio of daily results.
YEAR = 365.0


@dataclass(frozen=True)
class Made:
    """What one of them made.

    Attributes
    ----------
    decider : str
    trades : int
    win_rate, mean_r, sharpe, drawdown, profit_factor, false_signals : Interval
        ``sharpe`` of daily sums of R, a year; ``drawdown`` in R; ``false_signals`` the share of
        the entries that stood on the wrong side a day later.
    """

    decider: str
    trades: int
    win_rate: Interval
    mean_r: Interval
    sharpe: Interval
    drawdown: Interval
    profit_factor: Interval
    false_signals: Interval


@dataclass(frozen=True)
class _Taken:
    """Trades of one decider, by the time they ended."""

    ended: Ints
    r: Floats
    wrong: Floats


def sides(columns: Mapping[str, Floats], decider: str) -> tuple[NDArray[np.int8], Floats]:
    """Return direction and size factor per candle, where both models and advisors speak."""
    strength = columns["hybrid_strength"]
    known = np.isfinite(strength)
    if decider == "hybrid":
        acts = known & (strength >= Strength.ONE_SIDED)
        side, factor = columns["hybrid_direction"], columns["hybrid_factor"]
    else:
        # Alone they act whenever they have a side at all.
        acts, side, factor = known, columns[f"hybrid_{decider}"], np.ones(len(strength))
    return np.where(acts, np.nan_to_num(side), 0).astype(np.int8), np.where(acts, factor, 0.0)


def hybrid_evidence(materials: Sequence[Material], runs: int = 1000) -> list[Made]:
    """Compare the three over the same candles, with bootstrap intervals.

    Parameters
    ----------
    materials : sequence of Material
    runs : int, default 1000
        Bootstrap samples.

    Returns
    -------
    list of Made
        Empty where models and advisors never spoke at the same time.
    """
    spoke = [np.isfinite(m.table.columns["hybrid_strength"]) for m in materials]
    if not any(known.any() for known in spoke):
        return []
    times = np.concatenate([m.candles.time[k] for m, k in zip(materials, spoke, strict=True)])
    first, last = int(times.min()), int(times.max())
    return [_made(decider, materials, first, last, runs) for decider in DECIDERS]


def _made(decider: str, materials: Sequence[Material], first: int, last: int, runs: int) -> Made:
    taken = [_follow(material, decider) for material in materials]
    ended = np.concatenate([t.ended for t in taken])
    order = np.argsort(ended, kind="stable")
    r = np.concatenate([t.r for t in taken])[order]
    wrong = np.concatenate([t.wrong for t in taken])[order]
    day = (ended[order] - first) // DAY_MS
    days = int((last - first) // DAY_MS) + 1
    daily = np.zeros(days)
    np.add.at(daily, np.clip(day, 0, days - 1), r)

    def interval(values: Floats, statistic: Callable[[Floats], Floats]) -> Interval:
        return bootstrap_interval(values, statistic, runs=runs)

    return Made(
        decider=decider,
        trades=len(r),
        win_rate=interval((r > 0).astype(np.float64), _mean),
        mean_r=interval(r, _mean),
        sharpe=interval(daily, _sharpe),
        drawdown=interval(daily, _drawdown),
        profit_factor=interval(r, _profit_factor),
        false_signals=interval(wrong[np.isfinite(wrong)], _mean),
    )


def _follow(material: Material, decider: str) -> _Taken:
    """Follow every entry, and keep those that found the pair without a trade."""
    table, candles = material.table, material.candles
    side, factor = sides(table.columns, decider)
    atr = table.columns["atr"]
    able = material.tradable & np.isfinite(atr) & (atr > 0) & (side != 0)
    rows = np.flatnonzero(able[: len(candles) - 1])
    if len(rows) == 0:
        return _Taken(np.empty(0, np.int64), np.empty(0), np.empty(0))
    directions = side[rows]
    found = simulate(
        table,
        candles,
        material.settings,
        rows=rows,
        directions=directions,
        venue=material.venue,
        context=read_context(table, rows, directions, material.settings),
        bands=np.full(len(rows), Band.MEDIUM, np.int8),
    )
    kept, free = [], -1
    for i in np.flatnonzero(found.ended):
        if rows[i] >= free:
            kept.append(i)
            free = int(found.exit_row[i])
    chosen = np.array(kept, dtype=np.int64)
    later = candles.close_on(candles.time[rows[chosen]] + DAY_MS)
    moved = (later - candles.close[rows[chosen]]) * directions[chosen]
    return _Taken(
        candles.time[found.exit_row[chosen]],
        found.r[chosen] * factor[rows[chosen]],
        np.where(np.isfinite(moved), (moved <= 0).astype(np.float64), np.nan),
    )


def _mean(values: Floats) -> Floats:
    return np.asarray(values.mean(axis=-1))


def _sharpe(daily: Floats) -> Floats:
    deviation = daily.std(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = daily.mean(axis=-1) / deviation * np.sqrt(YEAR)
    return np.where(deviation > 0, ratio, np.nan)


def _drawdown(daily: Floats) -> Floats:
    equity = np.cumsum(daily, axis=-1)
    return np.asarray((np.maximum.accumulate(np.maximum(equity, 0.0), axis=-1) - equity).max(-1))


def _profit_factor(r: Floats) -> Floats:
    won, lost = np.maximum(r, 0.0).sum(axis=-1), -np.minimum(r, 0.0).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lost > 0, won / lost, np.where(won > 0, np.inf, np.nan))
