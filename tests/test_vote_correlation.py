"""The effective number of independent heads, against a slow implementation (spec C3)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.vote_correlation import effective_heads


def worth_of(direction, *, available=None, valid=None, window=4) -> np.ndarray:
    votes = np.array(direction, dtype=np.int8)
    here = np.ones(votes.shape, bool) if available is None else np.array(available)
    counted = votes if valid is None else np.array(valid, dtype=np.int8)
    return effective_heads(votes, here, counted, window)


def coins(n: int, heads: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], (n, heads)).astype(np.int8)


def test_copies_of_one_head_are_worth_one():
    votes = np.repeat(coins(50, 1), 5, axis=1)
    worth = worth_of(votes, window=20)
    np.testing.assert_array_equal(worth[19:].max(axis=1), 1.0)
    np.testing.assert_array_equal(worth[19:].min(axis=1), 0.0)


def test_independent_heads_are_worth_nearly_their_number():
    votes = coins(5000, 6)
    worth = worth_of(votes, valid=np.ones_like(votes), window=1000)
    assert 5.0 < worth[999:, 0].min() <= worth[999:, 0].max() <= 6.0


def test_two_pairs_of_twins_are_worth_two():
    pair = np.repeat([[1, 1, 1, 1], [1, 1, -1, -1]], 10, axis=0)
    assert worth_of(pair, window=20)[-1].tolist() == [1.0, 1.0]
    both_long = np.ones((20, 4), np.int8)
    assert worth_of(pair, valid=both_long, window=20)[-1, 0] == 2.0


def test_heads_that_contradict_each_other_count_as_independent_and_not_as_more():
    votes = coins(100, 1)
    worth = worth_of(np.hstack([votes, -votes]), valid=np.ones((100, 2)), window=50)
    np.testing.assert_array_equal(worth[:, 0], 2.0)


def test_half_a_correlation_of_two_heads_makes_them_worth_four_thirds():
    # They agree on three of four candles: rho = 1/2, and 4 / (2 + 1) heads.
    votes = [[1, 1], [1, 1], [-1, -1], [1, -1]] * 2
    worth = worth_of(votes, valid=np.ones((8, 2)))
    np.testing.assert_allclose(worth[3:, 0], 4 / 3, atol=1e-9)


def test_before_a_full_window_every_head_counts_as_one():
    votes = np.ones((6, 3), np.int8)
    assert worth_of(votes, window=5)[:, 0].tolist() == [3, 3, 3, 3, 1, 1]


def test_only_valid_votes_are_counted_but_all_votes_tell_how_alike_heads_are():
    votes = np.ones((6, 3), np.int8)
    valid = np.zeros((6, 3))
    valid[5] = [1, 1, 0]
    assert worth_of(votes, valid=valid)[5].tolist() == [1.0, 0.0]
    assert worth_of(votes, valid=valid)[4].tolist() == [0.0, 0.0]


def test_candles_on_which_a_head_abstains_do_not_speak_about_it():
    votes = np.array([[1, 1], [1, -1], [1, 1], [-1, -1]], np.int8)
    here = np.array([[1, 1], [1, 0], [1, 1], [1, 1]], bool)
    valid = np.ones((4, 2))
    assert worth_of(votes, available=here, valid=valid)[3, 0] == 1.0
    assert worth_of(votes, valid=valid)[3, 0] == pytest.approx(4 / 3)


def slow(direction, available, valid, window):
    """Count from the definition, candle by candle and pair by pair."""
    n, heads = direction.shape
    worth = np.zeros((n, 2))
    for t in range(n):
        for k, side in enumerate((1, -1)):
            agree = [h for h in range(heads) if valid[t, h] == side]
            rho = np.eye(heads)
            if t >= window - 1:
                rows = slice(t - window + 1, t + 1)
                for i in agree:
                    for j in agree:
                        both = available[rows, i] & available[rows, j]
                        x = direction[rows, i][both].astype(float)
                        y = direction[rows, j][both].astype(float)
                        size = np.sqrt((x * x).sum() * (y * y).sum())
                        if i != j and size > 0:
                            rho[i, j] = max(0.0, (x * y).sum() / size)
            if agree:
                worth[t, k] = len(agree) ** 2 / rho[np.ix_(agree, agree)].sum()
    return worth


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 12), st.integers(0, 2**16))
def test_the_count_is_that_of_a_slow_implementation(n, heads, window, seed):
    rng = np.random.default_rng(seed)
    available = rng.random((n, heads)) < 0.8
    direction = np.where(available, rng.choice([-1, 0, 1], (n, heads)), 0).astype(np.int8)
    valid = np.where(rng.random((n, heads)) < 0.7, direction, 0).astype(np.int8)
    got = effective_heads(direction, available, valid, window)
    np.testing.assert_allclose(got, slow(direction, available, valid, window), atol=1e-9)
    assert (got <= np.column_stack([(valid == side).sum(axis=1) for side in (1, -1)]) + 1e-9).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 120), st.integers(0, 2**16))
def test_neither_the_future_nor_what_lies_before_the_window_counts(cut, seed):
    rng = np.random.default_rng(seed)
    available = rng.random((140, 4)) < 0.9
    votes = np.where(available, rng.choice([-1, 0, 1], (140, 4)), 0).astype(np.int8)
    whole = effective_heads(votes, available, votes, 20)
    head = effective_heads(votes[:cut], available[:cut], votes[:cut], 20)
    np.testing.assert_array_equal(head, whole[:cut])
    tail = effective_heads(votes[cut:], available[cut:], votes[cut:], 20)
    np.testing.assert_array_equal(tail[19:], whole[cut:][19:])


def test_the_mirror_image_swaps_the_sides():
    votes = coins(200, 4)
    worth = worth_of(votes, window=30)
    np.testing.assert_array_equal(worth_of(-votes, window=30), worth[:, ::-1])


def test_no_candles_give_no_counts():
    assert worth_of(np.empty((0, 3))).shape == (0, 2)
