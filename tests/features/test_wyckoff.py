from __future__ import annotations

import numpy as np
import pytest
from leg_markets import MIRROR, Drawing, accumulation, own_features, start_at

from quorum.features.climaxes import CLIMAX, REACTION, TEST
from quorum.features.table import Features
from quorum.features.wyckoff import ACCUMULATION, MARKUP, REACCUMULATION
from quorum.features.wyckoff_events import CLIMAX_BREAK, DRY_BREAK, SIGN
from quorum.market import Market

CLIMAX_ROW = 71
END = len(accumulation().bars)


def features_of(drawing: Drawing) -> Features:
    return own_features(drawing.market(), atr=1.0)


def spring(volume: float, *, low: float = 98.9) -> Drawing:
    """Break support at 100.2 for one candle, then rally above that candle."""
    return accumulation().bar(101, 101.2, low, 100.9, volume).leg(104, 6, volume=1.2, wick=0.2)


def test_stopping_action_is_climax_then_automatic_rally_then_secondary_test() -> None:
    stopping = features_of(accumulation())["wyckoff_stopping"]
    rows = np.flatnonzero(stopping)
    assert stopping[rows].tolist() == [CLIMAX, REACTION, TEST]
    assert rows[0] == CLIMAX_ROW


def test_a_range_after_a_decline_with_demand_is_accumulation() -> None:
    out = features_of(accumulation())
    row = END - 1
    assert out["wyckoff_top"][row] == pytest.approx(108.2)
    assert out["wyckoff_bottom"][row] == pytest.approx(100.2)
    assert out["wyckoff_touches"][row] >= 4
    assert out["wyckoff_operator"][row] > 0
    assert out["wyckoff_phase"][row] == ACCUMULATION
    assert out["wyckoff_stage"][row] == 2


def test_a_range_after_a_decline_with_supply_is_redistribution() -> None:
    # No climax stops this decline, the reactions carry the volume and the swings fall.
    drawing = start_at(160).leg(100.4, 70, wick=0.2)
    for high, low in ((108.2, 100.3), (107.6, 100.2), (107.0, 100.1)):
        drawing.leg(high, 9, volume=0.6, wick=0.2).leg(low, 9, volume=1.4, wick=0.2)
    out = features_of(drawing.leg(103, 6, volume=0.6))
    assert out["wyckoff_phase"][-1] == -REACCUMULATION
    mirrored = features_of(drawing.mirrored(MIRROR))
    assert mirrored["wyckoff_phase"][-1] == REACCUMULATION


def test_stage_a_is_between_the_climax_and_the_range() -> None:
    stage = features_of(accumulation())["wyckoff_stage"]
    assert stage[CLIMAX_ROW - 1] == 0
    first = int(np.flatnonzero(stage == 2)[0])
    assert (stage[CLIMAX_ROW:first] == 1).all()


def test_a_spring_breaks_support_without_volume_and_closes_inside() -> None:
    out = features_of(spring(0.5))
    assert out["wyckoff_event"][END] == DRY_BREAK
    assert out["wyckoff_event_stop"][END] == pytest.approx(98.9)
    assert out["wyckoff_stage"][END] == 3


@pytest.mark.parametrize("volume", [0.8, 1.0, 1.5])
def test_a_break_on_ordinary_volume_is_only_a_test(volume: float) -> None:
    out = features_of(spring(volume))
    assert not out["wyckoff_event"].any()
    assert out["wyckoff_stage"][END] == 3


def test_a_spring_may_take_three_candles_to_close_back_but_not_four() -> None:
    def outside(candles: int) -> Drawing:
        drawing = accumulation().bar(101, 101.2, 99, 99.8, 0.5)
        for _ in range(candles - 2):
            drawing.bar(99.8, 100, 99, 99.8, 0.5)
        return drawing.bar(99.8, 101.2, 99.5, 101, 0.5)

    assert features_of(outside(3))["wyckoff_event"][END + 2] == DRY_BREAK
    assert not features_of(outside(4))["wyckoff_event"].any()


def test_a_break_too_deep_is_no_spring() -> None:
    assert not features_of(spring(0.5, low=95.0))["wyckoff_event"].any()


def test_a_utad_needs_a_climax_above_resistance_and_then_a_decline() -> None:
    drawing = spring(2.0).mirrored(MIRROR)
    event = features_of(drawing)["wyckoff_event"]
    rows = np.flatnonzero(event)
    assert event[rows].tolist() == [-CLIMAX_BREAK]
    # Not on the climax, but on the first close below the low of that candle (158.8).
    assert rows[0] > END
    close = drawing.market().candles.close
    assert close[rows[0]] < MIRROR - 101.2 <= close[rows[0] - 1]


def test_a_climax_above_resistance_without_a_decline_is_no_utad() -> None:
    drawing = accumulation().bar(101, 101.2, 98.9, 100.9, 2.0).leg(101.1, 8).mirrored(MIRROR)
    assert not features_of(drawing)["wyckoff_event"].any()


def test_a_sign_of_strength_leaves_the_range_on_volume() -> None:
    drawing = spring(0.5).leg(107, 4, volume=1.2, wick=0.2)
    row = len(drawing.bars)
    out = features_of(drawing.bar(107, 110.2, 106.8, 110, 2.0).leg(112, 4))
    assert out["wyckoff_event"][row] == SIGN
    assert out["wyckoff_phase"][row] == MARKUP
    assert out["wyckoff_stage"][row] == 5


def test_a_break_out_without_volume_is_markup_only_once_accepted() -> None:
    drawing = spring(0.5).leg(107, 4, volume=1.2, wick=0.2)
    row = len(drawing.bars)
    out = features_of(drawing.bar(107, 110.2, 106.8, 110, 1.0).leg(111, 4))
    assert not out["wyckoff_event"][row:].any()
    assert (out["wyckoff_phase"][row : row + 4] == MARKUP).tolist() == [False, False, True, True]


def test_a_failed_break_out_returns_to_the_range() -> None:
    drawing = spring(0.5).leg(107, 4, wick=0.2).bar(107, 110.2, 106.8, 110, 2.0).leg(102, 5)
    out = features_of(drawing)
    assert out["wyckoff_phase"][-1] != MARKUP
    assert np.isfinite(out["wyckoff_top"][-1])


def test_width_and_length_of_the_range_project_the_target() -> None:
    out = features_of(accumulation())
    row = END - 1
    length = out["wyckoff_length"][row]
    assert length < 60  # so the cause is worth one width
    assert out["wyckoff_target"][row] == pytest.approx(108.2 + (108.2 - 100.2))


def test_a_reached_target_ends_the_markup() -> None:
    drawing = spring(0.5).leg(107, 4, wick=0.2).bar(107, 110.2, 106.8, 110, 2.0)
    out = features_of(drawing.leg(130, 12))
    assert out["wyckoff_phase"][len(drawing.bars) - 13] == MARKUP
    assert out["wyckoff_phase"][-1] == 0


def test_every_signed_column_of_the_mirror_image_is_opposite() -> None:
    drawing = spring(2.0).leg(107, 4, volume=1.2, wick=0.2).bar(107, 110.2, 106.8, 110, 2.0)
    drawing.leg(114, 10, wick=0.2)
    up, down = features_of(drawing), features_of(drawing.mirrored(MIRROR))
    for name in ("phase", "event", "stopping", "trend", "operator", "lean"):
        column = f"wyckoff_{name}"
        np.testing.assert_allclose(down[column], -up[column], atol=1e-9, err_msg=column)
    np.testing.assert_array_equal(down["wyckoff_stage"], up["wyckoff_stage"])
    np.testing.assert_allclose(down["wyckoff_target"], MIRROR - up["wyckoff_target"])
    assert set(np.unique(up["wyckoff_event"])) == {0, CLIMAX_BREAK, SIGN}


def test_a_straight_trend_has_no_range() -> None:
    out = features_of(start_at(100).leg(300, 300, wick=0.2))
    assert np.isnan(out["wyckoff_top"]).all()
    assert not out["wyckoff_phase"].any()


def test_columns_of_every_prefix_equal_those_of_the_whole(market: Market) -> None:
    ratio = np.random.default_rng(1).lognormal(0, 0.6, len(market))
    whole = own_features(market, ratio)
    names = [n for n in whole if n.startswith("wyckoff")]
    assert np.isfinite(whole["wyckoff_top"]).any()
    for n in np.random.default_rng(2).integers(20, len(market), 12):
        part = own_features(market.head(int(n)), ratio[:n])
        for name in names:
            np.testing.assert_array_equal(part[name], whole[name][:n], err_msg=name)


def test_an_untraded_market_is_no_error() -> None:
    out = own_features(start_at(100).leg(100, 200, volume=0.0).market(), atr=0.0)
    assert np.isnan(out["wyckoff_top"]).all()


@pytest.mark.parametrize("n", [1, 2, 30, 60])
def test_short_histories_are_no_error(market: Market, n: int) -> None:
    out = own_features(market.head(n), np.ones(n))
    assert not out["wyckoff_event"].any()
