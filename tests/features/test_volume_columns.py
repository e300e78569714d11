"""Volume columns: hand-made candles, mirror images, causality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_markets import market_of, mirrored
from evaluations import columns_of
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import candle_frame

from quorum.features.series import shifted, window_sum
from quorum.features.table import Features
from quorum.features.volume import money_flow_index, obv_slope, volume_zscore
from quorum.market import Frames, Market, Published, build_market

NEEDED = ("volatility", "swings", "volume", "volume_profile")


def compute(market: Market) -> Features:
    return columns_of(market, *NEEDED)


def quiet(n: int, price: float = 100.0, volume: float = 100.0) -> list[tuple[float, ...]]:
    """Candles that go up and down by half a point and end where they began."""
    move = [0.5 if i % 2 == 0 else -0.5 for i in range(n)]
    out = []
    for step in move:
        out.append((price, price + 0.6, price - 0.6, price + step, volume))
        price += step
    return out


# --- series


@given(
    st.lists(st.integers(0, 1000), max_size=60).map(lambda v: np.array(v, dtype=np.float64)),
    st.integers(1, 40),
)
def test_a_window_sum_is_the_sum_of_its_window(values, window):
    found = window_sum(values, window)
    for t in range(len(values)):
        if t < window - 1:
            assert np.isnan(found[t])
        else:
            assert found[t] == values[t - window + 1 : t + 1].sum()


def test_a_window_sum_is_the_same_wherever_the_history_starts():
    values = np.random.default_rng(0).lognormal(0, 8, 900)
    assert (window_sum(values, 37)[500:] == window_sum(values[400:], 37)[100:]).all()


def test_zero_volume_after_a_busy_stretch_sums_to_exactly_zero():
    values = np.concatenate([np.random.default_rng(1).lognormal(0, 5, 100), np.zeros(40)])
    assert (window_sum(values, 20)[119:] == 0).all()


def test_shifting_beyond_the_history_gives_nan():
    assert np.isnan(shifted(np.ones(3), 5)).all()


# --- amounts and money flow


def test_volume_ratio_compares_with_the_candles_before():
    rows = quiet(60)
    rows[-1] = (*rows[-1][:4], 300.0)
    assert compute(market_of(rows))["volume_ratio"][-1] == pytest.approx(3.0)


def test_equal_volumes_have_no_zscore():
    volume = np.full(200, 0.1)
    volume[-1] = 5.0
    assert np.isnan(volume_zscore(volume, 50)).all()


def test_volume_zscore_counts_standard_deviations():
    volume = np.tile([90.0, 110.0], 30)
    volume[-1] = 150.0
    assert volume_zscore(volume, 50)[-1] == pytest.approx(
        (150 - volume[-51:-1].mean()) / volume[-51:-1].std()
    )


def test_obv_slope_is_full_when_every_candle_rises():
    close = np.arange(1.0, 50.0)
    assert obv_slope(close, np.full(49, 7.0), 20)[-1] == 1.0
    assert obv_slope(close[::-1].copy(), np.full(49, 7.0), 20)[-1] == -1.0


def test_mfi_of_a_market_that_trades_little_is_not_extreme():
    # TA-Lib answers 0 when less than one unit of money flowed.
    typical = 1e-6 * (1 + 0.01 * np.array([0.0, 1.0] * 20))
    assert money_flow_index(typical, np.ones(40), 14)[-1] == pytest.approx(50.0, abs=1.0)


def test_cmf_sees_closes_at_the_high_as_accumulation():
    rows = [(100.0, 101.0, 99.0, 100.9, 50.0)] * 60
    assert compute(market_of(rows))["cmf"][-1] == pytest.approx(0.9)


def test_vwap_weighs_prices_by_volume():
    rows = [(100.0, 101.0, 99.0, 100.0, 10.0)] * 47 + [(110.0, 111.0, 109.0, 110.0, 230.0)]
    found = compute(market_of(rows))["vwap"][-1]
    assert found == pytest.approx((23 * 10 * 100 + 230 * 110) / (23 * 10 + 230))


def test_a_market_that_does_not_trade_has_no_volume_readings():
    features = compute(market_of([(100.0, 100.0, 100.0, 100.0, 0.0)] * 400))
    for name in ("volume_ratio", "mfi", "cmf", "cvd", "vwap", "obv_slope", "poc"):
        assert np.isnan(features[name]).all(), name


# --- climax and dry-up


def selling_climax_rows() -> list[tuple[float, ...]]:
    rows = quiet(60)
    price = rows[-1][3]
    return [*rows, (price, price + 0.2, price - 6.0, price - 2.0, 600.0)]


def test_a_wide_plunge_on_huge_volume_that_closes_off_its_low_is_a_selling_climax():
    features = compute(market_of(selling_climax_rows()))
    assert features["selling_climax"][-1] == 1
    assert features["selling_climax"][:-1].sum() == 0
    assert features["buying_climax"].sum() == 0


def test_the_mirror_of_a_selling_climax_is_a_buying_climax():
    features = compute(mirrored(market_of(selling_climax_rows())))
    assert features["buying_climax"][-1] == 1
    assert features["selling_climax"].sum() == 0


@pytest.mark.parametrize("spoil", ["volume", "close", "range"])
def test_without_volume_or_range_or_recovery_there_is_no_climax(spoil):
    rows = selling_climax_rows()
    price = rows[-2][3]
    rows[-1] = {
        "volume": (price, price + 0.2, price - 6.0, price - 2.0, 150.0),
        "close": (price, price + 0.2, price - 6.0, price - 5.9, 600.0),
        "range": (price, price + 0.2, price - 0.9, price - 0.2, 600.0),
    }[spoil]
    assert compute(market_of(rows))["selling_climax"][-1] == 0


def no_supply_rows() -> list[tuple[float, ...]]:
    """Rise for 120 candles, then pull back on a tenth of the volume."""
    rows = []
    price = 60.0
    for _ in range(140):
        rows.append((price, price + 0.6, price - 0.2, price + 0.4, 100.0))
        price += 0.4
    for _ in range(8):
        rows.append((price, price + 0.1, price - 0.4, price - 0.3, 10.0))
        price -= 0.3
    return rows


def test_a_pullback_on_dry_volume_above_value_finds_no_supply():
    features = compute(market_of(no_supply_rows()))
    assert features["volume_dry_up"][-1] == 1
    assert features["no_supply"][-1] == 1
    assert features["no_supply"][:140].sum() == 0


def test_the_mirror_of_no_supply_is_no_demand():
    features = compute(mirrored(market_of(no_supply_rows())))
    assert features["no_demand"][-1] == 1
    assert features["no_supply"].sum() == 0


# --- delta and CVD


def test_without_trades_the_candle_body_stands_in_for_delta():
    features = compute(market_of([(100.0, 102.0, 98.0, 101.0, 50.0)] * 60))
    assert features["delta_share"][-1] == pytest.approx(0.14 / 4)
    assert features["cvd"][-1] == pytest.approx(0.14 / 4)
    assert features["real_flow"][-1] == 0
    assert np.isnan(features["taker_buy_share"][-1])


def test_real_trade_flow_is_used_where_it_is_there():
    market = market_of([(100.0, 102.0, 98.0, 101.0, 50.0)] * 60)
    delta = np.full(60, -10.0)
    delta[:36] = np.nan
    features = compute(replace(market, taker_delta=delta))
    assert features["delta_share"][0] == pytest.approx(0.14 / 4)
    assert features["delta_share"][-1] == pytest.approx(-0.2)
    assert features["real_flow"][-1] == pytest.approx(0.5)
    assert features["taker_buy_share"][-1] == pytest.approx(0.4)


def test_more_than_the_volume_cannot_have_been_bought():
    market = market_of([(100.0, 102.0, 98.0, 101.0, 50.0)] * 60)
    features = compute(replace(market, taker_delta=np.full(60, 1e9)))
    assert features["delta_share"].max() == 1.0


def test_a_recorded_taker_share_is_used_while_fresh():
    market = market_of([(100.0, 102.0, 98.0, 101.0, 50.0)] * 60)
    known = Published(market.close_time[40:41], np.array([0.62]))
    share = compute(replace(market, published={"taker_buy_share": known}))["taker_buy_share"]
    assert np.isnan(share[:40]).all()
    assert share[40:43].tolist() == [0.62, 0.62, 0.62]
    assert np.isnan(share[43:]).all()


# --- divergence


def divergence_market(flow_between: float) -> Market:
    """Two lows, the second lower; net flow of ``flow_between`` in every candle between them."""
    path = [100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 90]
    path += [91, 92, 93, 94, 95, 96, 97, 98, 97, 96, 95, 94, 93, 92, 91, 90, 89, 88]
    path += [89, 90, 91, 92, 93, 94, 95, 96]
    rows = [(p, p + 0.4, p - 0.4, p, 100.0) for p in map(float, [*path[:1] * 20, *path])]
    market = market_of(rows)
    delta = np.full(len(rows), -1.0)
    delta[31:] = flow_between
    return replace(market, taker_delta=delta)


SECOND_LOW = 20 + 28


def test_a_lower_low_on_net_buying_is_a_bullish_divergence_once_confirmed():
    bull = compute(divergence_market(5.0))["cvd_divergence_bull"]
    assert bull[: SECOND_LOW + 5].sum() == 0  # five candles to confirm the swing
    assert bull[SECOND_LOW + 5] == 1.0
    assert 0 < bull[SECOND_LOW + 6] < 1


def test_a_higher_high_on_net_selling_is_a_bearish_divergence():
    features = compute(mirrored(divergence_market(5.0)))
    assert features["cvd_divergence_bear"][SECOND_LOW + 5] == 1.0
    assert features["cvd_divergence_bull"].sum() == 0


def test_a_lower_low_on_net_selling_is_no_divergence():
    assert compute(divergence_market(-5.0))["cvd_divergence_bull"].sum() == 0


def test_a_close_under_the_diverging_low_ends_the_divergence():
    market = divergence_market(5.0)
    c = market.candles
    close, low = c.close.copy(), c.low.copy()
    close[-1] = low[-1] = 80.0
    broken = replace(market, candles=replace(c, close=close, low=low))
    bull = compute(broken)["cvd_divergence_bull"]
    assert bull[-2] > 0
    assert bull[-1] == 0


# --- causality


@pytest.fixture(scope="module")
def walk() -> Market:
    frame = candle_frame(1500, seed=3)
    frame.loc[700:730, "volume"] = 0.0
    rng = np.random.default_rng(4)
    delta = frame["volume"].to_numpy() * rng.uniform(-0.3, 0.3, len(frame))
    delta[:900] = np.nan
    return replace(build_market("SOL/USDT:USDT", "1h", Frames(frame)), taker_delta=delta)


@pytest.fixture(scope="module")
def whole(walk: Market) -> Features:
    return compute(walk)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 1500))
def test_no_row_is_rewritten_by_later_candles(walk, whole, n):
    part = compute(walk.head(n))
    for name in part:
        if part.columns[name].family in ("volume", "volume_profile"):
            np.testing.assert_array_equal(part[name], whole[name][:n], err_msg=name)


def test_volume_columns_do_not_depend_on_where_the_history_starts(walk, whole):
    late = 400
    part = compute(walk.since(late))
    for name in ("volume_ratio", "mfi", "cmf", "obv_slope", "cvd", "vwap", "poc",
                 "value_area_high", "volume_gap_above"):  # fmt: skip
        np.testing.assert_array_equal(part[name][300:], whole[name][late + 300 :], err_msg=name)
