"""Zones: where in the dealing range a signal stands, and at what price it enters (Z1, Z2)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from context_rows import row_of
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quorum.candles import Candles
from quorum.context import Zones
from quorum.context.zones import EntryZoneSettings, entry_price
from quorum.features.structure import STRUCTURE_TIMEFRAMES, StructureConstants, add_structure
from quorum.features.swings import SwingConstants, add_swings
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market

DEFAULTS = EntryZoneSettings()
LIMIT = EntryZoneSettings(entry="limit_order")
BASE = Zones(EntryZoneSettings(timeframe="base"))
#: Up to 110, down to 100, and half-way back: the dealing range is 100 to 110.
LEGS = [104.0, 106.0, 108.0, 110.0, 107.0, 104.0, 100.0, 101.0, 102.0]


def zone_of(position, direction, settings=DEFAULTS):
    zones = Zones(settings)
    return zones.effect(row_of(zones, range_position_4h=position), direction).facts


def last_row(closes):
    """Return the zone columns of drawn candles whose swings stand out by two candles."""
    close = np.asarray(closes, dtype=np.float64)
    opened = np.concatenate([close[:1], close[:-1]])
    time = np.arange(len(close), dtype=np.int64) * HOUR_MS
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    market = Market("X/USDT:USDT", Candles("1h", time, opened, high, low, close, np.ones_like(low)))
    features = Features(len(market))
    add_swings(market, features, SwingConstants(left=2, right=2))
    add_structure(market, features, StructureConstants())
    return {name: float(v[-1]) for name, v in BASE.columns(market, features).items()}


def test_scenario_1_a_long_in_discount_enters_at_once():
    row = last_row([*LEGS, 102.0])
    facts = Zones().effect(row, 1).facts
    assert facts == {"entry_zone_status": "discount", "entry_strategy": "immediate"}
    assert entry_price(facts["entry_strategy"], 1, 43250.0, row, DEFAULTS) == 43250.0


def test_scenario_2_a_long_at_72_percent_of_the_range_waits_for_a_price_0_3_percent_lower():
    row = last_row([*LEGS, 107.2])
    assert row["zone_position"] == pytest.approx(0.72)
    facts = Zones().effect(row, 1).facts
    assert facts == {"entry_zone_status": "premium", "entry_strategy": "wait_pullback"}
    limit = entry_price(facts["entry_strategy"], 1, 107.2, row, DEFAULTS)
    assert limit == pytest.approx(107.2 * 0.997)


def test_scenario_3_a_short_at_91_percent_of_the_range_enters_at_once():
    row = last_row([*LEGS, 109.1])
    assert row["zone_position"] == pytest.approx(0.91)
    facts = Zones().effect(row, -1).facts
    assert facts == {"entry_zone_status": "premium", "entry_strategy": "immediate"}
    assert entry_price(facts["entry_strategy"], -1, 47800.0, row, DEFAULTS) == 47800.0


def test_a_short_in_discount_waits_for_a_price_0_3_percent_higher():
    facts = zone_of(0.2, -1)
    assert facts == {"entry_zone_status": "discount", "entry_strategy": "wait_pullback"}
    assert entry_price("wait_pullback", -1, 1000.0, {}, DEFAULTS) == pytest.approx(1003.0)


def test_a_close_over_the_range_is_premium_and_under_it_discount():
    assert Zones().effect(last_row([*LEGS, 115.0]), 1).facts["entry_zone_status"] == "premium"
    assert Zones().effect(last_row([*LEGS, 95.0]), -1).facts["entry_zone_status"] == "discount"


@pytest.mark.parametrize(
    ("position", "status"),
    [
        (0.0, "discount"),
        (0.449, "discount"),
        (0.45, "equilibrium"),
        (0.50, "equilibrium"),
        (0.55, "equilibrium"),
        (0.551, "premium"),
        (1.0, "premium"),
    ],
)
def test_both_edges_belong_to_equilibrium(position, status):
    assert zone_of(position, 1)["entry_zone_status"] == status


@pytest.mark.parametrize("edge", [0.45, 0.55])
@pytest.mark.parametrize("low", [0.0871, 3.3, 43017.7])
def test_a_position_at_an_edge_is_equilibrium_whatever_the_prices_are(edge, low):
    width = low * 0.07
    noisy = ((low + edge * width) - low) / width
    assert zone_of(noisy, 1)["entry_zone_status"] == "equilibrium"


@given(position=st.floats(0, 1))
def test_a_short_mirrors_a_long(position):
    mirror = {"discount": "premium", "equilibrium": "equilibrium", "premium": "discount"}
    long, short = zone_of(position, 1), zone_of(1 - position, -1)
    assert short["entry_strategy"] == long["entry_strategy"]
    assert short["entry_zone_status"] == mirror[long["entry_zone_status"]]


@pytest.mark.parametrize("entry", ["wait_pullback", "limit_order", "immediate"])
def test_the_setting_names_the_entry_of_the_wrong_zone_only(entry):
    settings = EntryZoneSettings(entry=entry)
    assert zone_of(0.8, 1, settings)["entry_strategy"] == entry
    assert zone_of(0.2, -1, settings)["entry_strategy"] == entry
    assert zone_of(0.2, 1, settings)["entry_strategy"] == "immediate"
    assert zone_of(0.8, -1, settings)["entry_strategy"] == "immediate"
    assert zone_of(0.5, 1, settings)["entry_strategy"] == "immediate"


def test_a_limit_order_stands_at_the_nearer_edge_of_equilibrium():
    row = row_of(
        Zones(LIMIT), range_position_4h=0.8, dealing_range_low_4h=100, dealing_range_high_4h=200
    )
    assert (row["zone_discount_edge"], row["zone_premium_edge"]) == pytest.approx((145, 155))
    assert entry_price("limit_order", 1, 180.0, row, LIMIT) == pytest.approx(155)
    assert entry_price("limit_order", -1, 120.0, row, LIMIT) == pytest.approx(145)


def test_a_limit_order_never_pays_more_than_the_price():
    row = {"zone_discount_edge": 145.0, "zone_premium_edge": 155.0}
    assert entry_price("limit_order", 1, 150.0, row, LIMIT) == 150.0
    assert entry_price("limit_order", -1, 150.0, row, LIMIT) == 150.0


def test_a_limit_order_without_a_known_range_enters_at_the_price():
    row = {"zone_discount_edge": math.nan, "zone_premium_edge": math.nan}
    assert entry_price("limit_order", 1, 150.0, row, LIMIT) == 150.0
    assert entry_price("limit_order", -1, 150.0, row, LIMIT) == 150.0


def test_zones_and_pullback_follow_their_settings():
    wide = EntryZoneSettings(discount=0.3, premium=0.7, pullback=0.01)
    assert zone_of(0.65, 1, wide)["entry_zone_status"] == "equilibrium"
    assert entry_price("wait_pullback", 1, 100.0, {}, wide) == pytest.approx(99.0)
    row = row_of(Zones(wide), dealing_range_low_4h=100, dealing_range_high_4h=200)
    assert (row["zone_discount_edge"], row["zone_premium_edge"]) == pytest.approx((130, 170))


@pytest.mark.parametrize("bad", [{"entry": "market"}, {"discount": 0.6}, {"expiry": 0}])
def test_a_setting_out_of_its_range_is_refused(bad):
    with pytest.raises(ValidationError):
        EntryZoneSettings(**bad)


@pytest.mark.parametrize(
    ("setting", "timeframe", "suffix"),
    [("next", "1h", "_4h"), ("next", "15m", "_4h"), ("next", "4h", "_1d"), ("base", "1h", ""),
     ("1d", "1h", "_1d"), ("1w", "4h", "_1w"), ("4h", "4h", "")],
)  # fmt: skip
def test_the_dealing_range_is_that_of_the_next_longer_timeframe(setting, timeframe, suffix):
    candle = np.ones(1)
    time = np.zeros(1, np.int64)
    market = Market("X/USDT:USDT", Candles(timeframe, time, *(candle for _ in range(5))))
    features = Features(1)
    for i, name in enumerate(STRUCTURE_TIMEFRAMES):
        own = "" if name == "base" else f"_{name}"
        features.add(f"range_position{own}", np.array([0.1 * (i + 1)]))
        features.add(f"dealing_range_low{own}", np.array([100.0]))
        features.add(f"dealing_range_high{own}", np.array([200.0]))
    zones = Zones(EntryZoneSettings(timeframe=setting))
    position = zones.columns(market, features)["zone_position"]
    assert position == pytest.approx(features[f"range_position{suffix}"])
