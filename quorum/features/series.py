"""Operations on series of one value per candle; row *t* reads rows up to *t* only.

A running sum (add the new, subtract the old) carries the rounding of everything it ever saw: a
window of zero volume after a busy one sums to 1e-10, and a ratio to it explodes. Here every
window is summed afresh, by doubling, in a fixed order of additions, so that the sum is the same
wherever the history starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quorum.typing import Bools, Floats, Ints


def window_sum(values: Floats, window: int) -> Floats:
    """Sum of the last ``window`` values per row, NaN before there are that many.

    The algorithm: sums over 1, 2, 4, ... values by adding the sum to its own shift, and the
    window put together from those, so O(n log window).

    Parameters
    ----------
    values : ndarray of shape (n_candles,)
    window : int

    Returns
    -------
    ndarray of shape (n_candles,)
    """
    n = len(values)
    if n < window:
        return np.full(n, np.nan)
    total = np.zeros(n)
    block = values.astype(np.float64)
    covered, size, left = 0, 1, window
    while left:
        if left & 1:
            # The block that lies just before the values already covered.
            total[covered:] += block[: n - covered]
            covered += size
        left >>= 1
        if left:
            block[size:] = block[size:] + block[:-size]
            size *= 2
    total[: window - 1] = np.nan
    return total


def shifted(values: Floats, candles: int) -> Floats:
    """Value ``candles`` rows earlier, NaN where there is none."""
    out = np.full(len(values), np.nan)
    out[candles:] = values[: max(len(values) - candles, 0)]
    return out


def recent(values: Floats, window: int, moving: Callable[..., Any]) -> Floats:
    """Moving extreme of the last ``window`` values, of what there is where there are fewer.

    Parameters
    ----------
    values : ndarray of shape (n_candles,)
    window : int
    moving : callable
        ``bottleneck.move_min`` or ``bottleneck.move_max``.
    """
    if len(values) == 0:
        return values
    extreme: Floats = moving(values, min(window, len(values)), min_count=1)
    return extreme


def ratio(numerator: Floats, denominator: Floats, otherwise: float = np.nan) -> Floats:
    """Quotient; ``otherwise`` where the denominator is not positive, NaN where it is NaN."""
    out = np.where(np.isnan(denominator), np.nan, otherwise)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def last_row(where: Bools) -> Ints:
    """Latest row up to each row at which ``where`` holds, -1 before the first.

    What is held for some candles after an event is written with it: the event's age is the row
    less this one.
    """
    return np.maximum.accumulate(np.where(where, np.arange(len(where)), -1))


def held(code: Floats, candles: int) -> tuple[Floats, Ints]:
    """Keep the last code that is not 0 for ``candles`` more candles.

    Returns
    -------
    code : ndarray of shape (n_candles,)
        0 before the first and where the last is older.
    age : ndarray of shape (n_candles,)
        Candles since the last one.
    """
    last = last_row(code != 0)
    age = np.arange(len(code)) - last
    alive = (last >= 0) & (age <= candles)
    return np.where(alive, code[np.maximum(last, 0)], 0.0), age


def changed(values: Floats) -> Bools:
    """Whether each value differs from the one before; the first does, and NaN always."""
    out = np.ones(len(values), dtype=np.bool_)
    out[1:] = values[1:] != values[:-1]
    return out
