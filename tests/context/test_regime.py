"""Regimes on paths whose kind nobody would dispute, their mirror images, and what they do (T2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import candle_frame, resample
from regime_markets import SIGMA, frame_of, regime_market, swing, walk

from quorum.context.base import Effect
from quorum.context.regime import (
    REGIMES,
    Regime,
    RegimeReader,
    RegimeReading,
    RegimeSettings,
    View,
)
from quorum.features.table import Features
from quorum.market import Frames, Market, build_market

USUAL = walk(400, seed=1)
REST = swing(60, period=6, amplitude=SIGMA, sigma=0.5 * SIGMA, seed=5)
RISE = walk(84, drift=0.6 * SIGMA, seed=2)
#: The kind of market at the end of each path.
PATHS = {
    "strong_bull": (USUAL, walk(90, drift=0.9 * SIGMA, sigma=0.8 * SIGMA, seed=3)),
    "weak_bull": (USUAL, walk(90, drift=0.2 * SIGMA, sigma=0.7 * SIGMA, seed=13)),
    "bull_range": (
        USUAL,
        RISE,
        REST,
    ),
    "high_volatility": (USUAL, walk(14, sigma=4 * SIGMA, seed=6)),
    "low_volatility": (USUAL, walk(24, sigma=0.2 * SIGMA, seed=7)),
}
OPPOSITE = {
    "strong_bull": "strong_bear",
    "weak_bull": "weak_bear",
    "bull_range": "bear_range",
    "high_volatility": "high_volatility",
    "low_volatility": "low_volatility",
}


def columns_of(market: Market, regime: Regime | None = None) -> dict[str, np.ndarray]:
    return (regime or Regime()).columns(market, Features(len(market)))


def last(columns: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values[-1]) for name, values in columns.items()}


def hourly_market(n: int = 6000, *, seed: int = 0, higher: bool = True) -> Market:
    base = candle_frame(n, seed=seed)
    frames = {"4h": resample(base, "4h"), "1d": resample(base, "1d")} if higher else {}
    return build_market("BTC/USDT:USDT", "1h", Frames(base=base, higher=frames))


@pytest.mark.parametrize("name", PATHS)
def test_a_path_of_one_kind_is_read_as_that_regime(name):
    row = last(columns_of(regime_market(*PATHS[name])))
    assert REGIMES[int(row["regime"])] == name
    assert row["regime_probability"] == row[f"regime_{name}"] > 0.4


@pytest.mark.parametrize("name", PATHS)
def test_the_mirror_image_is_the_regime_of_the_other_side(name):
    row = last(columns_of(regime_market(*PATHS[name], mirror=True)))
    assert REGIMES[int(row["regime"])] == OPPOSITE[name]


def test_the_probabilities_of_a_mirrored_market_change_sides():
    path = (walk(900, seed=8), walk(300, drift=0.3 * SIGMA, seed=9))
    up, down = (columns_of(regime_market(*path, mirror=m)) for m in (False, True))
    for name in REGIMES:
        bull_bear = {"bull": "bear", "bear": "bull"}
        other = "_".join(bull_bear.get(word, word) for word in name.split("_"))
        # Directional movement is measured in prices, not in their logarithms.
        np.testing.assert_allclose(up[f"regime_{name}"], down[f"regime_{other}"], atol=0.06)
        assert np.nanmean(np.abs(up[f"regime_{name}"] - down[f"regime_{other}"])) < 0.01


def test_a_range_takes_the_side_of_the_trend_it_rests_in():
    fall = walk(84, drift=-0.6 * SIGMA, seed=2)
    row = last(columns_of(regime_market(USUAL, fall, REST)))
    assert REGIMES[int(row["regime"])] == "bear_range"


def test_probabilities_sum_to_one_wherever_anything_is_known():
    columns = columns_of(hourly_market())
    rows = np.column_stack([columns[f"regime_{name}"] for name in REGIMES])
    known = np.isfinite(rows).all(axis=1)
    assert known.mean() > 0.8
    np.testing.assert_allclose(rows[known].sum(axis=1), 1.0, atol=1e-5)
    assert ((rows[known] >= 0) & (rows[known] <= 1)).all()
    assert np.isnan(rows[~known]).all()
    np.testing.assert_array_equal(columns["regime"][known], rows[known].argmax(axis=1))
    np.testing.assert_array_equal(columns["regime_probability"][known], rows[known].max(axis=1))


def test_the_coarse_view_is_a_trend_from_an_adx_of_25():
    columns = columns_of(hourly_market())
    known = np.isfinite(columns["regime"])
    wild = known & (columns["regime"] == REGIMES.index("high_volatility"))
    view, adx = columns["regime_view"], columns["regime_adx"]
    assert (view[wild] == View.VOLATILE).all()
    calm = known & ~wild
    np.testing.assert_array_equal(view[calm] == View.TRENDING, adx[calm] >= 25)
    np.testing.assert_array_equal(view[calm] == View.RANGING, adx[calm] < 25)
    assert {*view[known]} == set(View)


def test_the_trend_line_of_the_coarse_view_is_a_setting():
    market = hourly_market()
    low, high = (columns_of(market, Regime(RegimeSettings(trending=x))) for x in (15, 40))
    trending = [np.mean(c["regime_view"] == View.TRENDING) for c in (low, high)]
    assert trending[0] > 2 * trending[1] > 0


def test_an_hour_sees_the_last_four_hours_that_have_closed():
    base = candle_frame(4000, seed=3)
    four = resample(base, "4h")
    hours = columns_of(build_market("BTC/USDT:USDT", "1h", Frames(base=base, higher={"4h": four})))
    blocks = columns_of(build_market("BTC/USDT:USDT", "4h", Frames(base=four)))
    for name, values in hours.items():
        # The hour 03-04 closes the first block of four.
        np.testing.assert_array_equal(values[3::4], blocks[name])
        np.testing.assert_array_equal(values[4:][0::4], blocks[name][:-1])
        np.testing.assert_array_equal(values[4:][2::4], blocks[name][:-1])


def test_a_prefix_of_the_market_gives_the_prefix_of_the_regimes():
    market = hourly_market(7000, seed=5)
    whole = columns_of(market)
    for n in (1, 50, 723, 1999, 4001, 6402, 6403, 6999):
        for name, values in columns_of(market.head(n)).items():
            np.testing.assert_array_equal(values, whole[name][:n], err_msg=f"{name} at {n}")


def test_fourteen_hundred_candles_of_four_hours_are_all_the_memory_there_is():
    frame = candle_frame(3000, seed=6, timeframe="4h")
    whole = columns_of(build_market("BTC/USDT:USDT", "4h", Frames(base=frame)))
    late = columns_of(
        build_market("BTC/USDT:USDT", "4h", Frames(base=frame.iloc[-1500:].reset_index(drop=True)))
    )
    for name, values in late.items():
        np.testing.assert_array_equal(values[-100:], whole[name][-100:], err_msg=name)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.sampled_from([1e-6, 1.0, 1e5]))
def test_regimes_do_not_depend_on_the_price_level(seed, scale):
    frame = candle_frame(500, seed=seed, timeframe="4h")
    scaled = frame.assign(**{c: frame[c] * scale for c in ("open", "high", "low", "close")})
    one, other = (
        columns_of(build_market("BTC/USDT:USDT", "4h", Frames(base=f))) for f in (frame, scaled)
    )
    for name in REGIMES:
        np.testing.assert_allclose(one[f"regime_{name}"], other[f"regime_{name}"], atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 27, 100, 180])
def test_a_history_too_short_for_the_usual_volatility_is_unknown(n):
    columns = columns_of(regime_market(walk(n, seed=1) if n > 2 else np.full(n, 0.01)))
    assert all(np.isnan(columns[name]).all() for name in columns if name != "regime_adx")


def test_without_candles_of_four_hours_nothing_is_known_and_nothing_is_done():
    columns = columns_of(hourly_market(3000, higher=False))
    assert tuple(columns) == Regime.published
    assert all(np.isnan(values).all() for values in columns.values())
    assert Regime().effect(last(columns), 1) == Effect()


def test_candles_of_four_hours_that_have_ended_grow_too_old():
    base = candle_frame(4000, seed=7)
    four = resample(base, "4h").iloc[:800]
    columns = columns_of(build_market("BTC/USDT:USDT", "1h", Frames(base, higher={"4h": four})))
    # The last block closes with hour 3200; at hour 3207 its close is eight hours old.
    assert np.isfinite(columns["regime"][3199:3207]).all()
    assert np.isnan(columns["regime"][3207:]).all()
    assert np.isnan(columns["regime_adx"][3207:]).all()


def test_a_market_that_stands_still_has_no_regime():
    columns = columns_of(regime_market(USUAL, np.zeros(60)))
    assert np.isfinite(columns["regime"][395])
    assert np.isnan(columns["regime"][-1])
    assert Regime().effect(last(columns), 1) == Effect()


def test_an_empty_market_gives_empty_columns():
    columns = columns_of(hourly_market(3000).head(0))
    assert all(values.shape == (0,) for values in columns.values())


def row_of(regime: str, view: View, probability: float = 0.6) -> dict[str, float]:
    row = dict.fromkeys(Regime.published, 0.0)
    row["regime"], row["regime_view"] = float(REGIMES.index(regime)), float(view)
    return {**row, "regime_probability": probability}


@pytest.mark.parametrize(
    ("regime", "view", "reasons"),
    [
        ("strong_bull", View.TRENDING, {"regime_trend": 1.2}),
        ("weak_bear", View.TRENDING, {"regime_trend": 1.2}),
        ("bull_range", View.RANGING, {"regime_range": 0.7}),
        ("high_volatility", View.VOLATILE, {"regime_volatile": 0.7}),
    ],
)
@pytest.mark.parametrize("direction", [1, -1])
def test_the_size_follows_the_coarse_view_on_both_sides(regime, view, reasons, direction):
    effect = Regime().effect(row_of(regime, view), direction)
    assert dict(effect.reasons) == reasons
    assert (effect.confidence, effect.veto) == (1.0, None)
    assert effect.facts["regime"] == regime


@pytest.mark.parametrize(
    ("regime", "probability", "level"),
    [
        ("strong_bear", 0.9, "high"),
        ("high_volatility", 0.3, "high"),
        ("strong_bull", 0.49, "medium"),
        ("strong_bull", 0.5, "low"),
        ("low_volatility", 0.9, "low"),
    ],
)
def test_the_risk_level_is_high_in_wild_and_falling_markets_and_medium_when_unsure(
    regime, probability, level
):
    row = row_of(regime, View.RANGING, probability)
    assert Regime().effect(row, 1).facts["risk_level"] == level


def test_a_factor_of_one_is_not_named():
    regime = Regime(RegimeSettings(trend_size=1.0))
    assert dict(regime.effect(row_of("weak_bull", View.TRENDING), 1).reasons) == {}


@dataclass(frozen=True)
class Certain:
    """A classifier that always says the same."""

    code: int

    def read(self, market: Market, features: Features) -> RegimeReading:
        return RegimeReading(np.tile(np.eye(8)[self.code], (len(market), 1)))


@dataclass(frozen=True)
class Silent:
    """A classifier that has nothing to say yet."""

    def read(self, market: Market, features: Features) -> RegimeReading:
        return RegimeReading(np.full((len(market), 8), np.nan))


class TrainedRegime(Regime):
    """The adjuster with another reader."""

    given: RegimeReader = Certain(5)

    def reader(self) -> RegimeReader:
        return self.given


def test_a_trained_classifier_takes_the_place_of_the_rules():
    adjuster = TrainedRegime()
    row = last(columns_of(hourly_market(3000), adjuster))
    assert (row["regime"], row["regime_probability"], row["regime_strong_bear"]) == (5, 1, 1)
    assert adjuster.effect(row, 1).facts == {
        "regime": "strong_bear",
        "risk_level": "high",
        "regime_probabilities": {"strong_bear": 1.0},
        "regime_playbook": "trend",
    }


def test_a_classifier_that_is_silent_has_no_effect():
    adjuster = TrainedRegime()
    adjuster.given = Silent()
    row = last(columns_of(hourly_market(3000), adjuster))
    assert math.isnan(row["regime_view"])
    assert adjuster.effect(row, -1) == Effect()


def test_a_regime_without_a_coarse_view_is_stated_but_changes_no_size():
    adjuster = TrainedRegime()
    row = last(columns_of(hourly_market(3000, higher=False), adjuster))
    effect = adjuster.effect(row, 1)
    assert dict(effect.reasons) == {}
    assert effect.facts["regime"] == "strong_bear"


def test_one_wild_candle_is_not_a_wild_market():
    shock = np.concatenate([walk(30, seed=11), [0.05], walk(2, seed=12)])
    row = last(columns_of(regime_market(USUAL, shock)))
    assert row["regime_high_volatility"] < 0.9
    calm = last(columns_of(regime_market(USUAL, walk(33, seed=11))))
    assert calm["regime_high_volatility"] < 0.1


def test_frames_of_the_hand_made_paths_are_candles():
    frame = frame_of(USUAL, "4h")
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
