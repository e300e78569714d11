"""Quorum in real freqtrade backtests: what it trades, at which prices, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from backtests import backtesting, run, small_market

from quorum.entry import Signal

#: Large enough that the smallest size is many of the exchange's steps.
LARGE = {"dry_run_wallet": 1_000_000}


@pytest.fixture(scope="module")
def datadir(tmp_path_factory):
    return small_market(tmp_path_factory.mktemp("data") / "market")


@pytest.fixture(scope="module")
def result(datadir, tmp_path_factory):
    return run(datadir, tmp_path_factory.mktemp("user"), **LARGE)


@pytest.fixture(scope="module")
def signals(result) -> list[tuple[pd.Series, Signal]]:
    """Return every trade with its stored signal."""
    trades = result["trades"]
    stored = {
        (s["symbol"], pd.Timestamp(s["timestamp"])): Signal.model_validate(s)
        for s in result["signals"].values()
    }
    hour = pd.Timedelta(hours=1)
    return [(t, stored[t["pair"], t["open_date"] - hour]) for _, t in trades.iterrows()]


def test_it_trades_every_pair_long_and_short(result):
    trades = result["trades"]
    assert set(trades["pair"]) == {"BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"}
    assert set(trades["is_short"]) == {True, False}


def test_every_trade_keeps_the_signal_it_was_opened_on(signals):
    for trade, signal in signals:
        assert (signal.direction < 0) == trade["is_short"]
        assert signal.entry_price == pytest.approx(trade["open_rate"], rel=1e-3)
        assert trade["enter_tag"] == signal.tag
        votes = [v for v in signal.votes.values() if v.direction == signal.direction]
        assert len(votes) >= signal.agreeing_heads >= 4


def test_the_stake_is_that_of_the_signal(signals):
    for trade, signal in signals:
        # Amounts are cut to the exchange's steps.
        assert trade["max_stake_amount"] == pytest.approx(signal.position_size_quote, rel=0.15)


def test_stops_rungs_and_targets_fill_inside_the_candle_at_their_price(signals):
    kinds = set()
    for trade, signal in signals:
        side = signal.direction
        for order in trade["orders"]:
            tag, price = order["ft_order_tag"], order["safe_price"]
            if tag == "stop_loss":
                assert price == pytest.approx(signal.stop_loss, rel=2e-3)
            elif tag.startswith("ladder_"):
                # A candle that opens beyond the rung fills it no worse.
                rung = signal.ladder[int(tag[-1]) - 1]
                assert side * (price - rung) >= -2e-3 * rung
            elif tag == "roi":
                # So does one that opens beyond the last.
                assert side * (price - signal.ladder[-1]) >= -2e-3 * signal.ladder[-1]
            else:
                continue
            kinds.add(tag)
    assert {"stop_loss", "ladder_1", "roi"} <= kinds


def test_the_ladder_takes_out_its_shares(signals):
    full = 0
    for trade, signal in signals:
        entered = sum(o["amount"] for o in trade["orders"] if o["ft_is_entry"])
        if any(o["ft_order_tag"] == "reversal_half" for o in trade["orders"]):
            continue
        for rung, share in enumerate(signal.ladder_shares[:-1], start=1):
            for order in trade["orders"]:
                if order["ft_order_tag"] == f"ladder_{rung}":
                    # Amounts are cut to the exchange's steps.
                    assert order["amount"] / entered == pytest.approx(share, abs=0.1)
                    full += 1
    assert full > 0


def test_a_trade_whose_first_target_is_filled_does_not_lose_more_than_it_risked(signals):
    for trade, signal in signals:
        if any(o["ft_order_tag"] == "ladder_1" for o in trade["orders"]):
            assert trade["profit_abs"] > -signal.risk_amount


def test_no_stop_is_wider_than_max_risk_and_no_target_outside_its_limits(signals):
    for _, s in signals:
        assert abs(s.entry_price - s.stop_loss) / s.entry_price <= 0.05 + 1e-9
        assert 1.5 - 1e-6 <= s.risk_reward_ratio <= 5 + 1e-6


def test_trades_end_only_for_reasons_of_the_system(result):
    reasons = set(result["trades"]["exit_reason"])
    assert reasons <= {
        "stop_loss",
        "trailing_stop_loss",
        "roi",
        "reversal",
        "stop_passed",
        "opposite_quorum",
        "time_stop",
        "force_exit",
    }


def test_the_time_stop_ends_what_lasts_too_long(datadir, tmp_path):
    trades = run(datadir, tmp_path, quorum={"exits": {"management": {"time_stop": 5.0}}})["trades"]
    stopped = trades[trades["exit_reason"] == "time_stop"]
    assert len(stopped) > 0
    assert set(stopped["trade_duration"]) == {300}
    assert trades["trade_duration"].max() <= 300


def test_an_opposite_quorum_ends_a_trade_unless_that_is_turned_off(datadir, result, tmp_path):
    # Stops and targets out of reach: only the signals are left to end a trade.
    far = {
        "stop": {"method": "atr", "atr_multiple": 20.0, "max_risk": 50.0},
        "management": {
            "time_stop": 100_000.0,
            "breakeven_at": 100.0,
            "breakeven_on_divergence": False,
            "exit_on_reversal": False,
        },
    }
    on = run(datadir, tmp_path, quorum={"exits": far})["trades"]
    off = run(datadir, tmp_path, quorum={"exits": {**far, "reversal": False}})["trades"]
    assert (on["exit_reason"] == "opposite_quorum").any()
    assert not (off["exit_reason"] == "opposite_quorum").any()


def test_no_head_or_feature_failed(result, caplog):
    from quorum import faults

    assert not faults._reported


def test_fast_callbacks_give_identical_trades(datadir, result, tmp_path):
    fast = run(datadir, tmp_path, quorum={"fast_callbacks": True}, **LARGE)
    pd.testing.assert_frame_equal(fast["trades"], result["trades"])
    assert fast["signals"] == result["signals"]


def test_a_narrower_gate_trades_less(datadir, result, tmp_path):
    strict = run(datadir, tmp_path, quorum={"consensus": {"gate": 0.9}}, **LARGE)
    assert 0 < len(strict["trades"]) < len(result["trades"])


def test_leverage_comes_from_the_settings_and_leaves_position_values_alone(
    datadir, result, tmp_path
):
    levered = run(datadir, tmp_path, quorum={"leverage": 3.0}, **LARGE)["trades"]
    assert set(levered["leverage"]) == {3.0}
    first, plain = levered.iloc[0], result["trades"].iloc[0]
    assert first["stake_amount"] * 3 == pytest.approx(plain["stake_amount"], rel=0.05)


def test_spot_markets_are_traded_long_only(datadir, tmp_path):
    spot = run(datadir, tmp_path, trading_mode="spot", margin_mode="", candle_type_def="spot")
    assert len(spot["trades"]) > 0
    assert not spot["trades"]["is_short"].any()


def test_entry_decisions_are_repeatable_on_the_same_frame(datadir, tmp_path):
    with backtesting(datadir, tmp_path) as bt:
        bt._set_strategy(bt.strategylist[0])
        data, _ = bt.load_bt_data()
        pair, frame = next(iter(bt.strategy.advise_all_indicators(data).items()))
        once = bt.strategy.ft_advise_signals(frame.copy(), {"pair": pair})
        twice = bt.strategy.ft_advise_signals(once.copy(), {"pair": pair})
        pd.testing.assert_frame_equal(once, twice)
        numeric = once.drop(columns=["date", "enter_tag", "exit_tag"])
        assert all(np.issubdtype(kind, np.number) or kind == np.bool_ for kind in numeric.dtypes)


def test_once_enough_is_known_signals_go_by_what_earlier_ones_did(result, signals):
    strategy = result["strategy"]
    pool = strategy.models.outcomes
    first = min(int(part.known_at.min()) for part in pool.parts.values())
    early = [s for _, s in signals if s.measured_r is None]
    late = [s for _, s in signals if s.measured_r is not None]
    assert early
    assert len(late) > 20
    assert max(s.timestamp for s in early) < min(s.timestamp for s in late)
    for signal in late:
        assert signal.timestamp > pd.Timestamp(first, unit="ms", tz="UTC")
        assert signal.promised_by == "measured"
        assert (signal.expected_win_rate, signal.expected_r) == (
            signal.measured_win_rate,
            signal.measured_r,
        )
        band = strategy.desk.settings.consensus.band(signal.measured_confidence)
        assert signal.confidence_band == band.name.lower()
        assert signal.consensus_confidence >= 0.72, "what the heads state stays in the record"
        if signal.measured_r <= 0:
            assert signal.measured_confidence == 0.65
            assert signal.sizing["band_percent"] == pytest.approx(1.0, abs=0.2)
    assert {s.promised_by for s in early} == {"rule of the band"}


def test_stated_confidence_is_a_setting(datadir, tmp_path):
    stated = {"consensus": {"confidence": "stated"}}
    with backtesting(datadir, tmp_path, export="none", quorum=stated) as bt:
        bt.start()
        desk = bt.strategy.desk
    assert desk.models.outcomes is None
    assert all(s.measured_r is None for s in desk.signals.values())
    assert {s.confidence_band for s in desk.signals.values()} <= {"high", "very_high"}
