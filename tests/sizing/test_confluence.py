"""Confluence sizing: the checks of spec S2 and its bounds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.account import AccountState
from quorum.errors import SettingsError
from quorum.settings import load_settings
from quorum.sizing import SizeRequest, SizingSettings, sizing_method

REQUEST = SizeRequest(
    confidence=0.9,
    entry=100.0,
    stop=98.0,
    capital=10_000.0,
    pair="BTC/USDT:USDT",
    confluence=70.0,
    reliability=0.9,
)


def size(request: SizeRequest, profile: str = "executor", **confluence):
    settings = SizingSettings(method="confluence", confluence={"profile": profile, **confluence})
    return sizing_method(settings).size(request)


@pytest.mark.parametrize(
    ("profile", "score", "direction", "percent"),
    [
        # The checks of the specification.
        ("executor", 70.0, 1, 5.0),
        ("executor", 68.0, 1, 3.0),
        ("executor", 67.9, 1, 0.0),
        ("executor", 33.0, -1, 5.0),
        ("manager", 72.0, 1, 6.0),
        ("manager", 69.5, 1, 0.0),
        # What follows from it.
        ("executor", 35.0, -1, 3.0),
        ("executor", 35.1, -1, 0.0),
        ("executor", 33.0, 1, 0.0),
        ("executor", 70.0, -1, 0.0),
        ("executor", 75.0, 1, 10.0),
        ("executor", 76.0, 1, 10.0),
        ("executor", 100.0, 1, 10.0),
        ("executor", 0.0, -1, 10.0),
        ("manager", 70.0, 1, 4.0),
        ("manager", 30.0, -1, 4.0),
        ("manager", 28.0, -1, 6.0),
        ("manager", 30.5, -1, 0.0),
        ("executor", math.nan, 1, 0.0),
        ("executor", math.nan, -1, 0.0),
    ],
)
def test_the_percentage_is_that_of_the_specification(profile, score, direction, percent):
    result = size(replace(REQUEST, confluence=score, direction=direction), profile)
    assert result.fraction == pytest.approx(percent / 100)
    if percent == 0:
        assert result.reasons == ("score_within_thresholds",)
        assert result.notional == 0


@pytest.mark.parametrize("profile", ["executor", "manager"])
def test_both_profiles_ask_for_a_trailing_stop_of_two_percent(profile):
    assert size(replace(REQUEST, confluence=75.0), profile).trailing_stop == 0.02


def test_the_initial_risk_based_size_is_reported_beside_the_final_one():
    result = size(REQUEST)
    # 10,000 x 1 % x .9 over a stop distance of 2 %.
    assert result.record["initial_notional"] == pytest.approx(4500.0)
    assert result.record["initial_fraction"] == pytest.approx(0.45)
    assert result.record["notional"] == pytest.approx(500.0)
    assert "initial_risk_size=45.000%" in result.reasons


def test_the_initial_size_is_of_the_realised_balance():
    account = AccountState(datetime(2024, 1, 1, tzinfo=UTC), 8_000.0, 8_000.0, 9_000.0)
    result = size(replace(REQUEST, account=account))
    assert result.record["initial_notional"] == pytest.approx(8_000 * 0.01 * 0.9 / 0.02)


@pytest.mark.parametrize("changes", [{"reliability": math.nan}, {"stop": 100.0}])
def test_an_initial_size_that_is_not_known_changes_nothing(changes):
    result = size(replace(REQUEST, **changes))
    assert result.fraction == pytest.approx(0.05)
    assert result.record["initial_notional"] == "unknown"


def test_multipliers_act_on_the_size_that_the_score_allows():
    # 3 + 12 points is cut to 10 % first: half of it is 5 %.
    request = replace(REQUEST, confluence=80.0, multipliers={"crowded_leverage": 0.5})
    result = size(request)
    assert result.fraction == pytest.approx(0.05)
    assert "crowded_leverage=0.5" in result.reasons


def test_a_multiplier_does_not_lift_the_size_over_the_cap():
    request = replace(REQUEST, confluence=80.0, multipliers={"regime_trend": 1.2})
    result = size(request)
    assert result.fraction == pytest.approx(0.10)
    assert "max_percent=10%" in result.reasons


def test_an_order_that_would_have_to_be_lifted_is_not_placed():
    assert size(replace(REQUEST, min_order=501.0)).reasons[-1] == "below_minimum_order"
    assert size(replace(REQUEST, min_order=499.0)).notional == pytest.approx(500.0)


def test_the_record_is_fit_for_json_even_where_nothing_is_known():
    result = size(replace(REQUEST, confluence=math.nan, reliability=math.nan))
    record = json.loads(json.dumps(result.record, allow_nan=False))
    assert record["score"] == record["initial_fraction"] == "unknown"
    assert record["refused"] == "score_within_thresholds"


@given(
    st.floats(0, 100),
    st.floats(0, 100),
    st.sampled_from([1, -1]),
    st.sampled_from(["executor", "manager"]),
    st.floats(0.1, 2.0),
)
def test_size_rises_with_the_score_and_never_exceeds_the_cap(a, b, direction, profile, factor):
    request = replace(REQUEST, direction=direction, multipliers={"m": factor})
    low, high = sorted((a, b), key=lambda score: score * direction)
    sizes = [size(replace(request, confluence=s), profile).fraction for s in (low, high)]
    assert sizes[0] <= sizes[1] + 1e-12
    assert sizes[1] <= 0.10 + 1e-12


@given(st.floats(0, 100))
def test_the_manager_treats_shorts_as_the_mirror_image_of_longs(score):
    long = size(replace(REQUEST, confluence=score), "manager")
    short = size(replace(REQUEST, confluence=100 - score, direction=-1, stop=102.0), "manager")
    assert long.fraction == pytest.approx(short.fraction)


@given(st.floats(0.01, 1000.0))
def test_size_is_invariant_to_the_scale_of_the_quote_currency(scale):
    settings = SizingSettings(method="confluence", min_order=0)
    scaled = replace(REQUEST, entry=100 * scale, stop=98 * scale, capital=10_000 * scale)
    result = sizing_method(settings).size(scaled)
    assert result.fraction == pytest.approx(0.05)
    assert result.record["initial_fraction"] == pytest.approx(0.45)


def test_a_base_over_the_largest_size_is_refused():
    with pytest.raises(SettingsError, match=r"base: 20\.0 must not exceed largest: 10\.0"):
        load_settings({"sizing": {"confluence": {"base": 20}}})
