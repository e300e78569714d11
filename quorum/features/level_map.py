"""Level map: the nearest supports and resistances, from everything a trader draws (spec P1).

Zones come from confirmed swings; what else traders watch confirms a zone or makes one of its own:

1. whenever a pivot of the base timeframe or of 4h is confirmed, the pivots of the lookback are
   gathered: one with the most company within ``tolerance`` ATR is the centre of a zone (of equals
   the newest), which lies at the mean price of its company. Highs and lows count alike, since a
   broken resistance is expected to hold as support;
2. per candle the *marks* - volume-profile nodes, prior-day and prior-week extremes, Fibonacci
   retracements of the last confirmed impulse, round numbers - join the nearest zone within the
   tolerance. The others are gathered outward from the close and lie at their heaviest mark;
3. strength 0-1 from touches (a mark counts as a part of one), recency and volume;
4. outward from the close the zones with ``min_strength`` are taken, of two nearer to each other
   than ``separation`` the stronger one.

The map forgets what is older than its lookback, so it does not depend on where the history starts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from pydantic import Field

from quorum.features.level_marks import NEVER, ROUNDS, Marks, merge_marks, place_mark, place_rounds
from quorum.features.level_zones import (
    FIELDS,
    HIGH,
    LOW,
    NEARBY,
    NEWEST,
    PRICE,
    TOUCHES,
    VOLUME,
    Pivots,
    add_pivots,
    forget,
    gather_zones,
    zones_around,
)
from quorum.features.series import ratio
from quorum.features.swings import Swings
from quorum.features.table import Features
from quorum.features.volume import mean_before
from quorum.market import Market
from quorum.section import Section
from quorum.typing import Floats

#: Timeframe whose swings are drawn beside those of the base timeframe.
HIGHER = "4h"
#: Half-lives after which a touch is not recent at all.
FADED = 20


class LevelMapSettings(Section):
    """What makes a zone, what makes it strong, and how many are told."""

    count: int = Field(4, ge=1, le=8, description="levels told on each side [levels]")
    lookback: int = Field(500, ge=50, le=600, description="age of the oldest touch [candles]")
    higher_lookback: int = Field(
        150, ge=10, le=600, description="age of the oldest touch of a 4h swing [4h candles]"
    )
    tolerance: float = Field(
        0.5, gt=0, le=5, description="distance of touches of one zone from its centre [ATR]"
    )
    separation: float = Field(
        1.0, ge=0, le=10, description="of two zones nearer than this the stronger is told [ATR]"
    )
    min_strength: float = Field(0.3, ge=0, le=1, description="weakest zone that is told [0-1]")
    full_touches: float = Field(5.0, gt=0, le=50, description="touches of full strength [touches]")
    half_life: float = Field(
        150.0, gt=0, le=5000, description="age of the last touch that halves recency [candles]"
    )
    full_volume: float = Field(
        2.0, gt=0, le=20, description="mean volume ratio at the touches of full strength [x mean]"
    )
    volume_mean: int = Field(
        20, ge=2, le=200, description="candles before a 4h pivot its volume is held against [4h]"
    )
    touch_weight: float = Field(0.5, ge=0, le=1, description="share of touches in the strength")
    recency_weight: float = Field(0.25, ge=0, le=1, description="share of recency in it")
    volume_weight: float = Field(0.25, ge=0, le=1, description="share of volume in it")
    point_of_control: float = Field(
        1.0, ge=0, le=10, description="weight of the point of control [touches]"
    )
    value_area: float = Field(
        0.5, ge=0, le=10, description="weight of an edge of the value area [touches]"
    )
    prior_day: float = Field(
        1.0, ge=0, le=10, description="weight of the prior day's high or low [touches]"
    )
    prior_week: float = Field(
        1.5, ge=0, le=10, description="weight of the prior week's high or low [touches]"
    )
    fibonacci: float = Field(0.5, ge=0, le=10, description="weight of a retracement [touches]")
    retracements: tuple[float, ...] = Field(
        (0.382, 0.5, 0.618, 0.786),
        max_length=8,
        description="Fibonacci retracements drawn [fraction of the impulse]",
    )
    round_number: float = Field(0.5, ge=0, le=10, description="weight of a round number [touches]")
    big_round_number: float = Field(
        1.5, ge=0, le=10, description="weight of a multiple of ten steps of the grid [touches]"
    )
    round_spacing: float = Field(
        4.0, gt=0, le=50, description="narrowest 1-2-5 grid of round numbers [ATR]"
    )


class Rules(NamedTuple):
    """Numbers of the kernels; see the settings of the same names.

    ``told`` is the levels told per side; the shares of the strength add up to one.
    """

    told: int
    tolerance: float
    separation: float
    min_strength: float
    touch_share: float
    recency_share: float
    volume_share: float
    full_touches: float
    full_volume: float
    round: float
    big_round: float
    round_spacing: float


@njit(cache=True, inline="always")
def _strength(
    touches: float, newest: float, volume: float, t: float, rules: Rules, fade: Floats
) -> float:
    """Strength 0-1 of a zone: its share of full touches, recency and volume."""
    age = t - newest
    recency = fade[int(age)] if age < len(fade) else 0.0
    return (
        rules.touch_share * min(touches / rules.full_touches, 1.0)
        + rules.recency_share * recency
        + rules.volume_share * min(volume / rules.full_volume, 1.0)
    )


@njit(cache=True)
def _tell(
    near: Floats,
    i: int,
    stop: int,
    lone: Floats,
    g: int,
    end: int,
    side: int,
    gap: float,
    t: float,
    rules: Rules,
    fade: Floats,
    out: Floats,
) -> None:
    """Write the levels of one side (price, far edge, strength), nearest first.

    Zones from ``i`` to ``stop`` and groups of marks from ``g`` to ``end`` (exclusive, both by
    ``side``) are walked together, outward from the close.
    """
    told = 0
    edge = HIGH if side > 0 else LOW
    while i != stop or g != end:
        table, row = lone, g
        if g == end or (i != stop and side * (near[i, PRICE] - lone[g, PRICE]) <= 0):
            table, row = near, i
            i += side
        else:
            g += side
        strength = _strength(
            table[row, TOUCHES], table[row, NEWEST], table[row, VOLUME], t, rules, fade
        )
        if strength < rules.min_strength:
            continue
        price = table[row, PRICE]
        if told > 0 and side * (price - out[told - 1, 0]) < gap:
            if strength <= out[told - 1, 2]:
                continue
        elif told == rules.told:
            return
        else:
            told += 1
        out[told - 1, 0] = price
        out[told - 1, 1] = table[row, edge]
        out[told - 1, 2] = strength


@njit(cache=True)
def map_levels(
    close: Floats,
    atr: Floats,
    clock: Floats,
    base: Pivots,
    higher: Pivots,
    marks: Marks,
    rules: Rules,
    fade: Floats,
) -> Floats:
    """Find the nearest levels of every candle.

    Parameters
    ----------
    close, atr : ndarray of shape (n_candles,)
        A candle without a positive ATR has no levels.
    clock : ndarray of shape (n_candles,)
        Time of each candle counted in candles, whole numbers.
    base, higher : Pivots
    marks : Marks
    rules : Rules
    fade : ndarray of shape (n_ages,)
        Recency by age in candles; 0 beyond.

    Returns
    -------
    ndarray of shape (n_candles, 2, count, 3)
        Under (0) and over (1) the close, nearest first: price, far edge, strength; else NaN.
    """
    n = len(close)
    out = np.full((n, 2, rules.told, 3), np.nan)
    size = len(base.price) + len(higher.price)
    points = np.empty((size, 4))
    zones = np.empty((size, FIELDS))
    near = np.empty((2 * NEARBY, FIELDS))
    lone = np.empty((len(marks.touches) + 2 * ROUNDS, FIELDS))
    n_points, made, seen, higher_seen = 0, 0, -1, -1
    for t in range(n):
        if not 0 < atr[t] < np.inf:
            continue
        width, gap = rules.tolerance * atr[t], rules.separation * atr[t]
        if base.event[t] > seen or higher.event[t] > higher_seen:
            n_points = forget(points, n_points, clock[t])
            n_points = add_pivots(points, n_points, clock[t], seen, base.event[t], base)
            n_points = add_pivots(points, n_points, clock[t], higher_seen, higher.event[t], higher)
            seen, higher_seen = base.event[t], higher.event[t]
            made = gather_zones(points, n_points, width, zones)
        count, under = zones_around(zones, made, close[t], clock[t], near)
        queued = 0
        for m in range(len(marks.touches)):
            price = marks.price[t, m]
            if np.isfinite(price) and marks.touches[m] > 0:
                queued = place_mark(
                    price,
                    marks.touches[m],
                    marks.row[t, m],
                    marks.volume[m],
                    width,
                    near,
                    count,
                    lone,
                    queued,
                )
        queued = place_rounds(
            close[t],
            atr[t],
            rules.round_spacing,
            rules.round,
            rules.big_round,
            width,
            near,
            count,
            lone,
            queued,
        )
        split = 0
        while split < queued and lone[split, PRICE] <= close[t]:
            split += 1
        end = merge_marks(lone, split - 1, -1, -1, width)
        _tell(
            near, under - 1, -1, lone, split - 1, end, -1, gap, clock[t], rules, fade, out[t, 0]
        )
        end = merge_marks(lone, split, queued, 1, width)
        _tell(near, under, count, lone, split, end, 1, gap, clock[t], rules, fade, out[t, 1])
    return out


def add_level_map(market: Market, out: Features, settings: LevelMapSettings) -> None:
    """Add the nearest levels under and over the close (spec P1); needs structure and profile.

    Columns for i = 1 ... ``count``, nearest first, lag that of the swings:
    ``support_<i>``, ``resistance_<i>`` (price, NaN if none), ``support_edge_<i>``,
    ``resistance_edge_<i>`` (the far end of the zone, beyond which a stop stands) and
    ``support_strength_<i>``, ``resistance_strength_<i>`` (0-1, 0 if none).
    """
    c, s = market.candles, settings
    clock = ((c.time - c.time[0]) // c.step).astype(np.float64) if len(c) else np.empty(0)
    swings = out.swings["base"]
    base = Pivots(
        swings.price,
        clock[swings.row],
        clock[swings.row] + s.lookback,
        np.nan_to_num(out["volume_ratio"][swings.row]),
        swings.event,
    )
    found = map_levels(
        c.close,
        out["atr"],
        clock,
        base,
        _higher_pivots(market, out.swings.get(HIGHER), s),
        _marks(market, out, clock, s),
        _rules(s),
        0.5 ** (np.arange(FADED * s.half_life) / s.half_life),
    )
    for side, name in enumerate(("support", "resistance")):
        for i in range(s.count):
            price, edge, strength = found[:, side, i].T
            out.add(f"{name}_{i + 1}", price, lag=swings.right, scale_free=False)
            out.add(f"{name}_edge_{i + 1}", edge, lag=swings.right, scale_free=False)
            out.add(f"{name}_strength_{i + 1}", np.nan_to_num(strength), lag=swings.right)


def _rules(s: LevelMapSettings) -> Rules:
    """Return the numbers of the kernels; the shares of the strength add up to one."""
    whole = max(s.touch_weight + s.recency_weight + s.volume_weight, np.finfo(np.float64).tiny)
    return Rules(
        told=s.count,
        tolerance=s.tolerance,
        separation=s.separation,
        min_strength=s.min_strength,
        touch_share=s.touch_weight / whole,
        recency_share=s.recency_weight / whole,
        volume_share=s.volume_weight / whole,
        full_touches=s.full_touches,
        full_volume=s.full_volume,
        round=s.round_number,
        big_round=s.big_round_number,
        round_spacing=s.round_spacing,
    )


def _higher_pivots(market: Market, swings: Swings | None, s: LevelMapSettings) -> Pivots:
    """Return the 4h pivots on the clock of the base timeframe; none where there is no 4h."""
    if swings is None or HIGHER not in market.higher:
        none = np.empty(0)
        return Pivots(none, none, none, none, np.full(len(market), -1))
    higher, step = market.higher[HIGHER], market.candles.step
    candles = higher.candles
    # The last base candle inside the pivot candle: a pivot is as old as the end of its candle.
    last = (candles.close_time - market.candles.time[0]) // step - 1
    row = last[swings.row].astype(np.float64)
    volume = ratio(candles.volume, mean_before(candles.volume, s.volume_mean))
    event = np.where(higher.row >= 0, swings.event[np.maximum(higher.row, 0)], -1)
    return Pivots(
        swings.price,
        row,
        row + s.higher_lookback * (candles.step // step),
        np.nan_to_num(volume[swings.row]),
        event,
    )


def _marks(market: Market, out: Features, clock: Floats, s: LevelMapSettings) -> Marks:
    """Return what is drawn beside the swings, one column per mark.

    Value nodes are of now and traded in full; a prior day's or week's extreme is as old as its
    candle's close; a retracement is geometry and makes nothing recent.
    """
    drawn: list[tuple[Floats, Floats, float, float]] = [
        (out["poc"], clock, s.point_of_control, s.full_volume),
        (out["value_area_high"], clock, s.value_area, 0.0),
        (out["value_area_low"], clock, s.value_area, 0.0),
    ]
    for timeframe, weight in (("1d", s.prior_day), ("1w", s.prior_week)):
        higher = market.higher.get(timeframe)
        if higher is None or len(higher.candles) == 0:
            continue
        closed = higher.candles.close_time - market.candles.time[0]
        row = higher.align((closed // market.candles.step - 1).astype(np.float64))
        drawn += [
            (higher.align(extreme), row, weight, 0.0)
            for extreme in (higher.candles.high, higher.candles.low)
        ]
    never = np.full(len(market), NEVER)
    drawn += [(price, never, s.fibonacci, 0.0) for price in _retracements(out, s.retracements)]
    return Marks(
        np.column_stack([price for price, _, _, _ in drawn]),
        np.column_stack([row for _, row, _, _ in drawn]),
        np.array([touches for _, _, touches, _ in drawn]),
        np.array([volume for _, _, _, volume in drawn]),
    )


def _retracements(out: Features, fractions: tuple[float, ...]) -> list[Floats]:
    """Return the retracements of the last confirmed impulse, from its end back."""
    swings = out.swings["base"]
    low, high = out["dealing_range_low"], out["dealing_range_high"]
    if len(swings.kind) == 0:
        return []
    # The dealing range ends at the newest swing of the sequence: up to a high, down to a low.
    newest = swings.chain[np.maximum(swings.event, 0), 0]
    rising = swings.kind[newest] > 0
    end, start = np.where(rising, high, low), np.where(rising, low, high)
    return [end + fraction * (start - end) for fraction in fractions]
