"""What the same candles give without Quorum: held, and by the cross of two averages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quorum.candles import DAY_MS, Candles
from quorum.playbooks.moving import ewm_mean
from quorum.typing import Floats, Ints

FAST, SLOW = 12, 26
#: Fee and slippage of one side.
COST = 0.0007


def held(candles: Mapping[str, Candles], day: Ints) -> Floats:
    """Return the daily returns of equal parts of every pair there is, shape (n_days,)."""
    return _equal_parts([_daily(c, day, np.ones(len(c.close))) for c in candles.values()])


def crossed(candles: Mapping[str, Candles], day: Ints) -> Floats:
    """Return the same of holding a pair while its faster average is over the slower one."""
    sides = {
        pair: (ewm_mean(c.close, FAST, SLOW) > ewm_mean(c.close, SLOW, SLOW)).astype(np.float64)
        for pair, c in candles.items()
    }
    return _equal_parts([_daily(c, day, sides[pair]) for pair, c in candles.items()])


def _daily(candles: Candles, day: Ints, side: Floats) -> Floats:
    """Return the daily returns of one pair held where ``side`` is 1, NaN where it is not there."""
    close = candles.close
    before = np.concatenate([[0.0], side[:-1]])
    growth = before * (close / np.concatenate([close[:1], close[:-1]]) - 1.0)
    paid = COST * np.abs(np.diff(before, prepend=0.0))
    equity = np.cumprod(1.0 + growth - paid)
    row = np.searchsorted(candles.time, np.append(day, day[-1] + DAY_MS)) - 1
    known = np.where(row >= 0, equity[np.maximum(row, 0)], np.nan)
    gone = day >= candles.time[-1] + DAY_MS
    return np.where(gone, np.nan, known[1:] / known[:-1] - 1.0)


def _equal_parts(returns: list[Floats]) -> Floats:
    table = np.array(returns)
    alive = np.isfinite(table)
    total = np.where(alive, table, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(alive.sum(axis=0), 1))
