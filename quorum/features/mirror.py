"""Mirror: one rule for both sides of the market.

A rule written for longs reads shorts off the reflected market ``p -> -p``: highs become negated
lows, falling candles rise. So the two sides of every zone and sweep are the same code and cannot
drift apart; prices that come out are reflected back by the caller.
"""

from __future__ import annotations

from typing import NamedTuple

from quorum.candles import Candles
from quorum.features.swings import Swings
from quorum.typing import Floats, Ints

LONG, SHORT = 1, -1


class Prices(NamedTuple):
    """Open, high, low and close as one side sees them."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats


class Pivots(NamedTuple):
    """Confirmed swings as one side sees them; see :class:`quorum.features.swings.Swings`."""

    event: Ints
    row: Ints
    price: Floats
    kind: Ints


def prices_of(candles: Candles, side: int) -> Prices:
    """Return the prices as they are (``LONG``) or reflected (``SHORT``)."""
    if side == LONG:
        return Prices(candles.open, candles.high, candles.low, candles.close)
    return Prices(-candles.open, -candles.low, -candles.high, -candles.close)


def pivots_of(swings: Swings, side: int) -> Pivots:
    """Return the pivots as they are (``LONG``) or reflected (``SHORT``)."""
    return Pivots(swings.event, swings.index, swings.price * side, swings.kind * side)


def edges(top: Floats, bottom: Floats, side: int) -> tuple[Floats, Floats]:
    """Reflect a zone's edges back into prices: top and bottom change places for ``SHORT``."""
    return (top, bottom) if side == LONG else (-bottom, -top)
