"""The New York clock (spec H5): kill zones, silver bullets, daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.features.sessions import SessionConstants, add_sessions, local_time
from quorum.features.table import Features
from quorum.market import Frames, Market, build_market

ZONES = ("asian_session", "london_kill_zone", "ny_kill_zone", "silver_bullet")


def market_from(start: str, timeframe: str, n: int) -> Market:
    date = pd.date_range(start, periods=n, freq=timeframe.replace("m", "min"), tz="UTC")
    frame = pd.DataFrame(
        {"date": date, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0}
    )
    return build_market("X/USDT:USDT", timeframe, Frames(frame))


def sessions(market: Market, section: SessionConstants | None = None) -> Features:
    out = Features(len(market))
    add_sessions(market, out, section or SessionConstants())
    return out


def opening_hours(start: str, timeframe: str, zone: str) -> list[str]:
    """Opening times (UTC) of one day's candles in a zone."""
    market = market_from(
        start, timeframe, pd.Timedelta("1D") // pd.Timedelta(timeframe.replace("m", "min"))
    )
    rows = np.flatnonzero(sessions(market)[zone])
    return [f"{pd.Timestamp(market.candles.time[t], unit='ms'):%H:%M}" for t in rows]


def test_new_york_kill_zone_opens_at_13_utc_in_winter_and_12_utc_in_summer() -> None:
    assert opening_hours("2024-01-15", "1h", "ny_kill_zone") == ["13:00", "14:00", "15:00"]
    assert opening_hours("2024-07-15", "1h", "ny_kill_zone") == ["12:00", "13:00", "14:00"]


def test_kill_zone_moves_on_the_very_day_the_clocks_change() -> None:
    # 2024: forward on Sunday 10 March at 07:00 UTC, back on Sunday 3 November at 06:00 UTC.
    assert opening_hours("2024-03-09", "1h", "ny_kill_zone")[0] == "13:00"
    assert opening_hours("2024-03-10", "1h", "ny_kill_zone")[0] == "12:00"
    assert opening_hours("2024-11-02", "1h", "ny_kill_zone")[0] == "12:00"
    assert opening_hours("2024-11-03", "1h", "ny_kill_zone")[0] == "13:00"


def test_london_silver_bullet_and_asian_hours_in_winter() -> None:
    assert opening_hours("2024-01-15", "1h", "london_kill_zone") == ["07:00", "08:00", "09:00"]
    assert opening_hours("2024-01-15", "1h", "silver_bullet") == ["15:00", "19:00"]
    assert opening_hours("2024-01-15", "1h", "asian_session") == [
        "01:00", "02:00", "03:00", "04:00",
    ]  # fmt: skip


def test_five_minute_zone_begins_with_the_candle_that_opens_in_it() -> None:
    hours = opening_hours("2024-07-15", "5m", "silver_bullet")
    assert (hours[0], hours[11], hours[12], hours[-1]) == ("14:00", "14:55", "18:00", "18:55")
    assert len(hours) == 24


@pytest.mark.parametrize(
    ("date", "london", "new_york", "bullets"),
    [
        # New York 23-03 03-07 07-11 11-15 15-19 19-23 in winter, 20-00 00-04 ... in summer.
        ("2024-01-15", ["08:00"], ["12:00"], ["12:00", "16:00"]),
        ("2024-07-15", ["04:00"], ["12:00"], ["12:00", "16:00"]),
    ],
)
def test_four_hour_candle_is_in_the_zone_it_mostly_covers(
    date: str, london: list[str], new_york: list[str], bullets: list[str]
) -> None:
    assert opening_hours(date, "4h", "london_kill_zone") == london
    assert opening_hours(date, "4h", "ny_kill_zone") == new_york
    assert opening_hours(date, "4h", "silver_bullet") == bullets


def test_distance_counts_hours_to_the_nearest_kill_zone() -> None:
    market = market_from("2024-01-15", "1h", 24)
    distance = sessions(market)["kill_zone_distance"]
    assert distance[13] == 0.0  # 08-09 New York
    assert distance[12] == 0.0  # 07-08 touches it
    assert distance[11] == 1.0  # 06-07
    assert distance[23] == 3.0  # 18-19, three hours after the second silver bullet
    assert distance[1] == 5.0  # 20-21: five hours both to 15:00 behind and 02:00 ahead


def test_weekends_can_be_left_out() -> None:
    market = market_from("2024-01-20", "1h", 48)  # a Saturday
    assert sessions(market)["ny_kill_zone"].sum() == 6
    weekdays = sessions(market, SessionConstants(weekends=False))
    # Sunday evening in New York is still the weekend; its Asian session is a session.
    assert weekdays["ny_kill_zone"].sum() == 0
    assert weekdays["asian_session"].sum() == 8


def test_hour_and_weekday_are_read_at_the_close_in_new_york() -> None:
    market = market_from("2024-01-15", "1h", 24)  # a Monday
    x = sessions(market)
    noon = 16  # closes 17:00 UTC = 12:00 New York
    assert (x["hour_sin"][noon], x["hour_cos"][noon]) == pytest.approx((0.0, -1.0))
    angle = 2 * np.pi * 0.5 / 7
    assert (x["weekday_sin"][noon], x["weekday_cos"][noon]) == pytest.approx(
        (np.sin(angle), np.cos(angle))
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1_262_304_000, 2_051_222_400), st.integers(1, 90))
def test_local_time_is_what_zoneinfo_says(start: int, days: int) -> None:
    at = (np.array([0, 1, 3599, 3600, 86_400 * days]) + start) * 1000
    zone = ZoneInfo("America/New_York")
    for moment, local in zip(at, local_time(at), strict=True):
        wall = datetime.fromtimestamp(moment / 1000, UTC).astimezone(zone).replace(tzinfo=UTC)
        assert local == int(wall.timestamp()) * 1000


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["5m", "15m", "30m", "1h", "2h", "4h"]),
    st.datetimes(datetime(2019, 1, 1), datetime(2025, 1, 1)),  # noqa: DTZ001
    st.integers(1, 400),
)
def test_prefix_gives_the_same_rows(timeframe: str, start: datetime, n: int) -> None:
    market = market_from(f"{start:%Y-%m-%d}", timeframe, 400)
    whole, part = sessions(market), sessions(market.head(n))
    for name in whole:
        np.testing.assert_array_equal(part[name], whole[name][:n], strict=True)


def test_empty_market_has_empty_columns() -> None:
    x = sessions(market_from("2024-01-15", "1h", 1).head(0))
    assert all(len(x[name]) == 0 for name in ZONES)
