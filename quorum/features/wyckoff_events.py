"""What happens at a trading range, candle by candle (spec H6).

* A *false break* trades beyond an edge and closes back inside within a few candles: a spring
  under support, an upthrust above resistance. What it means depends on its volume. The spec's
  two forms are not mirror images: a **spring** needs *little* volume (< 0.8 x mean: nobody left
  to sell), a **UTAD** a climax (> 1.5 x mean: supply meets the last demand) and then a decline,
  a close under the candle that returned. Their mirror images happen as well and are kept apart
  as weaker events: a **terminal shakeout** (climax under support, then a rally) and a plain
  **upthrust** (no volume above resistance). Between the two volumes it is only a *test*.
* A **sign of strength / weakness** is a wide candle on > 1.5 x mean volume that closes outside
  the range, or across its middle after a test of the other edge.
* The range is *left* by a sign that closes outside or by some closes in a row beyond the edge;
  coming back behind its middle is a failure and the range goes on. Cause and effect: the trend
  out of it is over when the target its width and length project is reached, or its time is up.

Both edges are read by the same rules, the upper one off the reflected prices.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numba import njit
from numba.extending import register_jitable

from quorum.candles import Candles
from quorum.features.mirror import LONG, SHORT, prices_of
from quorum.features.series import shifted
from quorum.features.trading_ranges import BOTTOM, START, TOP
from quorum.features.trading_ranges import ROWS as RANGE_ROWS
from quorum.typing import Floats, Ints

Number = TypeVar("Number", float, Floats)


class EventConstants(NamedTuple):
    """What counts as an event at a range, and how long a range is followed."""

    dry: float = 0.8  # volume of a spring (and of a plain upthrust) below [x mean]
    climax: float = 1.5  # volume of a UTAD (and of a shakeout) above [x mean]
    sign: float = 1.5  # volume of a sign of strength or weakness above [x mean]
    false_break: int = 3  # candles in which a false break closes back [candles]
    min_depth: float = 0.1  # least depth of a false break [ATR]
    max_depth: float = 0.5  # greatest depth of a false break [of the range's width]
    follow: int = 5  # the decline after a UTAD comes within [candles]
    sign_spread: float = 1.0  # least high - low of a sign [ATR]
    sign_close: float = 0.6  # least close location of a sign [of its range]
    accept: int = 3  # closes in a row beyond the edge that leave it [candles]
    max_idle: int = 100  # a range no new swing confirms is dropped after [candles]
    trend_length: float = 1.0  # markup or markdown lasts as long as its range [x length]
    cause: int = 60  # length of a range worth one width of target [candles]
    max_effect: float = 3.0  # farthest target [widths]


#: Events; their sign is the direction they speak for. A dry break is a spring or a plain
#: upthrust, a climax break a terminal shakeout or a UTAD.
DRY_BREAK, CLIMAX_BREAK, SIGN = 1, 2, 3
#: Rows of the result that follow those of the range.
STATUS, LEFT_AT, TESTED, TEST_AT, EVENT, STOP = range(RANGE_ROWS, RANGE_ROWS + 6)
ROWS = RANGE_ROWS + 6
#: One more number of the state that is not part of the result: the candle of the last adoption.
ADOPTED = ROWS
#: What is read of a candle, as the side of one edge sees it.
OPEN, HIGH, LOW, CLOSE, VOLUME, PREVIOUS = range(6)
#: State of a break beyond one edge.
SINCE, EXTREME, BREAK_VOLUME, PENDING_AT, PENDING_LEVEL, PENDING_STOP = range(6)


@register_jitable
def effect_of(width: Number, length: Number, cause: int, max_effect: float) -> Number:
    """Return how far ranges of this width (price) and length (candles) carry (price)."""
    effect: Number = width * np.minimum(np.maximum(length / cause, 1.0), max_effect)
    return effect


@njit(cache=True)
def _false_break(
    state: Floats, t: int, bar: Floats, line: float, depth: tuple[float, float],
    limits: EventConstants,
) -> int:  # fmt: skip
    """Follow one edge: 0 nothing, -1 a bare test, else the event."""
    low, close = bar[LOW], bar[CLOSE]
    if low < line:
        if state[SINCE] < 0:
            state[SINCE], state[EXTREME], state[BREAK_VOLUME] = t, low, bar[VOLUME]
        else:
            state[EXTREME] = min(state[EXTREME], low)
            state[BREAK_VOLUME] = max(state[BREAK_VOLUME], bar[VOLUME])
    if state[PENDING_AT] >= 0:
        if t - state[PENDING_AT] > limits.follow or close < line:
            state[PENDING_AT] = -1
        elif close > state[PENDING_LEVEL]:
            state[PENDING_AT] = -1
            state[EXTREME] = state[PENDING_STOP]
            return CLIMAX_BREAK
    if state[SINCE] < 0 or close <= line:
        return 0
    quick = t - state[SINCE] < limits.false_break
    state[SINCE] = -1
    if not quick or not depth[0] <= line - state[EXTREME] <= depth[1]:
        return 0
    if state[BREAK_VOLUME] < limits.dry:
        return DRY_BREAK
    if state[BREAK_VOLUME] > limits.climax:
        state[PENDING_AT], state[PENDING_LEVEL] = t, bar[HIGH]
        state[PENDING_STOP] = state[EXTREME]
    return -1


@njit(cache=True)
def _is_sign(
    bar: Floats, atr: float, line: float, middle: float, tested: bool, limits: EventConstants
) -> bool:
    """Whether the candle is a sign of strength (of weakness on reflected prices)."""
    close, previous, spread = bar[CLOSE], bar[PREVIOUS], bar[HIGH] - bar[LOW]
    if bar[VOLUME] <= limits.sign or spread < limits.sign_spread * atr or close <= bar[OPEN]:
        return False
    if close - bar[LOW] < limits.sign_close * spread:
        return False
    leaves = close > line and previous <= line
    return leaves or (tested and close > middle and previous <= middle)


@njit(cache=True)
def _adopt(state: Floats, found: Floats, close: float, t: int, max_depth: float) -> None:
    """Take over the range of a new confirmation unless the price has left it."""
    width = found[TOP] - found[BOTTOM]
    outside = max(close - found[TOP], found[BOTTOM] - close)
    since_left = state[STATUS] == 0 or found[START] > state[LEFT_AT]
    if not outside <= max_depth * width or not since_left:
        return
    state[:RANGE_ROWS] = found
    state[STATUS], state[ADOPTED] = 0, t
    if state[TEST_AT] < found[START]:
        state[TESTED], state[TEST_AT] = 0, -1


@njit(cache=True)
def _read_edges(
    state: Floats, breaks: Floats, t: int, bars: Floats, atr: Floats, limits: EventConstants
) -> None:
    """Look for false breaks and signs at both edges, in place."""
    top, bottom = state[TOP], state[BOTTOM]
    depth = (limits.min_depth * atr[t], limits.max_depth * (top - bottom))
    state[EVENT], state[STOP] = 0, np.nan
    for i, side in ((0, 1.0), (1, -1.0)):
        bar = bars[t, i]
        line, other = (bottom, top) if side > 0 else (-top, -bottom)
        what = _false_break(breaks[i], t, bar, line, depth, limits)
        if what != 0 and state[STATUS] == 0:
            state[TESTED], state[TEST_AT] = side, t
        if what > 0 and state[STATUS] == 0:
            state[EVENT], state[STOP] = side * what, side * breaks[i, EXTREME]
        tested = state[TESTED] == side
        middle = (line + other) / 2
        if _is_sign(bar, atr[t - 1], other, middle, tested, limits):
            leaves = bar[CLOSE] > other
            state[EVENT] = side * SIGN
            state[STOP] = side * (middle if leaves else line)
            if leaves and state[STATUS] != side:
                state[STATUS], state[LEFT_AT] = side, t


@njit(cache=True)
def _leave(state: Floats, beyond: Floats, t: int, close: float, limits: EventConstants) -> None:
    """Update whether the range has been left, failed to be left, or is to be forgotten."""
    middle = (state[TOP] + state[BOTTOM]) / 2
    beyond[0] = beyond[0] + 1 if close > state[TOP] else 0.0
    beyond[1] = beyond[1] + 1 if close < state[BOTTOM] else 0.0
    if state[STATUS] == 0:
        for i, side in ((0, 1.0), (1, -1.0)):
            if beyond[i] >= limits.accept:
                state[STATUS], state[LEFT_AT] = side, t
    elif state[STATUS] * (close - middle) < 0:
        state[STATUS] = 0
    if state[STATUS] == 0:
        over = t - state[ADOPTED] > limits.max_idle
    else:
        length = state[LEFT_AT] - state[START]
        edge = state[TOP] if state[STATUS] > 0 else state[BOTTOM]
        effect = effect_of(state[TOP] - state[BOTTOM], length, limits.cause, limits.max_effect)
        spent = state[STATUS] * (close - edge) >= effect
        over = spent or t - state[LEFT_AT] > limits.trend_length * length
    if over:
        state[TOP] = np.nan


@njit(cache=True)
def _follow(
    bars: Floats, atr: Floats, event: Ints, found: Floats, limits: EventConstants
) -> Floats:
    """Carry the range and what happens at it from candle to candle, one row per candle."""
    n = len(event)
    out = np.full((n, ROWS), np.nan)
    state = np.full(ROWS + 1, np.nan)
    breaks = np.full((2, 6), -1.0)
    beyond = np.zeros(2)
    seen = -1
    for t in range(1, n):
        e, close = event[t], bars[t, 0, CLOSE]
        if e > seen and not np.isnan(found[TOP, e]):
            if np.isnan(state[TOP]):
                state[STATUS], state[LEFT_AT], state[TESTED], state[TEST_AT] = 0, -1, 0, -1
                breaks[:], beyond[:] = -1.0, 0.0
            _adopt(state, found[:, e], close, t, limits.max_depth)
        seen = e
        if np.isnan(state[TOP]):
            continue
        _read_edges(state, breaks, t, bars, atr, limits)
        _leave(state, beyond, t, close, limits)
        if not np.isnan(state[TOP]):
            out[t] = state[:ROWS]
    return out


def follow_ranges(
    candles: Candles,
    volume_ratio: Floats,
    atr: Floats,
    event: Ints,
    found: Floats,
    constants: EventConstants,
) -> Floats:
    """Follow the current trading range through the candles.

    Parameters
    ----------
    candles : Candles
    volume_ratio, atr, event : ndarray of shape (n_candles,)
        ``event`` as in :class:`~quorum.features.swings.Swings`.
    found : ndarray of shape (6, n_pivots)
        From :func:`~quorum.features.trading_ranges.find_ranges`.
    constants : EventConstants

    Returns
    -------
    ndarray of shape (12, n_candles)
        The range's rows, then ``STATUS`` (0 inside, +1 left upward, -1 downward), ``LEFT_AT``,
        ``TESTED`` (+1 support, -1 resistance falsely broken last), ``TEST_AT``, ``EVENT``
        (signed) and ``STOP`` (price that refutes the event); NaN where there is no range.
    """
    sides = [prices_of(candles, side) for side in (LONG, SHORT)]
    bars = np.array([[*p, volume_ratio, shifted(p.close, 1)] for p in sides])
    bars = np.ascontiguousarray(np.moveaxis(bars, 2, 0))
    rows = _follow(bars, atr, event, found, constants)
    return np.ascontiguousarray(rows.T)
