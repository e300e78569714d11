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
from quorum.context.base import told
from quorum.context.timeframes import AlignmentWeights, Dominant, Pattern, TimeframeSettings
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


SHARES = ("alignment", "alignment_side", "trend_up", "trend_down", "dominant")


def shares(x):
    return [x[name] for name in SHARES]


@pytest.mark.parametrize("trends", [(NAN,) * 4, (1, NAN, NAN, NAN), (NAN, NAN, NAN, -1)])
def test_one_timeframe_alone_is_no_alignment(trends):
    assert all(math.isnan(value) for value in shares(row(*trends)))
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
    ("trends", "reasons", "veto", "action"),
    [
        ((-1, -1, -1, -1), {"timeframes_against": 0.4}, "timeframes_against", "stay out"),
        ((1, 1, 1, 1), {}, None, "enter"),
        ((1, 1, -1, -1), {"timeframes_against": 0.4}, "timeframes_against", "stay out"),
        ((1, -1, -1, 1), {"timeframe_alignment": 0.7}, "timeframes_conflict", "enter smaller"),
        ((1, 1, 1, -1), {"timeframe_alignment": 0.7}, None, "enter smaller"),
    ],
)
def test_alignment_is_that_of_the_signals_own_side(trends, reasons, veto, action):
    for side in (1, -1):
        own = tuple(side * t for t in trends)
        got = effect(*own, direction=side)
        assert (got.reasons, got.veto) == (reasons, None)
        assert got.facts["timeframe_action"].startswith(action)
        assert got.facts["alignment_with_signal"] == row(*trends)["trend_up"]
        gated = effect(*own, direction=side, settings=GATE)
        assert gated.veto == veto
        assert veto is None or gated.facts["timeframe_action"] == "stay out"


def test_a_break_that_is_long_past_has_left_no_direction():
    names = ("base", "4h", "1d", "1w")
    values = {f"structure_trend_{tf}": 1.0 for tf in names}
    ages = {f"break_age_{tf}": age for tf, age in zip(names, (0.0, 10.0, 20.0, 21.0), strict=True)}
    x = row_of(Timeframes(), **values, **ages)
    assert [x[f"trend_{tf}"] for tf in names] == pytest.approx([1.0, 11 / 21, 1 / 21, 0.0])
    assert x["trend_up"] == 0.6
    old = row_of(Timeframes(), **values, **dict.fromkeys(ages, 30.0))
    facts = Timeframes().effect(old, 1).facts
    assert facts["dominant_trend"] == "neutral"
    assert facts["timeframes"]["1w"] == {"direction": "neutral", "confidence": 0.0,
                                         "pattern": "none"}  # fmt: skip


def test_the_record_says_what_each_timeframe_does_and_what_diverges():
    x = row(1, -1, 1, NAN)
    facts = Timeframes().effect({**x, "pattern_4h": 2.0, "rsi_divergence": -1.0,
                                 "cvd_divergence": 1.0}, 1).facts  # fmt: skip
    assert set(facts["timeframes"]) == {"base", "4h", "1d"}
    assert facts["timeframes"]["4h"] == {"direction": "bearish", "confidence": 1.0,
                                         "pattern": "change_of_character"}  # fmt: skip
    assert facts["divergences"] == [
        "bearish divergence of price and RSI, against the signal",
        "bullish divergence of price and CVD, with the signal",
    ]
    assert (
        told(facts["timeframes"]["4h"])
        == "direction bearish; confidence 1; pattern change of character"
    )
    assert told([]) == "none"


def test_patterns_and_divergences_of_a_market_are_those_of_its_breaks(market):
    features = compute_features(market)
    x = Timeframes().columns(market, features)
    for tf in ("base", "4h"):
        changed = np.flatnonzero(np.nan_to_num(features[f"choch_{tf}"]) != 0)
        assert len(changed)
        assert np.all(x[f"pattern_{tf}"][changed] == Pattern.CHANGE_OF_CHARACTER)
    known = np.isfinite(features["structure_trend_base"])
    assert set(np.unique(x["rsi_divergence"][known])) == {-1.0, 0.0, 1.0}
    assert np.isnan(x["rsi_divergence"][~known]).all()
    alive = np.nan_to_num(features["cvd_divergence_bull"]) > 0
    assert np.all(x["cvd_divergence"][alive & (features["cvd_divergence_bear"] == 0)] == 1.0)


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
    assert effect(*trends).facts["dominant_trend"] == dominant


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
    assert all(math.isnan(value) for value in shares(x))


def test_a_market_without_higher_timeframes_is_unknown_and_with_them_it_is_known(market):
    alone = replace(market, higher={})
    columns = Timeframes().columns(alone, compute_features(alone))
    assert all(np.isnan(columns[name]).all() for name in SHARES)
    known = Timeframes().columns(market, compute_features(market))["alignment"]
    assert np.isfinite(known[-1000:]).all()
    assert len(np.unique(known[-1000:])) > 2


def test_a_conflict_cannot_be_stricter_than_alignment():
    with pytest.raises(ValidationError, match="is over aligned"):
        TimeframeSettings(conflicted=0.8)
