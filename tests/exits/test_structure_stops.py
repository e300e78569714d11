"""Stops behind structure: spec P1 and its corner cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.exits import StopSettings, place_stops

STOP = StopSettings()
STRONG, WEAK = 0.7, 0.6


class Level(NamedTuple):
    """A level as rows know it."""

    price: float
    edge: float
    strength: float


class Stop(NamedTuple):
    """Where one entry is stopped, and behind what."""

    price: float
    kind: str


def level(price: float, strength: float = STRONG, edge: float | None = None) -> Level:
    return Level(price, price if edge is None else edge, strength)


def place_stop(
    entry: float,
    atr: float,
    direction: int,
    levels: Sequence[Level],
    settings: StopSettings = STOP,
    factor: float = 1.0,
) -> Stop:
    """Return the stop of one entry."""
    known = np.array(levels, np.float64).reshape(1, len(levels), 3)
    one = (np.array([float(value)]) for value in (entry, atr, direction))
    stops = place_stops(*one, known, settings, np.array([factor]))
    return Stop(stops.price[0], "structure" if stops.structural[0] else "atr")


def test_a_long_is_stopped_beyond_the_nearest_strong_support() -> None:
    stop = place_stop(100.0, 1.0, 1, [level(98.0), level(97.0)], STOP)
    assert stop == (pytest.approx(98.0 * 0.998), "structure")


def test_a_short_is_stopped_beyond_the_nearest_strong_resistance() -> None:
    stop = place_stop(100.0, 1.0, -1, [level(103.0), level(102.0)], STOP)
    assert stop == (pytest.approx(102.0 * 1.002), "structure")


def test_the_stop_clears_the_far_edge_of_the_zone() -> None:
    long = place_stop(100.0, 1.0, 1, [level(98.0, edge=97.6)], STOP)
    short = place_stop(100.0, 1.0, -1, [level(102.0, edge=102.4)], STOP)
    assert long.price == pytest.approx(97.6 * 0.998)
    assert short.price == pytest.approx(102.4 * 1.002)


def test_a_level_of_exactly_the_threshold_is_not_strong() -> None:
    stop = place_stop(100.0, 1.0, 1, [level(98.0, WEAK), level(97.0)], STOP)
    assert stop == (pytest.approx(97.0 * 0.998), "structure")


@pytest.mark.parametrize("levels", [[], [level(98.0, WEAK)], [level(94.0)], [level(101.0)]])
def test_without_a_strong_level_within_max_risk_the_stop_is_by_atr(levels: list[Level]) -> None:
    assert place_stop(100.0, 1.0, 1, levels, STOP) == (98.5, "atr")


def test_a_level_whose_margin_ends_beyond_max_risk_carries_no_stop() -> None:
    inside = place_stop(100.0, 1.0, 1, [level(95.2)], STOP)
    outside = place_stop(100.0, 1.0, 1, [level(95.1)], STOP)
    assert inside.kind == "structure"
    assert inside.price >= 95.0
    assert outside.kind == "atr"


def test_a_level_right_at_the_price_is_passed_over_for_the_next() -> None:
    near = [level(99.9), level(98.0)]
    assert place_stop(100.0, 1.0, 1, near, STOP).price == pytest.approx(98.0 * 0.998)
    as_written = StopSettings(min_atr=0.0)
    assert place_stop(100.0, 1.0, 1, near, as_written).price == pytest.approx(99.9 * 0.998)


def test_a_factor_scales_the_distance_but_never_over_max_risk() -> None:
    levels = [level(98.0)]
    plain = place_stop(100.0, 1.0, 1, levels, STOP)
    tight = place_stop(100.0, 1.0, 1, levels, STOP, 0.7)
    assert 100 - tight.price == pytest.approx(0.7 * (100 - plain.price))
    assert tight.kind == "structure"
    assert place_stop(100.0, 1.0, 1, levels, STOP, 9.0).price == pytest.approx(95.0)


def test_the_atr_method_reads_no_levels() -> None:
    assert place_stop(100.0, 1.0, 1, [level(98.0)], StopSettings(method="atr")) == (98.5, "atr")


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_an_unusable_factor_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="factor"):
        place_stop(100.0, 1.0, 1, [], STOP, factor)


@pytest.mark.parametrize("atr", [0.0, math.nan])
def test_an_unusable_atr_is_refused_even_where_a_level_would_do(atr: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        place_stop(100.0, atr, 1, [level(98.0)], STOP)


offsets = st.lists(
    st.tuples(st.floats(-0.1, 0.1), st.floats(0.0, 0.01), st.floats(0, 1)), max_size=4
)


@given(st.floats(1e-4, 1e5), st.floats(1e-4, 0.2), offsets, st.floats(0.1, 3.0))
def test_no_stop_is_wider_than_max_risk_or_on_the_wrong_side(
    entry: float, atr: float, offsets: list[tuple[float, float, float]], factor: float
) -> None:
    for direction in (1, -1):
        levels = [
            Level(entry * (1 - direction * o), entry * (1 - direction * (o + e)), s)
            for o, e, s in offsets
        ]
        stop = place_stop(entry, entry * atr, direction, levels, STOP, factor)
        distance = direction * (entry - stop.price) / entry
        assert 0 < distance <= 0.05 + 1e-9
        if stop.kind == "structure" and factor == 1.0:
            assert distance >= 0.5 * atr * (1 - 1e-9)
