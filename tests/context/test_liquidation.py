"""Liquidation cascades (spec L2): what a cluster does to a signal, and the order's own leverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from evaluations import varied
from hypothesis import given
from hypothesis import strategies as st
from liquidation_markets import adjuster, columns_of, path_market, row_of
from pydantic import ValidationError

from quorum.context import ADJUSTERS, Effect
from quorum.context.liquidation import (
    Liquidation,
    LiquidationSettings,
    liquidation_price,
    opened,
    safe_leverage,
)
from quorum.market import Market

SETTINGS = LiquidationSettings()
LONG, SHORT = 1, -1


def market_with_cluster(distance: float) -> Market:
    """Return a market whose only counting longs are ``distance`` under its close of 100.

    Most was traded where longs of 10x are liquidated there; then price fell to 100.
    """
    cluster = 100 * (1 - distance)
    start = cluster * (1 - 0.005) / 0.9
    prices = np.append(np.full(10, start), np.geomspace(start, 100.0, 30))
    return path_market(prices, np.append(np.full(10, 1000.0), np.zeros(30)))


def near(below: float = math.nan, above: float = math.nan) -> dict[str, float]:
    """Return a row of a known map."""
    return {
        "liquidation_below": below,
        "liquidation_above": above,
        "liquidation_below_mass": 0.0 if math.isnan(below) else 0.1,
        "liquidation_above_mass": 0.0 if math.isnan(above) else 0.1,
    }


def test_a_cluster_three_percent_away_halves_the_long_of_the_second_scenario():
    row = row_of(columns_of(market_with_cluster(0.03)))
    assert row["liquidation_below"] == pytest.approx(0.03, abs=0.0015)
    effect = adjuster().effect(row, LONG)
    assert effect == Effect(
        {"liquidation_risk": 0.5}, endangers=True, facts={"liquidation_risk_detected": True}
    )


def test_a_cluster_one_and_a_half_percent_away_refuses_the_long_of_the_fourth_scenario():
    row = row_of(columns_of(market_with_cluster(0.015)))
    assert row["liquidation_below"] == pytest.approx(0.015, abs=0.0015)
    effect = adjuster().effect(row, LONG)
    assert effect.veto == "liquidation_cluster"
    assert effect.facts == {"liquidation_risk_detected": True}


def test_a_cluster_of_shorts_over_the_price_meets_a_short_the_same_way():
    for distance, veto in ((0.03, None), (0.015, "liquidation_cluster")):
        cluster = 100 * (1 + distance)
        start = cluster * (1 + 0.005) / 1.1
        prices = np.append(np.full(10, start), np.geomspace(start, 100.0, 30))
        market = path_market(prices, np.append(np.full(10, 1000.0), np.zeros(30)))
        row = row_of(columns_of(market))
        assert row["liquidation_above"] == pytest.approx(distance, abs=0.0015)
        assert adjuster().effect(row, SHORT).veto == veto
        assert adjuster().effect(row, SHORT).facts == {"liquidation_risk_detected": True}
        assert adjuster().effect(row, LONG).facts == {"liquidation_risk_detected": False}


@pytest.mark.parametrize(
    ("distance", "veto", "factor"),
    [
        (0.0001, "liquidation_cluster", None),
        (0.0199, "liquidation_cluster", None),
        (0.02, None, 0.5),
        (0.05, None, 0.5),
        (0.0699, None, 0.5),
        # 1 - 10 * .07 is .3, which is not more than .3.
        (0.07, None, None),
        (0.2, None, None),
    ],
)
@pytest.mark.parametrize("direction", [LONG, SHORT])
def test_the_nearest_adverse_cluster_refuses_halves_or_lets_pass(distance, veto, factor, direction):
    row = near(below=distance) if direction == LONG else near(above=distance)
    effect = Liquidation().effect(row, direction)
    assert effect.veto == veto
    assert effect.reasons.get("liquidation_risk") == factor
    assert effect.facts["liquidation_risk_detected"] is (distance < 0.07)
    assert effect.confidence == 1.0


def test_the_distance_rule_acts_alone_where_the_probability_rule_is_off():
    strict = Liquidation(varied(LiquidationSettings, risk_probability=1.0))
    assert strict.effect(near(below=0.049), LONG).reasons == {"liquidation_risk": 0.5}
    assert strict.effect(near(below=0.05), LONG).reasons == {}


def test_clusters_on_the_favourable_side_do_not_matter():
    for direction, row in ((LONG, near(above=0.01)), (SHORT, near(below=0.01))):
        effect = Liquidation().effect(row, direction)
        assert effect == Effect(facts={"liquidation_risk_detected": False})


def test_an_unknown_map_does_nothing_and_states_nothing():
    unknown = dict.fromkeys(Liquidation.published, math.nan)
    for direction in (LONG, SHORT):
        assert Liquidation().effect(unknown, direction) == Effect()


def test_the_adjuster_is_registered_once_and_publishes_what_it_names():
    assert [a for a in ADJUSTERS if a.name == "liquidation"] == [Liquidation]
    assert tuple(columns_of(market_with_cluster(0.03))) == Liquidation.published


def test_open_interest_settles_how_much_of_the_volume_was_opened():
    volume = np.full(6, 100.0)
    interest = np.array([500.0, 500.0, 540.0, 440.0, np.nan, 900.0])
    # Unknown, none, two fifths more opened than closed, all closed, unknown twice.
    assert opened(volume, interest).tolist() == [50.0, 50.0, 70.0, 0.0, 50.0, 50.0]


def test_an_hourly_change_of_open_interest_is_spread_over_the_candles_of_the_hour():
    volume = np.full(8, 100.0)
    interest = np.array([500.0] * 4 + [540.0] * 4)
    assert opened(volume, interest, 4)[4:].tolist() == [55.0] * 4


@pytest.mark.parametrize(
    ("stop", "wanted", "expected"),
    [
        # Long: liquidated at 94, one percent beyond the stop: (1 - 1/L) / .995 = .94.
        (95.0, 50.0, 1 / (1 - 0.94 * 0.995)),
        (95.0, 10.0, 10.0),
        (99.0, 125.0, 1 / (1 - 0.98 * 0.995)),
        (105.0, 50.0, 1 / (1.06 * 1.005 - 1)),
        (105.0, 10.0, 10.0),
        (95.0, 1.0, 1.0),
    ],
)
def test_leverage_is_cut_until_liquidation_lies_beyond_the_stop(stop, wanted, expected):
    assert safe_leverage(100.0, stop, wanted, SETTINGS) == pytest.approx(expected)


@given(
    st.floats(1e-6, 1e6),
    st.floats(0.0005, 0.3),
    st.floats(1.0, 125.0),
    st.sampled_from([LONG, SHORT]),
    st.floats(0.0, 0.0099),
    st.floats(0.0, 0.05),
)
def test_the_order_is_liquidated_beyond_its_stop_and_no_leverage_is_given_away(
    entry, risk, wanted, direction, margin, buffer
):
    s = LiquidationSettings(maintenance_margin=margin, stop_buffer=buffer)
    stop = entry * (1 - direction * risk)
    leverage = safe_leverage(entry, stop, wanted, s)
    assert 1.0 <= leverage <= wanted

    def room(at: float) -> float:
        beyond = stop - liquidation_price(entry, at, direction, margin)
        return direction * beyond / entry - buffer

    assert room(leverage) >= -1e-9
    if leverage < wanted:
        assert room(leverage * 1.001) < 0


def test_without_any_safe_leverage_there_is_none():
    far = LiquidationSettings(stop_buffer=0.5)
    assert safe_leverage(100.0, 180.0, 20.0, far) == 1.0


@pytest.mark.parametrize(
    ("entry", "stop", "wanted"),
    [(100.0, 100.0, 5.0), (0.0, 95.0, 5.0), (100.0, math.nan, 5.0), (100.0, 95.0, math.inf)],
)
def test_an_order_that_makes_no_sense_has_no_leverage(entry, stop, wanted):
    with pytest.raises(ValueError, match="make no order"):
        safe_leverage(entry, stop, wanted, SETTINGS)


def test_liquidation_prices_are_those_of_an_isolated_position():
    assert liquidation_price(100.0, 10.0, LONG, 0.0) == pytest.approx(90.0)
    assert liquidation_price(100.0, 10.0, SHORT, 0.0) == pytest.approx(110.0)
    # At 90.45 a long of 10x has lost 9.55 of 10; .45 is the maintenance margin of 90.45.
    assert liquidation_price(100.0, 10.0, LONG, 0.005) == pytest.approx(90.452, abs=1e-3)
    assert liquidation_price(100.0, 1.0, LONG, 0.005) == 0.0


def test_a_margin_that_the_highest_leverage_cannot_keep_is_refused():
    highest = max(leverage for leverage, _ in LiquidationSettings.leverages)
    with pytest.raises(ValidationError, match="less than"):
        LiquidationSettings(maintenance_margin=1 / highest)
