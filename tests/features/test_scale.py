"""Columns that call themselves free of scale are the same in any unit of price and volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorum.candles import Candles
from quorum.features import Features
from quorum.market import HigherTimeframe, Market, Published
from quorum.pipeline import evaluate
from quorum.settings import Settings

#: What a published series is measured in: powers of price and of volume.
UNITS = {
    "mark": (1, 0),
    "index": (1, 0),
    "spot_close": (1, 0),
    "spot_volume": (0, 1),
    "open_interest": (0, 1),
    "funding_rate": (0, 0),
    "premium_index": (0, 0),
}


def in_units(candles: Candles, price: float, volume: float) -> Candles:
    prices = (candles.open, candles.high, candles.low, candles.close)
    return Candles(
        candles.timeframe, candles.time, *(p * price for p in prices), candles.volume * volume
    )


def rescaled(market: Market, price: float, volume: float) -> Market:
    """Return the pair quoted in another currency unit and traded in another coin unit."""
    published = {}
    for name, series in market.published.items():
        of_price, of_volume = UNITS[name]
        factor = price**of_price * volume**of_volume
        published[name] = Published(series.known_at, series.value * factor)
    higher = {
        timeframe: HigherTimeframe(in_units(h.candles, price, volume), h.row)
        for timeframe, h in market.higher.items()
    }
    candles = in_units(market.candles, price, volume)
    return replace(market, candles=candles, higher=higher, published=published)


@pytest.fixture(scope="module")
def features(market: Market) -> Features:
    return evaluate(market, Settings()).features


# Powers of two change no digit of a number: what differs is no rounding.
@pytest.mark.parametrize(("price", "volume"), [(8.0, 1.0), (1 / 64, 1.0), (1.0, 8.0)])
def test_scale_free_columns_do_not_know_the_units(market, features, price, volume):
    other = evaluate(rescaled(market, price, volume), Settings()).features
    differing = [
        name
        for name, column in features.columns.items()
        if column.scale_free
        and not np.allclose(features[name], other[name], rtol=1e-6, atol=1e-9, equal_nan=True)
    ]
    assert differing == []


def test_most_columns_are_free_of_scale(features):
    free = [name for name, column in features.columns.items() if column.scale_free]
    assert len(free) > 0.6 * len(features.columns)
