"""How much of what the bids earned hangs on being filled at the touch (spec W-3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from quorum.candles import Candles, timeframe_ms
from quorum.report.sleeves import RoundTrip

WASHOUT = "washout"
HOUR_MS = timeframe_ms("1h")


def filled_through(
    trips: Sequence[RoundTrip], candles: Mapping[str, Candles], share: float
) -> list[RoundTrip]:
    """Return the trips without the bids whose candle went less than ``share`` through them."""
    return [
        trip
        for trip in trips
        if trip.playbook != WASHOUT or _low(trip, candles[trip.pair]) < _bid(trip) * (1.0 - share)
    ]


def taken_late(trips: Sequence[RoundTrip], fine: Mapping[str, Candles]) -> list[RoundTrip]:
    """Return the trips with each bid bought at the close of the first short candle under it.

    Bids without short candles keep their price.
    """
    return [
        _late(trip, fine[trip.pair]) if trip.playbook == WASHOUT and trip.pair in fine else trip
        for trip in trips
    ]


def _bid(trip: RoundTrip) -> float:
    return trip.steps[0].price


def _low(trip: RoundTrip, candles: Candles) -> float:
    row = int(np.searchsorted(candles.time, trip.steps[0].at, side="right")) - 1
    return float(candles.low[row])


def _late(trip: RoundTrip, fine: Candles) -> RoundTrip:
    first, step = trip.steps[0].at // HOUR_MS * HOUR_MS, trip.steps[0]
    rows = slice(*np.searchsorted(fine.time, [first, first + HOUR_MS]))
    under = np.flatnonzero(fine.low[rows] < step.price)
    if len(under) == 0:
        return trip
    price = float(fine.close[rows][under[0]])
    return replace(trip, steps=[replace(step, price=price), *trip.steps[1:]])
