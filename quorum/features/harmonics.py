"""Harmonic patterns: Fibonacci-related swings that end in a potential reversal zone (PRZ).

The tradable, causal form (spec H7): X, A, B and C are *confirmed* swings, D is not waited for.
From X, A, B, C each pattern projects where D should be: once as a multiple of XA (of XC for the
Cypher, of AB for the ABCD) and once as an extension of BC. Where the projections overlap is the
PRZ; the pattern's CD / AB confirms it without being required. A pattern *completes* on the candle
that closes rejecting the PRZ - with the new direction, in that half of its range, within
``rejection`` candles of the turn inside the zone. Waiting for D to be a confirmed swing would be
later by the confirmation lag.

After that the pattern stays *live* until its first target is closed beyond, its stop is touched,
or ``hold`` candles have passed. Prices are negated for bearish patterns, so both directions run
through the same arithmetic.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numba import njit

from quorum.features.harmonic_patterns import (
    B_HIGH,
    B_LOW,
    C_HIGH,
    C_LOW,
    C_OF_XA,
    CD_AB_HIGH,
    CD_AB_LOW,
    CD_HIGH,
    CD_LOW,
    D_HIGH,
    D_LOW,
    D_OF,
    OF_AB,
    OF_XC,
    PatternName,
    ratio_table,
)
from quorum.features.limits import limits_of
from quorum.features.mirror import LONG, SHORT, Prices, prices_of
from quorum.features.swings import Swings, find_swings
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Bools, Floats


class HarmonicConstants(NamedTuple):
    """Which patterns on which swings, how exact, and how long they count."""

    # patterns looked for
    patterns: tuple[PatternName, ...] = (
        "gartley",
        "bat",
        "butterfly",
        "crab",
        "deep_crab",
        "shark",
        "cypher",
        "abcd",
    )
    tolerance: float = 0.06  # error a ratio may have [fraction of the ideal ratio]
    # further swings searched on the base timeframe beside features.swings, by how far a pivot
    # stands out on both sides [candles]
    strengths: tuple[int, ...] = (3, 8)
    # higher timeframes whose confirmed swings are searched as well
    timeframes: tuple[Literal["4h", "1d"], ...] = ("4h",)
    confluence: float = 0.8  # factor on the error where CD / AB fits the pattern as well
    min_leg: float = 3.0  # smallest first leg, XA (AB of an ABCD) [ATR]
    max_candles: int = 500  # longest pattern from X to C [candles]
    max_wait: int = 150  # how long C may wait for D [candles]
    rejection: int = 3  # the turn and the rejecting close lie within [candles]
    rejection_close: float = 0.5  # least close location of the rejecting candle [of its range]
    stop_buffer: float = 0.5  # stop beyond the PRZ [ATR]
    target: float = 0.382  # first target, retracement of AD [fraction]
    second_target: float = 0.618  # second target, retracement of AD [fraction]
    hold: int = 12  # how long a completed pattern stays live [candles]


class Limits(NamedTuple):
    """The constants the kernels read, as plain numbers."""

    tolerance: float
    confluence: float
    min_leg: float
    max_candles: int
    max_wait: int
    rejection: int
    rejection_close: float
    stop_buffer: float
    target: float
    second_target: float
    hold: int


#: Rows of the kernel's result: the live pattern, then the nearest setup still waiting for D.
PATTERN, DIRECTION, ERROR, CONFLUENCE, AGE, STOP, TARGET, TARGET_2 = range(8)
SETUP, PRZ_NEAR, PRZ_FAR = 8, 9, 10
ROWS = 11


@njit(cache=True)
def _error(ratio: float, lowest: float, highest: float, tolerance: float) -> float:
    """Distance of a ratio from its ideal, 1.0 at the tolerance."""
    if ratio < lowest:
        return (lowest - ratio) / (lowest * tolerance)
    if ratio > highest:
        return (ratio - highest) / (highest * tolerance)
    return 0.0


@njit(cache=True)
def _zone(row: Floats, legs: Floats, tolerance: float) -> tuple[float, float, float]:
    """Return the far and near edge of the PRZ and the error of B and C; NaN for no pattern."""
    x, a, b, c = legs[0], legs[1], legs[2], legs[3]
    nothing = (np.nan, np.nan, np.nan)
    error = 0.0
    if row[B_LOW] == row[B_LOW]:
        error = _error((a - b) / (a - x), row[B_LOW], row[B_HIGH], tolerance)
    c_ratio = (c - x) / (a - x) if row[C_OF_XA] > 0 else (c - b) / (a - b)
    c_error = _error(c_ratio, row[C_LOW], row[C_HIGH], tolerance)
    if not (error <= 1.0 and c_error <= 1.0):
        return nothing
    origin, leg = a, a - x
    if row[D_OF] == OF_XC:
        origin, leg = c, c - x
    elif row[D_OF] == OF_AB:
        origin, leg = c, a - b
    wide, tight = 1.0 + tolerance, 1.0 - tolerance
    far = max(origin - row[D_HIGH] * wide * leg, c - row[CD_HIGH] * wide * (c - b))
    near = min(origin - row[D_LOW] * tight * leg, c - row[CD_LOW] * tight * (c - b))
    return (far, near, error + c_error) if far < near else nothing


@njit(cache=True)
def _total_error(row: Floats, legs: Floats, d: float, shape: float, tolerance: float) -> float:
    """Return the mean error of all the pattern's ratios once D stands, 1.0 at the tolerance."""
    x, a, b, c = legs[0], legs[1], legs[2], legs[3]
    ratio = (a - d) / (a - x)
    if row[D_OF] == OF_XC:
        ratio = (c - d) / (c - x)
    elif row[D_OF] == OF_AB:
        ratio = (c - d) / (a - b)
    total = shape + _error(ratio, row[D_LOW], row[D_HIGH], tolerance)
    total += _error((c - d) / (c - b), row[CD_LOW], row[CD_HIGH], tolerance)
    return total / 4.0 if row[B_LOW] == row[B_LOW] else total / 3.0


@njit(cache=True)
def _equal_legs(row: Floats, legs: Floats, d: float, tolerance: float) -> bool:
    """Whether CD / AB fits the pattern too; never where it plays no part."""
    ratio = (legs[3] - d) / (legs[1] - legs[2])
    low, high = row[CD_AB_LOW], row[CD_AB_HIGH]
    return bool(low == low and _error(ratio, low, high, tolerance) <= 1.0)


@njit(cache=True)
def _open_setups(
    table: Floats, legs: Floats, span: int, atr: float, limits: Limits, zones: Floats
) -> bool:
    """Fill ``zones`` (far, near, error so far; one row per pattern); return if there is any."""
    found = False
    # An outside candle can confirm swings that are level or the wrong way round.
    ordered = legs[1] > max(legs[0], legs[2]) and legs[3] > legs[2]
    for k in range(len(table)):
        has_x = table[k, B_LOW] == table[k, B_LOW]
        leg = legs[1] - legs[0] if has_x else legs[1] - legs[2]
        zones[k, :] = np.nan
        wanted = table[k, C_LOW] == table[k, C_LOW] and ordered and span <= limits.max_candles
        if wanted and leg >= limits.min_leg * atr:
            zones[k, 0], zones[k, 1], zones[k, 2] = _zone(table[k], legs, limits.tolerance)
            found = found or zones[k, 0] == zones[k, 0]
    return found


@njit(cache=True)
def _completed(
    table: Floats, legs: Floats, zones: Floats, d: float, rejects: bool, limits: Limits
) -> tuple[int, float, float, bool]:
    """Close the setups D has run through and return the pattern that completes with least error.

    The result is its number (-1 none), its error, the far end of its PRZ and its confluence.
    """
    best, best_error, best_far, best_equal = -1, np.inf, np.nan, False
    for k in range(len(table)):
        if d < zones[k, 0]:
            zones[k, :] = np.nan
        elif rejects and d <= zones[k, 1]:
            error = _total_error(table[k], legs, d, zones[k, 2], limits.tolerance)
            equal = _equal_legs(table[k], legs, d, limits.tolerance)
            if equal:
                error *= limits.confluence
            if error < best_error:
                best, best_error, best_far, best_equal = k, error, zones[k, 0], equal
            zones[k, :] = np.nan
    return best, best_error, best_far, best_equal


@njit(cache=True)
def _turn(
    prices: Prices, first: int, t: int, c: float, d: float, d_at: int
) -> tuple[float, int, bool]:
    """Carry D, the extreme since C, on to candle ``t``; also whether C itself was exceeded."""
    beaten = False
    for j in range(max(first, 0), t + 1):
        if prices.low[j] <= d:
            d, d_at = prices.low[j], j
        beaten = beaten or prices.high[j] > c
    return d, d_at, beaten


@njit(cache=True)
def _rejects(prices: Prices, t: int, least: float) -> bool:
    """Whether the candle closes with the new direction and in that part of its range."""
    body = prices.close[t] - prices.low[t]
    enough = body >= least * (prices.high[t] - prices.low[t])
    return bool(prices.close[t] > prices.open[t] and enough)


@njit(cache=True)
def _start(
    live: Floats, side: float, pattern: int, error: float, far: float, d: float, a: float,
    atr: float, limits: Limits,
) -> None:  # fmt: skip
    """Write a pattern completed at D with its error, stop and targets into ``live``."""
    live[PATTERN], live[DIRECTION], live[ERROR] = pattern + 1, side, error
    live[STOP] = side * (far - limits.stop_buffer * atr)
    live[TARGET] = side * (d + limits.target * (a - d))
    live[TARGET_2] = side * (d + limits.second_target * (a - d))


@njit(cache=True)
def _is_over(prices: Prices, live: Floats, t: int) -> bool:
    """Whether the live pattern has closed beyond its first target or touched its stop."""
    target, stop = live[DIRECTION] * live[TARGET], live[DIRECTION] * live[STOP]
    return bool(prices.close[t] >= target or prices.low[t] < stop)


@njit(cache=True)
def _show_setup(zones: Floats, side: float, row: Floats) -> bool:
    """Write the nearest waiting PRZ into ``row``; return whether there is one."""
    nearest = -1
    for k in range(len(zones)):
        if zones[k, 1] == zones[k, 1] and (nearest < 0 or zones[k, 1] > zones[nearest, 1]):
            nearest = k
    if nearest >= 0:
        row[SETUP] = side
        row[PRZ_NEAR], row[PRZ_FAR] = side * zones[nearest, 1], side * zones[nearest, 0]
    return nearest >= 0


@njit(cache=True)
def _track(
    longs: Prices, shorts: Prices, atr: Floats, swings: Swings, table: Floats, limits: Limits
) -> Floats:
    """Follow the setups and the live pattern of one swing sequence, one row per candle."""
    n = len(atr)
    out = np.full((n, ROWS), np.nan)
    zones = np.full((len(table), 3), np.nan)
    legs, live = np.zeros(4), np.full(ROWS, np.nan)
    waiting = False
    newest, live_at, d_at, c_at = -1, -1, -1, -1
    side, d = 0.0, np.inf
    for t in range(n):
        first, e = t, swings.event[t]
        if e >= 0 and swings.chain[e, 0] != newest and swings.chain[e, 3] >= 0:
            newest = swings.chain[e, 0]
            side, d, c_at = float(swings.kind[newest]), np.inf, swings.row[newest]
            first = c_at + 1
            for j in range(4):
                legs[3 - j] = side * swings.price[swings.chain[e, j]]
            span = c_at - swings.row[swings.chain[e, 3]]
            waiting = _open_setups(table, legs, span, atr[t], limits, zones)
        if waiting:
            prices = longs if side > 0 else shorts
            d, d_at, beaten = _turn(prices, first, t, legs[3], d, d_at)
            if beaten or t - c_at > limits.max_wait:
                zones[:] = np.nan
            turned = t - d_at < limits.rejection
            rejects = turned and _rejects(prices, t, limits.rejection_close)
            best, error, far, equal = _completed(table, legs, zones, d, rejects, limits)
            if best >= 0:
                live_at = t
                live[CONFLUENCE] = 1.0 if equal else 0.0
                _start(live, side, best, error, far, d, legs[1], atr[t], limits)
            waiting = _show_setup(zones, side, out[t])
        if live_at >= 0:
            over = _is_over(longs if live[DIRECTION] > 0 else shorts, live, t)
            if over or t - live_at > limits.hold:
                live_at = -1
            else:
                live[AGE] = t - live_at
                out[t, :SETUP] = live[:SETUP]
    return out


def _scales(market: Market, out: Features, constants: HarmonicConstants) -> list[Swings]:
    """Collect the swing sequences, their events and pivot rows in base candles."""
    scales = [out.swings["base"]]
    scales += [find_swings(market.candles, strength, strength) for strength in constants.strengths]
    for timeframe in constants.timeframes:
        higher, swings = market.higher.get(timeframe), out.swings.get(timeframe)
        if higher is None or swings is None:
            continue
        # A higher pivot lies somewhere in its candle: D is looked for after that has closed.
        closed = higher.candles.close_time[swings.row]
        at = np.searchsorted(market.close_time, closed, side="left").astype(np.int64)
        scales.append(swings._replace(event=swings.known_at(higher.row), row=at))
    return scales


def _merge(results: list[Floats], close: Floats) -> Floats:
    """Take per candle the live pattern with the smallest error, and the nearest waiting setup."""
    best = results[0].copy()
    for other in results[1:]:
        better: Bools = np.isfinite(other[ERROR]) & ~(best[ERROR] <= other[ERROR])
        best[:SETUP, better] = other[:SETUP, better]
        near = np.abs(best[PRZ_NEAR] - close)
        nearer: Bools = np.isfinite(other[SETUP]) & ~(near <= np.abs(other[PRZ_NEAR] - close))
        best[SETUP:, nearer] = other[SETUP:, nearer]
    return best


def add_harmonics(market: Market, out: Features, constants: HarmonicConstants) -> None:
    """Add the live harmonic pattern and the nearest setup that waits for its D.

    Columns, lag 0 beyond that of the swings they stand on (the lag given):
    ``harmonic_pattern`` (1 + position in ``PATTERN_NAMES``, 0 none), ``harmonic_direction``
    (+1 bullish, -1 bearish, 0 none), ``harmonic_error`` (mean ratio error, 1 at the tolerance),
    ``harmonic_confluence`` (1 where CD / AB fits as well, else 0),
    ``harmonic_age`` (candles since completion), ``harmonic_stop``, ``harmonic_target``,
    ``harmonic_target_2`` (prices), and of the setup ``harmonic_setup`` (+1, -1, 0),
    ``harmonic_prz_near``, ``harmonic_prz_far`` (prices). NaN where there is none.
    """
    table, limits = ratio_table(constants.patterns), limits_of(Limits, constants)
    longs, shorts = (prices_of(market.candles, side) for side in (LONG, SHORT))
    results = [
        np.ascontiguousarray(_track(longs, shorts, out["atr_unit"], swings, table, limits).T)
        for swings in _scales(market, out, constants)
    ]
    rows = _merge(results, longs.close)
    lag = out.swings["base"].right
    for name, row in (("pattern", PATTERN), ("direction", DIRECTION), ("setup", SETUP)):
        out.add(f"harmonic_{name}", np.nan_to_num(rows[row]), lag=lag)
    out.add("harmonic_confluence", np.nan_to_num(rows[CONFLUENCE]), lag=lag)
    out.add("harmonic_error", rows[ERROR], lag=lag)
    out.add("harmonic_age", rows[AGE], lag=lag)
    out.add("harmonic_stop", rows[STOP], lag=lag, scale_free=False)
    out.add("harmonic_target", rows[TARGET], lag=lag, scale_free=False)
    out.add("harmonic_target_2", rows[TARGET_2], lag=lag, scale_free=False)
    out.add("harmonic_prz_near", rows[PRZ_NEAR], lag=lag, scale_free=False)
    out.add("harmonic_prz_far", rows[PRZ_FAR], lag=lag, scale_free=False)
