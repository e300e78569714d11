"""Candlestick patterns: TA-Lib's 61, each weighed and given its meaning.

TA-Lib compares bodies and shadows with running sums of the last few candles, and a running sum
of floats remembers the rounding of every candle since the first. The prices are therefore
counted in whole units of the ``price_decimals``-th decimal: sums of integers are exact, so a
pattern does not depend on where the history starts. Patterns that TA-Lib knows in one direction
only (hammer, three white soldiers ...) are also read from the candles turned upside down, so
that a market and its mirror image give mirrored columns. One asymmetry stays: TA-Lib counts a
candle that closes exactly where it opened as a rising one.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log10
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quorum.candles import Candles
from quorum.features.candlestick_table import (
    CLOUD,
    CONTINUATION,
    NAMES,
    PATTERNS,
    REVERSAL,
    STAR,
    Pattern,
)
from quorum.features.limits import limits_of
from quorum.features.mirror import LONG, SHORT, Prices, prices_of
from quorum.features.pattern_classes import class_of, score_of
from quorum.features.series import shifted
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats

#: What TA-Lib calls a full pattern; 80 is one with an end that only matches.
FULL = 100


class CandlestickConstants(NamedTuple):
    """Which patterns count for how much, and what they must follow."""

    # patterns of the first class
    textbook: tuple[str, ...] = (
        "engulfing",
        "hammer",
        "shooting_star",
        "morning_star",
        "evening_star",
        "morning_doji_star",
        "evening_doji_star",
        "abandoned_baby",
        "three_white_soldiers",
        "three_black_crows",
        "piercing",
        "dark_cloud",
        "three_outside",
        "kicking",
    )
    # patterns of the second class; all others are weak
    good: tuple[str, ...] = (
        "takuri",
        "dragonfly_doji",
        "gravestone_doji",
        "inverted_hammer",
        "hanging_man",
        "identical_three_crows",
        "harami",
        "harami_cross",
        "three_inside",
        "kicking_by_length",
        "marubozu",
        "closing_marubozu",
        "three_methods",
        "mat_hold",
        "tasuki_gap",
        "separating_lines",
        "counterattack",
        "stick_sandwich",
        "hikkake_modified",
        "two_crows",
        "upside_gap_two_crows",
        "three_stars_in_south",
        "concealing_swallow",
        "ladder_bottom",
        "unique_three_river",
        "breakaway",
        "tristar",
    )
    # patterns of indecision: whatever TA-Lib's sign, they speak against the prior move
    by_trend: tuple[str, ...] = (
        "doji",
        "long_legged_doji",
        "rickshaw_man",
        "high_wave",
        "spinning_top",
        "short_line",
    )
    # patterns whose meaning is the opposite of TA-Lib's sign
    inverted: tuple[str, ...] = ("gravestone_doji",)
    trend: int = 8  # window of the prior move [candles]
    trend_move: float = 1.0  # least prior move [ATR]
    full_trend: float = 4.0  # prior move of full quality [ATR]
    # distance of the close from the pattern's extreme that is of full quality [ATR]
    full_signal: float = 1.5
    partial: float = 0.8  # fine quality where one end of the bodies only matches [x]
    # how far the third body of a star with gaps enters the first; of one without, as far as a
    # piercing body [fraction]
    star_penetration: float = 0.3
    cloud_penetration: float = 0.5  # how far a piercing body enters the first [fraction]
    # also count stars and piercing lines whose bodies touch instead of leaving a gap, as they do in
    # a market that never closes
    touching: bool = True
    touch: float = 0.1  # overlap of touching bodies [fraction of the first body]
    star_body: float = 0.3  # largest body of a touching star [fraction of the first]
    body_mean: int = 10  # candles whose mean body a long body exceeds [candles]
    # decimal in whose units prices are counted; under 1 so many after the zeros [decimals]
    price_decimals: int = 9

    def class_of(self, name: str) -> int:
        """Return ``TEXTBOOK``, ``GOOD`` or ``WEAK``."""
        return class_of(name, self.textbook, self.good)

    def meaning_of(self, name: str) -> int:
        """Return +1 (TA-Lib's sign), -1 (its opposite) or 0 (against the prior move)."""
        return 0 if name in self.by_trend else -1 if name in self.inverted else 1


class Fold(NamedTuple):
    """How a pattern's occurrences are weighed; see :class:`CandlestickConstants`."""

    trend_move: float
    full_trend: float
    full_signal: float
    partial: float


class Touch(NamedTuple):
    """What stars and piercing lines without gaps are; see :class:`CandlestickConstants`."""

    touch: float
    star_body: float
    cloud_penetration: float
    body_mean: int


@njit(cache=True)
def _fold(
    found: NDArray[np.int32], sign: int, meaning: int, role: int, code: int, klass: int,
    candles: int, prices: Prices, atr: Floats, move: Floats, limits: Fold,
    best: Floats, codes: Floats,
) -> None:  # fmt: skip
    """Merge one pattern into the best of each side (row 0 bull, row 1 bear), in place."""
    high, low, close = prices.high, prices.low, prices.close
    for t in range(candles, len(found)):
        if found[t] == 0 or not atr[t] > 0 or high[t] <= low[t]:
            continue
        prior = move[t - candles]
        if np.isnan(prior):
            continue
        side = sign if found[t] > 0 else -sign
        if meaning == 0:
            side = -1 if prior > 0 else 1
        else:
            side *= meaning
        against = -side * prior
        if (role == REVERSAL and against < limits.trend_move) or (
            role == CONTINUATION and -against < limits.trend_move
        ):
            continue
        extreme = low[t] if side > 0 else high[t]
        for j in range(t - candles + 1, t):
            extreme = min(extreme, low[j]) if side > 0 else max(extreme, high[j])
        signal = min(1.0, abs(close[t] - extreme) / (limits.full_signal * atr[t]))
        fine = 0.5 * signal + 0.5 * min(1.0, abs(prior) / limits.full_trend)
        if abs(found[t]) < FULL:
            fine *= limits.partial
        row = 0 if side > 0 else 1
        score = score_of(klass, fine)
        if score > best[row, t]:
            best[row, t] = score
            codes[row, t] = code


@njit(cache=True)
def _touching(prices: Prices, limits: Touch) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Find stars and piercing lines without gaps, signed like TA-Lib's."""
    opened, high, low, close = prices.open, prices.high, prices.low, prices.close
    n = len(close)
    star = np.zeros(n, np.int32)
    pierce = np.zeros(n, np.int32)
    for t in range(limits.body_mean + 2, n):
        for back in range(1, 3):
            f = t - back
            body = abs(close[f] - opened[f])
            s = 1.0 if close[f] < opened[f] else -1.0
            # How far this candle closes into the first body, measured from that body's end.
            entered = s * (close[t] - close[f])
            reached = entered >= limits.cloud_penetration * body
            if body == 0 or not reached or s * (close[t] - opened[t]) <= 0:
                continue
            edge = limits.touch * body
            reach = (low[f] - low[f + 1]) if s > 0 else (high[f + 1] - high[f])
            begins = s * (opened[f + 1] - close[f])
            if back == 1:
                fits = begins <= edge and reach > 0 and s * (close[t] - opened[f]) < 0
            else:
                ends = s * (close[f + 1] - close[f])
                small = abs(close[f + 1] - opened[f + 1]) <= limits.star_body * body
                last = (low[f + 1] < low[t]) if s > 0 else (high[f + 1] > high[t])
                fits = small and begins <= edge and ends <= edge and reach > 0 and last
            if fits:
                total = 0.0
                for j in range(f - limits.body_mean, f):
                    total += abs(close[j] - opened[j])
                if body * limits.body_mean > total:
                    if back == 1:
                        pierce[t] = np.int32(s * FULL)
                    else:
                        star[t] = np.int32(s * FULL)
    return star, pierce


def _whole(candles: Candles, decimals: int, side: int) -> Prices:
    """Return the prices in whole units; of a coin that costs next to nothing, of finer ones.

    No exchange quotes finer than the units are, so that which candle is the first does not
    matter.
    """
    first = float(candles.close[0]) if len(candles) else 1.0
    unit = 10.0 ** (decimals + max(0, -floor(log10(first))))
    return Prices(*(np.rint(price * unit) for price in prices_of(candles, side)))


def _found(
    candles: Candles, s: CandlestickConstants
) -> Iterator[tuple[Pattern, NDArray[np.int32], int]]:
    """Yield each pattern's rows in TA-Lib's signs, and -1 where it read the mirrored candles."""
    whole = _whole(candles, s.price_decimals, LONG)
    mirrored = _whole(candles, s.price_decimals, SHORT)
    penetrations = {STAR: s.star_penetration, CLOUD: s.cloud_penetration}
    for pattern in PATTERNS:
        extra = {}
        if pattern.penetration:
            extra["penetration"] = penetrations[pattern.penetration]
        yield pattern, pattern.function(*whole, **extra), 1
        if pattern.one_sided:
            yield pattern, pattern.function(*mirrored, **extra), -1
    if s.touching:
        star, pierce = _touching(whole, limits_of(Touch, s))
        yield PATTERNS[NAMES.index("morning_star")], star, 1
        yield PATTERNS[NAMES.index("piercing")], pierce, 1


def add_candlesticks(market: Market, out: Features, constants: CandlestickConstants) -> None:
    """Add the strongest rising and falling candlestick pattern that ends at each candle.

    Columns, lag 0: ``candlestick_bull``, ``candlestick_bear``: 0 no pattern, else the class
    (1 weak, 2 good, 3 textbook) plus the fine quality 0-1 from the size of the rejection and of
    the prior move; ``candlestick_bull_code``, ``candlestick_bear_code``: which pattern (see
    :func:`~quorum.features.candlestick_table.candlestick_name`). Source: spec H4; TA-Lib.
    """
    s, atr = constants, out["atr_unit"]
    prices, limits = prices_of(market.candles, LONG), limits_of(Fold, constants)
    best, codes = np.zeros((2, len(market))), np.zeros((2, len(market)))
    move = (prices.close - shifted(prices.close, s.trend)) / atr
    for pattern, found, sign in _found(market.candles, s):
        meaning, klass = s.meaning_of(pattern.name), s.class_of(pattern.name)
        code = NAMES.index(pattern.name) + 1
        _fold(
            found, sign, meaning, pattern.role, code, klass, pattern.candles,
            prices, atr, move, limits, best, codes,
        )  # fmt: skip
    for row, side in enumerate(("bull", "bear")):
        out.add(f"candlestick_{side}", best[row])
        out.add(f"candlestick_{side}_code", codes[row], scale_free=False)
