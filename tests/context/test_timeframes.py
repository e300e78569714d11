"""Timeframes: alignment, the dominant trend, and what a quarrel costs (T1)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from context_rows import row_of
from evaluations import varied
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quorum.context import Effect, Timeframes
from quorum.context.timeframes import AlignmentWeights, Dominant, TimeframeSettings
from quorum.features import compute_features

NAN = math.nan
GATE = TimeframeSettings(gate=True)


def row(*trends, settings=None):
    """Return the row of the trends of base, 4h, 1d, 1w."""
    names = ("base", "4h", "1d", "1w")
    values = {f"structure_trend_{tf}": t for tf, t in zip(names, trends, strict=True)}
    return row_of(Timeframes(settings), **values)


def effect(*trends, direction=1, settings=None):
    return Timeframes(settings).effect(row(*trends, settings=settings), direction)


@pytest.mark.parametrize(
    ("trends", "alignment", "side"),
    [
        ((1, 1, 1, 1), 1.0, 1),
        ((-1, 1, 1, 1), 0.9, 1),
        ((1, -1, 1, 1), 0.8, 1),
        ((1, 1, -1, 1), 0.7, 1),
        ((1, 1, 1, -1), 0.6, 1),
        ((1, -1, -1, 1), 0.5, 0),
        ((-1, -1, -1, -1), 1.0, -1),
        ((0, 1, 1, 1), 0.9, 1),
        ((0, 0, 0, 0), 0.0, 0),
        ((1, -1, 0, 0), 0.2, -1),
    ],
)
def test_alignment_is_the_weight_of_the_larger_side(trends, alignment, side):
    x = row(*trends)
    assert x["alignment"] == alignment
    assert x["alignment_side"] == side


@pytest.mark.parametrize(
    ("trends", "alignment"),
    [
        ((1, 1, -1, NAN), 0.5),
        ((1, -1, 1, NAN), pytest.approx(4 / 6)),
        ((NAN, 1, NAN, 1), 1.0),
        ((1, 1, NAN, -1), pytest.approx(4 / 7)),
    ],
)
def test_weights_are_renormalised_over_the_known_timeframes(trends, alignment):
    assert row(*trends)["alignment"] == alignment


@pytest.mark.parametrize("trends", [(NAN,) * 4, (1, NAN, NAN, NAN), (NAN, NAN, NAN, -1)])
def test_one_timeframe_alone_is_no_alignment(trends):
    assert all(math.isnan(value) for value in row(*trends).values())
    assert effect(*trends, settings=GATE) == Effect()


@pytest.mark.parametrize(
    ("trends", "factor"),
    [
        ((1, 1, 1, 1), None),
        ((1, -1, 1, 1), None),
        ((1, 1, -1, 1), 0.7),
        ((1, 1, 1, -1), 0.7),
        ((1, -1, -1, 1), 0.7),
        ((0, 0, 0, 0), 0.7),
    ],
)
def test_less_than_three_quarters_aligned_is_sized_down(trends, factor):
    reasons = {} if factor is None else {"timeframe_alignment": factor}
    got = effect(*trends)
    assert got.reasons == reasons
    assert got.veto is None


@pytest.mark.parametrize(
    ("trends", "veto"),
    [
        ((1, 1, 1, 1), None),
        ((1, 1, 1, -1), None),
        ((1, -1, -1, 1), "timeframes_conflict"),
        ((0, 0, 0, 0), "timeframes_conflict"),
    ],
)
def test_with_the_gate_a_conflict_under_60_percent_is_refused(trends, veto):
    assert effect(*trends, settings=GATE).veto == veto


def test_exactly_75_percent_is_full_size():
    equal = varied(
        TimeframeSettings,
        weights=AlignmentWeights(base=0.3, four_hours=0.3, day=0.3, week=0.3),
        gate=True,
    )
    assert row(1, 1, 1, -1, settings=equal)["alignment"] == 0.75
    assert effect(1, 1, 1, -1, settings=equal).reasons == {}


@pytest.mark.parametrize(
    ("trends", "dominant"),
    [
        ((1, 1, 1, 1), "bullish"),
        ((-1, -1, 1, -1), "bearish"),
        ((1, 1, 1, -1), "mixed"),
        ((1, -1, -1, 1), "mixed"),
        ((1, 1, 1, 0), "mixed"),
        ((1, 1, 0, 0), "neutral"),
        ((0, 0, 0, 0), "neutral"),
        ((-1, 1, 0, 0), "neutral"),
        ((1, 0, 0, 1), "neutral"),
        ((0, 0, 1, 1), "bullish"),
    ],
)
def test_the_dominant_trend_is_named_by_its_share(trends, dominant):
    assert effect(*trends).facts == {"dominant_trend": dominant}


trend = st.sampled_from([-1.0, 0.0, 1.0, NAN])


@given(trends=st.tuples(trend, trend, trend, trend))
def test_the_mirror_image_is_aligned_as_much_on_the_other_side(trends):
    x, y = row(*trends), row(*(-t for t in trends))
    assert x["alignment"] == y["alignment"] or math.isnan(x["alignment"] + y["alignment"])
    assert x["alignment_side"] == -y["alignment_side"] or math.isnan(x["alignment_side"])
    opposite = {Dominant.BULLISH: Dominant.BEARISH, Dominant.BEARISH: Dominant.BULLISH}
    if not math.isnan(x["dominant"]):
        assert opposite.get(x["dominant"], x["dominant"]) == y["dominant"]
    assert effect(*trends).reasons == effect(*(-t for t in trends), direction=-1).reasons


@given(
    trends=st.tuples(trend, trend, trend, trend),
    weights=st.tuples(*[st.floats(0, 1) for _ in range(4)]),
)
def test_alignment_stays_a_share_for_any_weights(trends, weights):
    base, four_hours, day, week = weights
    settings = varied(
        TimeframeSettings,
        weights=AlignmentWeights(base=base, four_hours=four_hours, day=day, week=week),
    )
    alignment = row(*trends, settings=settings)["alignment"]
    assert math.isnan(alignment) or 0 <= alignment <= 1


def test_weights_of_zero_say_nothing():
    nothing = AlignmentWeights(base=0, four_hours=0, day=0, week=0)
    x = row(1, 1, 1, 1, settings=varied(TimeframeSettings, weights=nothing))
    assert all(math.isnan(value) for value in x.values())


def test_a_market_without_higher_timeframes_is_unknown_and_with_them_it_is_known(market):
    alone = replace(market, higher={})
    columns = Timeframes().columns(alone, compute_features(alone))
    assert all(np.isnan(values).all() for values in columns.values())
    known = Timeframes().columns(market, compute_features(market))["alignment"]
    assert np.isfinite(known[-1000:]).all()
    assert len(np.unique(known[-1000:])) > 2


def test_a_conflict_cannot_be_stricter_than_alignment():
    with pytest.raises(ValidationError, match="is over aligned"):
        TimeframeSettings(conflicted=0.8)
