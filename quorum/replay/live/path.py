"""How the price moves inside a candle: the same way every time, inside it, to its close.

A rising candle goes open, low, high, close, a falling one open, high, low, close, in straight
lines, and rests at either extreme for a while: a bot that looks now and then sees the prices
that the candle says were there, so its orders fill as they would on the candle.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

#: Where in the candle [share of its length] the extremes are reached and left.
FIRST = (0.20, 0.32)
SECOND = (0.60, 0.72)


class Bar(NamedTuple):
    """One candle: opening time and length in milliseconds, prices, volume."""

    time: int
    length: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Waypoint(NamedTuple):
    """A price at a time (milliseconds); between two of them it moves in a straight line."""

    time: int
    price: float


def waypoints(bar: Bar) -> tuple[Waypoint, ...]:
    """Return the corners of the path from the open to the close."""
    rising = bar.close >= bar.open
    first, second = (bar.low, bar.high) if rising else (bar.high, bar.low)
    marks = (
        (0.0, bar.open),
        (FIRST[0], first),
        (FIRST[1], first),
        (SECOND[0], second),
        (SECOND[1], second),
        (1.0, bar.close),
    )
    return tuple(Waypoint(bar.time + round(bar.length * share), price) for share, price in marks)


def price_at(bar: Bar, now: int) -> float:
    """Return the price at a time inside the candle, its close after it."""
    corners = waypoints(bar)
    for before, after in itertools.pairwise(corners):
        if now < after.time:
            return between(before, after, now)
    return bar.close


def between(before: Waypoint, after: Waypoint, now: int) -> float:
    """Return the price on the straight line between two corners."""
    if after.time <= before.time or now >= after.time:
        return after.price
    share = max(0.0, (now - before.time) / (after.time - before.time))
    return before.price + share * (after.price - before.price)


def until(bar: Bar, now: int) -> Bar:
    """Return what is to be seen of a candle at a time inside it."""
    if now >= bar.time + bar.length:
        return bar
    price = price_at(bar, now)
    seen = [bar.open, price, *(corner.price for corner in waypoints(bar) if corner.time <= now)]
    share = max(0.0, (now - bar.time) / bar.length)
    return bar._replace(high=max(seen), low=min(seen), close=price, volume=bar.volume * share)


def corners_between(bar: Bar, start: int, end: int) -> Iterator[Waypoint]:
    """Yield the corners of the candle in (start, end]."""
    for corner in waypoints(bar):
        if start < corner.time <= end:
            yield corner
