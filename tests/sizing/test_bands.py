"""Bands sizing: the checks of spec S1 and its bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.sizing import SizeRequest, SizingSettings, sizing_method

REQUEST = SizeRequest(confidence=0.9, entry=100.0, stop=98.0, capital=10_000.0)


def size(request: SizeRequest, **settings):
    return sizing_method(SizingSettings(**settings)).size(request)


@pytest.mark.parametrize(
    ("confidence", "percent"),
    [
        (0.90, 2.5),
        (0.80, 2.0),
        (0.70, 1.25),
        (0.92, 2.7),
        (0.85, 2.0),
        (0.75, 1.5),
        (0.65, 1.0),
        (0.99, 3.0),
    ],
)
def test_the_percentage_is_that_of_the_specification(confidence, percent):
    assert size(replace(REQUEST, confidence=confidence)).fraction == pytest.approx(percent / 100)


def test_under_the_bands_nothing_is_staked_and_the_reason_says_so():
    result = size(replace(REQUEST, confidence=0.64))
    assert result.fraction == 0
    assert result.notional == 0
    assert result.reasons == ("confidence_under_bands",)


def test_liquidation_risk_halves_the_size_of_the_worked_example():
    risky = replace(REQUEST, confidence=0.68, multipliers={"liquidation_risk": 0.5})
    result = size(risky)
    assert result.fraction == pytest.approx(0.00575)
    assert "liquidation_risk=0.5" in result.reasons


def test_risk_basis_loses_the_percentage_at_the_stop():
    result = size(replace(REQUEST, confidence=0.65, stop=80.0), basis="risk")
    # 1 % at risk over a stop distance of 20 % is a position of 5 %.
    assert result.fraction == pytest.approx(0.05)
    assert result.risk_amount == pytest.approx(100.0)


def test_no_position_is_larger_than_max_percent():
    result = size(replace(REQUEST, stop=99.9), basis="risk")
    assert result.fraction == pytest.approx(0.10)
    assert result.reasons[-1] == "max_percent=10%"


@pytest.mark.parametrize(("minimum", "placed"), [(249.0, True), (251.0, False)])
def test_an_order_that_would_have_to_be_lifted_is_not_placed(minimum, placed):
    result = size(replace(REQUEST, min_order=minimum))
    assert (result.notional > 0) == placed
    assert ("below_minimum_order" in result.reasons) != placed


@pytest.mark.parametrize("capital", [0.0, -5.0, math.nan, math.inf])
def test_without_usable_capital_nothing_is_staked(capital):
    assert size(replace(REQUEST, capital=capital)).reasons == ("no_capital",)


@given(
    st.floats(0.65, 1.0),
    st.floats(0.65, 1.0),
    st.floats(0.01, 1.0),
    st.sampled_from(["notional", "risk"]),
)
def test_size_rises_with_confidence_inside_a_band_and_never_exceeds_the_cap(a, b, factor, basis):
    low, high = sorted((a, b))
    sizes = [
        size(replace(REQUEST, confidence=c, multipliers={"m": factor}), basis=basis).fraction
        for c in (low, high)
    ]
    assert max(sizes) <= 0.10 + 1e-12
    settings = SizingSettings()
    edges = (settings.medium[0], settings.high[0], settings.very_high[0])
    same_band = not any(low < edge - 5e-10 <= high for edge in edges)
    if same_band and min(sizes) > 0:
        assert sizes[0] <= sizes[1] + 1e-12


@given(st.floats(0.01, 1000.0))
def test_size_is_invariant_to_the_scale_of_the_quote_currency(scale):
    scaled = replace(REQUEST, entry=100 * scale, stop=98 * scale, capital=10_000 * scale)
    assert size(scaled, min_order=0).fraction == pytest.approx(size(REQUEST, min_order=0).fraction)
