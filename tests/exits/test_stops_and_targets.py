"""Stops and targets: the checks of spec P1 and P2."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.consensus import Band
from quorum.exits import StopSettings, TargetSettings, place_stops, target_prices

STOP = StopSettings()
TARGET = TargetSettings()


def one(value: float) -> np.ndarray:
    return np.array([value], np.float64)


def atr_stop(entry: float, atr: float, direction: int) -> float:
    """Return the stop of one entry without levels."""
    none = np.full((1, 4, 3), np.nan)
    return place_stops(one(entry), one(atr), one(direction), none, STOP, one(1.0)).price[0]


def target_price(entry: float, stop: float, band: Band, swing: float) -> float:
    """Return the target of one entry."""
    return target_prices(one(entry), one(stop), np.array([band]), one(swing), TARGET)[0]


def test_the_stop_stands_one_and_a_half_atr_against_the_trade():
    assert atr_stop(100.0, 2.0, 1) == pytest.approx(97.0)
    assert atr_stop(100.0, 2.0, -1) == pytest.approx(103.0)


def test_the_stop_is_never_wider_than_max_risk():
    assert atr_stop(100.0, 10.0, 1) == pytest.approx(95.0)
    assert atr_stop(100.0, 10.0, -1) == pytest.approx(105.0)


@pytest.mark.parametrize("atr", [0.0, -1.0, math.nan, math.inf])
def test_a_stop_without_a_usable_atr_is_refused(atr):
    with pytest.raises(ValueError, match="must be positive"):
        atr_stop(100.0, atr, 1)


def test_the_worked_example_of_p2_comes_out_as_written():
    assert target_price(43250, 42800, Band.VERY_HIGH, math.nan) == pytest.approx(44600)


@pytest.mark.parametrize(
    ("band", "ratio"), [(Band.VERY_HIGH, 3.0), (Band.HIGH, 2.5), (Band.MEDIUM, 2.0)]
)
def test_the_ratio_follows_the_band_in_both_directions(band, ratio):
    assert target_price(100, 98, band, math.nan) == pytest.approx(100 + 2 * ratio)
    assert target_price(100, 102, band, math.nan) == pytest.approx(100 - 2 * ratio)


def test_a_nearer_swing_pulls_the_target_in_front_of_it():
    assert target_price(100, 98, Band.VERY_HIGH, 105.0) == pytest.approx(105 * 0.995)
    assert target_price(100, 102, Band.VERY_HIGH, 95.0) == pytest.approx(95 * 1.005)


def test_a_swing_right_at_the_entry_does_not_push_the_ratio_under_its_limit():
    assert target_price(100, 98, Band.VERY_HIGH, 101.0) == pytest.approx(103.0)


def test_a_swing_behind_the_entry_or_beyond_the_target_changes_nothing():
    assert target_price(100, 98, Band.VERY_HIGH, 99.0) == pytest.approx(106.0)
    assert target_price(100, 98, Band.VERY_HIGH, 120.0) == pytest.approx(106.0)


def test_a_stop_at_the_entry_has_no_target():
    with pytest.raises(ValueError, match="at the entry"):
        target_price(100, 100, Band.HIGH, math.nan)


@given(
    st.floats(0.1, 1e5),
    st.floats(1e-4, 0.2),
    st.sampled_from([-1, 1]),
    st.sampled_from(list(Band)[1:]),
    st.floats(0.5, 2.0),
)
def test_every_target_lies_within_the_limits_of_the_ratio(entry, risk, direction, band, swing):
    stop = entry * (1 - direction * risk)
    target = target_price(entry, stop, band, entry * swing)
    ratio = direction * (target - entry) / abs(entry - stop)
    assert 1.5 - 1e-6 <= ratio <= 5.0 + 1e-6
