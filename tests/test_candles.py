"""Candles: what gaps, duplicates, NaN and zero volume mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets import candle_frame, resample

from quorum.candles import (
    DAY_MS,
    FIRST_MONDAY_MS,
    WEEK_MS,
    candles_from_frame,
    clean,
    cleaned_candles,
    epoch_ms,
    timeframe_ms,
    weekly,
)
from quorum.errors import DataError


def test_rows_in_equal_rows_out():
    frame = candle_frame(50)
    candles = candles_from_frame(frame, "1h")
    assert len(candles) == 50
    assert candles.close.tolist() == frame["close"].tolist()
    assert candles.close_time[0] - candles.time[0] == timeframe_ms("1h")


def test_a_row_without_usable_prices_repeats_the_previous_close_with_no_volume():
    frame = candle_frame(10)
    frame.loc[4, ["open", "high", "low", "close"]] = np.nan
    frame.loc[5, "low"] = -1.0
    candles = candles_from_frame(frame, "1h")
    for row in (4, 5):
        prices = [a[row] for a in (candles.open, candles.high, candles.low, candles.close)]
        assert prices == [frame["close"][3]] * 4
        assert candles.volume[row] == 0


def test_unusable_rows_at_the_start_take_the_first_price_and_no_volume():
    frame = candle_frame(10)
    frame.loc[:2, "close"] = np.nan
    candles = candles_from_frame(frame, "1h")
    assert (candles.volume[:3] == 0).all()
    assert np.isfinite(candles.close).all()


@pytest.mark.parametrize("volume", [-1.0, np.nan, np.inf])
def test_unusable_volume_is_zero_volume(volume):
    frame = candle_frame(10)
    frame.loc[3, "volume"] = volume
    assert candles_from_frame(frame, "1h").volume[3] == 0


def test_a_high_under_the_body_is_raised_to_it():
    frame = candle_frame(10)
    frame.loc[3, "high"] = frame["low"][3]
    candles = candles_from_frame(frame, "1h")
    assert candles.high[3] == max(candles.open[3], candles.close[3])


def test_dates_that_do_not_increase_are_refused_with_the_row():
    frame = candle_frame(10)
    frame.loc[6, "date"] = frame["date"][5]
    with pytest.raises(DataError, match="BTC: dates must increase, row 6"):
        candles_from_frame(frame, "1h", name="BTC")


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match=r"column\(s\) high, volume missing"):
        candles_from_frame(candle_frame(5).drop(columns=["high", "volume"]), "1h")


def test_a_frame_without_any_usable_price_is_refused():
    frame = candle_frame(5)
    frame["close"] = np.nan
    with pytest.raises(DataError, match="no row has usable prices"):
        candles_from_frame(frame, "1h")


def test_an_unknown_timeframe_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match=r"'7m' is not known .*1h"):
        timeframe_ms("7m")


def test_cleaning_sorts_and_keeps_the_last_of_duplicates():
    frame = candle_frame(10)
    corrected = frame.iloc[[4]].assign(close=frame["close"][4] * 1.0001)
    shuffled = pd.concat([frame.iloc[::-1], corrected])
    cleaned = clean(shuffled, "1h")
    assert len(cleaned) == 10
    assert cleaned["date"].is_monotonic_increasing
    assert cleaned["close"][4] == corrected["close"].iloc[0]


def test_cleaning_fills_a_gap_of_three_days_with_flat_candles():
    frame = candle_frame(200)
    holed = frame.drop(index=range(50, 50 + 72))
    cleaned = clean(holed, "1h")
    assert len(cleaned) == 200
    gap = cleaned.iloc[50:122]
    assert (gap["volume"] == 0).all()
    assert (gap[["open", "high", "low", "close"]] == frame["close"][49]).all().all()


def test_weeks_begin_on_monday_and_appear_when_sunday_has_closed():
    daily = resample(candle_frame(24 * 40, start=pd.Timestamp("2024-01-01", tz="UTC")), "1d")
    candles = candles_from_frame(daily, "1d")
    weeks = weekly(candles)
    assert ((weeks.time - FIRST_MONDAY_MS) % WEEK_MS == 0).all()
    assert len(weeks) == 5
    first = slice(0, 7)
    assert weeks.high[0] == candles.high[first].max()
    assert weeks.low[0] == candles.low[first].min()
    assert (weeks.open[0], weeks.close[0]) == (candles.open[0], candles.close[6])
    assert weeks.volume[0] == pytest.approx(candles.volume[first].sum())


def test_an_incomplete_first_week_is_left_out():
    daily = resample(candle_frame(24 * 20, start=pd.Timestamp("2024-01-03", tz="UTC")), "1d")
    weeks = weekly(candles_from_frame(daily, "1d"))
    assert weeks.time[0] == epoch_ms(pd.DatetimeIndex(["2024-01-08"]))[0]


@given(st.integers(0, 60))
def test_weeks_of_a_prefix_are_a_prefix_of_the_weeks(n):
    daily = candles_from_frame(resample(candle_frame(24 * 60), "1d"), "1d")
    whole, part = weekly(daily), weekly(daily.head(n))
    assert part.close.tolist() == whole.close[: len(part)].tolist()
    if n:
        assert (part.close_time <= daily.time[n - 1] + DAY_MS).all()


def test_the_close_of_a_candle_that_is_missing_or_not_traded_is_unknown():
    frame = candle_frame(10)
    frame.loc[4, "volume"] = 0.0
    candles = candles_from_frame(frame.drop(index=7), "1h")
    opened = epoch_ms(frame["date"])
    closes = candles.close_on(np.append(opened, opened[-1] + candles.step))
    expected = [*frame["close"], np.nan]
    expected[4] = expected[7] = np.nan
    np.testing.assert_array_equal(closes, expected)
    assert np.isnan(candles.head(0).close_on(opened)).all()


@pytest.mark.parametrize("defect", ["none", "gap", "duplicate", "unsorted", "unusable"])
def test_candles_of_a_defective_frame_are_those_of_the_cleaned_one(defect):
    frame = candle_frame(30)
    if defect == "gap":
        frame = frame.drop(index=[11, 12])
    elif defect == "duplicate":
        frame = pd.concat([frame, frame.iloc[[8]]])
    elif defect == "unsorted":
        frame = frame.iloc[::-1]
    elif defect == "unusable":
        frame.loc[5, "close"] = np.nan
    read = cleaned_candles(frame, "1h")
    expected = candles_from_frame(clean(frame, "1h"), "1h")
    for name in ("time", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(read, name), getattr(expected, name))
    assert len(read) == 30
