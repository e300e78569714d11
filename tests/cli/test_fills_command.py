"""``quorum fills``: two real backtests of a small market, and every refusal."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from quorum.cli import app
from quorum.cli.fills import shared_span
from quorum.errors import DataError
from quorum.replay.datadir import DataDirectory
from quorum.replay.synthetic import SyntheticSettings, make_market

CONFIG = str(Path(__file__).parent.parent.parent / "config.json")
PAIRS = ("BTC/USDT:USDT", "SOL/USDT:USDT")
MARKET = SyntheticSettings(
    bases=("BTC", "SOL"),
    start=date(2023, 1, 1),
    end=date(2023, 5, 1),
    timeframes=("5m", "1h", "4h", "1d"),
)


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fills") / "market"
    make_market(MARKET, folder)
    return folder


@pytest.fixture
def data(market, tmp_path) -> DataDirectory:
    """Return a copy of the market whose files may be taken away or cut."""
    for file in sorted(market.rglob("*.feather")):
        copy = tmp_path / "data" / file.relative_to(market)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(file)
    return DataDirectory(tmp_path / "data")


def cut(data: DataDirectory, pair: str, timeframe: str, first: str, last: str) -> DataDirectory:
    """Keep only some days of one series."""
    series = data.find(pair, timeframe, "futures")
    assert series is not None
    frame = series.read()
    series.path.unlink()
    inside = (frame["date"] >= pd.Timestamp(first, tz="UTC")) & (
        frame["date"] < pd.Timestamp(last, tz="UTC")
    )
    frame[inside].reset_index(drop=True).to_feather(series.path)
    return DataDirectory(data.path)


def call(*arguments: str | Path):
    return CliRunner().invoke(app, ["fills", *map(str, arguments)])


def test_it_runs_both_backtests_and_prints_what_differs(market, tmp_path):
    own = tmp_path / "own.json"
    (tmp_path / "user").mkdir()
    own.write_text(json.dumps({"user_data_dir": str(tmp_path / "user")}), encoding="utf-8")
    result = call("-c", CONFIG, "-c", own, "-d", market)
    assert result.exit_code == 0, result.output
    out = result.output
    # 1,400 hours of history before the first day.
    assert f"{', '.join(PAIRS)}   20230301-20230430   1h against 5m" in out
    matched, plain, detailed = map(
        int, re.search(r"matched (\d+), only on 1h (\d+), only on 5m (\d+)", out).groups()
    )
    rows = {
        cells[0]: [int(cell) for cell in cells[1:4]]
        for cells in ([c.strip() for c in line.split("│")[1:-1]] for line in out.splitlines())
        if len(cells) == 5
    }
    ends = ("stop", "trailing", "target", "time", "reversal", "opposite quorum", "end of test")
    assert matched > 3
    assert rows["stop"][0] > 0
    assert sum(rows[kind][0] for kind in ends if kind in rows) >= matched + plain
    assert sum(rows[kind][1] for kind in ends if kind in rows) >= matched + detailed
    assert "same exits in the same candles" in out
    assert re.search(r"total profit -?[\d.]+ on 1h, -?[\d.]+ on 5m: difference [+-][\d.]+", out)
    assert "of the stake better on 1h" in out
    # Results are kept nowhere.
    assert not list((tmp_path / "user").rglob("backtest-result*"))


def test_the_span_is_that_of_every_pair_after_the_start_up_history(data):
    assert shared_span(data, PAIRS, "1h", "5m") == (PAIRS, "20230301-20230430")
    later = cut(data, "SOL/USDT:USDT", "5m", "2023-03-10", "2023-04-20")
    assert shared_span(later, PAIRS, "1h", "5m") == (PAIRS, "20230310-20230419")
    assert shared_span(later, PAIRS[:1], "1h", "5m") == (PAIRS[:1], "20230301-20230430")


def test_a_pair_without_shorter_candles_is_left_out(data):
    (data.path / "futures" / "SOL_USDT_USDT-5m-futures.feather").unlink()
    found = shared_span(DataDirectory(data.path), [*PAIRS, "XYZ/USDT:USDT"], "1h", "5m")
    assert found == (PAIRS[:1], "20230301-20230430")


def test_pairs_that_share_no_day_are_refused(data):
    apart = cut(data, "SOL/USDT:USDT", "5m", "2023-01-01", "2023-02-01")
    with pytest.raises(DataError, match="share no day of 1h and 5m candles"):
        shared_span(apart, PAIRS, "1h", "5m")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detail", "1h"], "--detail 1h: must be shorter than 1h"),
        (["--detail", "15m"], "no pair has both 1h and 15m futures candles"),
        (["-p", "XYZ/USDT:USDT"], "no pair has both 1h and 5m futures candles"),
    ],
)
def test_what_cannot_be_compared_is_refused(market, arguments, message):
    result = call("-c", CONFIG, "-d", market, *arguments)
    assert result.exit_code == 1
    assert message in result.output


def test_a_failed_backtest_is_shown(market, tmp_path):
    overlay = tmp_path / "bad.json"
    section = {"user_data_dir": str(tmp_path), "quorum": {"leverage": 0.5}}
    overlay.write_text(json.dumps(section), encoding="utf-8")
    result = call("-c", CONFIG, "-c", overlay, "-d", market)
    assert result.exit_code == 1
    assert "the backtest left no result" in result.output
    assert "quorum.leverage = 0.5" in result.output
