"""The guards in real freqtrade backtests."""

from __future__ import annotations

import pandas as pd
import pytest
from backtests import run, small_market
from freqtrade.exceptions import StrategyError

from quorum.guards import State

#: Sizes at which a small market reaches the limits: the percentages are risked, not invested.
BOLD = {"basis": "risk", "max_percent": 100.0}
#: Every tier but the system's out of the way.
ONLY_SYSTEM = {
    "position": {"enabled": False},
    "day": {"enabled": False},
    "drawdown": {"enabled": False},
}


@pytest.fixture(scope="module")
def datadir(tmp_path_factory):
    return small_market(tmp_path_factory.mktemp("data") / "market")


@pytest.fixture(scope="module")
def unguarded(datadir, tmp_path_factory):
    return run(
        datadir,
        tmp_path_factory.mktemp("user"),
        quorum={"sizing": BOLD, "guards": {"preset": "off"}},
    )


def guarded(datadir, folder, **guards):
    return run(datadir, folder, quorum={"sizing": BOLD, "guards": guards})


def lowest(result) -> float:
    """Return the largest drawdown of realised profit, percent of the peak."""
    balance = 100_000 + result["trades"].sort_values("close_date")["profit_abs"].cumsum()
    peak = balance.cummax().clip(lower=100_000)
    return float((100 * (peak - balance) / peak).max())


def test_the_emergency_shutdown_ends_a_backtest_near_its_limit(datadir, unguarded, tmp_path):
    assert lowest(unguarded) > 3
    result = guarded(datadir, tmp_path, **ONLY_SYSTEM, system={"max_drawdown": 2.0})
    trades, watch = result["trades"], result["strategy"].watch
    (halt,) = [t for t in watch.transitions if t.after is State.HALTED]
    assert (trades["open_date"] < halt.at).all(), "nobody re-arms a backtest"
    closed = trades[trades["exit_reason"] == "emergency_shutdown"]
    assert len(closed) > 0
    assert set(closed["close_date"]) == {pd.Timestamp(halt.at)}
    assert trades["close_date"].max() == pd.Timestamp(halt.at)
    assert 1.0 < lowest(result) < 3.5
    assert result["strategy"].desk.refused["emergency_shutdown"] > 0


def test_until_the_shutdown_the_trades_are_those_of_a_run_without_guards(
    datadir, unguarded, tmp_path
):
    result = guarded(datadir, tmp_path, **ONLY_SYSTEM, system={"max_drawdown": 2.0})
    watch = result["strategy"].watch
    columns = ["pair", "open_date", "open_rate", "max_stake_amount", "is_short"]
    first = min(t.at for t in watch.transitions)
    expected, found = (
        r["trades"].loc[r["trades"]["open_date"] < first, columns] for r in (unguarded, result)
    )
    assert len(found) > 0
    pd.testing.assert_frame_equal(
        found.sort_values(columns).reset_index(drop=True),
        expected.sort_values(columns).reset_index(drop=True),
    )


def test_two_runs_begin_clean_and_are_alike(datadir, tmp_path):
    one, two = (guarded(datadir, tmp_path, preset="conservative") for _ in range(2))
    pd.testing.assert_frame_equal(one["trades"], two["trades"])
    assert one["strategy"].watch.transitions == two["strategy"].watch.transitions
    assert not list(tmp_path.rglob("*.quorum.sqlite")), "a backtest writes no state"


def test_position_limits_hold_in_every_moment(datadir, unguarded, tmp_path):
    result = guarded(
        datadir,
        tmp_path,
        preset="off",
        position={"enabled": True, "max_open": 1, "max_stake": 500.0, "cooldown_pair": 600.0},
    )
    trades = result["trades"].sort_values("open_date")
    assert len(trades) > 0
    assert (
        unguarded["trades"].sort_values("open_date")["open_date"].diff() == pd.Timedelta(0)
    ).any()
    assert (trades["open_date"].to_numpy()[1:] >= trades["close_date"].to_numpy()[:-1]).all()
    for _, of_pair in trades.groupby("pair"):
        rest = of_pair["open_date"].to_numpy()[1:] - of_pair["close_date"].to_numpy()[:-1]
        assert (rest >= pd.Timedelta(minutes=600).to_timedelta64()).all()
    refused = result["strategy"].desk.refused
    assert refused["max_open_trades"] > 0
    assert refused["cooldown_pair"] > 0


def test_the_trades_of_a_day_stay_within_their_maximum(datadir, unguarded, tmp_path):
    assert unguarded["trades"]["open_date"].dt.date.value_counts().max() > 1
    result = guarded(datadir, tmp_path, preset="off", day={"enabled": True, "max_trades": 1})
    assert result["trades"]["open_date"].dt.date.value_counts().max() == 1
    assert result["strategy"].desk.refused["daily_trades"] > 0


def test_a_reference_that_no_market_has_is_refused_before_anything_starts(datadir, tmp_path):
    guards = {"guards": {"system": {"reference": "XYZ"}}}
    with pytest.raises(StrategyError, match=r"reference = 'XYZ': no candles of XYZ/USDT"):
        run(
            datadir, tmp_path, pairs=["ETH/USDT:USDT"], quorum=guards, timerange="20230601-20230603"
        )


def test_a_black_swan_of_a_coin_that_is_not_traded_refuses_entries(datadir, tmp_path):
    # Every candle that moves is one: nothing is entered while BTC is looked at.
    tight = {"guards": {"system": {"swan_atr": 0.01}}}
    found = run(datadir, tmp_path, pairs=["ETH/USDT:USDT"], quorum=tight)
    assert len(found["trades"]) == 0
    assert found["strategy"].watch.refused["black_swan"] > 0
