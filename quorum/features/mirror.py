"""Mirror: one rule for both sides of the market.

A rule written for longs reads shorts off the reflected market ``p -> -p``: highs become negated
lows, falling candles rise. So the two sides of every zone and sweep are the same code and cannot
drift apart; prices that come out are reflected back by the caller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quorum.candles import Candles
from quorum.features.swings import Swings
from quorum.typing import Floats

LONG, SHORT = 1, -1


class Prices(NamedTuple):
    """Open, high, low and close as one side sees them, read-only; kernels take it as it is."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats


def prices_of(candles: Candles, side: int) -> Prices:
    """Return the prices as they are (``LONG``) or reflected (``SHORT``)."""
    if side == LONG:
        columns = (candles.open, candles.high, candles.low, candles.close)
    else:
        columns = (-candles.open, -candles.low, -candles.high, -candles.close)
    return Prices(*(_frozen(column) for column in columns))


def _frozen(values: Floats) -> Floats:
    """Return a read-only view: numba compiles a kernel anew for writable arrays."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def swings_of(swings: Swings, side: int) -> Swings:
    """Return the pivots as they are (``LONG``) or reflected (``SHORT``): highs become lows."""
    return swings._replace(price=swings.price * side, kind=swings.kind * side)


def edges(top: Floats, bottom: Floats, side: int) -> tuple[Floats, Floats]:
    """Reflect a zone's edges back into prices: top and bottom change places for ``SHORT``."""
    return (top, bottom) if side == LONG else (-bottom, -top)
