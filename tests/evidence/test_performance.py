"""Performance statistics against empyrical-reloaded, an independent library."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quorum.evidence import performance as perf

empyrical = pytest.importorskip("empyrical", reason="needs the dev extra: empyrical-reloaded")

DAY = 86_400_000


def daily(seed: int, n: int = 700) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.0004 + 0.011 * rng.standard_t(4, n)


PAIRS = {
    "cagr": lambda r: empyrical.cagr(r, annualization=365),
    "volatility": lambda r: empyrical.annual_volatility(r, annualization=365),
    "sharpe": lambda r: empyrical.sharpe_ratio(r, annualization=365),
    "sortino": lambda r: empyrical.sortino_ratio(r, annualization=365),
    "calmar": lambda r: empyrical.calmar_ratio(r, annualization=365),
    "max_drawdown": lambda r: -empyrical.max_drawdown(r),
    "total_return": lambda r: empyrical.cum_returns_final(r),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("seed", range(4))
def test_every_statistic_agrees_with_empyrical(name, seed):
    returns = daily(seed)
    ours = float(getattr(perf, name)(returns))
    assert ours == pytest.approx(float(PAIRS[name](returns)), rel=1e-9)


@given(arrays(np.float64, st.integers(3, 60), elements=st.floats(-0.4, 0.4)))
def test_sharpe_sortino_and_drawdown_agree_on_any_returns(returns):
    ours = float(perf.max_drawdown(returns))
    assert ours == pytest.approx(-float(empyrical.max_drawdown(returns)), abs=1e-12)
    if np.ptp(returns) > 1e-6:
        theirs = float(empyrical.sharpe_ratio(returns, annualization=365))
        assert float(perf.sharpe(returns)) == pytest.approx(theirs, rel=1e-6)
    if returns.min() < -1e-6:
        theirs = float(empyrical.sortino_ratio(returns, annualization=365))
        assert float(perf.sortino(returns)) == pytest.approx(theirs, rel=1e-6)


def test_beta_agrees_with_empyrical():
    market = daily(1)
    returns = 0.3 * market + daily(2) / 5
    assert perf.beta(returns, market) == pytest.approx(float(empyrical.beta(returns, market)))


@pytest.mark.parametrize("name", [*PAIRS, "profit_factor", "win_rate"])
def test_many_samples_at_once_give_what_each_gives_alone(name):
    samples = np.stack([daily(seed, 90) for seed in range(5)])
    function = getattr(perf, name)
    assert function(samples) == pytest.approx([float(function(row)) for row in samples])


def test_all_statistics_of_one_series_are_those_of_the_functions():
    returns = daily(3)
    found = perf.performance(returns)
    assert found.sharpe == float(perf.sharpe(returns))
    assert found.total == float(perf.total_return(returns))
    assert found.max_drawdown == float(perf.max_drawdown(returns))


@pytest.mark.parametrize("returns", [np.empty(0), np.array([0.01])])
def test_without_two_returns_nothing_is_claimed_of_risk(returns):
    assert math.isnan(perf.sharpe(returns))
    assert math.isnan(perf.sortino(returns))
    assert math.isnan(perf.volatility(returns))


def test_an_account_that_never_moved_has_no_sharpe_sortino_or_calmar():
    flat = np.zeros(50)
    assert [math.isnan(f(flat)) for f in (perf.sharpe, perf.sortino, perf.calmar)] == [True] * 3
    assert perf.cagr(flat) == 0.0


def test_a_constant_gain_has_no_sharpe_and_an_infinite_sortino():
    assert math.isnan(perf.sharpe(np.full(30, 0.01)))
    assert math.isinf(perf.sortino(np.full(30, 0.01)))


def test_an_account_that_lost_everything_has_lost_everything():
    assert perf.cagr(np.array([0.1, -1.0, 0.0])) == -1.0
    assert perf.max_drawdown(np.array([0.1, -1.0, 0.0])) == 1.0


def test_profit_factor_divides_what_was_won_by_what_was_lost():
    assert perf.profit_factor(np.array([3.0, -1.0, -1.0])) == 1.5
    assert math.isinf(perf.profit_factor(np.array([3.0])))
    assert math.isnan(perf.profit_factor(np.empty(0)))


def test_a_win_is_a_profit_above_zero():
    assert perf.win_rate(np.array([1.0, 0.0, -1.0, 2.0])) == 0.5
    assert math.isnan(perf.win_rate(np.empty(0)))


def test_the_deepest_drawdown_names_peak_trough_and_recovery():
    equity = np.array([100.0, 120.0, 90.0, 110.0, 120.0, 115.0])
    assert perf.deepest_drawdown(equity) == perf.Drawdown(0.25, 1, 2, 4)
    assert perf.deepest_drawdown(equity[:4]).recovered is None


def test_a_day_closes_with_its_last_reading_and_a_day_without_keeps_the_last():
    time = np.array([0, 5, DAY - 1, 3 * DAY + 7])
    day, close = perf.daily_closes(time, np.array([1.0, 2.0, 3.0, 4.0]))
    assert day.tolist() == [0, DAY, 2 * DAY, 3 * DAY]
    assert close.tolist() == [3.0, 3.0, 3.0, 4.0]
    assert len(perf.daily_closes(np.empty(0, np.int64), np.empty(0))[0]) == 0


def test_months_compound_to_the_whole():
    day = np.arange(np.datetime64("2023-12-20"), np.datetime64("2024-03-02"))
    day = day.astype("datetime64[ms]").astype(np.int64)
    close = 100 * np.cumprod(1 + daily(5, len(day)))
    month, value = perf.monthly_returns(day, close, 100.0)
    assert month.tolist() == [202312, 202401, 202402, 202403]
    assert np.prod(1 + value) == pytest.approx(close[-1] / 100)
    assert value[-1] == pytest.approx(close[-1] / close[-2] - 1)
