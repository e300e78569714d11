"""What the best of many trials is worth: numbers of the papers, and worlds with a known answer."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.evidence.overfitting import (
    backtest_overfitting,
    deflated_sharpe,
    effective_trials,
    expected_best_sharpe,
    period_sharpe,
    probabilistic_sharpe,
    sharpe_confidence,
)

rng = np.random.default_rng(11)
NOISE = rng.normal(0, 0.01, (480, 20))


def test_the_example_of_the_deflated_sharpe_ratio_paper():
    # Bailey and Lopez de Prado 2014: 100 trials, annual variance 1/2, 1,250 days, ratio 2.5.
    luck = expected_best_sharpe(0.5 / 250, 100)
    assert luck == pytest.approx(0.1132, abs=5e-5)
    ratio = 2.5 / math.sqrt(250)
    assert sharpe_confidence(ratio, luck, 1250, -3, 10) == pytest.approx(0.9004, abs=5e-4)
    fewer = expected_best_sharpe(0.5 / 250, 46)
    assert sharpe_confidence(ratio, fewer, 1250, -3, 10) == pytest.approx(0.9505, abs=5e-4)


def test_the_best_of_worthless_trials_is_as_good_as_expected():
    means = rng.normal(0, 1, (4000, 50)).max(axis=1).mean()
    assert expected_best_sharpe(1.0, 50) == pytest.approx(means, abs=0.05)


@pytest.mark.parametrize("n", [0, 1])
def test_one_trial_needs_no_deflation(n):
    assert expected_best_sharpe(1.0, n) == 0.0


@given(st.floats(2, 1000), st.floats(1.01, 5))
def test_more_trials_raise_what_luck_gives(n, more):
    assert expected_best_sharpe(0.01, n * more) > expected_best_sharpe(0.01, n)


def test_the_deflated_ratio_falls_with_the_number_of_trials():
    best = NOISE[:, int(period_sharpe(NOISE).argmax())]
    sharpes = period_sharpe(NOISE)
    values = [deflated_sharpe(best, sharpes, n) for n in (1, 5, 20, 200)]
    assert values == sorted(values, reverse=True)
    assert values[0] == probabilistic_sharpe(best)
    assert deflated_sharpe(best, sharpes) == values[2]


def test_the_best_of_noise_is_not_proven_and_real_skill_is():
    sharpes = period_sharpe(NOISE)
    assert deflated_sharpe(NOISE[:, int(sharpes.argmax())], sharpes) < 0.95
    skill = NOISE.copy()
    skill[:, 3] += 0.004
    assert deflated_sharpe(skill[:, 3], period_sharpe(skill)) > 0.95


def test_returns_that_never_change_prove_nothing():
    still = np.zeros(100)
    assert math.isnan(probabilistic_sharpe(still))
    assert math.isnan(probabilistic_sharpe(np.zeros(0)))
    assert period_sharpe(np.column_stack([still, NOISE[:100, 0]]))[0] == 0.0


def test_copies_of_one_trial_are_one_and_independent_trials_are_many():
    copies = np.repeat(NOISE[:, :1], 10, axis=1)
    assert effective_trials(copies) == pytest.approx(1)
    assert effective_trials(NOISE) > 18
    assert effective_trials(np.column_stack([np.zeros((480, 5)), NOISE[:, :1]])) == 2
    assert effective_trials(np.zeros((480, 5))) == 1


def slow_overfitting(returns, n_blocks):
    """Compute the probability of overfitting as the paper writes it, split by split."""
    blocks = np.array_split(returns, n_blocks)
    below = []
    for chosen in combinations(range(n_blocks), n_blocks // 2):
        inside = np.concatenate([blocks[i] for i in chosen])
        outside = np.concatenate([blocks[i] for i in range(n_blocks) if i not in chosen])
        best = int(period_sharpe(inside).argmax())
        ratios = period_sharpe(outside)
        rank = (ratios < ratios[best]).sum() + 1
        omega = rank / (returns.shape[1] + 1)
        below.append(math.log(omega / (1 - omega)) <= 0)
    return np.mean(below)


@pytest.mark.parametrize("seed", range(3))
def test_all_splits_at_once_are_the_splits_one_by_one(seed):
    returns = np.random.default_rng(seed).normal(0, 0.01, (80, 7))
    found = backtest_overfitting(returns, 8)
    assert found.splits == 70
    assert found.probability == pytest.approx(slow_overfitting(returns, 8))


def test_noise_is_overfitted_about_every_second_time():
    worlds = [np.random.default_rng(seed).normal(0, 0.01, (240, 20)) for seed in range(40)]
    mean = np.mean([backtest_overfitting(world, 8).probability for world in worlds])
    assert mean == pytest.approx(0.5, abs=0.1)


def test_a_trial_that_is_better_everywhere_is_not_overfitted():
    returns = NOISE.copy()
    returns[:, 5] += 0.01
    found = backtest_overfitting(returns)
    assert found.probability == 0
    assert found.loss_probability == 0


def test_what_was_won_on_one_half_and_lost_on_the_other_is_overfitted():
    returns = NOISE - NOISE.mean(axis=0)
    found = backtest_overfitting(returns)
    assert found.probability > 0.9
    assert found.loss_probability == 1
    assert found.degradation < 0


def test_the_order_of_trials_does_not_matter():
    shuffled = NOISE[:, rng.permutation(NOISE.shape[1])]
    assert backtest_overfitting(shuffled).probability == backtest_overfitting(NOISE).probability


def test_trials_that_are_all_the_same_cannot_be_told_from_luck():
    same = np.repeat(NOISE[:, :1], 5, axis=1)
    found = backtest_overfitting(same)
    assert found.probability == 1  # The best is never over the median.


@pytest.mark.parametrize(
    ("shape", "blocks", "problem"),
    [((100, 1), 12, "two trials"), ((100, 5), 7, "even"), ((20, 5), 12, "too few")],
)
def test_what_cannot_be_judged_is_refused(shape, blocks, problem):
    with pytest.raises(ValueError, match=problem):
        backtest_overfitting(np.ones(shape), blocks)
