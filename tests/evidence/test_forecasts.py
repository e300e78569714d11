"""Forecast statistics against SciPy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quorum.evidence import forecasts as fc

metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")


def sample(seed: int = 0, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return well calibrated promises and what happened."""
    rng = np.random.default_rng(seed)
    promised = np.round(rng.beta(2, 2, n), 2)
    return promised, rng.random(n) < promised


@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(successes, trials, level):
    successes = min(successes, trials)
    low, high = fc.wilson(successes, trials, level)
    theirs = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert low == pytest.approx(theirs.low, abs=1e-9)
    assert high == pytest.approx(theirs.high, abs=1e-9)


def test_without_trials_the_rate_is_not_known():
    found = fc.win_interval(0, 0)
    assert math.isnan(found.estimate)
    assert math.isnan(found.low)


def test_brier_log_loss_and_auc_agree_with_scikit_learn():
    promised, happened = sample()
    weight = np.random.default_rng(9).random(len(promised))
    inside = np.clip(promised, 0.01, 0.99)
    assert fc.brier(promised, happened) == pytest.approx(
        metrics.brier_score_loss(happened, promised)
    )
    assert fc.brier(promised, happened, weight) == pytest.approx(
        metrics.brier_score_loss(happened, promised, sample_weight=weight)
    )
    assert fc.log_loss(inside, happened) == pytest.approx(metrics.log_loss(happened, inside))
    assert fc.auc(promised, happened).estimate == pytest.approx(
        metrics.roc_auc_score(happened, promised)
    )


def test_delongs_error_agrees_with_a_bootstrap():
    promised, happened = sample(3)
    rng = np.random.default_rng(1)
    areas = []
    for _ in range(400):
        rows = rng.integers(0, len(promised), len(promised))
        areas.append(fc.auc(promised[rows], happened[rows]).estimate)
    found = fc.auc(promised, happened)
    assert (found.high - found.low) / 2 / 1.96 == pytest.approx(np.std(areas), rel=0.15)


def test_one_outcome_only_has_no_auc():
    assert math.isnan(fc.auc(np.array([0.1, 0.9]), np.array([True, True])).estimate)


def test_the_reliability_curve_agrees_with_scikit_learn():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(2)
    promised = rng.random(1000)
    happened = rng.random(1000) < promised**2
    found = fc.reliability(promised, happened, groups=10)
    realised, mean = calibration_curve(happened, promised, n_bins=10, strategy="quantile")
    assert found.realised == pytest.approx(realised, abs=0.02)
    assert found.promised == pytest.approx(mean, abs=0.002)
    assert found.count.sum() == 1000
    assert np.all(found.lower[1:] > found.upper[:-1])


def test_equal_promises_stay_in_one_group():
    found = fc.reliability(np.array([0.6] * 50 + [0.7] * 5), np.ones(55, bool), groups=10)
    assert found.count.tolist() == [50, 5]
    assert found.promised == pytest.approx([0.6, 0.7])


def test_no_forecast_gives_an_empty_curve():
    assert len(fc.reliability(np.empty(0), np.empty(0)).count) == 0
    assert math.isnan(fc.calibration_error(np.empty(0), np.empty(0)))
    assert math.isnan(fc.brier(np.empty(0), np.empty(0)))


def test_honest_promises_have_little_calibration_error_and_boasts_much():
    promised, happened = sample(5, 5000)
    assert fc.calibration_error(promised, happened) < 0.03
    assert fc.calibration_error(np.minimum(promised + 0.3, 1.0), happened) > 0.2


def test_skill_is_zero_for_the_base_rate_and_negative_for_boasts():
    happened = np.array([True, False, False, False])
    assert fc.brier_skill(np.full(4, 0.25), happened) == pytest.approx(0.0)
    assert fc.brier_skill(np.full(4, 0.7), happened) < 0
    assert math.isnan(fc.brier_skill(np.full(2, 0.7), np.array([True, True])))


def test_the_information_coefficient_is_spearmans():
    rng = np.random.default_rng(0)
    score = np.round(rng.standard_normal(500), 1)
    outcome = score + 3 * rng.standard_normal(500)
    outcome[7] = math.nan
    found = fc.information_coefficient(score, outcome, np.arange(500), 1)
    theirs = stats.spearmanr(score, outcome, nan_policy="omit").statistic
    assert found.estimate == pytest.approx(theirs)
    assert found.low > 0


def test_its_interval_covers_zero_as_promised_although_outcomes_overlap():
    rng = np.random.default_rng(1)
    lag, n, inside, naive = 24, 3000, 0, 0
    for _ in range(100):
        steps = rng.standard_normal(n + lag)
        outcome = np.convolve(steps, np.ones(lag), "valid")[1:]
        score = np.convolve(rng.standard_normal(n + 49), np.ones(50), "valid")
        found = fc.information_coefficient(score, outcome, np.arange(n), lag)
        inside += found.holds(0.0)
        naive += fc.information_coefficient(score, outcome, np.arange(n), 0).holds(0.0)
    assert inside >= 85
    assert naive < 60


def test_pairs_that_move_together_do_not_count_as_many():
    rng = np.random.default_rng(2)
    score, outcome = rng.standard_normal((2, 800))
    one = fc.information_coefficient(score, outcome, np.arange(800), 1)
    ten = fc.information_coefficient(
        np.tile(score, 10), np.tile(outcome, 10), np.tile(np.arange(800), 10), 1
    )
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.01)


@pytest.mark.parametrize("score", [np.ones(50), np.full(50, math.nan), np.arange(2.0)])
def test_a_score_that_says_nothing_has_no_coefficient(score):
    n = len(score)
    found = fc.information_coefficient(score, np.arange(n) * 1.0, np.arange(n), 1)
    assert math.isnan(found.estimate)


def test_the_mean_of_overlapping_outcomes_has_an_interval_that_covers_as_promised():
    rng = np.random.default_rng(4)
    lag, n, inside, naive = 24, 3000, 0, 0
    for _ in range(100):
        values = np.convolve(rng.standard_normal(n + lag - 1), np.ones(lag), "valid")
        inside += fc.overlapping_mean(values, np.arange(n), lag).holds(0.0)
        naive += fc.overlapping_mean(values, np.arange(n), 0).holds(0.0)
    assert inside >= 85
    assert naive < 60


def test_of_independent_outcomes_it_is_the_plain_interval():
    values = np.random.default_rng(5).random(500)
    found = fc.overlapping_mean(values, np.arange(500), 0)
    half = 1.959964 * np.std(values) / math.sqrt(500)
    assert found.high - found.estimate == pytest.approx(half, rel=1e-6)
    assert math.isnan(fc.overlapping_mean(np.empty(0), np.empty(0, np.int64), 1).estimate)
