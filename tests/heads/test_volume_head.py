"""H3 volume: readings, direction, divergence, mirror image, causality."""

from __future__ import annotations

import numpy as np
import pytest
from evaluations import assert_votes_of, columns_of, valid, with_constants
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import candle_frame

from quorum.features.table import Features
from quorum.heads.volume import VolumeHead, fading, spent
from quorum.market import Frames, Market, build_market

COLUMNS = {
    "cvd": 0.0,
    "cvd_fast": 0.0,
    "obv_slope": 0.0,
    "mfi": 50.0,
    "cmf": 0.0,
    "vwap_distance": 0.0,
    "value_position": 0.5,
    "taker_buy_share": np.nan,
    "selling_climax": 0.0,
    "buying_climax": 0.0,
    "no_supply": 0.0,
    "no_demand": 0.0,
    "volume_gap_above_distance": np.nan,
    "volume_gap_below_distance": np.nan,
    "cvd_divergence_bull": 0.0,
    "cvd_divergence_bear": 0.0,
    "volume_trend": 1.0,
    "volume_dry_up": 0.0,
    "real_flow": 0.0,
}
BUYERS = {
    "cvd": 0.03,
    "cvd_fast": 0.03,
    "obv_slope": 0.4,
    "mfi": 72.0,
    "cmf": 0.2,
    "vwap_distance": 1.5,
    "value_position": 1.2,
}
#: What turns a column into that of the mirrored market: its centre.
CENTRE = {"mfi": 50.0, "value_position": 0.5, "taker_buy_share": 0.5}


def vote(**columns: float):
    """Vote of a market whose features have these values at every candle."""
    n = 30
    market = build_market("BTC/USDT:USDT", "1h", Frames(candle_frame(n)))
    features = Features(n)
    for name, value in {**COLUMNS, **columns}.items():
        features.add(name, np.full(n, value))
    votes = VolumeHead().vote(market, features)
    reason = VolumeHead.reason_text(int(votes.reason[-1]))
    return votes.direction[-1], votes.probability[-1], votes.confidence[-1], reason.split("+")


def features_of(market: Market) -> Features:
    return columns_of(market, "volatility", "swings", "volume", "volume_profile")


def sellers(columns: dict[str, float]) -> dict[str, float]:
    return {name: 2 * CENTRE.get(name, 0.0) - value for name, value in columns.items()}


def test_all_readings_of_buyers_make_a_valid_long_vote():
    direction, probability, confidence, reason = vote(**BUYERS)
    assert direction == 1
    assert probability >= 0.6
    assert confidence == pytest.approx(0.90)
    assert reason == ["cvd", "obv", "mfi", "cmf", "vwap", "value_area"]


def test_all_readings_of_sellers_make_the_mirrored_short_vote():
    long, short = vote(**BUYERS), vote(**sellers(BUYERS))
    assert short[0] == -1
    assert short[1:] == long[1:]


def test_quiet_readings_make_no_vote():
    assert vote()[:3] == (0, 0.5, 0.0)


def test_readings_that_disagree_make_no_valid_vote():
    columns = {**BUYERS, "obv_slope": -0.4, "cmf": -0.2, "vwap_distance": -1.5}
    _, probability, confidence, _ = vote(**columns)
    assert probability < 0.6
    assert confidence < 0.7


# Agreement of two thirds leaves room for the corrections on both sides.
MOSTLY = {**BUYERS, "mfi": 50.0, "value_position": 0.5}


def test_a_divergence_with_the_vote_adds_its_confidence():
    plain, helped = vote(**MOSTLY), vote(**MOSTLY, cvd_divergence_bull=0.5)
    assert helped[2] == pytest.approx(plain[2] + 0.15)
    assert "cvd_divergence" in helped[3]


def test_a_divergence_against_the_vote_takes_its_confidence():
    plain, hurt = vote(**MOSTLY), vote(**MOSTLY, cvd_divergence_bear=0.5)
    assert hurt[2] == pytest.approx(plain[2] - 0.15)
    assert "against_divergence" in hurt[3]
    assert hurt[0] == plain[0]


def test_rising_volume_and_real_flow_add_and_dry_volume_takes_confidence():
    plain = vote(**MOSTLY)[2]
    assert vote(**MOSTLY, volume_trend=1.5)[2] == pytest.approx(plain + 0.05)
    assert vote(**MOSTLY, real_flow=1.0)[2] == pytest.approx(plain + 0.05)
    assert vote(**MOSTLY, volume_dry_up=1.0)[2] == pytest.approx(plain - 0.05)


def test_a_selling_climax_argues_for_a_long_and_is_named():
    plain, climax = vote(**MOSTLY), vote(**MOSTLY, selling_climax=1.0)
    assert climax[1] > plain[1]
    assert "climax" in climax[3]
    assert vote(**MOSTLY, buying_climax=1.0)[1] < plain[1]


def test_a_near_gap_above_and_no_supply_argue_for_a_long():
    reason = vote(**MOSTLY, volume_gap_above_distance=0.1, no_supply=1.0)[3]
    assert {"volume_gap", "dry_up"} <= set(reason)
    assert "volume_gap" not in vote(**MOSTLY, volume_gap_above_distance=3.0)[3]


@pytest.mark.parametrize(
    ("bullish", "bearish"),
    [
        ({"selling_climax": 1.0}, {"buying_climax": 1.0}),
        ({"no_supply": 1.0}, {"no_demand": 1.0}),
        ({"volume_gap_above_distance": 0.1}, {"volume_gap_below_distance": 0.1}),
        ({"cvd_divergence_bull": 1.0}, {"cvd_divergence_bear": 1.0}),
        ({"taker_buy_share": 0.6}, {"taker_buy_share": 0.4}),
    ],
)
def test_each_event_has_its_mirror_image(bullish, bearish):
    long = vote(**{**MOSTLY, **bullish})
    short = vote(**{**sellers(MOSTLY), **bearish})
    assert (long[0], short[0]) == (1, -1)
    assert long[1:] == short[1:]
    assert long[1:] != vote(**MOSTLY)[1:]


def test_taker_flow_speaks_where_it_is_known():
    assert "taker_flow" in vote(**BUYERS, taker_buy_share=0.6)[3]


def test_a_stretched_market_is_not_chased():
    assert spent(np.array([1.0, 2.0, 3.5, 5.0, 9.0]), 2.0, 5.0).tolist() == [0.5, 1, 0.5, 0, 0]
    assert spent(np.array([-3.5]), 2.0, 5.0).tolist() == [-0.5]


def test_an_event_fades_over_its_hold():
    event = np.zeros(8)
    event[2] = 1.0
    assert fading(event, 4).tolist() == [0, 0, 1, 0.75, 0.5, 0.25, 0, 0]


def test_with_too_few_readings_the_head_abstains():
    nothing = {name: np.nan for name in ("cvd", "obv_slope", "cmf")}
    n = 30
    market = build_market("BTC/USDT:USDT", "1h", Frames(candle_frame(n)))
    features = Features(n)
    for name, value in {**COLUMNS, **BUYERS, **nothing}.items():
        features.add(name, np.full(n, value))
    votes = VolumeHead().vote(market, features)
    assert not votes.available.any()
    assert not votes.direction.any()
    three = with_constants(VolumeHead, min_readings=3).vote(market, features)
    assert three.available.all()


def test_a_market_that_does_not_trade_gets_no_vote():
    frame = candle_frame(400)
    frame["volume"] = 0.0
    market = build_market("BTC/USDT:USDT", "1h", Frames(frame))
    assert not VolumeHead().vote(market, features_of(market)).available.any()


@pytest.fixture(scope="module")
def walk() -> Market:
    frame = candle_frame(1500, seed=11)
    frame.loc[600:640, "volume"] = 0.0
    return build_market("SOL/USDT:USDT", "1h", Frames(frame))


def test_the_head_is_neither_silent_nor_always_on(walk):
    votes = VolumeHead().vote(walk, features_of(walk))
    assert 0.02 < (valid(votes) & (votes.direction > 0)).mean() < 0.4
    assert 0.02 < (valid(votes) & (votes.direction < 0)).mean() < 0.4


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 1500))
def test_no_vote_is_rewritten_by_later_candles(walk, n):
    whole, part = (VolumeHead().vote(m, features_of(m)) for m in (walk, walk.head(n)))
    assert_votes_of(part, whole)
