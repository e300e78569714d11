"""Parameters over configured settings: what they move, and what they leave alone."""

from __future__ import annotations

import pytest
from freqtrade.exceptions import OperationalException
from freqtrade.strategy import DecimalParameter, IntParameter

from quorum.bot.tuning import SETTINGS, WEIGHT_GROUPS, Tuning
from quorum.heads import HEADS
from quorum.settings import Settings, load_settings

CONFIGURED = load_settings(
    {
        "consensus": {"gate": 0.703},
        "exits": {"target": {"risk_reward": [4.0, 3.0, 2.0]}},
        "weights": {"technical": 0.2, "ict": 0.1},
    }
)


class Tuned:
    """What the host makes of a strategy: parameters on the class, shared by all of its kind."""

    gate = DecimalParameter(0.65, 0.90, default=0.65, decimals=2, space="buy")
    quorum_heads = IntParameter(3, 6, default=4, space="buy")
    stop_atr_multiple = DecimalParameter(1.0, 3.0, default=1.5, decimals=1, space="stops")
    target_scale = DecimalParameter(0.5, 2.0, default=1.0, decimals=1, space="targets")
    weight_of_indicators = DecimalParameter(0.0, 2.0, default=1.0, decimals=1, space="weights")


@pytest.fixture
def strategy() -> Tuned:
    strategy = Tuned()
    strategy.tuning = Tuning(strategy, CONFIGURED)
    return strategy


def test_parameters_nobody_moved_leave_the_configuration_as_written(strategy):
    assert strategy.tuning.settings() is CONFIGURED
    assert strategy.gate.value == 0.70  # What the host shows has two decimals.


def test_a_moved_parameter_moves_its_setting_alone(strategy):
    strategy.stop_atr_multiple.value = 2.5
    moved = strategy.tuning.settings()
    assert moved.exits.stop.atr_multiple == 2.5
    assert moved.consensus == CONFIGURED.consensus
    strategy.stop_atr_multiple.value = 1.5
    assert strategy.tuning.settings() == CONFIGURED


def test_the_default_of_the_code_can_be_chosen_against_the_configuration(strategy):
    strategy.gate.value = 0.65
    assert strategy.tuning.settings().consensus.gate == 0.65


def test_a_factor_scales_every_ratio_from_its_configured_value(strategy):
    strategy.target_scale.value = 1.5
    assert strategy.tuning.settings().exits.target.risk_reward == (6.0, 4.5, 3.0)


def test_a_group_of_weights_is_scaled_and_the_others_are_not(strategy):
    strategy.weight_of_indicators.value = 0.5
    weights = strategy.tuning.settings().head_weights()
    assert weights["technical"] == 0.1
    assert weights["ict"] == 0.1
    strategy.weight_of_indicators.value = 0.0
    assert strategy.tuning.settings().head_weights()["volume"] == 0.0


def test_no_weight_leaves_its_range(strategy):
    strategy.weight_of_indicators.value = 2.0
    heavy = load_settings({"weights": {"technical": 0.9}})
    fresh = Tuned()
    tuning = Tuning(fresh, heavy)
    fresh.weight_of_indicators.value = 2.0
    assert tuning.settings().head_weights()["technical"] == 1.0


def test_two_strategies_do_not_share_values(strategy):
    other = Tuned()
    Tuning(other, Settings())
    other.gate.value = 0.9
    assert strategy.gate.value == 0.70
    assert Tuned.gate.value == 0.65


def test_a_value_the_setting_does_not_allow_is_refused_by_path(strategy):
    strategy.gate.value = 7
    with pytest.raises(OperationalException, match=r"quorum.consensus.gate = 7"):
        strategy.tuning.settings()


def test_settings_are_made_once_per_set_of_values(strategy):
    strategy.quorum_heads.value = 5
    assert strategy.tuning.settings() is strategy.tuning.settings()


def test_every_head_is_in_one_group_of_weights_and_every_path_is_a_setting():
    grouped = [head for group in WEIGHT_GROUPS.values() for head in group]
    assert len(grouped) == len(set(grouped))
    assert {head.name for head in HEADS} <= set(grouped)
    section = Settings().model_dump()
    for path in SETTINGS.values():
        group = section
        for part in path:
            group = group[part]
        assert isinstance(group, int | float)
