"""Block bootstrap: coverage, block lengths, and what it says of too little data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quorum.evidence import performance as perf
from quorum.evidence.bootstrap import (
    Interval,
    block_length,
    block_rows,
    bootstrap,
    bootstrap_interval,
    chance_of,
    percentile_of,
)


def autoregressive(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    noise = rng.standard_normal(n + 100)
    out = np.zeros(n + 100)
    for t in range(1, n + 100):
        out[t] = phi * out[t - 1] + noise[t]
    return out[100:]


def mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=-1)


def test_the_same_seed_draws_the_same_samples():
    values = np.random.default_rng(0).standard_normal(200)
    assert np.array_equal(bootstrap(values, mean, runs=50), bootstrap(values, mean, runs=50))
    other = bootstrap(values, mean, runs=50, seed=8)
    assert not np.array_equal(bootstrap(values, mean, runs=50), other)


def test_blocks_are_runs_of_neighbours_of_the_mean_length():
    rows = block_rows(1000, 200, 8.0, np.random.default_rng(1))
    assert rows.shape == (200, 1000)
    together = (np.diff(rows, axis=1) % 1000) == 1
    assert 1 / (1 - together.mean()) == pytest.approx(8.0, rel=0.05)
    assert np.bincount(rows.ravel(), minlength=1000).std() / 200 < 0.15


def test_series_that_belong_together_are_drawn_together():
    pair = np.vstack([np.arange(50.0), np.arange(50.0) * 2])
    ratio = bootstrap(pair, lambda v: v[1].sum(-1) / v[0].sum(-1), runs=20)
    assert ratio == pytest.approx(np.full(20, 2.0))


def test_samples_do_not_depend_on_how_many_fit_in_memory(monkeypatch):
    monkeypatch.setattr("quorum.evidence.bootstrap.CHUNK", 1000)
    values = np.random.default_rng(0).standard_normal(100)
    assert len(bootstrap(values, mean, runs=37)) == 37


def test_a_dependent_series_gets_blocks_near_the_theoretical_best():
    # AR(1) with phi = .5: (G / g)^2 n ^ (1/3) = (16 / 9 * 4000) ^ (1/3) = 19.2.
    rng = np.random.default_rng(3)
    lengths = [block_length(autoregressive(rng, 4000, 0.5)) for _ in range(20)]
    assert np.median(lengths) == pytest.approx(19.2, rel=0.25)


def test_independent_values_get_short_blocks():
    rng = np.random.default_rng(4)
    assert np.median([block_length(rng.standard_normal(1000)) for _ in range(20)]) < 5


@pytest.mark.parametrize("values", [np.empty(0), np.ones(100), np.arange(5.0)])
def test_little_or_constant_data_have_blocks_of_one(values):
    assert block_length(values) == 1.0


def test_the_interval_of_a_dependent_mean_covers_the_truth_where_single_draws_would_not():
    rng = np.random.default_rng(5)
    series = [autoregressive(rng, 400, 0.6) for _ in range(150)]
    blocks = np.mean([bootstrap_interval(s, mean, runs=200).holds(0.0) for s in series])
    single = np.mean([bootstrap_interval(s, mean, runs=200, length=1).holds(0.0) for s in series])
    assert blocks > 0.85
    assert single < 0.75


def test_the_estimate_is_the_statistic_of_the_series_itself():
    returns = np.random.default_rng(6).standard_normal(300) / 100
    found = bootstrap_interval(returns, perf.sharpe, runs=200)
    assert found.estimate == float(perf.sharpe(returns))
    assert found.low < found.estimate < found.high


def test_without_data_the_interval_is_not_known_and_excludes_nothing():
    found = bootstrap_interval(np.empty(0), perf.sharpe, runs=10)
    assert math.isnan(found.estimate)
    assert math.isnan(found.low)
    assert found.holds(0.0)


def test_one_trade_has_an_estimate_but_no_interval():
    found = bootstrap_interval(np.array([3.0]), mean, runs=10)
    assert found.estimate == 3.0
    assert math.isnan(found.low)


def test_an_interval_of_profit_factors_may_be_open_to_infinity():
    found = bootstrap_interval(np.array([2.0] * 5 + [-0.1]), perf.profit_factor, runs=500)
    assert found.low < found.estimate <= found.high
    assert math.isinf(found.high)


def test_an_interval_holds_what_lies_in_it():
    assert Interval(1.0, 0.5, 2.0).holds(0.5)
    assert not Interval(1.0, 0.5, 2.0).holds(0.0)


def test_a_percentile_counts_ties_half_and_leaves_out_the_unknown():
    samples = np.array([1.0, 2.0, 2.0, 3.0, math.nan])
    assert percentile_of(2.0, samples) == 0.5
    assert percentile_of(9.0, samples) == 1.0
    assert math.isnan(percentile_of(1.0, np.empty(0)))


def test_chance_is_never_zero_with_finite_samples():
    assert chance_of(9.0, np.arange(5.0)) == pytest.approx(1 / 6)
    assert chance_of(-1.0, np.arange(5.0)) == 1.0
    assert math.isnan(chance_of(math.nan, np.arange(5.0)))
