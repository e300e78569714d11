"""What the order book says of an entry: crossed, too wide, or too thin for its size (spec R-4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quorum.guards.base import Reason

#: Levels of the book that are looked at.
LEVELS = 20
#: Spread beyond which nothing is entered, fraction of the middle.
MAX_SPREAD = 0.005
#: How far the mean price of the whole order may lie from the best one, fraction.
MAX_SLIPPAGE = 0.005

Levels = Sequence[Sequence[float]]


def slippage(levels: Levels, notional: float) -> float:
    """Return how far the mean price of an order that takes lies from the best price.

    Parameters
    ----------
    levels : sequence of (price, amount)
        The side that is taken, best first.
    notional : float
        Size of the order, quote currency.

    Returns
    -------
    float
        Fraction of the best price. What goes beyond the levels is taken to fill at the last one:
        the least it can cost.
    """
    best, left, bought = levels[0][0], notional, 0.0
    for price, amount in (level[:2] for level in levels):
        part = min(left, price * amount)
        bought += part / price
        left -= part
        if left <= 0:
            break
    bought += max(0.0, left) / levels[-1][0]
    return abs(notional / bought / best - 1.0) if bought > 0 else 0.0


def book_refusal(
    book: Mapping[str, Any], direction: int, notional: float
) -> tuple[Reason, str] | None:
    """Return why an entry is refused by the book, None where it is not.

    Raises
    ------
    LookupError, TypeError
        If a side of the book is empty or no book.
    """
    bids, asks = book["bids"], book["asks"]
    bid, ask = bids[0][0], asks[0][0]
    if bid > ask:
        return Reason.CROSSED_DATA, "bid over ask"
    spread = (ask - bid) / ((ask + bid) / 2)
    if spread > MAX_SPREAD:
        return Reason.WIDE_SPREAD, f"spread {spread:.2%}, at most {MAX_SPREAD:.2%}"
    slipped = slippage(asks if direction > 0 else bids, notional)
    if slipped > MAX_SLIPPAGE:
        return Reason.SLIPPAGE, f"slippage {slipped:.2%}, at most {MAX_SLIPPAGE:.2%}"
    return None
