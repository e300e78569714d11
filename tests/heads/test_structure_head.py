"""H8 by its numbers: alignment, zone, breaks, blocks."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_markets import candles_of, line, mirrored
from evaluations import assert_votes_of, columns_of, with_constants
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.features.structure import STRUCTURE_TIMEFRAMES
from quorum.features.swings import SwingConstants
from quorum.features.table import Features
from quorum.heads.structure import StructureHead, TimeframeWeights

VALID_PROBABILITY, VALID_CONFIDENCE = 0.60, 0.70


def vote_on(trends, position=0.5, ages=(99.0, 99.0, 99.0, 99.0), head=None, **extra):
    """One candle with the given trend per timeframe; returns (direction, p, c, reasons)."""
    features = Features(1)
    for timeframe, trend, age in zip(STRUCTURE_TIMEFRAMES, trends, ages, strict=True):
        features.add(f"structure_trend_{timeframe}", np.array([trend]))
        features.add(f"break_age_{timeframe}", np.array([age]))
        features.add(f"bos_{timeframe}", np.array([extra.pop(f"bos_{timeframe}", 0.0)]))
        features.add(f"choch_{timeframe}", np.array([extra.pop(f"choch_{timeframe}", 0.0)]))
    features.add("range_position_4h", np.array([position]))
    for name, value in extra.items():
        features.add(name, np.array([value]))
    votes = (head or StructureHead()).vote(line([100.0]), features)
    reasons = set(StructureHead.reason_text(int(votes.reason[0])).split("+"))
    return (
        int(votes.direction[0]),
        float(votes.probability[0]),
        float(votes.confidence[0]),
        reasons,
        bool(votes.available[0]),
    )


def is_valid(vote):
    direction, probability, confidence, *_ = vote
    return direction != 0 and probability >= VALID_PROBABILITY and confidence >= VALID_CONFIDENCE


@pytest.mark.parametrize(
    ("trends", "direction", "confidence"),
    [
        ((1, 1, 1, 1), 1, 0.90),
        ((-1, -1, -1, -1), -1, 0.90),
        ((1, 1, 1, -1), 1, 0.85),
        ((1, -1, -1, -1), -1, 0.85),
        ((1, 1, 1, 0), 1, 0.85),
        ((1, 1, 0, 0), 1, 0.65),
        ((1, 1, 0, -1), 1, 0.65),
        ((1, 1, -1, np.nan), 1, 0.6667),
        ((1, 1, np.nan, np.nan), 1, 0.90),
        ((1, 1, -1, -1), 0, 0.0),
        ((0, 0, 0, 0), 0, 0.0),
    ],
)
def test_confidence_follows_the_share_of_aligned_timeframes(trends, direction, confidence):
    voted, _, sure, _, available = vote_on(trends)
    assert available
    assert (voted, sure) == (direction, confidence)


def test_a_weight_makes_one_timeframe_count_more():
    heavy = with_constants(StructureHead, weights=TimeframeWeights(week=3.0))
    direction, _, confidence, *_ = vote_on((-1, -1, 1, 1), head=heavy)
    assert (direction, confidence) == (1, round(0.60 + 0.10 * 4 / 6, 4))


@pytest.mark.parametrize("side", [1, -1])
def test_aligned_and_in_the_right_zone_is_valid(side):
    position = 0.2 if side == 1 else 0.8
    vote = vote_on((-side, side, side, side), position)
    assert vote[0] == side
    assert is_valid(vote)
    assert {"aligned", "right_zone", "4h_with", "1d_with", "1w_with"} == vote[3]


@pytest.mark.parametrize("side", [1, -1])
def test_all_aligned_in_the_wrong_zone_waits(side):
    position = 0.8 if side == 1 else 0.2
    vote = vote_on((side, side, side, side), position)
    assert vote[0] == side
    assert vote[2] == 0.90
    assert not is_valid(vote)
    assert {"all_aligned", "wrong_zone"} <= vote[3]


@pytest.mark.parametrize("side", [1, -1])
def test_a_fresh_break_makes_the_wrong_zone_tradable_and_fades(side):
    position = 1.0 if side == 1 else 0.0
    trends = (side, side, side, side)
    fresh = vote_on(trends, position, (0.0, 99.0, 99.0, 99.0), bos_base=side)
    old = vote_on(trends, position, (11.0, 99.0, 99.0, 99.0), bos_base=side)
    gone = vote_on(trends, position, (12.0, 99.0, 99.0, 99.0), bos_base=side)
    assert is_valid(fresh)
    assert fresh[1] > old[1] > gone[1]
    assert not is_valid(gone)
    assert "base_bos" in fresh[3]
    assert "base_bos" not in gone[3]


def test_a_fresh_base_break_against_the_bias_delays_the_pullback_entry():
    trends, position = (-1, 1, 1, 1), 0.0
    fresh = vote_on(trends, position, (0.0, 99.0, 99.0, 99.0), choch_base=-1)
    cooled = vote_on(trends, position, (12.0, 99.0, 99.0, 99.0), choch_base=-1)
    assert not is_valid(fresh)
    assert is_valid(cooled)
    assert "base_break_against" in fresh[3]
    assert not {"base_choch", "base_break_against"} & cooled[3]


def test_a_4h_break_against_the_bias_adds_nothing():
    against = vote_on((1, -1, 1, 1), 0.5, (99.0, 0.0, 99.0, 99.0), choch_4h=-1)
    assert against == vote_on((1, -1, 1, 1), 0.5)


def test_a_change_of_character_is_named_as_such():
    vote = vote_on((1, 1, 1, 1), 0.9, (0.0, 0.0, 9.0, 9.0), choch_base=1, bos_4h=1)
    assert {"base_choch", "4h_bos"} <= vote[3]
    assert "base_bos" not in vote[3]


def test_a_conflicted_reading_is_never_valid_whatever_favours_it():
    vote = vote_on((1, 1, -1, 0), 0.1, (0.0, 0.0, 9.0, 9.0), bull_ob_count=5.0, bull_breaker=1.0)
    assert vote[0] == 1
    assert vote[2] == 0.65
    assert not is_valid(vote)


@pytest.mark.parametrize(
    ("blocks", "confidence"), [(0.0, 0.85), (1.0, 0.87), (2.0, 0.89), (3.0, 0.91), (6.0, 0.92)]
)
def test_each_order_block_in_favour_adds_confidence_up_to_the_highest(blocks, confidence):
    assert vote_on((1, 1, 1, -1), bull_ob_count=blocks, bear_ob_count=9.0)[2] == confidence
    assert vote_on((-1, -1, -1, 1), bear_ob_count=blocks, bull_ob_count=9.0)[2] == confidence


def test_a_breaker_block_holds_an_aligned_reading_up():
    modest = with_constants(StructureHead, aligned_confidence=0.5)
    plain = vote_on((1, 1, 1, -1), head=modest, bull_breaker=0.0, bear_breaker=1.0)
    held = vote_on((1, 1, 1, -1), head=modest, bull_breaker=1.0, bear_breaker=0.0)
    assert (plain[2], held[2]) == (0.5, 0.75)
    assert "breaker_block" in held[3]


@pytest.mark.parametrize("known", [0, 1])
def test_with_too_few_timeframes_it_abstains(known):
    trends = [1.0] * known + [np.nan] * (4 - known)
    direction, probability, confidence, _, available = vote_on(trends)
    assert not available
    assert (direction, probability, confidence) == (0, 0.5, 0.0)


def test_an_unknown_range_is_neither_right_nor_wrong():
    assert vote_on((1, 1, 1, 1), np.nan)[:3] == vote_on((1, 1, 1, 1), 0.5)[:3]


def pipeline(market):
    narrow = SwingConstants(left=2, right=2, higher_left=2, higher_right=2)
    return StructureHead().vote(market, columns_of(market, "swings", "structure", swings=narrow))


def random_market(seed, n=600):
    closes = 1000.0 + np.cumsum(np.random.default_rng(seed).integers(-6, 7, n))
    higher = {tf: candles_of(closes[k - 1 :: k], tf) for tf, k in (("4h", 4), ("1d", 24))}
    return line(closes, higher=higher)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_the_mirror_image_of_a_market_votes_the_other_way(seed):
    market = random_market(seed)
    votes, image = pipeline(market), pipeline(mirrored(market, 1000.0))
    np.testing.assert_array_equal(votes.direction, -image.direction)
    np.testing.assert_array_equal(votes.confidence, image.confidence)
    np.testing.assert_allclose(votes.probability, image.probability, atol=1e-9)
    assert np.any(votes.direction != 0)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 599))
@settings(max_examples=20, deadline=None)
def test_a_prefix_of_the_market_gives_the_prefix_of_the_votes(seed, n):
    market = random_market(seed)
    assert_votes_of(pipeline(market.head(n)), pipeline(market))
