from __future__ import annotations

import numpy as np
import pytest
from evaluations import assert_votes_of, with_constants
from leg_markets import Drawing, own_features, start_at
from markets import full_market

from quorum.heads.base import Votes
from quorum.heads.harmonic import HarmonicHead
from quorum.market import Market


def gartley(b: float = 138.2) -> Drawing:
    drawing = start_at(160)
    for price in (100.0, 200.0, b, b + 0.5 * (200 - b), 121.4):
        drawing.leg(price, 12)
    return drawing.leg(130, 4)


def votes_of(drawing: Drawing, **constants: float) -> Votes:
    market = drawing.market()
    head = with_constants(HarmonicHead, **constants)
    return head.vote(market, own_features(market, atr=5.0))


def test_a_perfect_gartley_votes_long_at_ninety() -> None:
    votes = votes_of(gartley())
    row = len(votes.direction) - 4
    assert votes.direction[row - 1] == 0
    assert votes.direction[row] == 1
    assert votes.probability[row] == pytest.approx(0.90)
    assert votes.confidence[row] == pytest.approx(0.90)
    assert HarmonicHead.reason_text(int(votes.reason[row])) == "gartley+completed"


def test_its_mirror_image_votes_short() -> None:
    up, down = votes_of(gartley()), votes_of(gartley().mirrored(400.0))
    np.testing.assert_array_equal(down.direction, -up.direction)
    np.testing.assert_array_equal(down.confidence, up.confidence)
    np.testing.assert_array_equal(down.reason, up.reason)


def test_a_worse_ratio_is_worth_less() -> None:
    good, worse = votes_of(gartley()), votes_of(gartley(200 - 61.8 * 1.05))
    row = len(good.direction) - 4
    assert worse.direction[row] == 1
    assert 0.65 <= worse.probability[row] < good.probability[row]


def test_a_broken_ratio_gives_no_vote() -> None:
    votes = votes_of(gartley(130.0))
    assert not votes.direction.any()
    assert votes.available[-1]


def test_confidence_decays_while_the_pattern_is_live() -> None:
    votes = votes_of(gartley(), decay=0.05)
    row = len(votes.direction) - 4
    assert votes.confidence[row + 2] == pytest.approx(0.90 * 0.90)
    assert HarmonicHead.reason_text(int(votes.reason[row + 2])) == "gartley+live"


def test_the_head_abstains_before_four_swings() -> None:
    drawing = start_at(100).leg(130, 12).leg(110, 12)
    assert not votes_of(drawing).available.any()


def test_votes_of_every_prefix_equal_those_of_the_whole(market: Market) -> None:
    whole = HarmonicHead().vote(market, own_features(market, np.ones(len(market))))
    assert whole.direction.any()
    for n in np.random.default_rng(6).integers(20, len(market), 8):
        head = market.head(int(n))
        part = HarmonicHead().vote(head, own_features(head, np.ones(int(n))))
        assert_votes_of(part, whole)


def test_four_hour_swings_complete_patterns_of_their_own() -> None:
    market = full_market(4000, seed=3)
    alone = own_features(Market(market.pair, market.candles))
    both = own_features(market)
    assert (both["harmonic_age"] == 0).sum() > (alone["harmonic_age"] == 0).sum()
