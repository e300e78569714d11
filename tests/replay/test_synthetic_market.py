from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from recorded import load_derivatives, load_sentiment

from quorum.candles import TIMEFRAMES
from quorum.errors import DataError
from quorum.replay.link import records_files
from quorum.replay.regimes import REGIMES, Regimes, RegimeSettings, regime_path
from quorum.replay.synthetic import GENERATOR_VERSION, SyntheticSettings, make_market, market_frames

SMALL = SyntheticSettings(
    start=date(2023, 1, 1),
    end=date(2023, 2, 1),
    bases=("BTC", "XRP"),
    timeframes=("1h", "4h", "1d"),
)
LONG = SyntheticSettings(
    start=date(2021, 1, 1), end=date(2024, 1, 1), bases=("BTC", "ETH"), timeframes=("1h", "1d")
)


@cache
def frames(settings_json: str) -> dict[str, pd.DataFrame]:
    return dict(market_frames(SyntheticSettings.model_validate_json(settings_json)))


def market(settings: SyntheticSettings) -> dict[str, pd.DataFrame]:
    return frames(settings.model_dump_json())


def futures(settings: SyntheticSettings, base: str, timeframe: str = "1h") -> pd.DataFrame:
    return market(settings)[f"futures/{base}_USDT_USDT-{timeframe}-futures.feather"]


def hourly_returns(settings: SyntheticSettings, base: str) -> np.ndarray:
    return np.diff(np.log(futures(settings, base)["close"].to_numpy()))


def autocorrelation(values: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def random_walk() -> SyntheticSettings:
    return LONG.model_copy(update={"mode": "random_walk"})


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_the_same_settings_give_identical_files(tmp_path: Path) -> None:
    make_market(SMALL, tmp_path / "a")
    make_market(SMALL, tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_another_seed_gives_other_prices() -> None:
    other = SMALL.model_copy(update={"seed": SMALL.seed + 1})
    assert not futures(SMALL, "BTC")["close"].equals(futures(other, "BTC")["close"])


def test_a_pair_does_not_depend_on_the_other_pairs() -> None:
    alone = SMALL.model_copy(update={"bases": ("XRP",)})
    pd.testing.assert_frame_equal(futures(alone, "XRP"), futures(SMALL, "XRP"))


def test_an_identical_market_is_reused_and_a_changed_one_replaced(tmp_path: Path) -> None:
    target = tmp_path / "market"
    assert make_market(SMALL, target)
    stamp = (target / "market.json").stat().st_mtime_ns
    assert not make_market(SMALL, target)
    assert (target / "market.json").stat().st_mtime_ns == stamp
    assert make_market(SMALL.model_copy(update={"bases": ("ETH",)}), target)
    assert {p.name.split("_")[0] for p in target.glob("*-1h.feather")} == {"ETH"}
    assert [p.name for p in tmp_path.iterdir()] == ["market"]


def test_two_that_make_the_same_market_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _n: make_market(SMALL, tmp_path / "m"), range(4)))
    assert not make_market(SMALL, tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_market_with_a_missing_file_is_made_again(tmp_path: Path) -> None:
    make_market(SMALL, tmp_path / "m")
    lost = tmp_path / "m" / "BTC_USDT-1h.feather"
    lost.unlink()
    assert make_market(SMALL, tmp_path / "m")
    assert lost.is_file()


def test_a_market_of_another_generator_version_is_made_again(tmp_path: Path) -> None:
    make_market(SMALL, tmp_path / "m")
    manifest = tmp_path / "m" / "market.json"
    text = manifest.read_text()
    assert f'"version": {GENERATOR_VERSION}' in text
    manifest.write_text(text.replace(f'"version": {GENERATOR_VERSION}', '"version": -1'))
    assert make_market(SMALL, tmp_path / "m")


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(DataError, match="holds other files"):
        make_market(SMALL, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_feather", fail)
    with pytest.raises(DataError, match=r"market: cannot be written \(disk full\)"):
        make_market(SMALL, tmp_path / "market")
    assert list(tmp_path.iterdir()) == []


def test_files_have_the_hosts_names_and_columns(tmp_path: Path) -> None:
    make_market(SMALL, tmp_path / "m")
    from freqtrade.data.history import get_datahandler
    from freqtrade.enums import CandleType, TradingMode

    handler = get_datahandler(tmp_path / "m", "feather")
    found = handler.ohlcv_get_available_data(tmp_path / "m", TradingMode.FUTURES)
    kinds = {(timeframe, str(kind)) for pair, timeframe, kind in found if pair == "BTC/USDT:USDT"}
    assert kinds == {
        ("1h", "futures"),
        ("4h", "futures"),
        ("1d", "futures"),
        ("1h", "mark"),
        ("1h", "funding_rate"),
        ("1h", "open_interest"),
    }
    assert len(handler.ohlcv_get_available_data(tmp_path / "m", TradingMode.SPOT)) == 6
    for kind in ("futures", "mark", "funding_rate", "open_interest"):
        frame = handler.ohlcv_load("BTC/USDT:USDT", "1h", CandleType.from_string(kind))
        assert len(frame) > 0
        assert not frame.isna().to_numpy().any()
    spot = handler.ohlcv_load("BTC/USDT", "1h", CandleType.SPOT)
    assert len(spot) == SMALL.n_hours


def test_candles_are_consistent_and_stand_on_the_grid() -> None:
    for name, frame in market(SMALL).items():
        if "open" not in frame:
            continue
        timeframe = name.split("-")[1].removesuffix(".feather")
        step = pd.Timedelta(milliseconds=TIMEFRAMES[timeframe])
        assert (frame["date"].diff().iloc[1:] == step).all(), name
        assert frame["date"].iloc[0] == pd.Timestamp(SMALL.start, tz="UTC"), name
        body = frame[["open", "close"]]
        assert (frame["high"] >= body.max(axis=1)).all(), name
        assert (frame["low"] <= body.min(axis=1)).all(), name
        assert (frame["low"] > 0).all(), name
        assert (frame["volume"] >= 0).all(), name


@pytest.mark.parametrize(("timeframe", "hours"), [("4h", 4), ("1d", 24)])
@pytest.mark.parametrize("name", ["futures/BTC_USDT_USDT-{}-futures", "XRP_USDT-{}"])
def test_higher_timeframes_are_the_aggregated_hours(timeframe: str, hours: int, name: str) -> None:
    hourly = market(SMALL)[name.format("1h") + ".feather"]
    group = np.arange(len(hourly)) // hours
    expected = hourly.groupby(group).agg(
        {"date": "first", "open": "first", "high": "max", "low": "min", "close": "last",
         "volume": "sum"}
    )  # fmt: skip
    got = market(SMALL)[name.format(timeframe) + ".feather"]
    pd.testing.assert_frame_equal(
        got.drop(columns="volume"), expected.drop(columns="volume"), check_index_type=False
    )
    np.testing.assert_allclose(got["volume"], expected["volume"], rtol=1e-12)


def test_five_minute_candles_can_be_written_and_agree_with_the_hours() -> None:
    fine = SMALL.model_copy(update={"timeframes": ("5m", "1h"), "bases": ("BTC",)})
    minutes = futures(fine, "BTC", "5m")
    assert len(minutes) == 12 * len(futures(fine, "BTC"))
    np.testing.assert_array_equal(
        minutes["high"].to_numpy().reshape(-1, 12).max(axis=1), futures(fine, "BTC")["high"]
    )


def test_hourly_returns_have_fat_tails_and_clustered_volatility() -> None:
    returns = hourly_returns(LONG, "BTC")
    kurtosis = np.mean(returns**4) / np.mean(returns**2) ** 2
    assert 6 < kurtosis < 60
    assert autocorrelation(np.abs(returns), 1) > 0.2
    assert autocorrelation(np.abs(returns), 24) > 0.1
    assert abs(autocorrelation(returns, 1)) < 0.06


def test_a_day_moves_as_much_as_real_coins_do() -> None:
    assert 0.015 < hourly_returns(LONG, "BTC").std() * np.sqrt(24) < 0.045


def test_pairs_move_together_but_not_in_lockstep() -> None:
    together = np.corrcoef(hourly_returns(LONG, "BTC"), hourly_returns(LONG, "ETH"))[0, 1]
    assert 0.6 < together < 0.97


def test_volume_rises_with_volatility() -> None:
    volume = futures(LONG, "BTC")["volume"].to_numpy()[1:]
    ranks = pd.DataFrame({"v": volume, "r": np.abs(hourly_returns(LONG, "BTC"))}).rank()
    assert ranks.corr().to_numpy()[0, 1] > 0.3


def test_new_york_mornings_are_busier_than_the_night_and_weekends_quieter() -> None:
    frame = futures(LONG, "BTC")
    move = np.abs(np.diff(np.log(frame["close"].to_numpy())))
    local = frame["date"].dt.tz_convert("America/New_York").iloc[1:]
    hour, weekday = local.dt.hour.to_numpy(), local.dt.dayofweek.to_numpy()
    workday = weekday < 5
    assert move[workday & (hour == 9)].mean() > 1.5 * move[workday & (hour == 23)].mean()
    assert move[weekday == 2].mean() > 1.2 * move[weekday == 5].mean()


def test_the_recorded_regimes_are_those_the_prices_follow() -> None:
    truth = market(LONG)["regimes.feather"]
    assert set(truth["regime"]) == set(REGIMES)
    assert len(truth) == LONG.n_hours
    returns = pd.Series(np.diff(np.log(futures(LONG, "BTC")["close"].to_numpy()), prepend=np.nan))
    by_regime = returns.groupby(truth["regime"].to_numpy())
    daily = by_regime.mean() * 24
    assert daily["strong_bull"] > daily["weak_bull"] > 0 > daily["weak_bear"]
    assert daily["weak_bear"] > daily["strong_bear"]
    spread = by_regime.std()
    assert spread.idxmax() == "high_volatility"
    assert spread.idxmin() == "low_volatility"


def test_prices_return_to_the_middle_in_ranges_and_do_not_in_trends() -> None:
    regime = market(LONG)["regimes.feather"]["regime"].to_numpy()
    closes = np.log(futures(LONG, "BTC")["close"].to_numpy())

    def variance_ratio(names: set[str]) -> float:
        inside = np.isin(regime, list(names))
        # Only windows of two days that lie in one stretch of the regimes.
        whole = np.lib.stride_tricks.sliding_window_view(inside, 49).all(axis=1)
        long = (closes[48:] - closes[:-48])[whole]
        short = np.diff(closes, prepend=closes[0])[inside]
        return float(np.mean(long**2) / (48 * np.mean(short**2)))

    assert variance_ratio({"bull_range", "bear_range"}) < 0.6
    assert variance_ratio({"strong_bull"}) > 0.9


def test_regimes_last_and_follow_each_other_as_the_settings_say() -> None:
    regimes = Regimes()
    path = regime_path(regimes, 3_000_000, np.random.default_rng(1))
    changes = np.flatnonzero(np.diff(path)) + 1
    bounds = np.concatenate(([0], changes, [len(path)]))
    visits, states = np.diff(bounds), path[bounds[:-1]]
    matrix = regimes.transition_matrix()
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    for row, settings in enumerate(regimes.in_order()):
        assert visits[states == row].mean() == pytest.approx(24 * settings.duration, rel=0.1)
        after = np.bincount(states[1:][states[:-1] == row], minlength=len(REGIMES))
        expected = matrix[row].copy()
        expected[row] = 0.0
        np.testing.assert_allclose(after / after.sum(), expected / expected.sum(), atol=0.04)


def test_default_regimes_mirror_each_other() -> None:
    regimes = Regimes()
    for bull, bear in (("strong_bull", "strong_bear"), ("weak_bull", "weak_bear")):
        assert getattr(regimes, bull).drift == -getattr(regimes, bear).drift
        assert getattr(regimes, bull).duration == getattr(regimes, bear).duration
    assert (
        regimes.weak_bear.successors["strong_bear"] == regimes.weak_bull.successors["strong_bull"]
    )


def test_funding_settles_every_eight_hours_and_follows_the_trend() -> None:
    funding = market(LONG)["futures/BTC_USDT_USDT-1h-funding_rate.feather"]
    assert (funding["date"].diff().iloc[1:] == pd.Timedelta(hours=8)).all()
    assert (funding["date"].dt.hour % 8 == 0).all()
    assert np.isclose(funding["funding_rate"], 0.0001).mean() > 0.3
    closes = futures(LONG, "BTC").set_index("date")["close"]
    trend = np.log(closes).diff(96).reindex(funding["date"]).to_numpy()
    known = np.isfinite(trend)
    assert np.corrcoef(trend[known], funding["funding_rate"].to_numpy()[known])[0, 1] > 0.3


def test_open_interest_falls_when_positions_are_liquidated(tmp_path: Path) -> None:
    interest = market(LONG)["futures/BTC_USDT_USDT-1h-open_interest.feather"].set_index("date")
    records = market(LONG)["derivatives.feather"]
    forced = records[(records["kind"] == "liquidations") & (records["pair"] == "BTC")]
    assert len(forced) > 10
    change = np.log(interest["open_interest_amount"]).diff()
    assert change.reindex(forced["known_at"]).mean() < -0.02
    assert abs(change.mean()) < 0.001


def test_spot_and_mark_lie_close_to_the_perpetual() -> None:
    perpetual = futures(LONG, "ETH")["close"].to_numpy()
    spot = market(LONG)["ETH_USDT-1h.feather"]["close"].to_numpy()
    mark = market(LONG)["futures/ETH_USDT_USDT-1h-mark.feather"]["close"].to_numpy()
    assert 0.0002 < np.median(np.abs(perpetual / spot - 1)) < 0.002
    assert np.median(np.abs(perpetual / mark - 1)) < np.median(np.abs(perpetual / spot - 1))
    assert np.abs(perpetual / spot - 1).max() < 0.01


def test_the_records_files_are_read_by_the_records_reader(tmp_path: Path) -> None:
    make_market(SMALL, tmp_path / "m")
    files = records_files(tmp_path / "m")
    assert len(load_sentiment(files["sentiment"], "BTC/USDT:USDT")) == 30
    series = load_derivatives(files["derivatives"], "BTC/USDT:USDT")
    assert len(series["long_short_ratio"].value) == SMALL.n_hours - 1
    assert len(series["taker_buy_share"].value) == SMALL.n_hours - 1


def test_a_random_walk_has_no_memory() -> None:
    returns = hourly_returns(random_walk(), "BTC")
    bound = 4 / np.sqrt(len(returns))
    for lag in (1, 2, 3, 6, 12, 24, 168):
        assert abs(autocorrelation(returns, lag)) < bound
        assert abs(autocorrelation(np.abs(returns), lag)) < bound
    assert abs(returns.mean()) < 4 * returns.std() / np.sqrt(len(returns))


def test_in_a_random_walk_nothing_tells_anything_about_returns() -> None:
    files = market(random_walk())
    assert "regimes.feather" not in files
    returns = hourly_returns(random_walk(), "BTC")
    bound = 4 / np.sqrt(len(returns))
    volume = np.log(futures(random_walk(), "BTC")["volume"].to_numpy())
    assert abs(np.corrcoef(np.diff(volume), np.abs(returns))[0, 1]) < bound
    records = files["derivatives.feather"]
    assert set(records["kind"]) == {"long_short_ratio", "taker_buy_share"}
    share = records[(records["kind"] == "taker_buy_share") & (records["pair"] == "BTC")]
    assert abs(np.corrcoef(share["value"].to_numpy()[:-1], returns[1:])[0, 1]) < bound


def test_a_random_walk_still_has_correlated_pairs() -> None:
    walk = random_walk()
    assert np.corrcoef(hourly_returns(walk, "BTC"), hourly_returns(walk, "ETH"))[0, 1] > 0.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"end": date(2022, 1, 1)}, "must be 1 to 3660"),
        ({"timeframes": ("1w",)}, "is not among 5m"),
        ({"timeframes": ("7h",)}, "is not among 5m"),
        ({"bases": ("btc",)}, "capitals and digits"),
        ({"bases": ("../X",)}, "capitals and digits"),
        ({"bases": ("BTC", "BTC")}, "appears twice"),
        ({"volatility": {"alpha": 0.2, "beta": 0.9}}, "less than 1"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"pairs": ("BTC",)}, "Extra inputs"),
    ],
)
def test_unusable_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SyntheticSettings.model_validate(values)


def test_a_successor_must_be_a_regime() -> None:
    with pytest.raises(ValidationError, match="sideways is no regime"):
        RegimeSettings(successors={"sideways": 1.0})
    with pytest.raises(ValidationError, match="sum not zero"):
        RegimeSettings(successors={})
