from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import load_derivatives, load_sentiment

from quorum.errors import DataError
from quorum.replay.datadir import DataDirectory, leverage_pairs
from quorum.replay.link import link_datadir, records_files
from quorum.replay.symbols import SymbolSettings, increment, symbol_rules
from quorum.replay.synthetic import SyntheticSettings, make_market

SETTINGS = SyntheticSettings(
    start=date(2023, 1, 1), end=date(2023, 3, 1), bases=("BTC", "ETH", "XRP")
)


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.fixture
def datadir(tmp_path: Path) -> Path:
    make_market(SETTINGS, tmp_path / "data" / "binance")
    return tmp_path / "data" / "binance"


def futures(datadir: Path, name: str) -> Path:
    return datadir / "futures" / f"{name}.feather"


def test_pairs_timeframes_and_spans_are_found(datadir: Path) -> None:
    directory = DataDirectory(datadir)
    assert directory.pairs("futures") == ("BTC/USDT:USDT", "ETH/USDT:USDT", "XRP/USDT:USDT")
    assert directory.pairs("spot") == ("BTC/USDT", "ETH/USDT", "XRP/USDT")
    assert directory.timeframes("BTC/USDT:USDT", "futures") == ("1h", "4h", "1d")
    series = directory.find("BTC/USDT:USDT", "1h", "futures")
    assert series is not None
    assert series.span == (day("2023-01-01"), day("2023-02-28 23:00"))
    assert directory.find("BTC/USDT:USDT", "5m", "futures") is None


def test_files_that_are_no_candles_are_passed_over(datadir: Path) -> None:
    before = len(DataDirectory(datadir).series)
    (datadir / "notes.feather").write_text("x")
    (datadir / "futures" / "BTC_USDT_USDT-trades.feather").write_text("x")
    (datadir / "futures" / "BTC_USDT-1h.feather").write_text("x")
    assert len(DataDirectory(datadir).series) == before


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such data directory"):
        DataDirectory(tmp_path / "nowhere")


def test_a_directory_without_candles_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no candle files"):
        DataDirectory(tmp_path)


def test_a_corrupt_file_is_named(datadir: Path) -> None:
    path = futures(datadir, "ETH_USDT_USDT-1h-futures")
    path.write_bytes(b"not arrow at all")
    with pytest.raises(DataError, match=r"ETH_USDT_USDT-1h-futures\.feather: cannot be read"):
        DataDirectory(datadir).select()


def test_a_truncated_file_is_named(datadir: Path) -> None:
    path = futures(datadir, "ETH_USDT_USDT-1h-futures")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"ETH_USDT_USDT-1h-futures\.feather: cannot be read"):
        DataDirectory(datadir).select()


def test_a_file_without_dates_is_named(datadir: Path) -> None:
    pd.DataFrame({"x": [1.0]}).to_feather(futures(datadir, "ETH_USDT_USDT-1h-futures"))
    with pytest.raises(DataError, match=r"ETH_USDT_USDT-1h-futures\.feather: cannot be read"):
        DataDirectory(datadir).select()


def test_all_pairs_of_a_complete_market_are_selected_largest_turnover_first(datadir: Path) -> None:
    selection = DataDirectory(datadir).select()
    assert selection.pairs == ("BTC/USDT:USDT", "ETH/USDT:USDT", "XRP/USDT:USDT")
    assert selection.rejected == {}


def test_a_limit_keeps_the_largest_turnover(datadir: Path) -> None:
    selection = DataDirectory(datadir).select(limit=1)
    assert selection.pairs == ("BTC/USDT:USDT",)
    assert set(selection.rejected.values()) == {"not among the 1 with the largest turnover"}


def test_pairs_without_mark_or_funding_are_rejected_with_the_reason(datadir: Path) -> None:
    futures(datadir, "ETH_USDT_USDT-1h-mark").unlink()
    futures(datadir, "ETH_USDT_USDT-1h-funding_rate").unlink()
    futures(datadir, "XRP_USDT_USDT-1d-futures").unlink()
    selection = DataDirectory(datadir).select()
    assert selection.pairs == ("BTC/USDT:USDT",)
    assert selection.rejected == {
        "ETH/USDT:USDT": "no 1h mark, 1h funding_rate file",
        "XRP/USDT:USDT": "no 1d futures file",
    }


def test_spot_pairs_need_no_funding(datadir: Path) -> None:
    for path in (datadir / "futures").iterdir():
        path.unlink()
    assert len(DataDirectory(datadir).select("spot").pairs) == 3


def test_pairs_that_do_not_cover_the_span_are_rejected(datadir: Path) -> None:
    path = futures(datadir, "ETH_USDT_USDT-1h-funding_rate")
    pd.read_feather(path).tail(30).reset_index(drop=True).to_feather(path)
    span = {"start": day("2023-01-15"), "end": day("2023-03-01")}
    selection = DataDirectory(datadir).select(**span)
    assert selection.pairs == ("BTC/USDT:USDT", "XRP/USDT:USDT")
    assert selection.rejected["ETH/USDT:USDT"].startswith("1h funding_rate only from 2023-02-19")
    assert "ETH/USDT:USDT" in DataDirectory(datadir).select().pairs


def test_a_span_before_the_data_selects_nothing(datadir: Path) -> None:
    selection = DataDirectory(datadir).select(start=day("2020-01-01"), end=day("2021-01-01"))
    assert selection.pairs == ()
    assert len(selection.rejected) == 3


def test_an_empty_file_is_rejected_with_the_reason(datadir: Path) -> None:
    path = futures(datadir, "ETH_USDT_USDT-1h-mark")
    pd.read_feather(path).head(0).to_feather(path)
    rejected = DataDirectory(datadir).select().rejected
    assert rejected == {"ETH/USDT:USDT": "1h mark file is empty"}


def test_a_pair_the_host_has_no_leverage_tiers_for_is_rejected(datadir: Path) -> None:
    for path in (datadir / "futures").glob("ETH_*"):
        path.rename(path.with_name(path.name.replace("ETH", "NOSUCHCOIN")))
    rejected = DataDirectory(datadir).select().rejected
    assert rejected == {"NOSUCHCOIN/USDT:USDT": "the host knows no leverage tiers for it"}
    assert "BTC/USDT:USDT" in leverage_pairs()


@given(
    decimals=st.integers(0, 8),
    unit=st.sampled_from([1, 5, 25]),
    counts=st.lists(st.integers(1, 10_000), min_size=2, max_size=50),
)
def test_the_increment_is_the_grid_the_values_lie_on(
    decimals: int, unit: int, counts: list[int]
) -> None:
    # Neighbours on the grid make sure that nothing coarser fits.
    units = np.array([*counts, counts[0] + 1], dtype=np.int64) * unit
    step = increment(units / 10.0**decimals)
    assert step == pytest.approx(unit / 10.0**decimals)


def test_values_on_no_grid_get_the_finest_one() -> None:
    assert increment(np.array([np.pi, np.e])) == 1e-10


def test_trading_rules_come_from_the_candles(datadir: Path) -> None:
    rules = symbol_rules(DataDirectory(datadir), "BTC/USDT:USDT", "futures", SymbolSettings())
    assert (rules.symbol, rules.base, rules.quote) == ("BTCUSDT", "BTC", "USDT")
    assert rules.tick_size == 0.1
    assert rules.step_size == 0.001
    assert rules.listed == int(day("2023-01-01").timestamp() * 1000)


def test_candles_without_a_usable_price_are_named(datadir: Path) -> None:
    path = futures(datadir, "BTC_USDT_USDT-1h-futures")
    frame = pd.read_feather(path)
    frame["close"] = np.nan
    frame.to_feather(path)
    with pytest.raises(DataError, match=r"BTC_USDT_USDT-1h-futures\.feather: no row has usable"):
        symbol_rules(DataDirectory(datadir), "BTC/USDT:USDT", "futures", SymbolSettings())


@pytest.fixture
def extras(datadir: Path) -> Path:
    for path in (datadir / "futures").glob("*open_interest*"):
        path.unlink()
    folder = datadir.parent / "extras"
    folder.mkdir()
    hours = pd.date_range("2023-01-01", periods=48, freq="h", tz="UTC")
    for base in ("BTC", "DOGE"):
        pd.DataFrame({"date": hours, "open_interest": np.arange(48.0)}).to_feather(
            folder / f"open_interest_1h_{base}_USDT.feather"
        )
    (folder / "fear_greed_index.csv").write_text(
        "date,value,classification\n2023-01-01,25,Fear\n2023-01-02,75,Greed\n"
    )
    pd.DataFrame(
        {
            "date": hours[:3],
            "count_long_short_ratio": [2.0, 1.5, 1.0],
            "sum_taker_long_short_vol_ratio": [1.0, 3.0, 1.0],
        }
    ).to_feather(folder / "binance_futures_metrics_5m_ETH_USDT.feather")
    return folder


def test_a_linked_directory_has_the_candles_and_the_converted_extras(
    datadir: Path, extras: Path, tmp_path: Path
) -> None:
    before = sorted(p.name for p in datadir.rglob("*"))
    target = tmp_path / "linked"
    assert link_datadir(datadir, target)
    assert sorted(p.name for p in datadir.rglob("*")) == before
    linked = DataDirectory(target)
    assert linked.pairs("futures") == DataDirectory(datadir).pairs("futures")
    candles = linked.find("BTC/USDT:USDT", "1h", "futures")
    assert candles is not None
    assert candles.path.is_symlink()
    interest = linked.find("BTC/USDT:USDT", "1h", "open_interest")
    assert interest is not None
    assert interest.read(("open_interest_amount",))["open_interest_amount"].iloc[-1] == 47.0
    # There are no candles of this one to go with.
    assert linked.find("DOGE/USDT:USDT", "1h", "open_interest") is None
    files = records_files(target)
    assert load_sentiment(files["sentiment"], "BTC/USDT:USDT")["score"].tolist() == [-0.5, 0.5]
    ratios = load_derivatives(files["derivatives"], "ETH/USDT:USDT")
    assert ratios["long_short_ratio"].value.tolist() == [2.0, 1.5, 1.0]
    assert set(files) == {"sentiment", "derivatives"}


def test_a_linked_directory_is_reused_until_something_changes(
    datadir: Path, extras: Path, tmp_path: Path
) -> None:
    target = tmp_path / "linked"
    link_datadir(datadir, target)
    assert not link_datadir(datadir, target)
    (extras / "fear_greed_index.csv").write_text("date,value\n2023-01-01,10\n")
    assert link_datadir(datadir, target)
    futures(datadir, "XRP_USDT_USDT-1h-mark").unlink()
    assert link_datadir(datadir, target)
    assert not futures(target, "XRP_USDT_USDT-1h-mark").is_symlink()


def test_an_exchanges_own_open_interest_is_kept(
    datadir: Path, extras: Path, tmp_path: Path
) -> None:
    own = futures(datadir, "BTC_USDT_USDT-1h-open_interest")
    pd.read_feather(futures(datadir, "ETH_USDT_USDT-1h-funding_rate")).to_feather(own)
    link_datadir(datadir, tmp_path / "linked")
    assert futures(tmp_path / "linked", "BTC_USDT_USDT-1h-open_interest").is_symlink()


def test_a_directory_without_extras_is_linked_alone(datadir: Path, tmp_path: Path) -> None:
    link_datadir(datadir, tmp_path / "linked")
    assert records_files(tmp_path / "linked") == {}
    assert "extras" in json.loads((tmp_path / "linked" / "linked.json").read_text())


def test_a_bad_extra_is_named(datadir: Path, extras: Path, tmp_path: Path) -> None:
    (extras / "fear_greed_index.csv").write_text("date,value\n2023-01-01,much\n")
    with pytest.raises(DataError, match=r"fear_greed_index\.csv.*much"):
        link_datadir(datadir, tmp_path / "linked")
    assert not (tmp_path / "linked").exists()


def test_a_recorded_directory_is_never_linked_onto_itself(datadir: Path) -> None:
    (datadir / "market.json").unlink()
    with pytest.raises(DataError, match="holds other files"):
        link_datadir(datadir, datadir)
    assert futures(datadir, "BTC_USDT_USDT-1h-futures").is_file()
