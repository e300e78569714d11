"""The loss of hyperopt: every part moves it the right way, everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quorum.tuning.loss import (
    MS_PER_MONTH,
    LossSettings,
    Outcome,
    band_of,
    broken_promise,
    few_trades,
    promised,
    quality,
    score,
)

DEFAULT = LossSettings()
PROMISES = promised((0.8, 0.7, 0.6))
DAY = 86_400_000
YEAR = 365 * DAY
growths = st.floats(-3, 3)
falls = st.floats(0, 1)


def outcome(profit, band="medium", *, capital=1000.0, days=None, span=YEAR) -> Outcome:
    profit = np.asarray(profit, dtype=np.float64)
    closed = np.arange(len(profit)) * DAY if days is None else np.asarray(days) * DAY
    bands = [band] * len(profit) if isinstance(band, str) else band
    return Outcome(closed.astype(np.int64), profit, bands, 0, span, capital)


@given(growths, falls, st.floats(1e-3, 1))
def test_quality_falls_with_drawdown(growth, fall, more):
    assert quality(growth, fall + more, DEFAULT) < quality(growth, fall, DEFAULT)


@given(growths, falls, st.floats(1e-3, 1))
def test_quality_rises_with_growth(growth, fall, more):
    assert quality(growth + more, fall, DEFAULT) > quality(growth, fall, DEFAULT)


@given(growths, falls)
def test_quality_stays_within_one(growth, fall):
    assert -1 < quality(growth, fall, DEFAULT) < 1


@given(st.integers(0, 500), st.integers(1, 100))
def test_more_trades_never_cost(n, more):
    assert few_trades(n + more, YEAR, DEFAULT) <= few_trades(n, YEAR, DEFAULT)


def test_the_penalty_for_few_trades_is_smooth_and_ends_at_zero():
    needed = 48
    span = 12 * MS_PER_MONTH
    penalties = [few_trades(n, span, DEFAULT) for n in range(needed + 5)]
    assert penalties[0] == 1
    assert penalties[needed:] == [0] * 5
    assert max(np.abs(np.diff(penalties))) < 0.05
    assert penalties[needed - 1] < 1e-3


def test_a_longer_span_needs_more_trades():
    assert few_trades(20, 12 * MS_PER_MONTH, DEFAULT) > few_trades(20, 6 * MS_PER_MONTH, DEFAULT)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.data())
def test_a_lost_trade_never_keeps_a_promise_better(wins, data):
    band = [data.draw(st.sampled_from([*PROMISES, ""])) for _ in wins]
    i = data.draw(st.integers(0, len(wins) - 1))
    won, lost = np.array(wins), np.array(wins)
    won[i], lost[i] = True, False
    better = broken_promise(band, won, PROMISES, DEFAULT)
    worse = broken_promise(band, lost, PROMISES, DEFAULT)
    assert 0 <= better <= worse <= 1


def test_a_band_that_keeps_its_promise_costs_nothing():
    wins = np.array([True] * 7 + [False] * 3)
    assert broken_promise(["high"] * 10, wins, PROMISES, DEFAULT) == 0
    assert broken_promise(["very_high"] * 10, wins, PROMISES, DEFAULT) > 0


def test_a_broken_promise_counts_more_the_more_trades_prove_it():
    few = broken_promise(["high"] * 2, np.zeros(2, bool), PROMISES, DEFAULT)
    many = broken_promise(["high"] * 200, np.zeros(200, bool), PROMISES, DEFAULT)
    assert few == pytest.approx(1 - (10 * 0.7 / 12) / 0.7)
    assert few < 0.2 < 0.9 < many


def test_trades_without_a_band_promise_nothing():
    assert broken_promise(["", "mystery"], np.zeros(2, bool), PROMISES, DEFAULT) == 0
    assert broken_promise([], np.zeros(0, bool), PROMISES, DEFAULT) == 0


def test_growth_and_drawdown_of_an_account():
    result = outcome([100, -220, 120])
    assert result.equity().tolist() == [1000, 1100, 880, 1000]
    assert result.drawdown() == pytest.approx(0.2)
    assert result.growth() == 0
    doubled = outcome([1000], span=int(365.25 * DAY))
    assert doubled.growth() == pytest.approx(math.log(2))
    assert doubled.drawdown() == 0


def test_trades_count_in_the_order_they_closed():
    late, early = outcome([50, -100], days=[9, 3]), outcome([-100, 50], days=[3, 9])
    assert late.drawdown() == early.drawdown() == pytest.approx(0.1)
    assert late.daily_returns().tolist() == early.daily_returns().tolist()


def test_daily_returns_are_of_the_capital_of_the_morning_and_compound_to_the_growth():
    result = outcome([100, 100, -300, 60], days=[0, 2, 2, 5], span=7 * DAY)
    daily = result.daily_returns()
    assert daily == pytest.approx([0.1, 0, -200 / 1100, 0, 0, 60 / 900, 0])
    assert np.log1p(daily).sum() == pytest.approx(result.growth() * 7 / 365.25)


@given(st.lists(st.floats(-300, 300), max_size=40))
def test_an_account_of_any_fate_has_a_loss(profit):
    result = outcome(profit)
    assert math.isfinite(score(result, PROMISES, DEFAULT).total)
    assert np.isfinite(result.daily_returns()).all()


def test_no_trade_is_the_worst_of_too_few():
    loss = score(outcome([]), PROMISES, DEFAULT)
    assert (loss.quality, loss.few_trades, loss.broken_promise) == (0, 1, 0)
    assert loss.total == 1


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=40), st.randoms())
def test_the_same_trades_in_an_order_with_a_deeper_fall_are_worse(profit, random):
    other = list(profit)
    random.shuffle(other)
    one, two = outcome(profit), outcome(other)
    assume(one.drawdown() + 1e-6 < two.drawdown())
    # Win rates, growth and number of trades are the same.
    assert score(one, PROMISES, DEFAULT).total < score(two, PROMISES, DEFAULT).total


def test_a_broken_promise_makes_the_same_profit_worse():
    profit = [30, -10] * 30
    kept = score(outcome(profit, ""), PROMISES, DEFAULT)
    broken = score(outcome(profit, "very_high"), PROMISES, DEFAULT)
    assert broken.quality == kept.quality
    assert broken.total > kept.total


@pytest.mark.parametrize(
    ("tag", "band"),
    [
        ("5/9 high", "high"),
        ("4/11 very_high", "very_high"),
        ("force_entry", ""),
        ("my high", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_band_is_read_from_the_entry_tag(tag, band):
    assert band_of(tag) == band
