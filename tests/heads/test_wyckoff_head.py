from __future__ import annotations

import numpy as np
import pytest
from drawn_markets import mirrored
from evaluations import assert_votes_of, reasons, with_constants
from hypothesis import given, settings
from hypothesis import strategies as st
from leg_markets import MIRROR, Drawing, accumulation, own_features, start_at

from quorum.candles import Candles
from quorum.features.table import Features
from quorum.heads.base import Votes
from quorum.heads.wyckoff import WyckoffHead
from quorum.market import Market

END = len(accumulation().bars)
#: The operator must not agree by accident where the bare numbers of the spec are looked at.
BARE = {"operator_factor": 1.0}


def votes_of(drawing: Drawing, constants: dict[str, float] | None = None) -> Votes:
    market = drawing.market()
    return with_constants(WyckoffHead, **(constants or {})).vote(
        market, own_features(market, atr=1.0)
    )


def broken(volume: float) -> Drawing:
    return accumulation().bar(101, 101.2, 98.9, 100.9, volume).leg(104, 6, volume=1.2, wick=0.2)


def test_a_spring_votes_long_at_ninety() -> None:
    votes = votes_of(broken(0.5), BARE)
    assert votes.direction[END - 1] == 0
    assert votes.direction[END] == 1
    assert votes.confidence[END] == pytest.approx(0.90)
    assert votes.probability[END] >= 0.60
    assert {"spring", "accumulation", "stage_c"} <= reasons(WyckoffHead, votes, END)


def test_a_utad_votes_short_at_ninety_once_the_decline_follows() -> None:
    votes = votes_of(broken(2.0).mirrored(MIRROR), BARE)
    row = int(np.flatnonzero(votes.confidence == 0.90)[0])
    assert row == END + 1  # the candle after the climax closes under it
    assert votes.direction[row] == -1
    assert {"utad", "distribution"} <= reasons(WyckoffHead, votes, row)


def test_the_mirror_images_of_spring_and_utad_are_worth_less() -> None:
    upthrust = votes_of(broken(0.5).mirrored(MIRROR), BARE)
    assert (upthrust.direction[END], upthrust.confidence[END]) == (-1, 0.75)
    assert "upthrust" in reasons(WyckoffHead, upthrust, END)
    shakeout = votes_of(broken(2.0), BARE)
    assert (shakeout.direction[END + 1], shakeout.confidence[END + 1]) == (1, 0.75)
    assert "terminal_shakeout" in reasons(WyckoffHead, shakeout, END + 1)


@pytest.mark.parametrize(("mirror", "side"), [(False, 1), (True, -1)])
def test_a_sign_votes_at_seventy_five(mirror: bool, side: int) -> None:
    drawing = accumulation().leg(107, 8, volume=1.2, wick=0.2).bar(107, 110.2, 106.8, 110, 2.0)
    votes = votes_of(drawing.mirrored(MIRROR) if mirror else drawing, BARE)
    assert votes.direction[-1] == side
    assert votes.confidence[-1] == pytest.approx(0.75)
    assert ("sign_of_weakness" if mirror else "sign_of_strength") in reasons(WyckoffHead, votes, -1)


def test_a_phase_alone_votes_at_seventy() -> None:
    drawing = accumulation().leg(107, 8, volume=1.2, wick=0.2).leg(110, 4).leg(111, 4)
    votes = votes_of(drawing, BARE)
    assert votes.direction[-1] == 1
    assert votes.confidence[-1] == pytest.approx(0.70)
    assert reasons(WyckoffHead, votes, -1) == {"markup", "stage_e", "operator_agrees"}


def test_a_range_before_any_test_does_not_vote() -> None:
    assert not votes_of(accumulation()).direction.any()


def test_an_agreeing_operator_multiplies_confidence_up_to_the_cap() -> None:
    agreeing = votes_of(broken(0.5))
    assert agreeing.confidence[END] == pytest.approx(0.90 * 1.05)
    assert "operator_agrees" in reasons(WyckoffHead, agreeing, END)
    capped = votes_of(broken(0.5), {"operator_factor": 1.5})
    assert capped.confidence[END] == pytest.approx(0.95)
    # Supply in the range: the same spring, but nobody backs it.
    market = broken(0.5).market()
    features = own_features(market, atr=1.0)
    against = Features(len(market))
    for name in features:
        sign = -1.0 if name == "wyckoff_operator" else 1.0
        against.add(name, sign * features[name])
    against.swings = features.swings
    assert WyckoffHead().vote(market, against).confidence[END] == pytest.approx(0.90)


def test_an_event_decays_and_ends() -> None:
    votes = votes_of(broken(0.5).leg(105, 10), {"operator_factor": 1.0, "decay": 0.02, "hold": 6})
    assert votes.confidence[END + 5] == pytest.approx(0.90 * 0.90)
    assert "spring" in reasons(WyckoffHead, votes, END + 6)
    assert "spring" not in reasons(WyckoffHead, votes, END + 7)


def test_a_close_under_the_spring_refutes_it() -> None:
    votes = votes_of(accumulation().bar(101, 101.2, 98.9, 100.9, 0.5).leg(97, 3).leg(101, 2))
    assert votes.direction[END] == 1
    assert not any("spring" in reasons(WyckoffHead, votes, row) for row in range(END + 3, END + 6))


def test_the_head_abstains_without_swings_or_volume() -> None:
    market = broken(0.5).market()
    assert not votes_of(start_at(100).leg(120, 30)).available.any()
    unknown = np.full(len(market), np.nan)
    votes = WyckoffHead().vote(market, own_features(market, unknown, atr=1.0))
    assert not votes.available.any()


def eighths(prices: np.ndarray) -> np.ndarray:
    """Round to eighths, so that reflecting a price is exact."""
    return np.round(8 * prices) / 8


def random_market(seed: int, n: int = 400) -> Market:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(n)
    close = eighths(1000 + 8 * np.sin(np.arange(n) / 6) + np.cumsum(noise))
    opened = np.concatenate([[1000.0], close[:-1]])
    wick = eighths(np.abs(rng.standard_normal((2, n))))
    high, low = np.maximum(opened, close) + wick[0], np.minimum(opened, close) - wick[1]
    time = np.arange(n, dtype=np.int64) * 3_600_000
    return Market("X/Y", Candles("1h", time, opened, high, low, close, rng.lognormal(4, 0.7, n)))


def votes_at(market: Market) -> Votes:
    ratio = market.candles.volume / 60
    return WyckoffHead().vote(market, own_features(market, ratio, atr=3.0))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(30, 400))
def test_any_market_votes_opposite_to_its_mirror_image_and_like_its_prefix(
    seed: int, cut: int
) -> None:
    market = random_market(seed)
    votes = votes_at(market)
    assert_votes_of(votes_at(market.head(cut)), votes)
    np.testing.assert_array_equal(votes_at(mirrored(market, 1000)).direction, -votes.direction)


def test_random_markets_vote_both_ways() -> None:
    sides = np.concatenate([votes_at(random_market(seed)).direction for seed in range(10)])
    assert 0.02 < (sides > 0).mean() < 0.5
    assert 0.02 < (sides < 0).mean() < 0.5
