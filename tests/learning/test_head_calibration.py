"""Calibrated head confidences: 0.70 means 70 %, and few votes change little (M5)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.errors import DataError
from quorum.learning.head_calibration import (
    HeadCalibrationConstants,
    HeadMap,
    apply_head_maps,
    fit_head_map,
    fit_head_maps,
)


def votes(n: int, truth, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw votes whose hit rate is a function of their confidence."""
    rng = np.random.default_rng(seed)
    confidence = np.round(rng.uniform(0.5, 0.95, n), 4)
    return confidence, rng.random(n) < truth(confidence)


def test_a_confidence_becomes_the_hit_rate_it_had():
    truth = lambda c: 0.45 + 0.4 * (c - 0.5)  # noqa: E731
    found = fit_head_map(*votes(20_000, truth))
    grid = np.array([0.55, 0.65, 0.75, 0.85])
    np.testing.assert_allclose(found.apply(grid), truth(grid), atol=0.03)
    # On votes it has not seen, those it calls 50-55 % are right that often.
    confidence, hit = votes(50_000, truth, seed=1)
    called = found.apply(confidence)
    for low in (0.45, 0.5, 0.55):
        among = (called >= low) & (called < low + 0.05)
        assert among.sum() > 1000
        assert hit[among].mean() == pytest.approx(called[among].mean(), abs=0.02)


def test_a_head_whose_confidence_says_nothing_gets_its_base_rate():
    found = fit_head_map(*votes(20_000, lambda c: np.full(len(c), 0.52)))
    np.testing.assert_allclose(found.apply(np.array([0.55, 0.7, 0.9])), 0.52, atol=0.02)


def test_a_head_that_is_surer_when_it_is_wrong_does_not_get_a_falling_map():
    found = fit_head_map(*votes(20_000, lambda c: 0.9 - 0.6 * (c - 0.5)))
    mapped = found.apply(np.linspace(0.5, 0.95, 50))
    assert (np.diff(mapped) >= 0).all()
    # Not quite level: what the head states keeps the share of 100 votes in 20,100.
    assert mapped[-1] - mapped[0] < 0.005


@pytest.mark.parametrize(("n", "most"), [(1, 0.02), (10, 0.1), (100, 0.5)])
def test_few_votes_change_a_confidence_only_a_little(n, most):
    found = fit_head_map(np.full(n, 0.8), np.zeros(n, bool))
    grid = np.linspace(0.3, 1.0, 30)
    believed = n / (n + 100)
    np.testing.assert_allclose(found.apply(grid), (1 - believed) * grid, atol=1e-4)
    assert np.abs(found.apply(grid) - grid).max() <= most * 1.001


def test_no_votes_or_votes_of_no_weight_leave_confidences_as_stated():
    grid = np.linspace(0, 1, 11)
    for found in (
        fit_head_map(np.empty(0), np.empty(0, bool)),
        fit_head_map(np.full(5, 0.8), np.ones(5, bool), np.zeros(5)),
    ):
        assert found == HeadMap()
        np.testing.assert_array_equal(found.apply(grid), grid)


def test_overlapping_labels_are_one_piece_of_evidence():
    confidence, hit = votes(300, lambda c: c)
    once = fit_head_map(confidence, hit)
    copied = fit_head_map(np.repeat(confidence, 4), np.repeat(hit, 4), np.full(1200, 0.25))
    np.testing.assert_allclose(once.hit_rate, copied.hit_rate)


def test_flat_votes_keep_their_confidence_of_nothing():
    found = fit_head_map(*votes(5000, lambda c: c))
    assert found.apply(np.array([0.0]))[0] == 0.0
    assert found.apply(np.array([0.01]))[0] > 0.4


def test_a_map_has_few_points():
    assert len(fit_head_map(*votes(20_000, lambda c: c)).confidence) == 8 + 2
    assert len(fit_head_map(*votes(120, lambda c: c)).confidence) == 2 + 2
    few = HeadCalibrationConstants(knots=3)
    assert len(fit_head_map(*votes(20_000, lambda c: c), constants=few).confidence) == 3 + 2


def test_equal_confidences_are_one_point():
    found = fit_head_map(np.full(5000, 0.7), np.arange(5000) < 3000)
    assert found.confidence == (0.0, pytest.approx(0.7), 1.0)
    assert found.apply(np.array([0.7]))[0] == pytest.approx(0.6, abs=0.003)


vote = st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 3))


@settings(max_examples=150, deadline=None)
@given(st.lists(vote, max_size=60))
def test_any_votes_give_a_rising_map_between_nought_and_one_that_survives_json(rows):
    confidence = np.array([c / 20 for c, _, _ in rows])
    rules = HeadCalibrationConstants(knot_votes=2, knot_prior=1, prior=1)
    hit, weight = np.array([h for _, h, _ in rows], bool), np.array([w for *_, w in rows], float)
    found = fit_head_map(confidence, hit, weight, rules)
    mapped = found.apply(np.linspace(0.001, 1, 200))
    assert (np.diff(mapped) >= 0).all()
    assert ((mapped >= 0) & (mapped <= 1)).all()
    assert HeadMap.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "data",
    [
        {"confidence": [0.5, 0.6], "hit_rate": [0.5]},
        {"confidence": [0.6, 0.5], "hit_rate": [0.5, 0.6]},
        {"confidence": [0.5, 0.6], "hit_rate": [0.6, 0.5]},
        {"confidence": [0.5], "hit_rate": [1.2]},
        {"confidence": [0.5], "hit_rate": [float("nan")]},
        {"confidence": [0.5], "hit_rate": ["x"]},
        {"confidence": [0.5]},
    ],
)
def test_what_is_no_map_is_refused(data):
    with pytest.raises(DataError, match="head map"):
        HeadMap.from_json(data)


def test_bad_votes_are_refused():
    with pytest.raises(DataError, match="2 confidences, 1 hits, 2 weights"):
        fit_head_map(np.array([0.5, 0.6]), np.array([True]))
    for confidence, weight in ((1.5, 1.0), (np.nan, 1.0), (0.5, -1.0), (0.5, np.nan)):
        with pytest.raises(DataError, match="must lie in 0-1"):
            fit_head_map(np.array([confidence]), np.array([True]), np.array([weight]))


def test_every_head_is_judged_by_its_own_votes_on_rows_that_were_decided():
    rng = np.random.default_rng(4)
    n = 6000
    right = rng.choice([-1, 0, 1], n).astype(np.int8)
    good = np.where(rng.random(n) < 0.8, right, -right).astype(np.int8)
    random = rng.choice([-1, 0, 1], n).astype(np.int8)
    direction = np.column_stack([good, random, np.zeros(n, np.int8)])
    confidence = np.where(direction != 0, rng.uniform(0.6, 0.9, (n, 3)), 0.0)
    maps = fit_head_maps(("good", "random", "silent"), direction, confidence, right)
    assert maps["silent"] == HeadMap()
    heads = ("random", "good", "silent", "new")
    stated = np.array([[0.75, 0.75, 0.75, 0.75], [0.0, 0.8, 0.0, 0.7]])
    called = apply_head_maps(maps, heads, stated)
    np.testing.assert_allclose(called[0], [0.5, 0.8, 0.75, 0.75], atol=0.04)
    assert called[1, [0, 2, 3]].tolist() == [0.0, 0.0, 0.7]
