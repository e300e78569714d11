"""The ICT head (spec H5) on hand-made candles a trader would recognise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn_markets import Candle, legs, market_of, mirrored, path, random_walk
from evaluations import assert_votes_of, columns_of, reasons, valid, with_constants
from hypothesis import given, settings
from hypothesis import strategies as st
from zone_markets import BALANCED, BLOCK, GAP

from quorum.features.table import Features
from quorum.heads.base import Votes
from quorum.heads.ict import IctConstants, IctHead
from quorum.market import Market

#: Hours (UTC) of a winter day: 09-10 and 10-11 New York, 02-03 New York, and 18-19 New York.
NEW_YORK, SILVER_BULLET, LONDON, EVENING = 14, 15, 7, 23


def market_at(
    rows: list[Candle], volume: dict[int, float] | None = None, *, last: int = NEW_YORK
) -> Market:
    """Hourly market whose last candle opens at hour ``last`` of a winter Wednesday (UTC)."""
    end = pd.Timestamp("2024-01-17") + pd.Timedelta(hours=last)
    return market_of(rows, end - pd.Timedelta(hours=len(rows) - 1), volume=volume or {})


def features(market: Market) -> Features:
    return columns_of(market, "volatility", "swings", "volume", "sessions", "liquidity", "zones")


def votes(market: Market, **constants: int) -> Votes:
    return with_constants(IctHead, **constants).vote(market, features(market))


def last_vote(market: Market) -> tuple[int, float, float, set[str]]:
    v = votes(market)
    probability, confidence = float(v.probability[-1]), float(v.confidence[-1])
    return int(v.direction[-1]), probability, confidence, reasons(IctHead, v)


#: A swing low at 95.75, left alone; then a wick under it that closes back above.
STOP_HUNT = [*legs(100.0, 104.0, 96.0, 101.0, 96.5), (96.5, 96.75, 95.0, 96.6)]
#: An impulse from 95.75 to 112.25 and a retracement of 0.7 of it.
RETRACEMENT = [*legs(97.0, 104.0, 96.0, 112.0, step=1.0), *legs(112.0, 101.0, step=1.0)]
#: The returns to the zones that tap them.
ORDER_BLOCK = [*BLOCK, *path(105.0, 103.5, 102.0, 100.75), (100.75, 101.0, 99.5, 100.9)]
FAIR_VALUE_GAP = [*GAP, (104.25, 104.5, 101.75, 104.0)]
BALANCED_RANGE = [*BALANCED, (104.25, 104.5, 101.7, 104.0)]
SPIKE = {-1: 3.0}


def test_stop_hunt_with_volume_in_new_york_votes_long() -> None:
    direction, probability, confidence, reason = last_vote(market_at(STOP_HUNT, SPIKE))
    assert direction == 1
    assert probability >= 0.75
    assert 0.80 * 0.95 <= confidence <= 0.95 * 0.95
    assert {"sweep_low", "volume_spike", "ny_kill_zone"} <= reason


def test_the_same_stop_hunt_without_volume_counts_less() -> None:
    _, loud_probability, loud, _ = last_vote(market_at(STOP_HUNT, SPIKE))
    direction, probability, confidence, reason = last_vote(market_at(STOP_HUNT))
    assert direction == 1
    assert probability < loud_probability
    assert confidence < loud
    assert "volume_spike" not in reason


def test_retracement_into_the_entry_zone_in_a_kill_zone_votes_long() -> None:
    direction, probability, confidence, reason = last_vote(market_at(RETRACEMENT))
    assert direction == 1
    assert probability >= 0.60
    assert 0.85 * 0.95 <= confidence <= 0.95 * 0.95
    assert {"ote_long", "ny_kill_zone", "discount"} <= reason


def test_tapped_order_block_votes_long() -> None:
    direction, _, _, reason = last_vote(market_at(ORDER_BLOCK))
    assert direction == 1
    assert "ob_bull" in reason


def test_tapped_fair_value_gap_votes_long() -> None:
    direction, probability, confidence, reason = last_vote(with_history(FAIR_VALUE_GAP))
    assert direction == 1
    assert probability >= 0.60
    assert 0.60 * 0.95 <= confidence <= 0.75 * 0.95
    assert {"fvg_bull", "ny_kill_zone"} <= reason


def test_balanced_range_is_named_and_alone_no_valid_vote_in_new_york() -> None:
    direction, _, _, reason = last_vote(with_history(BALANCED_RANGE))
    assert direction == 1
    assert "bpr_bull" in reason
    best = IctConstants().balanced
    assert (best.low, best.high) == (0.60, 0.70)
    assert best.high * IctConstants().clock.new_york < 0.70


def with_history(rows: list[Candle]) -> Market:
    """Put a pair of confirmed swings long before the candles: without any, the head abstains."""
    return market_at([*legs(100.0, 103.0, 97.0, 100.0), *rows])


def test_judas_swing_votes_with_the_day_and_against_the_opening() -> None:
    # Asian session 01-05 UTC and London from 07 UTC on the last day.
    rows = [*legs(100.0, 103.0, 97.0, 100.0), *path(*[100.0 + 0.25 * (k % 2) for k in range(33)])]
    run = [(100.0, 100.25, 98.5, 99.0), (99.0, 101.0, 98.75, 100.75)]
    direction, probability, confidence, reason = last_vote(market_at([*rows, *run], last=8))
    assert direction == 1
    assert probability >= 0.60
    assert 0.70 * 0.90 <= confidence <= 0.85 * 0.90
    assert {"judas_long", "london_kill_zone"} <= reason


@pytest.mark.parametrize(
    ("hour", "multiplier"), [(SILVER_BULLET, 1.0), (NEW_YORK, 0.95), (LONDON, 0.90)]
)
def test_the_clock_multiplies_the_confidence(hour: int, multiplier: float) -> None:
    readings = votes(market_at(STOP_HUNT, SPIKE, last=hour))
    assert readings.readings["time_multiplier"][-1] == multiplier
    expected = readings.readings["setup_confidence"][-1] * multiplier
    assert readings.confidence[-1] == pytest.approx(expected, abs=1e-4)


def test_outside_the_kill_zones_the_best_setup_is_no_valid_vote() -> None:
    direction, _, confidence, reason = last_vote(market_at(STOP_HUNT, SPIKE, last=EVENING))
    assert direction == 1
    assert 0.5 * 0.80 <= confidence <= 0.7 * 0.95
    assert not reason & {"london_kill_zone", "ny_kill_zone", "silver_bullet"}


def test_multiplier_outside_fades_with_the_distance_to_the_next_kill_zone() -> None:
    market = market_at(random_walk(1, 48), last=23)
    multiplier = votes(market).readings["time_multiplier"][-24:]
    assert multiplier[12] == pytest.approx(0.7)  # 07-08 New York
    assert multiplier[11] == pytest.approx(0.7 - 0.2 / 3)  # 06-07
    assert multiplier[1] == pytest.approx(0.5)  # 20-21


def test_setup_outlives_its_candle_with_decaying_strength() -> None:
    quiet = path(96.6, 96.7, 96.6, 96.7)
    v = votes(market_at([*STOP_HUNT, *quiet], {-4: 3.0}))
    evidence = v.readings["bull_evidence"][-4:]
    assert evidence[0] >= 3.0
    assert (np.diff(evidence) < 0).all()
    assert (v.direction[-4:] == 1).all()


def test_setup_dies_of_age_and_of_a_close_beyond_its_extreme() -> None:
    lives = votes(market_at([*STOP_HUNT, *path(96.6, 96.2)], {-2: 3.0}))
    assert lives.readings["bull_evidence"][-1] > 2
    dies = votes(market_at([*STOP_HUNT, *path(96.6, 94.0)], {-2: 3.0}))
    assert dies.readings["bull_evidence"][-1] == 0
    old = votes(market_at([*STOP_HUNT, *path(96.6, 96.2)], {-2: 3.0}), hold=0)
    assert old.readings["bull_evidence"][-2] > 2
    assert old.readings["bull_evidence"][-1] == 0


@pytest.mark.parametrize("rows", [STOP_HUNT, RETRACEMENT, ORDER_BLOCK])
def test_mirrored_setup_votes_short_just_as_strongly(rows: list[Candle]) -> None:
    market = market_at(rows, SPIKE)
    long, short = last_vote(market), last_vote(mirrored(market))
    assert (long[0], short[0]) == (1, -1)
    assert short[1:3] == pytest.approx(long[1:3], abs=1e-4)
    swap = {
        "sweep_low": "sweep_high", "ote_long": "ote_short", "ob_bull": "ob_bear",
        "fvg_bull": "fvg_bear", "breaker_bull": "breaker_bear", "discount": "premium",
        "bpr_bull": "bpr_bear", "judas_long": "judas_short",
    }  # fmt: skip
    assert {swap.get(code, code) for code in long[3]} == short[3]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_mirrored_random_walk_votes_the_other_way(seed: int) -> None:
    market = market_at(random_walk(seed, 400))
    v, w = votes(market), votes(mirrored(market))
    np.testing.assert_array_equal(v.direction, -w.direction)
    np.testing.assert_allclose(v.probability, w.probability, atol=1.01e-4)
    np.testing.assert_allclose(v.confidence, w.confidence, atol=1.01e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 400))
def test_prefix_gives_the_same_votes(seed: int, n: int) -> None:
    market = market_at(random_walk(seed, 400))
    assert_votes_of(votes(market.head(n)), votes(market))


def test_votes_do_not_depend_on_where_a_long_history_starts() -> None:
    rows = random_walk(5, 2600)
    whole, late = votes(market_at(rows)), votes(market_at(rows[1000:]))
    for name in ("direction", "probability", "confidence", "reason"):
        np.testing.assert_array_equal(getattr(late, name)[1400:], getattr(whole, name)[2400:])


def test_head_abstains_before_swings_are_confirmed() -> None:
    v = votes(market_at(path(*np.arange(100.0, 140.0))))
    assert not v.available.any()
    assert not v.direction.any()


def test_flat_market_gives_no_vote_and_no_warning() -> None:
    with np.errstate(all="raise"):
        v = votes(market_at([(100.0, 100.0, 100.0, 100.0)] * 80))
    assert not v.direction.any()


def test_missing_volume_ratio_means_no_spike_and_no_failure() -> None:
    market = market_at(STOP_HUNT, {-k: 0.0 for k in range(1, len(STOP_HUNT) + 1)})
    with np.errstate(divide="ignore", invalid="ignore"):
        direction, _, _, reason = last_vote(market)
    assert direction == 1
    assert "volume_spike" not in reason


def test_random_walks_get_valid_votes_on_a_tenth_of_the_candles_and_only_in_kill_zones() -> None:
    market = market_at(random_walk(9, 4000))
    v, x = votes(market), features(market)
    good = valid(v)
    assert 0.05 < good.mean() < 0.20
    outside = x["london_kill_zone"] + x["ny_kill_zone"] + x["silver_bullet"] == 0
    assert not (good & outside).any()
    assert (v.direction[good] > 0).mean() == pytest.approx(0.5, abs=0.15)
