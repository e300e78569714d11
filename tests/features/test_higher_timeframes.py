"""Higher timeframes: the classic readings, as each base candle may see them (spec M1)."""

from __future__ import annotations

import numpy as np
import talib
from evaluations import columns_of
from markets import Frames, build_market, candle_frame, full_market, resample

from quorum.features.higher_timeframes import NAMES, TIMEFRAMES


def test_a_base_candle_sees_the_last_higher_candle_that_had_closed():
    market = full_market(1200)
    out = columns_of(market, "higher_timeframes")
    source = market.higher["4h"]
    rsi = talib.RSI(source.candles.close, 14)
    np.testing.assert_array_equal(out["htf_rsi_4h"], source.align(rsi))
    seen = source.candles.close_time[source.row]
    assert (seen <= market.close_time).all()
    assert (market.close_time - seen < source.candles.step).all()


def test_every_reading_is_scale_free():
    base = candle_frame(3000, seed=4)
    dear = base.assign(**{c: base[c] * 1000 for c in ("open", "high", "low", "close")})

    def columns(frame):
        higher = {tf: resample(frame, tf) for tf in TIMEFRAMES}
        market = build_market("SOL/USDT:USDT", "1h", Frames(frame, higher=higher))
        return columns_of(market, "higher_timeframes")

    cheap, other = columns(base), columns(dear)
    assert len(cheap) == len(NAMES) * len(TIMEFRAMES)
    for name in cheap:
        assert np.isfinite(cheap[name][-1]), name
        np.testing.assert_allclose(cheap[name], other[name], rtol=1e-6, atol=1e-9, err_msg=name)


def test_a_timeframe_that_is_absent_or_just_begins_is_unknown():
    frame = candle_frame(60)
    for higher in ({}, {"4h": resample(frame, "4h").head(1)}, {"1d": resample(frame, "1d")}):
        market = build_market("SOL/USDT:USDT", "1h", Frames(frame, higher=higher))
        out = columns_of(market, "higher_timeframes")
        assert all(np.isnan(out[name]).all() for name in out if name.startswith("htf_rsi"))
