"""Leverage: who is crowded, and what that does to a signal (D1, D2)."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from context_rows import columns_of, flat_market, row_of
from evaluations import varied
from hypothesis import given
from hypothesis import strategies as st

from quorum.context import Effect, Leverage
from quorum.context.leverage import LeverageSettings
from quorum.features import compute_features
from quorum.market import Market, Published
from quorum.sizing import SizeRequest, SizingSettings, sizing_method


def effect_of(premium, direction, settings=None):
    leverage = Leverage(settings)
    return leverage.effect(row_of(leverage, perp_premium=premium), direction)


def test_scenario_3_a_short_against_longs_who_pay_0_8_percent_is_surer():
    effect = effect_of(0.008, -1)
    assert effect.confidence == 1.1
    assert not effect.reasons
    assert effect.facts == {"extreme_leverage_detected": True}
    # Confidence .78 becomes .858, and that 2.08 % of the capital.
    request = SizeRequest(0.78 * effect.confidence, 47800.0, 48250.0, 100_000.0)
    size = sizing_method(SizingSettings()).size(request)
    assert size.fraction * 100 == pytest.approx(2.08)


def test_a_long_with_crowded_longs_is_half_as_large():
    effect = effect_of(0.008, 1)
    assert effect.reasons == {"crowded_leverage": 0.5}
    assert effect.confidence == 1.0
    assert effect.facts == {"extreme_leverage_detected": True}


def test_shorts_are_crowded_under_minus_0_3_percent():
    assert effect_of(-0.004, -1).reasons == {"crowded_leverage": 0.5}
    assert effect_of(-0.004, 1).confidence == 1.1


@pytest.mark.parametrize(
    ("premium", "crowd"),
    [(0.0051, 1), (0.005, 0), (math.nextafter(0.005, 1), 0), (0.0, 0), (-0.003, 0), (-0.0031, -1)],
)
def test_a_premium_must_be_beyond_its_threshold(premium, crowd):
    assert row_of(Leverage(), perp_premium=premium)["crowd"] == crowd


@given(premium=st.floats(-0.003, 0.005), direction=st.sampled_from([-1, 1]))
def test_a_usual_premium_changes_nothing(premium, direction):
    assert effect_of(premium, direction) == Effect(facts={"extreme_leverage_detected": False})


@pytest.mark.parametrize("direction", [-1, 1])
def test_an_unknown_premium_states_nothing(direction):
    assert effect_of(math.nan, direction) == Effect()


def test_crowding_is_unknown_only_where_the_premium_is():
    columns = columns_of(Leverage(), perp_premium=[math.nan, 0.01, 0.0, -0.01, math.nan])
    np.testing.assert_array_equal(columns["crowd"], [math.nan, 1, 0, -1, math.nan])
    np.testing.assert_array_equal(columns["premium"], [math.nan, 0.01, 0.0, -0.01, math.nan])


def test_thresholds_and_factors_follow_the_settings():
    settings = varied(
        LeverageSettings,
        long_crowded=0.001,
        short_crowded=-0.001,
        with_crowd=0.3,
        against_crowd=1.2,
    )
    assert effect_of(0.002, 1, settings).reasons == {"crowded_leverage": 0.3}
    assert effect_of(-0.002, -1, settings).reasons == {"crowded_leverage": 0.3}
    assert effect_of(-0.002, 1, settings).confidence == 1.2


@pytest.mark.parametrize("premium", [0.01, np.float64(0.0)])
def test_the_fact_can_be_stored_with_the_trade(premium):
    facts = Leverage().effect({"crowd": np.float64(premium > 0), "premium": premium}, 1).facts
    assert json.loads(json.dumps(facts)) == {"extreme_leverage_detected": bool(premium > 0)}


@pytest.mark.parametrize(
    ("sources", "crowd"),
    [
        ({}, math.nan),
        ({"funding_rate": 0.006}, 1),
        ({"funding_rate": -0.004}, -1),
        ({"funding_rate": 0.006, "mark": 99.5, "index": 100.0}, -1),
        ({"mark": 101.0, "index": 100.0}, 1),
        ({"mark": 101.0}, math.nan),
        ({"mark": 101.0, "index": 100.0, "premium_index": 0.001}, 0),
        ({"premium_index": -0.008}, -1),
    ],
)
def test_the_premium_index_counts_before_mark_and_index_and_funding_comes_last(sources, crowd):
    still = flat_market(3)
    known_at = still.close_time
    published = {k: Published(known_at, np.full(3, v)) for k, v in sources.items()}
    market = Market(still.pair, still.candles, published=published)
    columns = Leverage().columns(market, compute_features(market))
    np.testing.assert_array_equal(columns["crowd"], [crowd] * 3)
