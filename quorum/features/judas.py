"""Judas swings: the false move of a session's opening.

Before London the range is the Asian session's, before New York everything since the Asian session
began. A run below it in the session's opening window takes the stops of early buyers; when a later
close stands above the session's open, the run was false and the day's direction is up. Runs on
both sides of the range say nothing. Shorts are the mirror image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.mirror import LONG, SHORT, Prices, prices_of
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market
from quorum.typing import Bools, Floats, Ints


class JudasConstants(NamedTuple):
    """When a session's first move may be called false."""

    window: float = 2.0  # opening window in which the range is run [h]
    reversal: float = 4.0  # time from the open to close back through it [h]


@njit(cache=True)
def _judas(
    prices: Prices, atr: Floats, time: Ints,
    asian: Bools, london: Bools, new_york: Bools, window: int, reversal: int,
) -> Floats:  # fmt: skip
    """Depth (ATR) of the run at the candle that reverses it, 0 elsewhere."""
    high, low, close = prices.high, prices.low, prices.close
    n = len(close)
    out = np.zeros(n)
    session_low, session_high = np.inf, -np.inf  # the Asian session's range
    range_low, range_high = np.inf, -np.inf  # everything since it began
    support, resistance = -np.inf, np.inf
    start = -1
    session_open = np.nan
    lowest = np.inf
    for t in range(n):
        if asian[t] and (t == 0 or not asian[t - 1]):
            session_low, session_high = np.inf, -np.inf
            range_low, range_high = np.inf, -np.inf
            start = -1
        opens_london = london[t] and (t == 0 or not london[t - 1])
        opens_new_york = new_york[t] and (t == 0 or not new_york[t - 1])
        if opens_london or opens_new_york:
            support = range_low if opens_new_york else session_low
            resistance = range_high if opens_new_york else session_high
            # No Asian range before it: nothing to run.
            start = t if support < resistance else -1
            session_open = prices.open[t]
            lowest = np.inf
        if start >= 0 and time[t] - time[start] < reversal:
            if time[t] - time[start] < window or t == start:
                lowest = min(lowest, low[t])
            both = high[t] > resistance and close[t] <= resistance
            if lowest < support and close[t] > session_open and not both:
                out[t] = (support - lowest) / atr[t]
                start = -1
            elif high[t] > resistance:
                start = -1
        if asian[t]:
            session_low, session_high = min(session_low, low[t]), max(session_high, high[t])
        range_low, range_high = min(range_low, low[t]), max(range_high, high[t])
    return out


def add_judas(market: Market, out: Features, constants: JudasConstants) -> None:
    """Add ``judas_long`` and ``judas_short``: depth of the false run (ATR), 0 where none.

    Needs the columns of ``sessions``. The candle that closes back through the session's open has
    the value. Lag 0.
    """
    asian, london, new_york = (
        out[name] > 0 for name in ("asian_session", "london_kill_zone", "ny_kill_zone")
    )
    # Unknown where the market stands still: no run has a depth then.
    atr = out["atr_unit"]
    window, reversal = int(constants.window * HOUR_MS), int(constants.reversal * HOUR_MS)
    for name, side in (("long", LONG), ("short", SHORT)):
        prices = prices_of(market.candles, side)
        depth = _judas(prices, atr, market.candles.time, asian, london, new_york, window, reversal)
        out.add(f"judas_{name}", np.nan_to_num(depth, nan=0.0))
