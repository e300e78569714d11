"""What open trades are marked at: the last close, live the rate now (spec G5).

A bot sees a rate of every open trade at each of its loops, as the host hands it to the callbacks; a
backtest sees candles, within which the worst price counts.
"""

from __future__ import annotations

import math
from datetime import datetime

from quorum.account import OpenPosition
from quorum.risk import LastCloses


class Marks:
    """Prices of open trades.

    Parameters
    ----------
    closes : LastCloses
    """

    def __init__(self, closes: LastCloses) -> None:
        self.closes = closes
        #: By pair the last two looks, newest first: milliseconds since the epoch, rate.
        self._looks: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {}

    def saw(self, pair: str, at: datetime, rate: float) -> None:
        """Take note of a rate the host has handed over."""
        now = (at.timestamp() * 1000, rate)
        before = self._looks.get(pair, ((-math.inf, rate),))[0]
        if math.isfinite(rate) and rate > 0 and before[0] < now[0]:
            self._looks[pair] = now, before

    def __call__(self, pair: str, at: datetime) -> float:
        """Return the middle one of the last close and the last two rates, NaN without a close.

        So a move counts once it has been seen at two looks in a row: a stray quote neither halts
        the bot nor raises the peak it is measured from. Looks older than a candle tell nothing.
        """
        close = self.closes(pair, at)
        looks = self._looks.get(pair)
        if looks is None or math.isnan(close):
            return close
        (_, now), (seen, before) = looks
        if at.timestamp() * 1000 - seen > self.closes.step:
            return close
        return sorted((close, now, before))[1]

    def worst(self, position: OpenPosition, stop: float, at: datetime) -> float:
        """Return the worst price of a position in the candle that has just closed.

        It is no worse than the stop in force and no better than the price it is marked at; one that
        was opened within the candle has no other than that. (Where its order waited, prices beyond
        that of the order came after it had filled.)
        """
        price, candle = position.price, self.closes.candle(position.pair, at)
        if candle is None or position.opened.timestamp() * 1000 > candle[0]:
            return price
        _, high, low = candle
        if position.direction < 0:
            return max(price, min(high, stop) if stop else high)
        return min(price, max(low, stop) if stop else low)
