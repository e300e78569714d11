"""Bands sizing: the checks of spec S1 and its bounds."""

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
from quorum.sizing import METHODS, SizeRequest, SizingSettings, sizing_method

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


def test_risk_basis_without_a_stop_distance_is_refused():
    assert size(replace(REQUEST, stop=100.0), basis="risk").reasons == ("stop_at_entry",)


def test_no_position_is_larger_than_max_percent():
    result = size(replace(REQUEST, stop=99.9), basis="risk")
    assert result.fraction == pytest.approx(0.10)
    assert result.reasons[-1] == "max_percent=10%"


@pytest.mark.parametrize(("minimum", "placed"), [(249.0, True), (251.0, False)])
def test_an_order_that_would_have_to_be_lifted_is_not_placed(minimum, placed):
    result = size(replace(REQUEST, min_order=minimum))
    assert (result.notional > 0) == placed
    assert ("below_minimum_order" in result.reasons) != placed


def test_the_larger_of_both_smallest_orders_counts():
    small = replace(REQUEST, capital=380.0)  # 2.5 % are 9.5.
    assert size(small, min_order=10.0).reasons[-1] == "below_minimum_order"
    assert size(small, min_order=5.0).notional == pytest.approx(9.5)
    assert size(replace(small, min_order=20.0), min_order=5.0).notional == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"capital": 0.0}, "no_capital"),
        ({"capital": -5.0}, "no_capital"),
        ({"capital": math.nan}, "no_capital"),
        ({"capital": math.inf}, "no_capital"),
        ({"entry": math.nan}, "bad_price"),
        ({"entry": 0.0}, "bad_price"),
        ({"stop": math.nan}, "bad_price"),
        ({"confidence": math.nan}, "no_confidence"),
        ({"multipliers": {"phase": math.nan}}, "phase=nan"),
        ({"multipliers": {"phase": 0.0}}, "phase=0"),
        ({"multipliers": {"phase": -1.0}}, "phase=-1"),
        ({"guard_factor": 0.0}, "guards=0"),
        ({"guard_factor": math.nan}, "guards=nan"),
    ],
)
def test_what_no_method_can_size_is_refused_by_all_with_its_reason(method, changes, reason):
    result = size(replace(REQUEST, **changes), method=method)
    assert (result.fraction, result.notional, result.risk_amount) == (0.0, 0.0, 0.0)
    assert result.reasons == (reason,)
    assert result.record["refused"] == reason


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("what", ["equity", "balance"])
def test_an_account_without_usable_equity_or_balance_opens_nothing(method, bad, what):
    good = {"initial": 1e4, "balance": 1e4, "equity": 1e4}
    account = AccountState(datetime(2024, 1, 1, tzinfo=UTC), **{**good, what: bad})
    assert size(replace(REQUEST, account=account), method=method).reasons == (f"no_{what}",)


@pytest.mark.parametrize(("factor", "percent"), [(0.4, 1.0), (1.0, 2.5), (1.7, 2.5)])
def test_the_guards_act_last_and_never_enlarge(factor, percent):
    assert size(replace(REQUEST, guard_factor=factor)).fraction == pytest.approx(percent / 100)


def test_the_record_holds_the_numbers_and_is_fit_for_json():
    result = size(replace(REQUEST, multipliers={"liquidation_risk": 0.5}, guard_factor=0.8))
    record = json.loads(json.dumps(result.record, allow_nan=False))
    assert record["method"] == "bands"
    assert record["band_percent"] == pytest.approx(2.5)
    assert record["factor_liquidation_risk"] == 0.5
    assert record["guard_factor"] == 0.8
    assert record["notional"] == result.notional == pytest.approx(100.0)
    assert result.trailing_stop is None


@pytest.mark.parametrize("method", ["bands", "confluence"])
def test_factors_together_leave_a_least_and_their_product_is_shown(method):
    three = {"timeframes_against": 0.4, "liquidation_risk": 0.5, "regime_range": 0.7}
    request = replace(REQUEST, multipliers=three, confluence=70.0)
    whole, less = (
        size(replace(request, multipliers={}), method=method),
        size(request, method=method),
    )
    assert less.fraction == pytest.approx(0.4 * whole.fraction)
    assert less.record["product"] == pytest.approx(0.14)
    assert less.record["multiplier"] == 0.4
    assert "least_product=2.86" in less.reasons
    mild = size(replace(request, multipliers={"regime_range": 0.7}), method=method)
    assert mild.fraction == pytest.approx(0.7 * whole.fraction)
    assert not [r for r in mild.reasons if r.startswith("least_product")]


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
    bands = SizingSettings().bands
    edges = (bands.medium[0], bands.high[0], bands.very_high[0])
    same_band = not any(low < edge - 5e-10 <= high for edge in edges)
    if same_band and min(sizes) > 0:
        assert sizes[0] <= sizes[1] + 1e-12


@given(st.floats(0.01, 1000.0))
def test_size_is_invariant_to_the_scale_of_the_quote_currency(scale):
    scaled = replace(REQUEST, entry=100 * scale, stop=98 * scale, capital=10_000 * scale)
    assert size(scaled, min_order=0).fraction == pytest.approx(size(REQUEST, min_order=0).fraction)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"method": "kelly"}, "quorum.sizing.method = 'kelly': .*'bands', 'confluence' or 'elite'"),
        ({"bands": {"high": (0.85, 0.75, 1, 2)}}, "quorum.sizing.bands.*high: .*must rise"),
        ({"bands": {"high": (0.6, 0.85, 1, 2)}}, "quorum.sizing.bands.*in this order"),
    ],
)
def test_bad_settings_are_refused_by_name(section, message):
    with pytest.raises(SettingsError, match=message):
        load_settings({"sizing": section})
