"""The strategy's parameters move signals, stops and targets without indicators computed anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from backtests import backtesting, small_market
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.persistence import CustomDataWrapper, Trade
from freqtrade.strategy.hyper import detect_all_parameters

from quorum.bot.tuning import FACTORS, SETTINGS

PAIRS = ["BTC/USDT:USDT"]
SPAN = "20230620-20230815"


class Epochs:
    """Epochs of one strategy over indicators computed once."""

    def __init__(self, bt: Backtesting) -> None:
        self.bt = bt
        bt._set_strategy(bt.strategylist[0])
        data, self.timerange = bt.load_bt_data()
        self.processed = bt.strategy.advise_all_indicators(data)
        bt.strategy.populate_indicators = None  # An epoch that computed them would fail.

    def run(self, **values: Any) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
        """Run one epoch; return its trades and the signals stored with them."""
        strategy = self.bt.strategy
        kept = {name: getattr(strategy, name).value for name in values}
        for name, value in values.items():
            getattr(strategy, name).value = value
        start, stop = self.timerange.startdt, self.timerange.stopdt
        Trade.reset_trades()
        CustomDataWrapper.reset_custom_data()
        candles = {pair: frame.copy() for pair, frame in self.processed.items()}
        trades = self.bt.backtest(candles, start, stop)["results"]
        stored = [data.value for data in CustomDataWrapper.custom_data]
        for name, value in kept.items():
            getattr(strategy, name).value = value
        return trades, stored


@pytest.fixture(scope="module")
def epochs(tmp_path_factory) -> Iterator[Epochs]:
    folder = tmp_path_factory.mktemp("parameters")
    datadir = small_market(folder / "market")
    section = {"guards": {"preset": "off"}, "exits": {"stop": {"method": "atr"}}}
    with backtesting(datadir, folder, pairs=PAIRS, timerange=SPAN, quorum=section) as bt:
        yield Epochs(bt)


@pytest.fixture(scope="module")
def usual(epochs) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    trades, signals = epochs.run()
    assert len(trades) > 3
    return trades, signals


def test_every_parameter_of_the_strategy_is_one_that_acts(epochs):
    found = detect_all_parameters(epochs.bt.strategy)
    assert set(found) == {"buy", "stops", "targets", "weights"}
    assert {name for space in found.values() for name in space} == {*SETTINGS, *FACTORS}
    for parameters in found.values():
        for name, parameter in parameters.items():
            assert parameter.low <= parameter.value <= parameter.high, name


def test_an_epoch_does_not_remember_the_one_before(epochs, usual):
    epochs.run(stop_atr_multiple=3.0, quorum_heads=5)
    pd.testing.assert_frame_equal(epochs.run()[0], usual[0])


def test_a_larger_quorum_makes_fewer_trades(epochs, usual):
    assert len(epochs.run(quorum_heads=6)[0]) < len(usual[0])


def distance(signal: dict[str, Any]) -> float:
    return abs(signal["entry_price"] - signal["stop_loss"]) / signal["entry_price"]


def test_a_wider_stop_is_stored_with_the_trade(epochs, usual):
    _, signals = epochs.run(stop_atr_multiple=3.0, min_first_target=1.5)
    wider = {(s["symbol"], s["timestamp"]): distance(s) for s in signals}
    both = [(distance(s), wider.get((s["symbol"], s["timestamp"]))) for s in usual[1]]
    both = [(near, far) for near, far in both if far is not None]
    assert both
    assert all(far > near for near, far in both)


def test_no_stop_is_wider_than_the_largest_risk(epochs):
    _, signals = epochs.run(stop_max_risk=2.0, stop_atr_multiple=3.0, min_first_target=1.5)
    assert signals
    assert max(map(distance, signals)) <= 0.02 + 1e-9


def test_no_trade_outlives_the_time_stop(epochs, usual):
    trades, _ = epochs.run(time_stop=24)
    assert usual[0]["trade_duration"].max() > 25 * 60
    assert trades["trade_duration"].max() <= 25 * 60


@pytest.mark.parametrize(
    "moved",
    [{"breakeven_at": 1.0}, {"target_scale": 1.6}, {"gate": 0.85}],
)
def test_every_other_parameter_changes_trades(epochs, usual, moved):
    assert not epochs.run(**moved)[0].equals(usual[0])


def test_a_first_target_that_must_pay_more_refuses_what_the_band_promises_less_for(epochs):
    near, _ = epochs.run(target_scale=0.8)
    strict, signals = epochs.run(target_scale=0.8, min_first_target=2.4)
    assert 0 < len(strict) < len(near)
    assert min(s["risk_reward_ratio"] for s in signals) >= 2.4 - 1e-9


def test_weights_move_the_confluence_score_and_with_sizing_by_bands_no_trade(epochs, usual):
    trades, signals = epochs.run(weight_of_price_action=0.0)
    pd.testing.assert_frame_equal(trades, usual[0])
    scores = [[s["confluence_score"] for s in found] for found in (signals, usual[1])]
    assert scores[0] != scores[1]
