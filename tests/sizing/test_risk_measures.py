"""Risk measures: hand-made cases, bounds, and that nothing later is read."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quorum.account import ClosedPosition
from quorum.sizing.risk_measures import (
    correlation,
    cvar,
    holding_cvar,
    holding_returns,
    mean_known,
    past_results,
    recent_returns,
)

DAY = datetime(2024, 1, 1, tzinfo=UTC)
OUTCOMES = arrays(np.float64, st.integers(1, 80), elements=st.floats(-0.5, 0.5))


def closed(ratio: float) -> ClosedPosition:
    return ClosedPosition("BTC/USDT:USDT", 1, DAY, DAY, 100 * ratio, ratio, "target")


def test_returns_end_with_the_last_closed_candle():
    close = np.array([100.0, 110.0, 99.0, 120.0])
    assert recent_returns(close, 2, 2) == pytest.approx(np.log([1.1, 0.9]))
    assert recent_returns(close, 1, 2) == pytest.approx(np.log([1.1]))
    assert len(recent_returns(close, 0, 5)) == 0


def test_returns_next_to_a_price_that_is_not_known_are_not_known():
    close = np.array([100.0, np.nan, 100.0, 0.0, 50.0, 55.0])
    returns = recent_returns(close, 5, 10)
    assert np.isnan(returns[:4]).all()
    assert returns[4] == pytest.approx(math.log(1.1))


@given(st.integers(0, 49), st.integers(1, 60))
def test_returns_never_read_what_comes_later(row, count):
    close = np.exp(np.random.default_rng(1).normal(0, 0.01, 50).cumsum())
    changed = close.copy()
    changed[row + 1 :] = 7.0
    assert np.array_equal(recent_returns(close, row, count), recent_returns(changed, row, count))
    assert np.array_equal(
        recent_returns(close, row, count), recent_returns(close[: row + 1], row, count)
    )


def test_holding_returns_compound_over_every_span():
    returns = np.log([1.1, 0.9, 1.2])
    assert holding_returns(returns, 2) == pytest.approx([1.1 * 0.9 - 1, 0.9 * 1.2 - 1])
    assert len(holding_returns(returns, 4)) == 0


def test_spans_with_an_unknown_return_are_left_out():
    returns = np.array([0.0, 0.01, np.nan, 0.02, 0.03, -np.inf])
    assert holding_returns(returns, 2) == pytest.approx(np.expm1([0.01, 0.05]))


@pytest.mark.parametrize(
    ("outcomes", "level", "expected"),
    [
        # Of 100 outcomes the five worst lose 1, .99, .98, .97, .96.
        (-np.arange(1, 101) / 100, 0.95, 0.98),
        # Of 30 outcomes 1.5 are the tail: (30 + 29 / 2) / 1.5.
        (-np.arange(1.0, 31.0), 0.95, (30 + 29 / 2) / 1.5),
        # Of 10 outcomes half a one is.
        (-np.arange(1.0, 11.0), 0.95, 10.0),
        (np.array([0.1, 0.2]), 0.5, -0.1),
    ],
)
def test_cvar_is_the_mean_loss_of_the_tail(outcomes, level, expected):
    assert cvar(outcomes, level) == pytest.approx(expected)


def test_cvar_of_nothing_is_not_known():
    assert math.isnan(cvar(np.empty(0), 0.95))


@given(OUTCOMES, st.floats(0.5, 0.99), st.floats(0.5, 0.99), st.floats(0.01, 100))
def test_cvar_lies_between_mean_and_worst_loss_rises_with_the_level_and_scales(x, a, b, scale):
    low, high = sorted((a, b))
    smaller, larger = cvar(x, low), cvar(x, high)
    assert -x.mean() - 1e-12 <= smaller <= larger + 1e-12
    assert larger <= -x.min() + 1e-12
    assert cvar(scale * x, low) == pytest.approx(scale * smaller, abs=1e-9)


@given(OUTCOMES, st.integers(0, 79), st.floats(0, 0.5))
def test_cvar_does_not_fall_when_an_outcome_gets_worse(x, i, worse):
    y = x.copy()
    y[i % len(y)] -= worse
    assert cvar(y, 0.95) >= cvar(x, 0.95) - 1e-12


def test_a_falling_tail_is_a_danger_to_longs_alone():
    returns = np.full(480, 0.0)
    returns[100] = -0.10
    assert holding_cvar(returns, 1, 24, 0.95, 20) == pytest.approx(-math.expm1(-0.10))
    assert holding_cvar(returns, -1, 24, 0.95, 20) == pytest.approx(0.0)


def test_a_rising_tail_is_a_danger_to_shorts_alone():
    returns = np.full(480, 0.0)
    returns[100] = 0.10
    assert holding_cvar(returns, 1, 24, 0.95, 20) == pytest.approx(0.0)
    assert holding_cvar(returns, -1, 24, 0.95, 20) == pytest.approx(math.expm1(0.10))


def test_a_history_of_fewer_holding_times_than_asked_for_is_too_short():
    returns = np.random.default_rng(2).normal(0, 0.01, 480)
    assert math.isfinite(holding_cvar(returns, 1, 24, 0.95, 20))
    assert math.isnan(holding_cvar(returns[1:], 1, 24, 0.95, 20))
    assert math.isnan(holding_cvar(None, 1, 24, 0.95, 20))
    returns[240] = np.nan
    assert math.isnan(holding_cvar(returns, 1, 24, 0.95, 20))


@given(
    arrays(np.float64, 40, elements=st.floats(-0.1, 0.1)),
    arrays(np.float64, 40, elements=st.floats(-0.1, 0.1)),
)
def test_correlation_is_that_of_numpy_symmetric_and_signed(a, b):
    value = correlation(a, b, 40, 20)
    if math.isnan(value):
        assert min(a.std(), b.std()) < 1e-6
        return
    assert -1 <= value <= 1
    assert value == correlation(b, a, 40, 20)
    assert correlation(a, -b, 40, 20) == pytest.approx(-value)
    if min(a.std(), b.std()) > 1e-4:
        assert value == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)


def test_correlation_is_aligned_at_the_last_candle_and_reads_only_the_window():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=300), rng.normal(size=300)
    expected = np.corrcoef(a[-100:], b[-100:])[0, 1]
    assert correlation(a, b, 100, 50) == pytest.approx(expected)
    assert correlation(a[-100:], b, 200, 50) == pytest.approx(expected)


def test_candles_that_either_does_not_know_are_left_out():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=100), rng.normal(size=100)
    a[:10], b[5:30] = np.nan, np.inf
    assert correlation(a, b, 100, 70) == pytest.approx(np.corrcoef(a[30:], b[30:])[0, 1])
    assert math.isnan(correlation(a, b, 100, 71))


def test_a_price_that_stood_still_correlates_with_nothing():
    a = np.random.default_rng(5).normal(size=100)
    assert math.isnan(correlation(a, np.full(100, 0.1), 100, 20))
    assert math.isnan(correlation(a, np.zeros(100), 100, 20))


def test_the_mean_is_of_what_is_known():
    assert mean_known([0.2, math.nan, 0.4]) == pytest.approx(0.3)
    assert math.isnan(mean_known([math.nan]))
    assert math.isnan(mean_known([]))


def test_past_results_are_those_of_the_last_trades():
    trades = [closed(-0.5)] * 5 + [closed(0.02), closed(-0.01), closed(0.02), closed(0.01)]
    ratios = np.array([0.02, -0.01, 0.02, 0.01])
    count, win_rate, sharpe = past_results(trades, 4)
    assert (count, win_rate) == (4, 0.75)
    assert sharpe == pytest.approx(ratios.mean() / ratios.std(ddof=1))


@pytest.mark.parametrize("ratios", [[0.02], [0.02, 0.02, 0.02], [0.0, 0.0]])
def test_a_sharpe_ratio_needs_two_trades_that_differ(ratios):
    count, _, sharpe = past_results([closed(r) for r in ratios], 10)
    assert count == len(ratios)
    assert math.isnan(sharpe)


def test_no_trades_are_no_result():
    count, win_rate, sharpe = past_results([closed(math.nan)], 10)
    assert count == 0
    assert math.isnan(win_rate)
    assert math.isnan(sharpe)
    assert past_results([], 10)[0] == 0
