"""The signal record: scenario 1 of spec E, context, mirror, and survival through JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from published import NAMES, agreeing, published, table_of

from quorum.entry import Account, Signal, draw_up
from quorum.settings import Settings, load_settings

ACCOUNT = Account(100_000.0)


def signal_of(frame, entry=100.0, account=ACCOUNT, settings=None) -> Signal:
    settings = settings or Settings()
    return draw_up(table_of(frame, settings), 0, "BTC/USDT:USDT", entry, account, settings)


def test_scenario_1_of_the_specification_comes_out_as_written():
    # 7 of 9, consensus confidence .92: .78 + .09 (seven agree) + .05 (mean probability .80).
    frame = published([agreeing(7, 0.80, 0.78)], close=43250.0, atr=300.0, zone_position=0.3)
    signal = signal_of(frame, 43250.0)
    assert signal.direction == 1
    assert (signal.agreeing_heads, signal.total_heads) == (7, 9)
    assert signal.consensus_confidence == pytest.approx(0.92)
    assert signal.confidence_band == "very_high"
    assert signal.signal_quality == "excellent"
    assert signal.entry_zone_status == "discount"
    assert signal.entry_strategy == "immediate"
    assert signal.stop_loss == pytest.approx(42800.0)
    assert signal.take_profit == pytest.approx(44600.0)
    assert signal.risk_reward_ratio == pytest.approx(3.0)
    assert signal.position_size_pct == pytest.approx(2.7)
    assert signal.position_size_quote == pytest.approx(2700.0)
    assert signal.risk_amount == pytest.approx(2700 * 450 / 43250)
    assert signal.reward_amount == pytest.approx(3 * signal.risk_amount)
    assert signal.expected_win_rate == 0.80
    assert signal.veto is None
    assert signal.tag == "7/9 very_high"


def test_what_is_not_known_is_none_and_changes_nothing():
    signal = signal_of(published([agreeing(5, 0.80, 0.80)]))
    assert signal.liquidation_risk_detected is None
    assert signal.extreme_leverage_detected is None
    assert signal.entry_zone_status is None
    assert signal.regime is None
    assert signal.context == {}
    # .80 + .03 + .05 = .88: 2.3 % and no factor.
    assert signal.position_size_pct == pytest.approx(2.3)


def test_crowding_with_the_trade_halves_it_and_takes_excellent_down_to_good():
    frame = published([agreeing(7, 0.80, 0.78)], premium=0.008, crowd=1.0)
    signal = signal_of(frame)
    assert signal.position_size_pct == pytest.approx(2.7 / 2)
    assert signal.signal_quality == "good"
    assert signal.extreme_leverage_detected is True
    assert "crowded_leverage=0.5" in signal.reasons


def test_confidence_never_exceeds_one_however_it_is_boosted():
    frame = published([agreeing(9, 0.90, 0.90)], premium=0.008, crowd=-1.0)
    assert signal_of(frame).position_size_pct == pytest.approx(3.0)


def test_a_rung_smaller_than_the_smallest_order_is_merged():
    signal = signal_of(published([agreeing(5, 0.8, 0.8)]), account=Account(10_000.0, 60.0))
    # 2.3 % of 10,000 is 230: of 161 / 46 / 23 only the first is an order by itself.
    assert min(signal.ladder_shares) * signal.position_size_quote >= 60.0
    assert sum(signal.ladder_shares) == pytest.approx(1.0)


def test_a_size_under_the_smallest_order_is_refused_with_its_reason():
    signal = signal_of(published([agreeing(5, 0.8, 0.8)]), account=Account(100.0, 5.0))
    assert signal.veto == "below_minimum_order"
    assert signal.position_size_quote == 0


def test_a_short_mirrors_a_long():
    a = signal_of(published([agreeing(5, 0.8, 0.8)]))
    b = signal_of(published([agreeing(5, 0.8, 0.8, side=-1)]))
    assert b.direction == -1
    assert b.stop_loss - 100 == pytest.approx(100 - a.stop_loss)
    assert [100 - t for t in b.ladder] == pytest.approx([t - 100 for t in a.ladder])
    assert a.position_size_pct == b.position_size_pct


def test_a_signal_survives_json_with_every_field():
    frame = published([agreeing(5, 0.8, 0.8)], zone_position=0.9, premium=0.0, crowd=0.0)
    signal = signal_of(frame)
    stored = json.loads(json.dumps(signal.model_dump(mode="json")))
    assert Signal.model_validate(stored) == signal
    assert set(stored["votes"]) == set(NAMES)


def test_a_row_without_a_signal_cannot_be_drawn_up():
    with pytest.raises(ValueError, match="row 0 has no signal"):
        signal_of(published([agreeing(3, 0.8, 0.8)]))


def test_a_disabled_adjuster_leaves_the_signal_alone():
    frame = published([agreeing(7, 0.80, 0.78)], premium=0.008, crowd=1.0)
    settings = load_settings({"context": {"leverage": {"enabled": False}}})
    signal = signal_of(frame, settings=settings)
    assert signal.position_size_pct == pytest.approx(2.7)
    assert signal.extreme_leverage_detected is None


@given(
    st.integers(4, 9),
    st.integers(7000, 10000).map(lambda x: x / 1e4),
    st.sampled_from([-1, 1]),
    st.floats(0.0001, 0.2),
)
def test_no_stop_is_wider_than_max_risk_and_no_target_outside_its_limits(count, c, side, atr):
    signal = signal_of(published([agreeing(count, 0.8, c, side)], atr=100 * atr))
    assert abs(signal.entry_price - signal.stop_loss) / signal.entry_price <= 0.05 + 1e-9
    assert 1.5 - 1e-6 <= signal.risk_reward_ratio <= 5.0 + 1e-6
    steps = [side * (t - signal.entry_price) for t in signal.ladder]
    assert steps == sorted(steps)
    assert steps[0] > 0


#: What refuses a signal, severest first: the market around it, its first target, its size.
CLUSTER = {"liquidation_below": 0.01, "liquidation_below_mass": 1.0}
TOO_NEAR = {"exits": {"ladder": {"min_first": 20.0}}}
TOO_SMALL = Account(100_000.0, min_order=1e9)


@pytest.mark.parametrize(
    ("columns", "settings", "account", "told"),
    [
        (CLUSTER, TOO_NEAR, TOO_SMALL, "liquidation_cluster"),
        (CLUSTER, {}, TOO_SMALL, "liquidation_cluster"),
        ({}, TOO_NEAR, TOO_SMALL, "first_target_under_min_rr"),
        ({}, {}, TOO_SMALL, "below_minimum_order"),
        ({}, {}, ACCOUNT, None),
    ],
)
def test_of_several_refusals_the_severest_is_told(columns, settings, account, told):
    frame = published([agreeing(5, 0.80, 0.80)], **columns)
    signal = signal_of(frame, account=account, settings=load_settings(settings))
    assert signal.veto == told
