"""Stopping action (Wyckoff phase A): climax, automatic rally or reaction, secondary test.

Written for the selling side; buying climaxes are the same on negated prices. Everything is
known at the close of its candle (lag 0) and forgotten ``max_age`` candles after the climax.
"""

from __future__ import annotations

from typing import NamedTuple

import bottleneck as bn
import numpy as np
from numba import njit

from quorum.candles import Candles
from quorum.features.mirror import Prices, prices_of
from quorum.features.series import recent
from quorum.typing import Floats, Ints


class ClimaxConstants(NamedTuple):
    """What counts as a climax and as the reaction to it."""

    volume: float = 2.0  # least volume of a climax [x mean]
    spread: float = 1.5  # least high - low of a climax [ATR]
    lookback: int = 50  # candles a climax makes a new extreme of [candles]
    trend: float = 5.0  # least move into the climax within the lookback [ATR]
    close: float = 0.3  # least distance of its close from the extreme [of its range]
    reaction: float = 2.0  # least automatic rally or reaction [ATR]
    test: float = 0.35  # a secondary test comes this near [of the reaction]
    max_age: int = 100  # how long a climax is kept [candles]


#: Stages of the stopping action, in the order they happen.
CLIMAX, REACTION, TEST = 1, 2, 3


@njit(cache=True)
def _stopping(
    prices: Prices, volume: Floats, volume_ratio: Floats, atr: Floats,
    floor: Floats, peak: Floats, limits: ClimaxConstants,
) -> tuple[Ints, Ints, Ints]:  # fmt: skip
    """Return per candle the event that happens, the stage reached, and the climax candle."""
    high, low, close = prices.high, prices.low, prices.close
    n = len(close)
    event = np.zeros(n, np.int64)
    stage = np.zeros(n, np.int64)
    climax = np.full(n, -1, np.int64)
    at, now, rally = -1, 0, 0.0
    for t in range(1, n):
        spread = high[t] - low[t]
        is_climax = (
            low[t] < floor[t - 1]
            and volume_ratio[t] > limits.volume
            and spread >= limits.spread * atr[t - 1]
            and peak[t - 1] - low[t] >= limits.trend * atr[t - 1]
            and close[t] - low[t] >= limits.close * spread
        )
        if is_climax:
            at, now, rally = t, CLIMAX, high[t]
            event[t] = CLIMAX
        elif now > 0 and (close[t] < low[at] or t - at > limits.max_age):
            at, now = -1, 0
        elif now == CLIMAX and high[t] - low[at] >= limits.reaction * atr[at]:
            now, rally = REACTION, high[t]
            event[t] = REACTION
        elif now >= REACTION:
            near = low[t] - low[at] <= limits.test * (rally - low[at])
            if now == REACTION and near and volume[t] < volume[at]:
                now = TEST
                event[t] = TEST
            elif now == REACTION:
                rally = max(rally, high[t])
        stage[t] = now
        climax[t] = at
    return event, stage, climax


def stopping_action(
    candles: Candles, atr: Floats, volume_ratio: Floats, constants: ClimaxConstants, side: int
) -> tuple[Ints, Ints, Ints]:
    """Follow the stopping action of a decline (``side`` +1) or of an advance (-1).

    Returns
    -------
    event, stage, climax : ndarray of shape (n_candles,), int64
        ``CLIMAX``, ``REACTION``, ``TEST`` on the candle where it happens (else 0), the last of
        them reached (0 none), and the candle of the climax (-1 none).
    """
    prices = prices_of(candles, side)
    floor = recent(prices.low, constants.lookback, bn.move_min)
    peak = recent(prices.high, constants.lookback, bn.move_max)
    return _stopping(prices, candles.volume, volume_ratio, atr, floor, peak, constants)
