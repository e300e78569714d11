"""Playbook columns: equal to pandas, causal, and quick enough to be asked on every candle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import candle_frame, full_market

from quorum import faults
from quorum.bot.host import read_settings
from quorum.candles import candles_from_frame
from quorum.errors import DataError, SettingsError
from quorum.pipeline import evaluate
from quorum.playbooks import PLAYBOOKS
from quorum.playbooks.forecast import trend_forecast
from quorum.playbooks.trend import Trend, shared_weights
from quorum.playbooks.washout import Washout
from quorum.settings import Settings, load_settings
from quorum.signals import publish


def combined(rules: list[pd.Series]) -> pd.Series:
    total = sum(rule.fillna(0) for rule in rules) / 4 * 1.1
    return total.clip(-20, 20).where(rules[0].notna())


def slow_forecast(close: pd.Series, k: int) -> pd.Series:
    """Forecast written with pandas, rule by rule."""
    deviation = close.diff().ewm(span=35 * k, min_periods=20).std() * np.sqrt(k)
    crossovers, breakouts = [], []
    for n, scalar in {4: 8.53, 8: 5.95, 16: 4.10, 32: 2.79}.items():
        fast = close.ewm(span=n * k, min_periods=n * k).mean()
        slow = close.ewm(span=4 * n * k, min_periods=60).mean()
        crossovers.append(((fast - slow) / deviation * scalar).clip(-20, 20))
    for n, scalar in {10: 0.60, 20: 0.67, 40: 0.70, 80: 0.73}.items():
        channel = close.rolling(n * k, min_periods=min(n, 30) * k)
        high, low = channel.max(), channel.min()
        place = 40 * (close - (high + low) / 2) / (high - low)
        breakouts.append((place.ewm(span=max(n * k // 4, 1)).mean() * scalar).clip(-20, 20))
    first, second = combined(crossovers), combined(breakouts)
    return ((first.fillna(0) + second.fillna(0)) / 2).clip(-20, 20).where(first.notna())


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 1500),
    k=st.sampled_from([1, 6]),
    still=st.integers(0, 300),
)
@settings(max_examples=40, deadline=None)
def test_the_forecast_is_that_of_pandas(seed, n, k, still):
    close = candle_frame(max(n, 1), seed=seed)["close"].iloc[:n].reset_index(drop=True)
    # A market that does not move yet has neither a deviation nor a channel.
    close.iloc[:still] = 100.0
    np.testing.assert_allclose(
        trend_forecast(close.to_numpy(), k), slow_forecast(close, k).to_numpy(), atol=1e-9, rtol=0
    )


def test_the_weight_of_a_trend_follows_forecast_and_volatility_of_closed_4h_candles():
    market = full_market(2200)
    higher = market.higher["4h"]
    close = pd.Series(higher.candles.close)
    returns = close.pct_change()
    volatility = (returns.ewm(span=180, min_periods=180).std() * np.sqrt(2190)).clip(lower=0.20)
    weight = slow_forecast(close, 6).clip(lower=0) / 10 * 0.12 / volatility * 1.25
    columns = Trend(Trend.Settings()).columns(market)
    row = higher.row[-500:]
    np.testing.assert_allclose(columns["trend_weight"][-500:], weight.to_numpy()[row], atol=1e-9)
    np.testing.assert_allclose(
        columns["trend_volatility"][-500:], volatility.to_numpy()[row], atol=1e-9
    )
    assert (columns["trend_weight"][-500:] > 0).any()


def test_weights_are_shared_among_the_pairs_alive_and_capped_by_pair_and_in_all():
    nan = np.nan
    np.testing.assert_allclose(shared_weights(np.array([0.3, nan])), [0.1, 0.0])
    np.testing.assert_allclose(shared_weights(np.array([0.4, 0.0, 0.4, 0.2])), [0.1, 0, 0.1, 0.05])
    np.testing.assert_allclose(shared_weights(np.array([3.0, 0.0, 0.0])), [0.35, 0, 0])
    np.testing.assert_allclose(shared_weights(np.full(4, 4.0)), np.full(4, 0.25))


def test_a_day_rules_the_candles_that_open_after_it_has_closed():
    market = full_market(2200)
    daily = market.higher["1d"].candles
    forecast = slow_forecast(pd.Series(daily.close), 1).to_numpy()
    column = Washout(Washout.Settings()).columns(market)["washout_forecast"]
    for row in range(500, 560):
        opens_next = int(market.close_time[row])
        last_closed = int(np.flatnonzero(daily.time + 86_400_000 <= opens_next)[-1])
        assert column[row] == pytest.approx(forecast[last_closed], abs=1e-9)


def test_a_bid_lies_seven_hourly_deviations_below_the_close_of_a_rising_market():
    market = full_market(2200)
    close = pd.Series(market.candles.close)
    sigma = np.log(close).diff().ewm(span=168, min_periods=168).std().to_numpy()
    columns = Washout(Washout.Settings()).columns(market)
    np.testing.assert_allclose(columns["washout_sigma"], sigma, atol=1e-12)
    with np.errstate(invalid="ignore"):
        bids = (columns["washout_forecast"] > 4) & np.isfinite(sigma)
    assert bids.any()
    assert not bids[200:].all()
    np.testing.assert_array_equal(np.isfinite(columns["washout_bid"]), bids)
    expected = close.to_numpy() * (1 - 7 * sigma)
    np.testing.assert_allclose(columns["washout_bid"][bids], expected[bids], rtol=1e-12)
    size = np.minimum(0.0035 / np.maximum(sigma * np.sqrt(24), 0.01), 0.35)
    np.testing.assert_allclose(columns["washout_weight"][bids], size[bids], rtol=1e-12)


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: playbook.name)
def test_no_column_of_a_playbook_rewrites_what_it_said(playbook):
    market = full_market(900)
    full = playbook(playbook.Settings()).columns(market)
    for rows in range(1, len(market), 7):
        for name, values in playbook(playbook.Settings()).columns(market.head(rows)).items():
            np.testing.assert_array_equal(values, full[name][:rows], err_msg=name)


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: playbook.name)
def test_a_playbook_without_its_higher_candles_enters_nothing(playbook):
    columns = playbook(playbook.Settings()).columns(replace(full_market(300), higher={}))
    assert np.isnan(columns[f"{playbook.name}_weight"]).all()


def test_a_washout_bid_is_refused_on_candles_that_are_not_hours():
    candles = candles_from_frame(candle_frame(50, timeframe="15m"), "15m")
    with pytest.raises(DataError, match="washout: needs 1h candles, got 15m"):
        Washout(Washout.Settings()).columns(replace(full_market(50), candles=candles, higher={}))


def with_on(*names: str) -> Settings:
    return load_settings({"playbooks": {name: {"enabled": True} for name in names}})


def test_only_the_columns_of_playbooks_that_are_on_are_published():
    market = full_market(900)
    own = {playbook.name: set(playbook.published) for playbook in PLAYBOOKS}
    without = publish(evaluate(market, Settings()))
    assert not (own["trend"] | own["washout"]) & set(without)
    columns = publish(evaluate(market, with_on("washout")))
    assert set(columns) - set(without) == own["washout"]
    np.testing.assert_array_equal(
        columns["washout_bid"], Washout(Washout.Settings()).columns(market)["washout_bid"]
    )
    assert set(publish(evaluate(market, with_on("trend", "washout")))) - set(without) == (
        own["trend"] | own["washout"]
    )


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: playbook.name)
def test_a_playbook_names_the_columns_it_publishes(playbook):
    assert tuple(playbook(playbook.Settings()).columns(full_market(60))) == playbook.published


def test_a_playbook_that_fails_knows_nothing_and_is_told_of_once(monkeypatch, caplog):
    def broken(self, market):
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(faults, "_reported", set())
    monkeypatch.setattr(Trend, "columns", broken)
    market = full_market(300)
    for _ in range(2):
        columns = evaluate(market, with_on("trend", "washout")).playbooks
    assert np.isnan(columns["trend_weight"]).all()
    assert np.isfinite(columns["washout_sigma"]).any()
    assert caplog.text.count("ZeroDivisionError: broken") == 1


@pytest.mark.parametrize(
    ("name", "timeframe", "message"),
    [
        ("trend", "4h", r"quorum.playbooks.trend.enabled = True: .* timeframe = '4h'"),
        ("washout", "15m", r"quorum.playbooks.washout.enabled = True: .* timeframe = '15m'"),
    ],
)
def test_candles_a_playbook_cannot_work_with_are_refused_at_start(name, timeframe, message):
    config = {"quorum": {"playbooks": {name: {"enabled": True}}}}
    with pytest.raises(SettingsError, match=message):
        read_settings(config, timeframe)
    assert read_settings(config, "1h").enabled_playbooks()[0].name == name
