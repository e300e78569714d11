"""The numbers of spec H0-H9, one by one, are the constants of heads and features."""

from __future__ import annotations

import re
from functools import reduce

import pytest

from quorum.features import FAMILIES
from quorum.features.candlestick_table import PATTERNS
from quorum.features.chart_geometry import CHART_PATTERNS
from quorum.heads import HEADS
from quorum.heads.base import Head

WEIGHTS = {
    "technical": 0.13,
    "sentiment": 0.09,
    "volume": 0.13,
    "rules": 0.09,
    "ict": 0.13,
    "wyckoff": 0.13,
    "harmonic": 0.09,
    "structure": 0.09,
    "crypto": 0.12,
}
HEAD_NUMBERS = {
    # H1
    "technical.trend_weight": 0.40,
    "technical.momentum_weight": 0.35,
    "technical.volatility_weight": 0.25,
    "technical.long_above": 0.55,
    "technical.short_below": 0.45,
    # H2
    "sentiment.probability_slope": 0.4,
    "sentiment.max_probability": 0.9,
    # H3
    "volume.divergence": 0.15,
    # H4
    "rules.volume": 1.5,
    "rules.textbook_low": 0.90,
    "rules.textbook_high": 0.95,
    "rules.good_low": 0.70,
    "rules.good_high": 0.85,
    "rules.weak": 0.60,
    "rules.no_volume": 0.85,
    # H5
    "ict.optimal_entry.low": 0.85,
    "ict.optimal_entry.high": 0.95,
    "ict.sweep_volume.low": 0.80,
    "ict.sweep_volume.high": 0.95,
    "ict.sweep.weight": 2.0,
    "ict.judas.low": 0.70,
    "ict.judas.high": 0.85,
    "ict.balanced.low": 0.60,
    "ict.balanced.high": 0.70,
    "ict.clock.silver_bullet": 1.0,
    "ict.clock.new_york": 0.95,
    "ict.clock.london": 0.90,
    "ict.clock.outside_near": 0.7,
    "ict.clock.outside_far": 0.5,
    # H6
    "wyckoff.spring": 0.90,
    "wyckoff.utad": 0.90,
    "wyckoff.sign": 0.75,
    "wyckoff.phase": 0.70,
    "wyckoff.operator_factor": 1.05,
    "wyckoff.max_confidence": 0.95,
    # H8
    "structure.aligned_share": 0.75,
    "structure.aligned_confidence": 0.85,
    "structure.aligned_span": 0.05,
    "structure.conflicted_confidence": 0.60,
    "structure.conflicted_slope": 0.10,
    "structure.zone_confidence": 0.90,
    "structure.block_confidence": 0.02,
    "structure.max_confidence": 0.92,
    "structure.breaker_confidence": 0.75,
    # H9
    "crypto.readings.crowd.ratio_short": 3.0,
    "crypto.readings.crowd.ratio_long": 0.33,
    "crypto.readings.crowd.ratio_confidence": 0.85,
    "crypto.readings.crowd.premium_short": 0.005,
    "crypto.readings.crowd.premium_long": -0.003,
    "crypto.readings.crowd.premium_confidence": 0.85,
    "crypto.readings.flow.divergence_confidence": 0.85,
    "crypto.readings.flow.taker_long": 0.60,
    "crypto.readings.flow.taker_short": 0.40,
    "crypto.readings.flow.taker_confidence": 0.75,
    "crypto.readings.supply.reserves_confidence": 0.85,
    "crypto.readings.supply.outflow_confidence": 0.75,
    "crypto.readings.supply.inflow_confidence": 0.70,
    "crypto.readings.supply.season_long": 75.0,
    "crypto.readings.supply.season_short": 25.0,
    "crypto.readings.supply.season_confidence": 0.80,
    "crypto.count.several": 3,
    "crypto.count.several_confidence": 0.80,
    "crypto.count.step_confidence": 0.025,
    "crypto.count.max_confidence": 0.90,
    "crypto.count.few_max": 0.80,
}
FEATURE_NUMBERS = {
    # H1
    "trend.ema": (5, 8, 9, 12, 13, 21, 26, 34, 50, 55, 89, 144, 200),
    "trend.sma": (10, 20, 30, 50, 100, 150, 200),
    "trend.alignment": (20, 50, 200),
    "momentum.rsi": (7, 14, 21, 28),
    "momentum.roc": (9, 12, 25),
    # H5
    "liquidity.impulse.entry_from": 0.62,
    "liquidity.impulse.entry_to": 0.79,
    "sessions.london": (2.0, 5.0),
    "sessions.new_york": (8.0, 11.0),
    "sessions.silver_bullets": ((10.0, 11.0), (14.0, 15.0)),
    # H6
    "wyckoff.events.dry": 0.8,
    "wyckoff.events.climax": 1.5,
    "wyckoff.events.sign": 1.5,
    # H7
    "harmonics.patterns": (
        "gartley", "bat", "butterfly", "crab", "deep_crab", "shark", "cypher", "abcd",
    ),
}  # fmt: skip


def number(root: object, path: str) -> object:
    return reduce(getattr, path.split("."), root)


def test_the_weights_of_h0_sum_to_one() -> None:
    assert {head.name: head.weight for head in HEADS[:9]} == WEIGHTS
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("path", HEAD_NUMBERS)
def test_a_number_of_a_head_is_the_specs(path: str) -> None:
    name, _, rest = path.partition(".")
    head = next(head for head in HEADS if head.name == name)
    assert number(head().constants, rest) == HEAD_NUMBERS[path]


@pytest.mark.parametrize("path", FEATURE_NUMBERS)
def test_a_number_of_a_feature_is_the_specs(path: str) -> None:
    name, _, rest = path.partition(".")
    assert number(FAMILIES[name].constants, rest) == FEATURE_NUMBERS[path]


def test_all_of_talibs_patterns_and_the_chart_patterns_are_known() -> None:
    assert len(PATTERNS) == len({p.function for p in PATTERNS}) == 61
    assert {"head_and_shoulders", "double", "wedge", "rectangle", "flag"} < set(CHART_PATTERNS)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_reason_codes_are_short_snake_case_and_fit_a_float(head: type[Head]) -> None:
    assert len(set(head.reasons)) == len(head.reasons) <= 52
    for code in head.reasons:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", code), code
        assert len(code) <= 24, code
