"""The host's own analysis commands run on Quorum, offline, and find nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from backtests import ROOT, backtesting, configuration, small_market
from freqtrade.enums import RunMode
from freqtrade.optimize.analysis.lookahead import LookaheadAnalysis
from freqtrade.optimize.analysis.lookahead_helpers import LookaheadAnalysisSubFunctions
from freqtrade.optimize.analysis.recursive import RecursiveAnalysis
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.persistence import Trade
from freqtrade.util import get_progress_tracker

from quorum.bot.host import read_settings
from quorum.replay.exchange import ExchangeServer

STRATEGY = {"name": "Quorum", "location": ROOT / "strategies/quorum_strategy.py"}
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT"]
ANALYSIS = RunMode.UTIL_NO_EXCHANGE


@pytest.fixture(scope="module")
def datadir(tmp_path_factory) -> Path:
    return small_market(tmp_path_factory.mktemp("data") / "market")


@pytest.fixture
def configured(datadir, tmp_path):
    """Return a function that makes a configuration over a running local exchange."""
    with ExchangeServer(datadir) as exchange:

        def make(**changes):
            config = configuration(datadir, tmp_path, exchange, pairs=PAIRS, **changes)
            return {**config, "pairs": PAIRS, "runmode": changes.get("runmode", ANALYSIS)}

        yield make
    Backtesting.cleanup()


def lookahead(config) -> LookaheadAnalysis:
    config = LookaheadAnalysisSubFunctions.calculate_config_overrides(config)
    analysis = LookaheadAnalysis(config, STRATEGY)
    with get_progress_tracker() as progress:
        analysis.start(progress)
    return analysis


def recursive(config) -> RecursiveAnalysis:
    analysis = RecursiveAnalysis(config, STRATEGY)
    with get_progress_tracker() as progress:
        analysis.start(progress)
    return analysis


TRADES = {"minimum_trade_amount": 6, "targeted_trade_amount": 8, "timerange": "20230420-20230801"}


def test_lookahead_analysis_finds_no_bias(configured):
    analysis = lookahead(configured(**TRADES))
    found = analysis.current_analysis
    assert not analysis.failed_bias_check
    assert found.total_signals >= 6
    assert not found.has_bias
    assert found.false_entry_signals == found.false_exit_signals == 0
    assert found.false_indicators == []


#: Everything that lets one trade of an account refuse another.
DEPENDENT = {"guards": {"preset": "conservative"}, "sizing": {"method": "elite"}}


def test_what_the_account_refuses_is_no_bias(configured, monkeypatch):
    changes = {**TRADES, "quorum": DEPENDENT}
    analysis = lookahead(configured(**changes))
    found = analysis.current_analysis
    assert found.total_signals >= 6
    assert not found.has_bias
    # The same command unknown: trades are missing for what stands elsewhere in the account.
    for module in ("host", "watch"):
        monkeypatch.setattr(f"quorum.bot.{module}.compares_trades", lambda config: False)
    dependent = lookahead(configured(**changes))
    trades = [len(a.full_varHolder.result["results"]) for a in (analysis, dependent)]
    assert trades[0] > trades[1]


@pytest.mark.parametrize("mode", [m for m in RunMode if m is not RunMode.UTIL_NO_EXCHANGE])
def test_the_guards_act_in_every_run_but_an_analysis(mode, configured):
    config = configured()
    assert config["targeted_trade_amount"] == 20, "stands in every configuration by default"
    assert read_settings({**config, "runmode": mode}, "1h").guards.day.enabled
    analysis = {**config, "runmode": RunMode.UTIL_NO_EXCHANGE}
    assert not read_settings(analysis, "1h").guards.day.enabled


def test_lookahead_analysis_finds_the_bias_of_a_desk_that_peeks(configured, monkeypatch):
    from quorum.bot.desk import Desk

    analyse = Desk.analyse

    def peeking(self, source, pair, frame):
        out = analyse(self, source, pair, frame)
        return out.assign(ahead=out["close"].shift(-1))

    monkeypatch.setattr(Desk, "analyse", peeking)
    few = {**TRADES, "minimum_trade_amount": 1, "targeted_trade_amount": 1}
    found = lookahead(configured(**few)).current_analysis
    assert found.has_bias
    assert found.false_indicators == ["ahead"]


def test_recursive_analysis_finds_no_variance_at_the_startup_history(configured):
    analysis = recursive(configured(timerange="20230601-20230801", startup_candle=[1400]))
    assert analysis._strat_scc == 1400
    assert analysis.dict_recursive == {}
    part = analysis.partial_varHolder_lookahead_array[0]
    (pair,) = part.indicators
    full = analysis.full_varHolder.indicators[pair].set_index("date")
    early = part.indicators[pair].set_index("date")
    pd.testing.assert_series_equal(early.iloc[-1], full.loc[early.index[-1]], check_names=False)


def test_recursive_analysis_sees_the_start_of_a_history_that_is_too_short(configured):
    analysis = recursive(configured(timerange="20230601-20230801", startup_candle=[60]))
    assert any(60 in found for found in analysis.dict_recursive.values())
    assert not any(1400 in found for found in analysis.dict_recursive.values())


def epoch(bt: Backtesting, processed, timerange) -> pd.DataFrame:
    """Run what an optimiser runs per epoch: signals and trades of the same indicators."""
    signals = {
        pair: bt.strategy.ft_advise_signals(frame.copy(), {"pair": pair})
        for pair, frame in processed.items()
    }
    signals = {
        pair: frame[(frame["date"] >= timerange.startdt) & (frame["date"] < timerange.stopdt)]
        for pair, frame in signals.items()
    }
    Trade.reset_trades()
    return bt.backtest(signals, timerange.startdt, timerange.stopdt)["results"]


def test_an_epoch_does_not_remember_the_epochs_before_it(datadir, tmp_path):
    def run_with(*confidences: float) -> pd.DataFrame:
        """Run one epoch after the other and return the trades of the last."""
        with backtesting(datadir, tmp_path, pairs=PAIRS, timerange="20230420-20230701") as bt:
            bt._set_strategy(bt.strategylist[0])
            data, timerange = bt.load_bt_data()
            processed = bt.strategy.advise_all_indicators(data)
            bt.strategy.min_confidence.in_space = True
            for confidence in confidences:
                bt.strategy.min_confidence.value = confidence
                trades = epoch(bt, processed, timerange)
            return trades

    alone, after_another = run_with(0.60), run_with(0.70, 0.60)
    assert len(alone) > 0
    pd.testing.assert_frame_equal(after_another, alone)


@pytest.mark.skipif(
    importlib.util.find_spec("filelock") is None or importlib.util.find_spec("optuna") is None,
    reason="the host's hyperopt needs filelock and optuna",
)
def test_hyperopt_runs_to_its_end(configured, tmp_path):
    from freqtrade.optimize.hyperopt import Hyperopt

    (tmp_path / "hyperopt_results").mkdir()
    config = configured(
        timerange="20230420-20230601",
        epochs=3,
        spaces=["buy"],
        hyperopt_loss="SharpeHyperOptLoss",
        hyperopt_jobs=1,
        hyperopt_random_state=1,
        hyperopt_min_trades=1,
        # Else it would write its parameters beside the strategy, where they override it.
        disableparamexport=True,
        print_all=True,
        runmode=RunMode.HYPEROPT,
    )
    hyperopt = Hyperopt(config)
    hyperopt.start()
    results = list((tmp_path / "hyperopt_results").glob("strategy_Quorum_*.fthypt"))
    assert len(results) == 1
    lines = results[0].read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert '"quorum_heads"' in lines[0]
