"""Forecast of a trend: moving average crossovers and breakouts of several speeds.

Rules and scalars are those of R. Carver (Systematic Trading; Advanced Futures Trading
Strategies): a forecast of 10 is an average conviction, 20 the most. None of them is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quorum.playbooks.moving import ewm_deviation, ewm_mean, moving_max
from quorum.typing import Floats

CAP = 20.0
#: Scalar of each crossover by the days of its fast mean; the slow one is four times as long.
CROSSOVERS = {4: 8.53, 8: 5.95, 16: 4.10, 32: 2.79}
#: Scalar of each breakout by the days of its channel.
BREAKOUTS = {10: 0.60, 20: 0.67, 40: 0.70, 80: 0.73}
#: What four rules that do not always agree are worth more than their mean.
DIVERSIFICATION = 1.1
DEVIATION_DAYS = 35
DEVIATION_LEAST = 20
SLOW_LEAST = 60
CHANNEL_LEAST_DAYS = 30


def trend_forecast(close: Floats, per_day: int) -> Floats:
    """Forecast per candle, -20 to 20, NaN before the fastest crossover exists.

    Parameters
    ----------
    close : ndarray of shape (n_candles,)
    per_day : int
        Candles in a day.
    """
    change = np.diff(close, prepend=np.nan)
    span = DEVIATION_DAYS * per_day
    deviation = ewm_deviation(change, span, DEVIATION_LEAST) * np.sqrt(per_day)
    crossovers = [_crossover(close, days, per_day, deviation) for days in CROSSOVERS]
    breakouts = [_breakout(close, days, per_day) for days in BREAKOUTS]
    both = _mean(crossovers) + np.nan_to_num(_mean(breakouts))
    return np.clip(both / 2.0, -CAP, CAP)


def _crossover(close: Floats, days: int, per_day: int, deviation: Floats) -> Floats:
    fast = ewm_mean(close, days * per_day, days * per_day)
    slow = ewm_mean(close, 4 * days * per_day, SLOW_LEAST)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip((fast - slow) / deviation * CROSSOVERS[days], -CAP, CAP)


def _breakout(close: Floats, days: int, per_day: int) -> Floats:
    window, least = days * per_day, min(days, CHANNEL_LEAST_DAYS) * per_day
    high, low = moving_max(close, window, least), -moving_max(-close, window, least)
    with np.errstate(divide="ignore", invalid="ignore"):
        place = 40.0 * (close - (high + low) / 2.0) / (high - low)
    smooth = ewm_mean(place, max(window // 4, 1), 1)
    return np.clip(smooth * BREAKOUTS[days], -CAP, CAP)


def _mean(rules: Sequence[Floats]) -> Floats:
    """Mean of the rules, one without history counts 0; NaN where the first has none."""
    total = sum((np.nan_to_num(rule) for rule in rules), np.zeros(len(rules[0])))
    mean = np.clip(total / len(rules) * DIVERSIFICATION, -CAP, CAP)
    return np.where(np.isnan(rules[0]), np.nan, mean)
