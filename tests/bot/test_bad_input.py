"""Bad input in real backtests: refused by name before anything starts, or lived with."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from backtests import backtesting, run, small_market
from freqtrade.exceptions import OperationalException, StrategyError

from quorum import faults
from quorum.errors import DataError
from quorum.replay.synthetic import SyntheticSettings, make_market

PAIRS = {"BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"}
CANDLES = "futures/SOL_USDT_USDT-1h-futures.feather"
#: Where three days of candles are cut out, well inside the time range.
GAP = (pd.Timestamp("2023-06-10", tz="UTC"), pd.Timestamp("2023-06-13", tz="UTC"))


@pytest.fixture(autouse=True)
def _fresh_faults(monkeypatch):
    monkeypatch.setattr(faults, "_reported", set())


@pytest.fixture(scope="module")
def market_folder(tmp_path_factory) -> Path:
    return small_market(tmp_path_factory.mktemp("data") / "market")


@pytest.fixture
def datadir(market_folder, tmp_path) -> Path:
    """Return a copy of the market whose files may be spoilt."""
    return Path(shutil.copytree(market_folder, tmp_path / "data"))


def cut(path: Path, keep) -> None:
    frame = pd.read_feather(path)
    frame[keep(frame)].reset_index(drop=True).to_feather(path)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"consensus": {"quorom": 5}}, "quorum.consensus.quorom: unknown setting"),
        ({"leverage": 0.5}, "quorum.leverage = 0.5: .*greater than or equal to 1"),
        ("all of it", "quorum: must be a group of settings"),
    ],
)
def test_a_bad_setting_is_refused_before_the_start(section, message, market_folder, tmp_path):
    with (
        pytest.raises(OperationalException, match=message),
        backtesting(market_folder, tmp_path, quorum=section),
    ):
        pass


@pytest.mark.parametrize("timeframe", ["1m", "1d"])
def test_a_timeframe_it_is_not_built_for_is_refused(timeframe, market_folder, tmp_path):
    message = f"timeframe = '{timeframe}': Quorum runs on 5m, 15m, 30m, 1h, 2h, 4h"
    with (
        pytest.raises(OperationalException, match=message),
        backtesting(market_folder, tmp_path, timeframe=timeframe),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sentiment", None, "mood.csv: no such file"),
        ("derivatives", None, "mood.csv: no such file"),
        ("sentiment", "known_at,score\n", "mood.csv: column source, weight missing"),
        (
            "sentiment",
            "known_at,source,score,weight\n2023-01-01,news,high,1\n",
            "mood.csv: column score, row 1: 'high' is not a finite number",
        ),
        (
            "derivatives",
            "known_at,kind,value\n2023-01-01,tulips,1\n",
            "mood.csv: column kind, row 1: 'tulips' is not one of",
        ),
    ],
)
def test_a_records_file_that_cannot_be_used_is_refused_before_the_start(
    name, content, message, market_folder, tmp_path
):
    path = tmp_path / "mood.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with (
        pytest.raises(StrategyError, match=message),
        backtesting(
            market_folder, tmp_path, quorum={"market": {"records": {name: str(path)}}}
        ) as bt,
    ):
        bt.start()


def test_records_are_read_relative_to_the_user_directory(market_folder, tmp_path):
    for name in ("sentiment.feather", "derivatives.feather"):
        shutil.copy(market_folder / name, tmp_path / name)
    files = {"sentiment": "sentiment.feather", "derivatives": "derivatives.feather"}
    with backtesting(market_folder, tmp_path, quorum={"market": {"records": files}}) as bt:
        bt._set_strategy(bt.strategylist[0])
        data, _ = bt.load_bt_data()
        pair, frame = next(iter(data.items()))
        votes = bt.strategy.advise_indicators(frame, {"pair": pair})["vote_sentiment"]
    assert votes.notna().any()
    assert (votes.fillna(0) != 0).any()


def test_a_pair_with_fifty_candles_is_never_traded(datadir, tmp_path):
    cut(datadir / CANDLES, lambda f: f["date"] >= f["date"].iloc[-50])
    trades = run(datadir, tmp_path)["trades"]
    assert set(trades["pair"]) == PAIRS - {"SOL/USDT:USDT"}
    assert not faults._reported


def test_an_empty_pair_is_named_by_the_local_exchange(datadir, tmp_path):
    cut(datadir / CANDLES, lambda f: f["date"] > f["date"].iloc[-1])
    with pytest.raises(DataError, match=f"{CANDLES}: no row has usable prices"):
        run(datadir, tmp_path)


def test_a_corrupt_candle_file_is_named_by_the_local_exchange(datadir, tmp_path):
    (datadir / CANDLES).write_bytes(b"ARROW1 but not really")
    with pytest.raises(DataError, match=f"{CANDLES}: cannot be read"):
        run(datadir, tmp_path)


def test_a_pair_without_candle_files_is_unknown_to_the_local_exchange(datadir, tmp_path):
    for file in (datadir / "futures").glob("SOL*-futures.feather"):
        file.unlink()
    with pytest.raises(DataError, match="no futures candles of SOL/USDT:USDT in the market"):
        run(datadir, tmp_path, pairs=sorted(PAIRS))


def test_a_missing_candle_file_costs_its_pair_only(datadir, tmp_path, caplog):
    (datadir / CANDLES).unlink()
    assert set(run(datadir, tmp_path)["trades"]["pair"]) == PAIRS - {"SOL/USDT:USDT"}
    assert "No history for SOL/USDT:USDT, futures, 1h found" in caplog.text


def test_a_corrupt_informative_file_costs_its_readings_only(datadir, tmp_path, caplog):
    name = "SOL_USDT_USDT-1h-open_interest.feather"
    with backtesting(datadir, tmp_path, export="none") as bt:
        (datadir / "futures" / name).write_bytes(b"ARROW1 but not really")
        bt.start()
        assert set(bt.all_bt_content["Quorum"]["results"]["pair"]) == PAIRS
    assert name in caplog.text
    assert not faults._reported


def test_no_trade_is_opened_in_a_gap_of_three_days_or_just_after_it(datadir, tmp_path):
    for base in ("BTC", "ETH", "SOL"):
        for kind in ("1h-futures", "4h-futures"):
            cut(
                datadir / f"futures/{base}_USDT_USDT-{kind}.feather",
                lambda f: ~f["date"].between(*GAP, inclusive="left"),
            )
    trades = run(datadir, tmp_path)["trades"]
    assert set(trades["pair"]) == PAIRS
    # 24 traded candles after the gap may give no signal; the next one is entered an hour later.
    recovered = GAP[1] + pd.Timedelta(hours=25)
    # What the candle before the gap decided may be entered on the first missing candle.
    inside = (trades["open_date"] > GAP[0]) & (trades["open_date"] <= recovered)
    assert not inside.any()
    around = (trades["open_date"] > recovered) & (trades["open_date"] < "2023-07-13")
    assert around.any(), "it trades again afterwards"
    assert not faults._reported


def test_a_pair_without_any_optional_series_is_traded_on_its_candles(datadir, tmp_path):
    keep = {f"{base}_USDT_USDT-1h-futures.feather" for base in ("BTC", "ETH", "SOL")}
    for file in [*datadir.glob("*.feather"), *(datadir / "futures").glob("*.feather")]:
        if file.name not in keep:
            file.unlink()
    with backtesting(datadir, tmp_path) as bt:
        bt._set_strategy(bt.strategylist[0])
        data, _ = bt.load_bt_data()
        pair, frame = next(iter(data.items()))
        columns = bt.strategy.ft_advise_signals(
            bt.strategy.advise_indicators(frame, {"pair": pair}), {"pair": pair}
        )
    assert columns["vote_sentiment"].isna().all()
    assert len(columns) == len(frame)
    assert columns["vote_technical"].notna().any()
    assert (columns["enter_long"].fillna(0) + columns["enter_short"].fillna(0)).sum() > 0
    assert not faults._reported


@pytest.mark.parametrize(
    ("timeframe", "start", "timerange"),
    [("15m", date(2023, 9, 1), "20230920-20231020"), ("4h", date(2022, 6, 1), "20230220-20231020")],
)
def test_other_timeframes_are_traded_too(timeframe, start, timerange, tmp_path):
    folder = tmp_path / "market"
    make_market(
        SyntheticSettings(
            bases=("BTC", "ETH"),
            start=start,
            end=date(2023, 10, 20),
            timeframes=(timeframe, "1h", "4h", "1d"),
        ),
        folder,
    )
    result = run(folder, tmp_path, timeframe=timeframe, timerange=timerange)
    trades = result["trades"]
    assert len(trades) > 5
    minutes = int(pd.Timedelta(timeframe) / pd.Timedelta("1min"))
    assert (trades["open_date"].dt.floor(pd.Timedelta(timeframe)) == trades["open_date"]).all()
    assert (trades["trade_duration"] % minutes == 0).all()
    assert result["strategy"].desk.step == minutes * 60_000
    assert not faults._reported


def test_candles_that_stand_still_and_are_not_traded_do_not_crash_a_backtest(datadir, tmp_path):
    frame = pd.read_feather(datadir / CANDLES)
    still = frame["date"].between("2023-05-01", "2023-07-01").to_numpy()
    price = float(frame["close"][np.flatnonzero(still)[0]])
    frame.loc[still, ["open", "high", "low", "close"]] = price
    frame.loc[still, "volume"] = 0.0
    frame.to_feather(datadir / CANDLES)
    trades = run(datadir, tmp_path)["trades"]
    opened = trades.loc[trades["pair"] == "SOL/USDT:USDT", "open_date"]
    assert not opened.between("2023-05-01 02:00", "2023-07-01").any()
    assert not faults._reported
