"""Outcome-driven weights: exact projection, no look-ahead, and heads that were right (C11)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.candles import DAY_MS
from quorum.errors import DataError, SettingsError
from quorum.heads import HEADS
from quorum.learning.outcome_weights import (
    OutcomeWeightConstants,
    WeightTrack,
    outcome_weights,
    project,
)

INITIAL = {head.name: head.weight for head in HEADS}
EQUAL = {name: 0.2 for name in "abcde"}


def track_of(days, votes, outcome, initial=EQUAL, **changes) -> WeightTrack:
    known_at = (np.array(days) * DAY_MS).astype(np.int64)
    shaped = np.array(votes, dtype=np.int8).reshape(len(known_at), len(initial))
    rules = OutcomeWeightConstants(**changes)
    return outcome_weights(known_at, shaped, np.array(outcome, np.int8), initial, rules)


def test_without_outcomes_the_weights_are_those_of_the_settings():
    track = track_of([], [], [], INITIAL)
    weights = track.at(np.array([0, 10**12]), tuple(INITIAL))
    shares = np.array(list(INITIAL.values())) / sum(INITIAL.values())
    np.testing.assert_allclose(weights, [shares, shares])


def test_a_head_that_was_right_gains_three_percent_of_its_weight_and_one_that_was_wrong_loses_it():
    track = track_of([1.5], [[1, 1, -1, 0, 0]], [1])
    after = np.array([1.03, 1.03, 0.97, 1, 1]) / 5.03
    np.testing.assert_allclose(track.weights, [[0.2] * 5, after])


def test_a_lost_long_credits_the_heads_that_voted_short():
    won, lost = (track_of([1.5], [[1, 1, -1, 0, 0]], [side]).weights[-1] for side in (1, -1))
    assert won[0] > won[3] > won[2]
    assert lost[2] > lost[3] > lost[0]


def test_a_day_counts_once_however_many_outcomes_it_has():
    one = track_of([1.5], [[1, -1, 0, 0, 0]], [1])
    many = track_of([1.2, 1.4, 1.9], [[1, -1, 0, 0, 0]] * 3, [1, 1, 1])
    np.testing.assert_allclose(one.weights, many.weights)


def test_scores_are_exponential_averages_by_day():
    days = np.arange(200) + 0.5
    track = track_of(days, [[1, -1, 0, 0, 0]] * 200, [1] * 200, least=0.0, most=1.0)
    score = 1 - 0.97 ** np.arange(1, 201)
    raw = np.column_stack([1 + score, 1 - score, *[np.ones(200)] * 3])
    np.testing.assert_allclose(track.weights[1:], raw / raw.sum(axis=1, keepdims=True))


def test_a_head_that_is_always_right_reaches_its_limit_and_one_always_wrong_the_least():
    days = np.arange(400) + 0.5
    track = track_of(days, [[1, -1, 0, 0, 0]] * 400, [1] * 400)
    np.testing.assert_allclose(track.weights[-1], [0.3, 0.05, *[0.65 / 3] * 3])


def test_heads_that_did_not_vote_keep_their_score():
    days = [0.5, 50.5]
    track = track_of(days, [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], [1, 1])
    np.testing.assert_array_equal(track.weights[1], track.weights[2])


def test_an_outcome_known_at_midnight_counts_at_that_midnight_and_never_earlier():
    track = track_of([2.0], [[1, 0, 0, 0, 0]], [1])
    closes = np.array([0, 2 * DAY_MS - 1, 2 * DAY_MS, 3 * DAY_MS])
    first = track.at(closes, tuple(EQUAL))[:, 0]
    assert first[0] == first[1] == pytest.approx(0.2)
    assert first[2] == first[3] > 0.2


events = st.lists(
    st.tuples(
        st.integers(0, 20 * 24),
        st.lists(st.sampled_from([-1, 0, 1]), min_size=5, max_size=5),
        st.sampled_from([-1, 0, 1]),
    ),
    max_size=60,
)


def of_events(rows) -> WeightTrack:
    days = [hour / 24 for hour, _, _ in rows]
    return track_of(days, [v for _, v, _ in rows], [o for _, _, o in rows], rate=0.5)


@settings(max_examples=100, deadline=None)
@given(events, st.integers(0, 20 * 24), events)
def test_no_candle_sees_an_outcome_that_was_known_after_its_close(rows, hour, others):
    close = hour * 3_600_000
    past = [row for row in rows if row[0] <= hour]
    later = [row for row in others if row[0] > hour]
    here = of_events(rows).at(np.array([close]), tuple(EQUAL))
    np.testing.assert_array_equal(here, of_events(past).at(np.array([close]), tuple(EQUAL)))
    np.testing.assert_array_equal(here, of_events(past + later).at(np.array([close]), tuple(EQUAL)))


@settings(max_examples=100, deadline=None)
@given(events)
def test_weights_stay_within_their_bounds_and_sum_to_one_in_any_order_of_signals(rows):
    track = of_events(rows)
    assert ((track.weights >= 0.05) & (track.weights <= 0.30)).all()
    np.testing.assert_allclose(track.weights.sum(axis=1), 1.0, atol=1e-12)
    assert (np.diff(track.dates) > 0).all()
    turned = of_events(rows[::-1])
    np.testing.assert_array_equal(track.weights, turned.weights)


def test_heads_are_found_by_name_and_unknown_ones_weigh_nothing():
    track = track_of([0.5], [[1, 0, 0, 0, 0]], [1])
    weights = track.at(np.array([DAY_MS]), ("e", "new", "a"))
    np.testing.assert_array_equal(weights[0], [track.weights[1, 4], 0, track.weights[1, 0]])


def test_a_head_switched_off_by_its_weight_stays_off():
    initial = {**EQUAL, "f": 0.0}
    track = track_of([0.5], [[1, 0, 0, 0, 0, 1]], [1], initial)
    assert (track.weights[:, 5] == 0).all()
    np.testing.assert_allclose(track.weights.sum(axis=1), 1.0)


def test_a_track_survives_json():
    track = track_of([0.5, 3.5], [[1, 0, -1, 0, 0]] * 2, [1, -1])
    again = WeightTrack.from_json(json.loads(json.dumps(track.to_json())))
    assert again.heads == track.heads
    np.testing.assert_array_equal(again.dates, track.dates)
    np.testing.assert_array_equal(again.weights, track.weights)


GOOD = {"heads": ["a", "b"], "dates": [0, 1], "weights": [[0.5, 0.5], [0.6, 0.4]]}


@pytest.mark.parametrize(
    "change",
    [
        {"weights": [[0.5, 0.5]]},
        {"weights": [[0.5, 0.5], [0.6, 0.6]]},
        {"weights": [[0.5, 0.5], [1.4, -0.4]]},
        {"weights": [[0.5, 0.5], [0.6, None]]},
        {"weights": [[0.5, 0.5], [0.6, float("nan")]]},
        {"dates": [1, 1]},
        {"dates": []},
        {"dates": [0, 2**70]},
        {"heads": None},
    ],
)
def test_what_is_no_track_is_refused(change):
    assert WeightTrack.from_json(GOOD).heads == ("a", "b")
    with pytest.raises(DataError, match="weight track"):
        WeightTrack.from_json({**GOOD, **change})


def test_arrays_that_do_not_fit_and_weights_that_cannot_are_refused():
    with pytest.raises(DataError, match="1 signals of 5 heads"):
        outcome_weights(np.zeros(1, np.int64), np.zeros((1, 4), np.int8), np.zeros(1), EQUAL)
    with pytest.raises(SettingsError, match="no weights of 3 heads between"):
        track_of([], [], [], {"a": 1, "b": 1, "c": 1})
    with pytest.raises(SettingsError, match="no weights of 21 heads between"):
        track_of([], [], [], {f"h{i}": 1 for i in range(21)})
    with pytest.raises(SettingsError, match="no positive weight"):
        track_of([], [], [], dict.fromkeys("abcde", 0.0))


# Projection -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([0.2, 0.2, 0.2, 0.2, 0.2], [0.2] * 5),
        ([0.6, 0.1, 0.1, 0.1, 0.1], [0.3, 0.175, 0.175, 0.175, 0.175]),
        ([0.29, 0.29, 0.29, 0.13, 0.0], [0.2775, 0.2775, 0.2775, 0.1175, 0.05]),
        ([5.0, 0.0, 0.0, 0.0, 0.0], [0.3, 0.175, 0.175, 0.175, 0.175]),
    ],
)
def test_weights_are_brought_back_to_the_closest_shares(weights, expected):
    np.testing.assert_allclose(project(np.array(weights), 0.05, 0.30), expected, atol=1e-15)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(-2, 3), min_size=4, max_size=20), st.integers(0, 2**16))
def test_no_other_shares_are_closer(values, seed):
    weights, least, most = np.array(values), 0.05, 0.30
    found = project(weights, least, most)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert ((found >= least) & (found <= most)).all()
    # Optimal if moving a little from any share to any other never brings it closer.
    gap = weights - found
    grow, shrink = found < most - 1e-12, found > least + 1e-12
    if grow.any() and shrink.any():
        assert gap[grow].max() <= gap[shrink].min() + 1e-9


@pytest.mark.parametrize("n", [4, 20])
def test_bounds_that_leave_one_choice_give_it(n):
    least, most = (0.05, 0.25) if n == 4 else (0.05, 0.30)
    np.testing.assert_allclose(project(np.arange(n) / 10, least, most), 1 / n)
