"""Level search: per candle, join zones and marks and tell the nearest levels. Kernels only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.level_marks import NEVER, ROUNDS, Marks, merge_marks, place_mark, round_numbers
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
from quorum.typing import Floats

#: Levels told on each side; fixed, since each is a published column.
LEVELS = 4
#: Row at which the marks begin that lie at no zone, after the zones around the close.
LONE = 2 * NEARBY


class Rules(NamedTuple):
    """Numbers of the kernels; see the settings of the same names.

    The shares of the strength add up to one.
    """

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


@njit(cache=True)
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
    table: Floats,
    i: int,
    stop: int,
    g: int,
    end: int,
    side: int,
    gap: float,
    now: float,
    rules: Rules,
    fade: Floats,
    out: Floats,
    t: int,
) -> None:
    """Write the levels of one side (price, far edge, strength, touches), nearest first.

    Zones from ``i`` to ``stop`` and groups of marks from ``g`` to ``end`` (exclusive, both by
    ``side``) are walked together, outward from the close. They lie in one table, the marks from
    row ``LONE`` on.
    """
    told = 0
    last = 0.0
    last_strength = 0.0
    edge = HIGH if side > 0 else LOW
    while i != stop or g != end:
        if g == end or (i != stop and side * (table[i, PRICE] - table[LONE + g, PRICE]) <= 0):
            row = i
            i += side
        else:
            row = LONE + g
            g += side
        strength = _strength(
            table[row, TOUCHES], table[row, NEWEST], table[row, VOLUME], now, rules, fade
        )
        if strength < rules.min_strength:
            continue
        price = table[row, PRICE]
        if told > 0 and side * (price - last) < gap:
            if strength <= last_strength:
                continue
        elif told == LEVELS:
            return
        else:
            told += 1
        last, last_strength = price, strength
        out[told - 1, 0, t] = price
        out[told - 1, 1, t] = table[row, edge]
        out[told - 1, 2, t] = strength
        out[told - 1, 3, t] = table[row, TOUCHES]


@njit(cache=True)
def _queue(
    t: int,
    marks: Marks,
    rounds: Floats,
    rules: Rules,
    width: float,
    near: Floats,
    prices: Floats,
    count: int,
    lone: Floats,
) -> int:
    """Place the marks and round numbers of candle ``t``; return how many stand alone."""
    queued, n_marks = 0, len(marks.touches)
    for m in range(n_marks + ROUNDS):
        if m < n_marks:
            price, touches = marks.price[t, m], marks.touches[m]
            newest, volume = marks.row[t, m], marks.volume[m]
        else:
            price, newest, volume = rounds[m - n_marks], NEVER, 0.0
            touches = rules.round if m < n_marks + ROUNDS - 2 else rules.big_round
        if np.isfinite(price) and touches > 0:
            queued = place_mark(
                price, touches, newest, volume, width, near, prices, count, lone, queued
            )
    return queued


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
    ndarray of shape (2, LEVELS, 4, n_candles)
        Under (0) and over (1) the close, nearest first: price, far edge, strength, touches; else
        NaN.
    """
    n = len(close)
    out = np.full((2, LEVELS, 4, n), np.nan)
    size = len(base.price) + len(higher.price)
    points = np.empty((size, FIELDS))
    zones = np.empty((size, FIELDS))
    table = np.empty((LONE + len(marks.touches) + ROUNDS, FIELDS))
    near, lone = table[:LONE], table[LONE:]
    prices, rounds = np.empty(LONE), np.empty(ROUNDS)
    supports, resistances = out[0], out[1]
    n_points, made, place, seen, higher_seen = 0, 0, 0, -1, -1
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
        place, count, under = zones_around(zones, made, place, close[t], clock[t], near, prices)
        round_numbers(close[t], atr[t], rules.round_spacing, rounds)
        queued = _queue(t, marks, rounds, rules, width, near, prices, count, lone)
        split = 0
        while split < queued and lone[split, PRICE] <= close[t]:
            split += 1
        now = clock[t]
        end = merge_marks(lone, split - 1, -1, -1, width)
        _tell(table, under - 1, -1, split - 1, end, -1, gap, now, rules, fade, supports, t)
        end = merge_marks(lone, split, queued, 1, width)
        _tell(table, under, count, split, end, 1, gap, now, rules, fade, resistances, t)
    return out
