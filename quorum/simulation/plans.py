"""The exits of many entries at once: what ``plan_exits`` plans for one (spec P1-P3).

A plan in Python takes a tenth of a millisecond, too long for a thousand runs of random entries.
The rules are those of :mod:`quorum.exits`, in arrays; a test holds every number of a plan to
the one that ``plan_exits`` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quorum.exits import ExitSettings, LadderSettings, StopSettings, TargetSettings, ladder_shares
from quorum.exits.ladder import GRACE
from quorum.exits.management import merge_rungs
from quorum.exits.stops import ATR
from quorum.features.level_search import LEVELS
from quorum.simulation.venue import Venue
from quorum.typing import Bools, Floats, Ints

#: Rungs of a ladder at most.
RUNGS = 3


@dataclass(frozen=True)
class Plans:
    """Where trades end.

    Attributes
    ----------
    stop, risk_reward : ndarray of shape (n_entries,), float64
        Price; R:R of the first target.
    targets, shares : ndarray of shape (n_entries, 3), float64
        Prices of the rungs and the parts taken out there; what is not used is NaN and 0.
    rungs : ndarray of shape (n_entries,), int64
        Rungs in use.
    too_near : ndarray of shape (n_entries,), bool
        Whether the first rung pays too little, which refuses the trade.
    """

    stop: Floats
    risk_reward: Floats
    targets: Floats
    shares: Floats
    rungs: Ints
    too_near: Bools


@dataclass(frozen=True)
class _Levels:
    """The levels of one side of every entry, shape (n_entries, LEVELS); NaN where unknown."""

    price: Floats
    edge: Floats
    strength: Floats

    @classmethod
    def read(
        cls, columns: Mapping[str, Floats], rows: Ints, long: Bools, sides: tuple[str, str]
    ) -> _Levels:
        """Read the first side for longs, the second for shorts."""

        def matrix(what: str) -> Floats:
            unknown = np.full(len(rows), np.nan)

            def side(name: str, i: int) -> Floats:
                column = columns.get(f"{name}{what}_{i}")
                return unknown if column is None else column[rows]

            return np.column_stack(
                [np.where(long, side(sides[0], i), side(sides[1], i)) for i in range(1, LEVELS + 1)]
            )

        price, edge, strength = matrix(""), matrix("_edge"), matrix("_strength")
        known = np.isfinite(price) & np.isfinite(edge) & np.isfinite(strength)
        return cls(np.where(known, price, np.nan), edge, strength)


def plan_many(
    columns: Mapping[str, Floats],
    rows: Ints,
    direction: NDArray[np.int8],
    entry: Floats,
    band: NDArray[np.int8],
    settings: ExitSettings,
    stop_factor: Floats,
) -> Plans:
    """Plan the exits of every entry.

    Parameters
    ----------
    columns : mapping of name to ndarray of shape (n_candles,)
        ``EXIT_COLUMNS``.
    rows : ndarray of shape (n_entries,), int64
        Candle of the signal.
    direction, entry, band, stop_factor : ndarray of shape (n_entries,)
        As ``plan_exits`` takes them.
    settings : ExitSettings
    """
    d, long = direction.astype(np.float64), direction > 0
    behind = _Levels.read(columns, rows, long, ("support", "resistance"))
    ahead = _Levels.read(columns, rows, long, ("resistance", "support"))
    stop = _stops(entry, columns["atr"][rows], d, behind, settings.stop, stop_factor)
    swing = np.where(long, columns["swing_high_near"][rows], columns["swing_low_near"][rows])
    risk = np.abs(entry - stop)
    target = _targets(entry, risk, d, band, swing, settings.target)
    margin = settings.target.swing_margin
    targets, rungs = _ladders(entry, risk, d, target, ahead.price, settings.ladder, margin)
    ratio = np.abs(targets[:, 0] - entry) / risk
    return Plans(
        stop=stop,
        risk_reward=ratio,
        targets=targets,
        shares=_shares(rungs, settings.ladder),
        rungs=rungs,
        too_near=ratio < settings.ladder.min_first - GRACE,
    )


def _stops(
    entry: Floats, atr: Floats, d: Floats, behind: _Levels, s: StopSettings, factor: Floats
) -> Floats:
    """Return the stops (``place_stop``)."""
    widest = s.max_risk / 100 * entry
    stop = entry - d * np.minimum(s.atr_multiple * atr, widest)
    if s.method != ATR:
        away = d[:, None] * (entry[:, None] - behind.price)
        counts = (away > 0) & (behind.strength > s.min_strength)
        order = np.argsort(np.where(counts, away, np.inf), axis=1, kind="stable")
        every = np.arange(len(entry))
        searching = np.ones(len(entry), dtype=np.bool_)
        for j in range(LEVELS):
            at = order[:, j]
            price = behind.edge[every, at] * (1 - d * s.margin / 100)
            distance = d * (entry - price)
            valid = searching & counts[every, at]
            taken = valid & (distance <= widest) & (distance > 0) & (distance >= s.min_atr * atr)
            stop = np.where(taken, price, stop)
            searching = searching & ~taken & ~(valid & (distance > widest))
    moved = entry - d * np.minimum(factor * np.abs(entry - stop), widest)
    placed: Floats = np.where(factor == 1.0, stop, moved)
    return placed


def _targets(
    entry: Floats,
    risk: Floats,
    d: Floats,
    band: NDArray[np.int8],
    swing: Floats,
    s: TargetSettings,
) -> Floats:
    """Return the R:R targets (``target_price``)."""
    very_high, high, medium = s.risk_reward
    ratio = np.select([band == 3, band == 2], [very_high, high], medium)
    before = d * (swing * (1 - d * s.swing_margin / 100) - entry) / risk
    nearer = np.isfinite(swing) & (d * (swing - entry) > 0)
    ratio = np.where(nearer, np.minimum(ratio, before), ratio)
    target: Floats = entry + d * np.clip(ratio, s.min_risk_reward, s.max_risk_reward) * risk
    return target


def _ladders(
    entry: Floats,
    risk: Floats,
    d: Floats,
    target: Floats,
    levels: Floats,
    s: LadderSettings,
    margin: float,
) -> tuple[Floats, Ints]:
    """Return the rungs' prices and their number (``ladder_prices``)."""
    farthest = s.scale[-1]
    side = d[:, None]
    reach = side * (levels * (1 - side * margin / 100) - entry[:, None]) / risk[:, None]
    reach = np.where((reach > 0) & (reach <= farthest), reach, np.inf)
    if s.first == "target":
        first = d * (target - entry) / risk
    else:
        nearest = reach.min(axis=1)
        first = np.where(np.isfinite(nearest), nearest, s.scale[0])
    every = np.arange(len(entry))
    ratios = np.full((len(entry), RUNGS), np.nan)
    ratios[:, 0], last, count = first, first, np.ones(len(entry), np.int64)
    for planned in s.scale[1:]:
        part = (planned - s.scale[0]) / (farthest - s.scale[0])
        beyond = np.where(reach >= (last + s.min_step)[:, None], reach, np.inf).min(axis=1)
        spaced = np.maximum(first + part * (farthest - first), last + s.min_step)
        rung = np.where(np.isfinite(beyond), beyond, spaced)
        fits = rung <= farthest + GRACE
        ratios[every[fits], count[fits]] = rung[fits]
        last = np.where(fits, rung, last)
        count += fits
    prices = entry[:, None] + side * ratios * risk[:, None]
    if s.first == "target":
        prices[:, 0] = target
    prices = np.where(prices > 0, prices, np.nan)
    return prices, np.isfinite(prices).sum(axis=1)


def _shares(rungs: Ints, settings: LadderSettings) -> Floats:
    """Return the parts taken out at the rungs, shape (n_entries, 3)."""
    by_count = np.zeros((RUNGS + 1, RUNGS))
    for count in range(1, RUNGS + 1):
        by_count[count, :count] = ladder_shares(count, settings)
    return by_count[rungs]


def merge_small(plans: Plans, entry: Floats, notional: Floats, venue: Venue) -> Plans:
    """Merge the rungs that the venue's lots and smallest order do not allow (``merge_rungs``)."""
    position = _whole(notional, entry, venue.lot)
    orders = _whole(plans.shares * position[:, None], entry[:, None], venue.lot)
    smallest = venue.smallest(entry)
    small = (plans.shares > 0) & ((orders < smallest[:, None]) | (orders <= 0))
    affected = np.flatnonzero(small.any(axis=1) & (plans.rungs > 1))
    targets, shares, rungs = plans.targets.copy(), plans.shares.copy(), plans.rungs.copy()
    for i in affected.tolist():
        price, count = float(entry[i]), int(rungs[i])

        def cut(value: float, price: float = price) -> float:
            return float(_whole(np.array(value), np.array(price), venue.lot))

        kept, parts = merge_rungs(
            targets[i, :count].tolist(),
            shares[i, :count].tolist(),
            float(position[i]),
            float(smallest[i]),
            cut,
        )
        rungs[i] = len(kept)
        targets[i], shares[i] = np.nan, 0.0
        targets[i, : len(kept)], shares[i, : len(kept)] = kept, parts
    return Plans(plans.stop, plans.risk_reward, targets, shares, rungs, plans.too_near)


def _whole(value: Floats, price: Floats, lot: float) -> Floats:
    """Return what whole lots leave of a value; a lot of 0 leaves all of it."""
    if lot == 0:
        return value
    whole: Floats = np.floor(value / price / lot + 1e-9) * lot * price
    return whole
