"""What a bot and a backtest read differently is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doctor_setups import CONFIG, PAIRS, sound_setup, spans

from quorum.doctor import Level, Span, examine


@pytest.fixture
def sound(tmp_path):
    return sound_setup(tmp_path)


def test_the_same_series_are_said_to_be(sound):
    (finding,) = examine(sound, ["sources"])
    assert finding.level is Level.OK


def test_a_premium_that_only_a_bot_has_is_named(sound):
    (finding,) = examine(replace(sound, series=spans(premium_index=1)), ["sources"])
    assert finding.level is Level.HINT
    assert f"no premiumIndex of {PAIRS[0]}" in finding.where
    assert "--candle-types premiumIndex" in finding.fix


def test_spot_candles_that_only_a_backtest_has_are_named(sound):
    spot = Span(PAIRS[1], "spot", "1h", "spot", 20_000, 0.0, 1.0)
    (finding,) = examine(replace(sound, series=(*sound.series, spot)), ["sources"])
    assert f"spot candles of {PAIRS[1]}" in finding.where
    assert "quorum.market.spot to false" in finding.fix


def test_pairs_without_candles_are_another_checks_business(sound):
    empty = replace(sound, series=spans(rows=0))
    assert [f.level for f in examine(empty, ["sources"])] == [Level.OK]


def test_on_spot_there_is_nothing_to_differ(sound):
    spot = replace(sound, config={**CONFIG, "trading_mode": "spot"}, series=())
    assert [f.level for f in examine(spot, ["sources"])] == [Level.OK]
