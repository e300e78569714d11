"""The ladder of targets (spec P3) and the whole exit plan (P1-P3)."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quorum.consensus import Band
from quorum.exits import (
    EXIT_COLUMNS,
    FIRST_TARGET_UNDER_MIN_RR,
    ExitPlan,
    ExitSettings,
    LadderSettings,
    StopSettings,
)
from quorum.exits import ladder_prices as prices_of
from quorum.exits import ladder_shares as shares_of
from quorum.exits import plan_exits as plan_of

EXITS = ExitSettings()
LADDER = LadderSettings()
BY_LEVELS = LadderSettings(first="levels")


def ladder_prices(
    entry: float,
    stop: float,
    target: float,
    levels: list[float],
    settings: LadderSettings,
    margin: float = 0.0,
) -> tuple[float, ...]:
    """Return the rungs of one entry."""
    one = (np.array([value], np.float64) for value in (entry, stop, target))
    rungs = prices_of(*one, np.array([levels], np.float64), settings, margin)[0]
    known = rungs[: np.isfinite(rungs).sum()]
    assert np.isfinite(known).all(), "no rung after none"
    return tuple(known)


def ladder_shares(rungs: int, settings: LadderSettings) -> tuple[float, ...]:
    """Return the parts taken out by one ladder."""
    return tuple(shares_of(np.array([rungs]), settings)[0])


def plan_exits(
    row: dict[str, float],
    direction: int,
    entry: float,
    band: Band,
    settings: ExitSettings,
    stop_factor: float = 1.0,
) -> ExitPlan:
    """Plan the exits of one entry on a chart of one candle."""
    columns = {name: np.array([value], np.float64) for name, value in row.items()}
    return plan_of(columns, 0, direction, entry, band, settings, stop_factor)


def at(*prices: float) -> list[float]:
    return list(prices)


def row_of(**known: float) -> dict[str, float]:
    row = dict.fromkeys(EXIT_COLUMNS, math.nan)
    row["atr"] = 1.0
    return row | known


def test_without_levels_a_ladder_from_2r_goes_on_at_3r_and_5r() -> None:
    assert ladder_prices(100, 98, 104, [], LADDER) == pytest.approx((104, 106, 110))
    assert ladder_prices(100, 102, 96, [], LADDER) == pytest.approx((96, 94, 90))


def test_without_levels_a_ladder_from_3r_divides_the_way_to_5r() -> None:
    assert ladder_prices(100, 98, 106, [], LADDER) == pytest.approx((106, 100 + 22 / 3, 110))


def test_a_target_at_the_end_of_the_ladder_takes_everything() -> None:
    assert ladder_prices(100, 98, 110, [], LADDER) == pytest.approx((110,))
    assert ladder_shares(1, LADDER) == pytest.approx((1.0, 0.0, 0.0))
    assert ladder_shares(2, LADDER) == pytest.approx((0.7, 0.3, 0.0))


def test_the_rungs_after_the_target_are_the_next_levels() -> None:
    levels = at(107, 103, 112, 109)
    assert ladder_prices(100, 98, 104, levels, LADDER) == pytest.approx((104, 107, 109))


def test_a_rung_stands_the_margin_before_its_level() -> None:
    long = ladder_prices(100, 98, 104, at(110), LADDER, 0.5)
    short = ladder_prices(100, 102, 96, at(91), LADDER, 0.5)
    assert long[1] == pytest.approx(110 * 0.995)
    assert short[1] == pytest.approx(91 * 1.005)


def test_where_levels_run_out_the_last_rung_stands_at_5r() -> None:
    assert ladder_prices(100, 98, 104, at(108), LADDER) == pytest.approx((104, 108, 110))


def test_a_level_too_near_to_the_rung_before_or_too_far_away_is_no_rung() -> None:
    assert ladder_prices(100, 98, 104, at(104.9), LADDER)[1] == pytest.approx(106)
    assert ladder_prices(100, 98, 104, at(121), LADDER)[1] == pytest.approx(106)


def test_by_levels_the_first_rung_is_the_next_level_or_2r() -> None:
    assert ladder_prices(100, 98, 106, at(105, 107, 109), BY_LEVELS) == (105, 107, 109)
    assert ladder_prices(100, 98, 106, [], BY_LEVELS) == pytest.approx((104, 106, 110))


def test_levels_behind_the_entry_are_no_targets() -> None:
    assert ladder_prices(100, 98, 104, at(99, 97), BY_LEVELS)[0] == pytest.approx(104)


def test_a_ladder_needs_a_risk() -> None:
    with pytest.raises(ValueError, match="at the entry"):
        ladder_prices(100, 100, 104, [], LADDER)


@pytest.mark.parametrize(
    "wrong", [{"shares": (70, 20, 20)}, {"shares": (120, -30, 10)}, {"scale": (2, 2, 5)}]
)
def test_shares_and_scale_that_make_no_ladder_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LadderSettings.model_validate(wrong)


def test_scenario_1_is_planned_as_written() -> None:
    row = row_of(support_1=42885.8, support_edge_1=42800 / 0.998, support_strength_1=0.8, atr=200)
    plan = plan_exits(row, 1, 43250.0, Band.VERY_HIGH, EXITS)
    assert (plan.stop, plan.stop_kind) == (pytest.approx(42800), "structure")
    assert plan.targets[0] == pytest.approx(44600)
    assert plan.risk_reward == pytest.approx(3.0)
    assert plan.shares == pytest.approx((0.7, 0.2, 0.1))
    assert plan.veto is None


def test_scenario_3_is_planned_as_written() -> None:
    edge = 48250 / 1.002
    row = row_of(resistance_1=edge, resistance_edge_1=edge, resistance_strength_1=0.8, atr=300)
    plan = plan_exits(row, -1, 47800.0, Band.HIGH, EXITS)
    assert (plan.stop, plan.stop_kind) == (pytest.approx(48250), "structure")
    assert plan.targets[0] == pytest.approx(46675)
    assert plan.veto is None


def test_the_medium_band_pays_exactly_enough() -> None:
    for entry in (100.0, 43250.0, 0.1237):
        plan = plan_exits(row_of(atr=entry * 0.01), 1, entry, Band.MEDIUM, EXITS)
        assert plan.risk_reward == pytest.approx(2.0)
        assert plan.veto is None


def test_a_swing_in_front_of_the_least_refuses_the_trade_where_it_is_not_passed() -> None:
    near = row_of(swing_high_near=102.7)
    strict = ExitSettings(ladder=LadderSettings(min_first=2.0, pass_near=False))
    plan = plan_exits(near, 1, 100.0, Band.HIGH, strict)
    assert plan.risk_reward < 2.0
    assert plan.veto == FIRST_TARGET_UNDER_MIN_RR
    lenient = ExitSettings(ladder=LadderSettings(pass_near=False))
    assert plan_exits(near, 1, 100.0, Band.HIGH, lenient).veto is None


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("first", ["target", "levels"])
def test_a_level_that_pays_too_little_passes_to_the_next_that_pays(
    first: str, direction: int
) -> None:
    # The stop stands 1.5 away; before 103.5 lie 1.99 R, before 102.5 only 1.33 R.
    side = "resistance" if direction > 0 else "support"
    near = "swing_high_near" if direction > 0 else "swing_low_near"
    at = {n: 100 + direction * d for n, d in (("near", 1.5), ("next", 2.5), ("pays", 3.5))}
    row = row_of(
        **{near: at["near"]},
        **{f"{side}{w}_{i}": v for i, n in enumerate(at, 1)
           for w, v in (("", at[n]), ("_edge", at[n]), ("_strength", 0.3))},
    )  # fmt: skip
    exits = ExitSettings(ladder=LadderSettings(first=first))
    plan = plan_exits(row, direction, 100.0, Band.HIGH, exits)
    assert plan.targets[0] == pytest.approx(at["pays"] * (1 - direction * 0.005))
    assert plan.veto is None
    stays = ExitSettings(ladder=LadderSettings(first=first, pass_near=False))
    other = plan_exits(row, direction, 100.0, Band.HIGH, stays)
    assert other.risk_reward == pytest.approx(1.5 if first == "target" else 0.67, abs=0.01)
    assert (other.veto is None) == (first == "target")


def test_where_no_level_pays_before_it_the_bands_own_target_stands() -> None:
    plan = plan_exits(row_of(swing_high_near=101.0), 1, 100.0, Band.MEDIUM, EXITS)
    assert (plan.risk_reward, plan.veto) == (pytest.approx(2.0), None)
    far = row_of(swing_high_near=101.0, resistance_1=104.0, resistance_edge_1=104.0,
                 resistance_strength_1=0.3)  # fmt: skip
    assert plan_exits(far, 1, 100.0, Band.MEDIUM, EXITS).risk_reward == pytest.approx(2.0)


def test_a_least_over_the_bands_own_ratio_refuses_the_trade() -> None:
    exits = ExitSettings(ladder=LadderSettings(min_first=2.2))
    near = row_of(swing_high_near=101.0)
    assert plan_exits(near, 1, 100.0, Band.MEDIUM, exits).veto == FIRST_TARGET_UNDER_MIN_RR
    assert plan_exits(near, 1, 100.0, Band.HIGH, exits).veto is None


def test_a_row_without_level_columns_is_planned_by_atr() -> None:
    row = {"atr": 1.0, "swing_high_near": math.nan, "swing_low_near": math.nan}
    plan = plan_exits(row, 1, 100.0, Band.VERY_HIGH, EXITS)
    assert (plan.stop, plan.stop_kind) == (98.5, "atr")
    assert plan == plan_exits(row_of(), 1, 100.0, Band.VERY_HIGH, EXITS)


def test_the_atr_method_ignores_the_levels_behind_but_not_those_ahead() -> None:
    row = row_of(
        support_1=97.0,
        support_edge_1=97.0,
        support_strength_1=0.9,
        resistance_1=108.0,
        resistance_edge_1=108.2,
        resistance_strength_1=0.4,
    )
    plan = plan_exits(row, 1, 100.0, Band.VERY_HIGH, ExitSettings(stop=StopSettings(method="atr")))
    assert plan.stop == 98.5
    assert plan.targets[1] == pytest.approx(108 * 0.995)


def test_tighter_stops_bring_the_targets_nearer() -> None:
    plain = plan_exits(row_of(), 1, 100.0, Band.HIGH, EXITS)
    tight = plan_exits(row_of(), 1, 100.0, Band.HIGH, EXITS, 0.5)
    assert 100 - tight.stop == pytest.approx((100 - plain.stop) / 2)
    assert tight.risk_reward == pytest.approx(plain.risk_reward)


zones = st.lists(st.tuples(st.floats(0.001, 0.2), st.floats(0, 0.01), st.floats(0, 1)), max_size=4)


def chart(
    entry: float,
    atr: float,
    below: list[tuple[float, float, float]],
    above: list[tuple[float, float, float]],
    swing: float,
    direction: int,
) -> dict[str, float]:
    """Draw levels at fractions of the entry; ``direction`` -1 draws the mirror image."""
    row = row_of(atr=atr * entry)
    sides = {"support": (below, -1), "resistance": (above, 1)}
    for name, (drawn, sign) in sides.items():
        side = name if direction > 0 else {"support": "resistance"}.get(name, "support")
        for i, (away, deep, strength) in enumerate(sorted(drawn), start=1):
            row[f"{side}_{i}"] = entry * (1 + direction * sign * away)
            row[f"{side}_edge_{i}"] = entry * (1 + direction * sign * (away + deep))
            row[f"{side}_strength_{i}"] = strength
    row["swing_high_near" if direction > 0 else "swing_low_near"] = entry * (1 + direction * swing)
    return row


@given(
    st.floats(1e-4, 1e5),
    st.floats(1e-3, 0.1),
    zones,
    zones,
    st.floats(0.001, 0.3),
    st.sampled_from(list(Band)[1:]),
    st.sampled_from(["target", "levels"]),
    st.sampled_from([1, -1]),
)
def test_every_plan_keeps_its_promises(
    entry: float,
    atr: float,
    below: list[tuple[float, float, float]],
    above: list[tuple[float, float, float]],
    swing: float,
    band: Band,
    first: str,
    direction: int,
) -> None:
    settings = ExitSettings(ladder=LadderSettings(first=first))
    row = chart(entry, atr, below, above, swing, direction)
    plan = plan_exits(row, direction, entry, band, settings)
    risk = direction * (entry - plan.stop)
    assert 0 < risk <= 0.05 * entry * (1 + 1e-9)
    assert 1 <= len(plan.targets) == len(plan.shares) <= 3
    assert direction * (plan.targets[-1] - entry) <= max(5, plan.risk_reward) * risk * (1 + 1e-9)
    assert sum(plan.shares) == pytest.approx(1.0)
    assert direction * (plan.targets[0] - entry) > 0
    assert all(direction * (b - a) > 0 for a, b in pairwise(plan.targets))
    assert min(plan.targets) > 0
    if first == "target":
        assert 1.5 - 1e-6 <= plan.risk_reward <= 5.0 + 1e-6
    assert (plan.veto is None) == (plan.risk_reward >= 1.5 - 1e-9)


@given(st.floats(1e-3, 0.1), st.sampled_from(list(Band)[1:]))
def test_the_mirror_image_of_a_chart_has_the_mirrored_plan(atr: float, band: Band) -> None:
    # Without margins, which are fractions of the level's own price, the mirror is exact.
    settings = ExitSettings(stop=StopSettings(margin=0.0), target={"swing_margin": 0.0})
    below, above = [(0.012, 0.001, 0.7), (0.03, 0.002, 0.9)], [(0.05, 0.0, 0.3), (0.08, 0.0, 0.5)]
    long, short = (
        plan_exits(chart(100.0, atr, below, above, 0.04, d), d, 100.0, band, settings)
        for d in (1, -1)
    )
    assert long.stop - 100 == pytest.approx(100 - short.stop)
    assert [p - 100 for p in long.targets] == pytest.approx([100 - p for p in short.targets])
    assert (long.stop_kind, long.veto) == (short.stop_kind, short.veto)


def test_a_wide_short_never_aims_under_zero() -> None:
    assert ladder_prices(100, 140, 20, [], LADDER) == pytest.approx((20,))


def test_a_short_whose_first_target_lies_under_zero_is_refused() -> None:
    wide = ExitSettings(stop={"method": "atr", "max_risk": 40}, ladder={"min_first": 1.0})
    plan = plan_exits(row_of(atr=40.0), -1, 100.0, Band.VERY_HIGH, wide)
    assert plan.stop == 140.0
    assert (plan.veto, len(plan.targets)) == (FIRST_TARGET_UNDER_MIN_RR, 1)
    assert plan_exits(row_of(atr=40.0), 1, 100.0, Band.VERY_HIGH, wide).veto is None


@given(zones, st.floats(0.001, 0.3), st.sampled_from(list(Band)[1:]), st.sampled_from([1, -1]))
def test_by_default_no_chart_is_refused_for_its_levels(above, swing, band, direction) -> None:
    for first in ("target", "levels"):
        exits = ExitSettings(ladder=LadderSettings(first=first))
        row = chart(100.0, 0.01, [], above, swing, direction)
        plan = plan_exits(row, direction, 100.0, band, exits)
        assert plan.veto is None
        assert plan.risk_reward >= 1.5 - 1e-9
