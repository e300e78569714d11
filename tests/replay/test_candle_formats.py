"""Every format in which the host keeps candles is served like feather."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from freqtrade.data.history import get_datahandler
from freqtrade.enums import CandleType

from quorum.errors import DataError
from quorum.replay.candle_files import FORMATS, read_candle_file
from quorum.replay.datadir import DataDirectory
from quorum.replay.exchange import ExchangeServer
from quorum.replay.link import link_datadir
from quorum.replay.synthetic import SyntheticSettings, make_market

PAIR = "BTC/USDT:USDT"
OTHERS = tuple(name for name in FORMATS if name != "feather")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats") / "data" / "binance"
    make_market(
        SyntheticSettings(start=date(2023, 1, 1), end=date(2023, 2, 1), bases=("BTC",)), folder
    )
    return folder


def converted(market: Path, target: Path, name: str, *, leave_out: str = "") -> Path:
    """Return the market in another format, written by the host."""
    (target / "futures").mkdir(parents=True)
    handler = get_datahandler(target, name)
    for series in DataDirectory(market).series:
        if series.candle_type != leave_out:
            kind = CandleType.from_string(series.candle_type)
            handler.ohlcv_store(series.pair, series.timeframe, series.read(), kind)
    return target


@pytest.mark.parametrize("name", OTHERS)
def test_a_series_reads_the_same_in_every_format(market: Path, tmp_path: Path, name: str):
    expected, directory = DataDirectory(market), None
    directory = DataDirectory(converted(market, tmp_path / "own", name))
    assert directory.file_format == name
    assert len(directory.series) == len(expected.series)
    assert directory.select().pairs == expected.select().pairs == (PAIR,)
    for series in expected.series:
        other = directory.find(series.pair, series.timeframe, series.candle_type)
        assert other is not None
        assert other.span == series.span
        mine, wanted = other.read(), series.read()
        assert list(mine.columns) == list(wanted.columns)
        for column in wanted.columns[1:]:
            np.testing.assert_allclose(mine[column], wanted[column], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", FORMATS)
def test_the_host_is_told_the_format_that_lies_there(market: Path, tmp_path: Path, name: str):
    folder = market if name == "feather" else converted(market, tmp_path / "own", name)
    exchange = ExchangeServer(folder)
    assert exchange.config_overlay("futures")["dataformat_ohlcv"] == name


@pytest.mark.parametrize("name", FORMATS)
def test_linked_extras_are_read_by_the_host(market: Path, tmp_path: Path, name: str):
    source = converted(market, tmp_path / "data" / "own", name, leave_out="open_interest")
    extras = tmp_path / "data" / "extras"
    extras.mkdir()
    dates = pd.date_range("2023-01-01", periods=48, freq="1h", tz="UTC")
    interest = pd.DataFrame({"date": dates, "open_interest": np.arange(48.0) + 1})
    interest.to_feather(extras / "open_interest_1h_BTC_USDT.feather")
    assert link_datadir(source, tmp_path / "linked")
    handler = get_datahandler(tmp_path / "linked", name)
    read = handler.ohlcv_load(PAIR, "1h", CandleType.OPEN_INTEREST)
    assert list(read["open_interest_amount"]) == list(interest["open_interest"])
    assert DataDirectory(tmp_path / "linked").find(PAIR, "1h", "open_interest") is not None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", b"not json"),
        ("x.json", b"[[1, 2, 3, 4]]"),
        ("x.json.gz", b"not gzip"),
        ("x.json.gz", gzip.compress(b"[[1672531200000, 1, 2, 3, 4, 5]]", mtime=0)[:-9]),
        ("x.parquet", b"not parquet"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: cannot be read as a \w+ file"):
        read_candle_file(tmp_path / name)


def test_other_files_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"ends in none of \.feather"):
        read_candle_file(tmp_path / "x.h5")
