from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_markets import line, mirrored
from evaluations import assert_rows_of, columns_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from quorum.features.momentum import true_strength
from quorum.features.table import Features
from quorum.features.trend import IchimokuConstants, TrendConstants
from quorum.features.volatility import MassIndexConstants, VolatilityConstants
from quorum.market import Market
from quorum.typing import Floats


def walk(n: int, seed: int = 7) -> Market:
    rng = np.random.default_rng(seed)
    close = 1000.0 + np.cumsum(rng.normal(0.0, 4.0, n))
    market = line(close, wick=1.0)
    wick = rng.exponential(3.0, (2, n))
    c = market.candles
    return replace(market, candles=replace(c, high=c.high + wick[0], low=c.low - wick[1]))


def columns(
    market: Market,
    volatility: VolatilityConstants | None = None,
    trend: TrendConstants | None = None,
) -> Features:
    names = ("volatility", "trend", "momentum")
    return columns_of(market, *names, volatility=volatility, trend=trend)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 14, 50])
def test_short_histories_give_columns_without_failing(n: int) -> None:
    out = columns(walk(300).head(n))
    assert all(len(out[name]) == n for name in out)
    assert not np.isfinite(out["sma_200"]).any()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_prefix_gives_exactly_the_rows_of_the_whole(seed: int) -> None:
    market = walk(420, seed)
    whole = columns(market)
    for n in np.random.default_rng(seed).integers(1, 420, 12):
        assert_rows_of(columns(market.head(int(n))), whole)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(90, 110), min_size=2, max_size=160),
    st.integers(1, 160),
    st.sampled_from([0.0, 1.0]),
)
def test_a_prefix_gives_the_same_rows_on_any_candles(
    closes: list[int], cut: int, spread: float
) -> None:
    market = line(closes, wick=spread)
    whole = columns(market)
    assert_rows_of(columns(market.head(min(cut, len(closes)))), whole)
    for name in whole:
        assert not np.isinf(whole[name]).any(), name


def test_after_1400_candles_the_start_of_the_history_does_not_matter() -> None:
    market = walk(2600)
    whole, part = columns(market), columns(market.since(1000))
    for name in whole:
        assert_allclose(part[name][1500:], whole[name][2500:], rtol=1e-5, atol=1e-4, err_msg=name)


def test_a_market_that_stands_still_is_neutral_or_unknown() -> None:
    out = columns(line(np.full(400, 100.0)))
    last = {name: out[name][-1] for name in out}
    assert last["bollinger_percent_b"] == 0.5
    assert last["donchian_position"] == 0.5
    assert last["keltner_position"] == 0.0
    assert last["tsi"] == 0.0
    assert last["mass_index"] == 1.0
    assert last["parkinson_volatility"] == 0.0
    assert last["yang_zhang_volatility"] == 0.0
    assert np.isnan(last["atr_unit"])
    assert np.isnan(last["ema_distance_21"])
    assert np.isnan(last["macd"])


def test_bollinger_bands_are_the_mean_and_two_population_deviations() -> None:
    market = walk(60)
    out = columns(market)
    window = market.candles.close[-20:]
    assert_allclose(out["bollinger_middle"][-1], window.mean())
    assert_allclose(out["bollinger_upper"][-1], window.mean() + 2 * window.std())
    assert_allclose(out["bollinger_width"][-1], 4 * window.std() / window.mean())
    at = (window[-1] - window.mean()) / (4 * window.std()) + 0.5
    assert_allclose(out["bollinger_percent_b"][-1], at)


def test_donchian_channel_includes_the_current_candle() -> None:
    close = np.full(40, 100.0)
    close[-1] = 120.0
    out = columns(line(close, wick=1.0))
    assert out["donchian_upper"][-1] == 121.0
    assert out["donchian_upper"][-2] == 101.0
    assert out["donchian_lower"][-1] == 99.0
    assert_allclose(out["donchian_position"][-1], 21.0 / 22.0)


def test_a_narrow_market_is_in_a_squeeze_and_a_run_ends_it() -> None:
    quiet = 100.0 + 0.3 * np.tile([0.0, 1.0], 40)
    run = 100.0 + 3.0 * np.arange(1, 21)
    out = columns(line(np.concatenate((quiet, run)), wick=1.0))
    assert out["squeeze"][79] == 1.0
    assert out["squeeze"][-1] == 0.0


def test_chandelier_exit_hangs_from_the_highest_high_and_turns_when_broken() -> None:
    up = 100.0 + np.arange(60.0)
    crash = up[-1] - 6.0 * np.arange(1.0, 11.0)
    out = columns(line(np.concatenate((up, crash)), wick=1.0))
    # Each rising candle spans from one under its open to one over its close: true range 3.
    assert_allclose(out["chandelier_long"][59], 160.0 - 3 * 3.0)
    assert out["chandelier_side"][59] == 1.0
    assert out["chandelier_room"][59] > 0
    assert out["chandelier_side"][-1] == -1.0
    assert out["chandelier_room"][-1] < 0


def test_mass_index_bulge_signals_against_the_trend_and_fades() -> None:
    n = 140
    close = 100.0 + np.arange(n) * 1.0
    market = line(close, wick=1.0)
    c = market.candles
    widening = np.zeros(n)
    widening[80:100] = np.linspace(1.0, 25.0, 20)
    wide = replace(market, candles=replace(c, high=c.high + widening, low=c.low - widening))
    hold = VolatilityConstants(mass=MassIndexConstants(hold=10))
    out = columns(wide, hold)
    fired = np.flatnonzero(np.nan_to_num(out["mass_reversal"]))
    assert len(fired) == 10
    assert (np.diff(fired) == 1).all()
    assert fired[0] > 99
    assert out["mass_index"][fired[0] - 1] * 25 >= 26.5 > out["mass_index"][fired[0]] * 25
    assert_allclose(out["mass_reversal"][fired], -np.linspace(1.0, 0.1, 10))
    assert columns(mirrored(wide, 500.0), hold)["mass_reversal"][fired[0]] == 1.0


def test_range_volatilities_match_their_formulas() -> None:
    market = walk(80)
    out = columns(market)
    c = market.candles
    o, h, low, cl = (np.log(p[-20:]) for p in (c.open, c.high, c.low, c.close))
    assert_allclose(
        out["parkinson_volatility"][-1], np.sqrt(np.mean((h - low) ** 2) / (4 * np.log(2)))
    )
    klass = 0.5 * (h - low) ** 2 - (2 * np.log(2) - 1) * (cl - o) ** 2
    assert_allclose(out["garman_klass_volatility"][-1], np.sqrt(klass.mean()))
    jump = o - np.log(c.close[-21:-1])
    rogers = (h - cl) * (h - o) + (low - cl) * (low - o)
    k = 0.34 / (1.34 + 21.0 / 19.0)
    variance = jump.var(ddof=1) + k * (cl - o).var(ddof=1) + (1 - k) * rogers.mean()
    assert_allclose(out["yang_zhang_volatility"][-1], np.sqrt(variance))


def test_supertrend_trails_a_rise_never_falls_and_turns_on_the_break() -> None:
    up = 100.0 + np.arange(60.0)
    down = up[-1] - 4.0 * np.arange(1.0, 21.0)
    market = line(np.concatenate((up, down)), wick=1.0)
    out = columns(market)
    side, trail = out["supertrend_side"], out["supertrend"]
    rising = np.flatnonzero(side == 1.0)
    assert (np.diff(trail[rising]) >= 0).all()
    turn = int(rising[-1]) + 1
    assert market.candles.close[turn] < trail[turn - 1] < market.candles.close[turn - 1]
    assert side[-1] == -1.0
    assert trail[-1] > market.candles.close[-1]


def test_ichimoku_cloud_over_a_candle_was_computed_a_displacement_before() -> None:
    market = walk(200)
    out = columns(market)
    c = market.candles
    t, past = 150, 150 - 26
    assert_allclose(
        out["ichimoku_span_b"][t],
        (c.high[past - 51 : past + 1].max() + c.low[past - 51 : past + 1].min()) / 2,
    )
    assert_allclose(
        out["ichimoku_span_a"][t],
        (out["ichimoku_conversion"][past] + out["ichimoku_base"][past]) / 2,
    )


@pytest.mark.parametrize(("step", "score"), [(1.0, 1.0), (-1.0, -1.0)])
def test_a_steady_trend_has_every_trend_reading_on_its_side(step: float, score: float) -> None:
    out = columns(line(1000.0 + step * np.arange(300.0), wick=1.0))
    last = {name: out[name][-1] for name in out}
    assert last["ichimoku_score"] == score
    assert last["sma_alignment"] == score
    assert last["supertrend_side"] == score
    assert last["aroon_oscillator"] == 100.0 * score
    for name in ("macd", "hull_slope", "dema_slope", "tema_slope", "di_spread", "ema_spread_21_55"):
        assert np.sign(last[name]) == score, name
    assert_allclose(last["tsi"], 100.0 * score)
    assert_allclose(last["cmo"], 100.0 * score)


def test_hull_average_follows_a_straight_line_almost_without_lag() -> None:
    close = 1000.0 + np.arange(300.0)
    out = columns(line(close, wick=1.0))
    assert abs(out["hull"][-1] - close[-1]) < 1.0
    assert abs(out["dema"][-1] - close[-1]) < 1e-6
    assert abs(out["tema"][-1] - close[-1]) < 1e-6
    assert close[-1] - out["ema_21"][-1] > 9.0


def test_averages_and_spreads_are_measured_in_atr_and_root_of_period() -> None:
    market = walk(400)
    out = columns(market)
    c = market.candles
    assert_allclose(
        out["ema_distance_21"][-1],
        (c.close[-1] - out["ema_21"][-1]) / (out["atr"][-1] * np.sqrt(21)),
    )
    assert_allclose(
        out["ema_spread_12_26"][-1],
        (out["ema_12"][-1] - out["ema_26"][-1]) / (out["atr"][-1] * np.sqrt(26)),
    )
    assert_allclose(out["sma_50"][-1], c.close[-50:].mean())


def test_averages_that_are_not_columns_can_still_be_in_a_spread() -> None:
    trend = TrendConstants(ema=(10,), sma=(10, 10), spreads=((3, 7),), alignment=(4, 9))
    out = columns(walk(100), trend=trend)
    assert "ema_3" not in out
    assert np.isfinite(out["ema_spread_3_7"][-1])
    assert out["sma_alignment"][-1] in (-1.0, -1 / 3, 0.0, 1 / 3, 1.0)


def test_true_strength_is_the_double_smoothed_change_over_its_size() -> None:
    close = np.array([10.0, 11.0, 10.5, 12.0, 11.0, 13.0, 12.5, 14.0])
    change = np.diff(close)

    def smooth(values: Floats, period: int) -> Floats:
        out = [values[:period].mean()]
        for value in values[period:]:
            out.append(out[-1] + 2 / (period + 1) * (value - out[-1]))
        return np.array(out)

    expected = 100 * smooth(smooth(change, 3), 2)[-1] / smooth(smooth(np.abs(change), 3), 2)[-1]
    assert_allclose(true_strength(close, 3, 2)[-1], expected)


def test_the_mirror_image_turns_every_directed_column() -> None:
    market = walk(500)
    out, turned = columns(market), columns(mirrored(market, 5000.0))
    odd = (
        *(name for name in out if name.startswith(("ema_distance_", "sma_distance_"))),
        *(name for name in out if name.startswith("ema_spread_")),
        *("sma_alignment", "macd", "macd_signal", "macd_histogram", "di_spread", "hull_slope"),
        *("dema_slope", "tema_slope", "supertrend_side", "supertrend_room", "aroon_oscillator"),
        *("ichimoku_score", "tsi", "cmo", "cci", "awesome", "atr_move", "keltner_position"),
        *("chandelier_side", "chandelier_room", "mass_reversal"),
    )  # fmt: skip
    for name in odd:
        assert_allclose(turned[name], -out[name], rtol=1e-7, atol=1e-6, err_msg=name)
    for name, middle in (("rsi_14", 50.0), ("stochastic_k", 50.0), ("ultimate", 50.0),
                         ("williams_r", -50.0), ("bollinger_percent_b", 0.5),
                         ("donchian_position", 0.5)):  # fmt: skip
        assert_allclose(turned[name], 2 * middle - out[name], rtol=1e-7, atol=1e-6, err_msg=name)
    for name in ("atr", "adx", "mass_index", "squeeze"):
        assert_allclose(turned[name], out[name], rtol=1e-7, err_msg=name)
    assert_allclose(turned["chandelier_short"], 10_000.0 - out["chandelier_long"])


def test_displacement_longer_than_the_history_leaves_the_cloud_unknown() -> None:
    trend = TrendConstants(ichimoku=IchimokuConstants(displacement=200))
    assert np.isnan(columns(walk(150), trend=trend)["ichimoku_span_a"]).all()
