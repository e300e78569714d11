"""A kind of record from outside the package: one file, one line, from any source to a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from markets import START, candle_frame
from sqlalchemy import Column as StoredColumn
from sqlalchemy import Float, String, Table, insert

from quorum.bot.source import FrameSource, Series
from quorum.errors import DataError, QuorumError
from quorum.journal.record import inputs_known
from quorum.market import HOUR_MS, Frames, MarketSettings, build_market
from quorum.records import RECORD_KINDS, RecordKind, RecordLoader
from quorum.records.columns import Column, names, number
from quorum.settings import load_settings
from quorum.state import KINDS, Kind, Store, new_id, time_ms
from quorum.state.kind import METADATA

# --- the file -----------------------------------------------------------------------------

WEATHER = Table(
    "toy_weather",
    METADATA,
    new_id(),
    StoredColumn("pair", String(64), nullable=False),
    time_ms("known_at"),
    StoredColumn("station", String(64), nullable=False),
    StoredColumn("celsius", Float, nullable=False),
)


class WeatherRecords(RecordKind):
    name: ClassVar[str] = "weather"
    columns: ClassVar[Mapping[str, Column]] = {"station": names, "celsius": number(-90.0, 60.0)}
    max_age: ClassVar[float] = 3.0
    table = WEATHER


# --- the line -----------------------------------------------------------------------------

WITH_WEATHER = (*RECORD_KINDS, WeatherRecords())
STORED_WITH_WEATHER = (*KINDS, Kind("weather", (WEATHER,)))

# ------------------------------------------------------------------------------------------

PAIR = "BTC/USDT:USDT"
START_MS = int(START.timestamp() * 1000)
#: Hours after the start, pair, station, degrees.
ROWS = [(1.5, "", "miami", 30.0), (2.5, "ETH", "oslo", -5.0), (6.0, "BTC", "rome", 21.5)]
#: Of Bitcoin's candles, by close: what is known by then and at most three hours old.
EXPECTED = [np.nan, 30.0, 30.0, 30.0, np.nan, 21.5, 21.5, 21.5, 21.5, np.nan, np.nan, np.nan]


def write_file(folder: Path) -> str:
    frame = pd.DataFrame(ROWS, columns=["hour", "pair", "station", "celsius"])
    frame["known_at"] = START + pd.to_timedelta(frame.pop("hour"), unit="h")
    frame.to_csv(folder / "weather.csv", index=False)
    return "weather.csv"


def write_rows(store: Store) -> None:
    names = ("pair", "station", "celsius")
    with store.write() as connection:
        for hour, *values in ROWS:
            known_at = START_MS + int(hour * HOUR_MS)
            row = {"known_at": known_at, **dict(zip(names, values, strict=True))}
            connection.execute(insert(WEATHER).values(**row))


def source(sources: dict[str, str], folder: Path, store: Store | None = None) -> FrameSource:
    def nothing(series: Series) -> pd.DataFrame:
        return pd.DataFrame()

    return FrameSource(
        nothing,
        lambda series: False,
        timeframe="1h",
        futures=True,
        funding_timeframe="1h",
        settings=MarketSettings(records=sources),
        root=folder,
        store=store,
        kinds=WITH_WEATHER,
    )


def test_a_kind_from_outside_becomes_a_causal_column_from_a_file(tmp_path):
    reader = source({"weather": write_file(tmp_path)}, tmp_path)
    market = reader.market(PAIR, candle_frame(12))
    np.testing.assert_array_equal(market.recorded("weather", "celsius"), EXPECTED)
    assert market.records["weather"].labels["station"] == ("miami", "rome")
    for n in range(13):
        cut = market.head(n).recorded("weather", "celsius")
        np.testing.assert_array_equal(cut, EXPECTED[:n])
    roles = {role: known for role, known, _ in inputs_known(market, 6)}
    assert len(roles["weather"].time) == 2, "a bot's journal tells what was known of it"


def test_it_is_the_same_from_the_state_store_of_either_kind(state_url, tmp_path):
    writer = Store(state_url, kinds=STORED_WITH_WEATHER)
    write_rows(writer)
    store = Store(state_url, kinds=STORED_WITH_WEATHER, readonly=True)
    stored = source({"weather": "state"}, tmp_path, store).market(PAIR, candle_frame(12))
    filed = source({"weather": write_file(tmp_path)}, tmp_path).market(PAIR, candle_frame(12))
    one, other = stored.records["weather"], filed.records["weather"]
    np.testing.assert_array_equal(one.known_at, other.known_at)
    assert one.labels == other.labels
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name])
    for each in (writer, store):
        each.close()


def test_a_running_bot_sees_what_is_written_meanwhile(state_url, tmp_path):
    writer = Store(state_url, kinds=STORED_WITH_WEATHER)
    write_rows(writer)
    store = Store(state_url, kinds=STORED_WITH_WEATHER, readonly=True)
    reader = source({"weather": "state"}, tmp_path, store)
    assert len(reader.market(PAIR, candle_frame(12)).records["weather"]) == 2
    write_rows(writer)
    assert len(reader.market(PAIR, candle_frame(12)).records["weather"]) == 4
    for each in (writer, store):
        each.close()


def test_what_a_kind_does_not_allow_is_refused_by_name(tmp_path, state_url):
    path = tmp_path / "weather.csv"
    path.write_text("known_at,station,celsius\n2024-01-01,oslo,-100\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"weather\.csv: column celsius, row 1: '-100' is not in"):
        source({"weather": str(path)}, tmp_path)
    with pytest.raises(DataError, match=r"market\.records\.tides: unknown kind of record"):
        source({"tides": "tides.csv"}, tmp_path)
    with pytest.raises(DataError, match=r"sentiment = 'state': they are kept in files only"):
        source({"sentiment": "state"}, tmp_path, Store(state_url))
    with pytest.raises(DataError, match=r"weather = 'state': no state is kept"):
        source({"weather": "state"}, tmp_path)
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    store = Store(f"sqlite:///{empty}", kinds=STORED_WITH_WEATHER, readonly=True)
    with pytest.raises(QuorumError, match="not made or migrated yet"):
        source({"weather": "state"}, tmp_path, store)


def test_a_kind_that_is_not_read_is_absent(tmp_path):
    market = build_market(PAIR, "1h", Frames(candle_frame(5)))
    assert RecordLoader({}, tmp_path).join(market) is market
    assert np.isnan(market.recorded("weather", "celsius")).all()
    nothing = replace(market, records={}).recorded("sentiment", "score")
    assert np.isnan(nothing).all()


@pytest.mark.parametrize("kind", ["sentiment", "derivatives"])
def test_a_setting_of_before_there_were_kinds_says_what_it_is_now(kind):
    with pytest.raises(QuorumError, match=f"market.{kind}_records: is now quorum.market.records"):
        load_settings({"market": {f"{kind}_records": "old.csv"}})
