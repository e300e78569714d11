"""Rolling volume profile: against a profile computed from scratch, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import candle_frame
from numpy.testing import assert_allclose

from quorum.features import FAMILIES
from quorum.features.table import Features
from quorum.features.volume_profile import VolumeProfileConstants, _profile
from quorum.market import Frames, Market, build_market

WINDOW = 100


def profile(market: Market, **changes: float) -> Features:
    chosen = VolumeProfileConstants(**{"window": WINDOW, **changes})
    out = Features(len(market))
    for name in ("volatility", "volume_profile"):
        out.begin(name)
        family = FAMILIES[name]
        family.add(market, out, chosen if name == "volume_profile" else family.constants)
    return out


def traded_at(levels: list[tuple[float, float]], close: float) -> Market:
    """Build 100 candles that trade ``(price, volume)`` by turns and close at ``close``."""
    frame = candle_frame(WINDOW)
    for i in range(WINDOW):
        price, volume = levels[i % len(levels)]
        frame.loc[i, ["open", "close"]] = price
        frame.loc[i, ["high", "low"]] = [price * 1.0001, price * 0.9999]
        frame.loc[i, "volume"] = volume
    last = WINDOW - 1
    frame.loc[last, ["open", "close", "volume"]] = [close, close, 0.0]
    frame.loc[last, ["high", "low"]] = [close * 1.0001, close * 0.9999]
    return build_market("BTC/USDT:USDT", "1h", Frames(frame))


def test_the_point_of_control_is_where_most_was_traded():
    market = traded_at([(100, 10), (102, 10), (104, 90), (106, 10)], close=103)
    features = profile(market)
    assert features["poc"][-1] == pytest.approx(104, rel=0.002)
    assert features["poc_distance"][-1] < 0


def test_the_value_area_holds_seventy_percent_around_the_point_of_control():
    market = traded_at([(100, 10), (102, 30), (104, 45), (106, 10), (108, 5)], close=104)
    features = profile(market)
    assert features["value_area_low"][-1] == pytest.approx(102, rel=0.003)
    assert features["value_area_high"][-1] == pytest.approx(104, rel=0.003)


def test_prices_that_were_skipped_are_low_volume_gaps():
    market = traded_at([(100, 50), (101, 50), (105, 50), (106, 50)], close=103)
    features = profile(market)
    # The close lies in the gap itself: it begins right there, on both sides.
    assert features["volume_gap_above"][-1] == pytest.approx(103)
    assert features["volume_gap_below"][-1] == pytest.approx(103)
    assert features["volume_gap_above_distance"][-1] == pytest.approx(0, abs=1e-9)


def test_a_gap_above_begins_where_the_volume_ends():
    rows = [(100, 50), (100.2, 50), (100.4, 50), (105, 50), (106, 5)]
    features = profile(traded_at(rows, close=100.4), bins=16)
    assert 100.4 <= features["volume_gap_above"][-1] < 101.2
    assert np.isnan(features["volume_gap_below"][-1])


def test_the_thin_end_of_a_profile_is_no_gap():
    market = traded_at([(100, 50), (101, 50), (102, 50), (103, 1)], close=102)
    assert np.isnan(profile(market, bins=8)["volume_gap_above"][-1])


def test_a_market_at_one_price_has_no_profile():
    frame = candle_frame(150)
    frame[["open", "high", "low", "close"]] = 100.0
    features = profile(build_market("BTC/USDT:USDT", "1h", Frames(frame)))
    for name in ("poc", "value_area_high", "volume_gap_below", "value_position"):
        assert np.isnan(features[name]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([10, 60, 168]), st.sampled_from([8, 48, 100]))
def test_candles_entering_and_leaving_give_the_profile_of_the_window_alone(seed, window, bins):
    frame = candle_frame(420, seed=seed)
    frame["volume"] *= 10.0 ** np.random.default_rng(seed).integers(-3, 3, len(frame))
    low, high, close = (np.log(frame[c].to_numpy()) for c in ("low", "high", "close"))
    volume = frame["volume"].to_numpy()
    floor, ceiling = talib.MIN(low, window), talib.MAX(high, window)

    def run(start: int, end: int) -> np.ndarray:
        cut = slice(start, end)
        arrays = (low[cut], high[cut], close[cut], volume[cut], floor[cut], ceiling[cut])
        return _profile(*arrays, window, bins, 0.7, 0.35)

    rolling = run(0, 420)
    for t in range(window - 1, 420, 37):
        alone = run(t - window + 1, t + 1)
        np.testing.assert_array_equal(rolling[:, t], alone[:, -1])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_profile_is_in_order_and_inside_the_window(seed):
    market = build_market("BTC/USDT:USDT", "1h", Frames(candle_frame(300, seed=seed)))
    features = profile(market)
    rows = slice(WINDOW - 1, None)
    low, poc, high = (features[n][rows] for n in ("value_area_low", "poc", "value_area_high"))
    assert (low < poc).all()
    assert (poc < high).all()
    bin_width = 1.02
    assert (high <= talib.MAX(market.candles.high, WINDOW)[rows] * bin_width).all()
    above, below = features["volume_gap_above"][rows], features["volume_gap_below"][rows]
    close = market.candles.close[rows]
    assert (np.isnan(above) | (above >= close * (1 - 1e-12))).all()
    assert (np.isnan(below) | (below <= close * (1 + 1e-12))).all()


def test_the_profile_of_the_mirrored_market_is_the_mirror_image():
    market = build_market("BTC/USDT:USDT", "1h", Frames(candle_frame(600, seed=9)))
    c = market.candles
    # In log price the reflection is p -> 1 / p; the grid of bins does not mirror exactly.
    flipped = replace(c, open=1 / c.open, high=1 / c.low, low=1 / c.high, close=1 / c.close)
    features, image = profile(market), profile(replace(market, candles=flipped))
    rows = slice(WINDOW, None)
    near = np.abs(np.log(features["poc"] * image["poc"]))[rows] < 0.01
    assert near.mean() > 0.9
    assert_allclose(
        np.nanmedian(features["value_position"][rows] + image["value_position"][rows]), 1, atol=0.1
    )
