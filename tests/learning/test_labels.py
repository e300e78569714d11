"""Triple-barrier labels against a slow, independent implementation, and their weights (M2)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import candle_frame, full_market, resample

from quorum.candles import DAY_MS, Candles, candles_from_frame
from quorum.errors import DataError
from quorum.features import compute_features
from quorum.learning.labels import (
    NEVER,
    Labels,
    LabelSettings,
    recency,
    triple_barrier,
    uniqueness,
)
from quorum.market import FUNDING_FILED_MS, Published

HOUR = 3_600_000
FREE = {"fee": 0.0, "slippage": 0.0}


def candles_of(rows: list[tuple[float, float, float, float]], timeframe: str = "1h") -> Candles:
    """Build candles from (open, high, low, close)."""
    prices = np.array(rows, dtype=float).reshape(len(rows), 4)
    step = {"1h": HOUR, "15m": HOUR // 4}[timeframe]
    time = np.arange(len(rows), dtype=np.int64) * step
    return Candles(timeframe, time, *prices.T, np.ones(len(rows)))


def flat(n: int, price: float = 100.0) -> list[tuple[float, float, float, float]]:
    return [(price, price, price, price)] * n


def label_rows(rows, scale=1.0, **changes) -> Labels:
    candles = candles_of(rows)
    rules = LabelSettings(**{"horizon": 3, **FREE, **changes})
    return triple_barrier(candles, np.full(len(candles), scale), rules)


def test_the_upper_barrier_is_a_win_for_longs_and_a_loss_for_shorts():
    labels = label_rows([*flat(2), (100, 103, 99, 101), *flat(4)])
    assert (labels.label[0], labels.end[0]) == (1, 2)
    assert (labels.r_long[0], labels.r_short[0]) == (1.0, -1.0)


def test_the_lower_barrier_is_a_loss_for_longs_and_a_win_for_shorts():
    labels = label_rows([*flat(2), (100, 101, 98, 101), *flat(4)])
    assert (labels.label[0], labels.end[0]) == (-1, 2)
    assert (labels.r_long[0], labels.r_short[0]) == (-1.0, 1.0)


def test_the_entry_is_the_open_of_the_next_candle_and_its_own_range_counts():
    labels = label_rows([(100, 100, 100, 100), (110, 113, 109, 110), *flat(4, 110)])
    assert (labels.label[0], labels.end[0]) == (1, 1)


def test_without_a_touch_the_trade_ends_at_the_close_of_the_horizon():
    labels = label_rows([*flat(3), (100, 101.5, 99.5, 101), *flat(3, 101)])
    assert (labels.label[0], labels.end[0]) == (0, 3)
    assert (labels.r_long[0], labels.r_short[0]) == (0.5, -0.5)


def test_both_barriers_in_one_candle_stop_both_sides_out():
    labels = label_rows([*flat(2), (100, 103, 97, 100), *flat(4)])
    assert (labels.label[0], labels.end[0]) == (0, 2)
    assert (labels.r_long[0], labels.r_short[0]) == (-1.0, -1.0)


def test_a_candle_that_opens_beyond_a_barrier_touched_that_one_first_and_stops_slip():
    labels = label_rows([*flat(2), (104, 104, 97, 100), *flat(4)])
    assert labels.label[0] == 1
    # The long's target fills at its price, the short's stop where price was.
    assert (labels.r_long[0], labels.r_short[0]) == (1.0, -2.0)


def test_results_are_in_units_of_each_side_s_own_stop():
    labels = label_rows([*flat(2), (100, 105, 99.5, 105), *flat(4)], upper=4.0, lower=1.0)
    assert (labels.r_long[0], labels.r_short[0]) == (4.0, -1.0)


def test_fees_and_slippage_count_on_both_sides_of_both_trades():
    labels = label_rows([*flat(2), (100, 103, 99, 101), *flat(4)], fee=0.001, slippage=0.0005)
    cost = 0.0015 * (100 + 102) / 2
    assert labels.r_long[0] == pytest.approx(1 - cost)
    assert labels.r_short[0] == pytest.approx(-1 - cost)


@pytest.mark.parametrize(
    ("hours", "counted"),
    [([0], 0), ([1], 1), ([3], 1), ([4], 0), ([0, 1, 2, 3, 4], 3), ([0.5, 1.5, 2.5, 3.5], 2)],
)
def test_funding_counts_from_the_entry_to_the_open_of_the_last_candle(hours, counted):
    candles = candles_of([*flat(2), (100, 100, 100, 100), (100, 103, 100, 101), *flat(4)])
    settled = (np.array(hours) * HOUR).astype(np.int64)
    funding = Published(settled + FUNDING_FILED_MS, np.full(len(hours), 0.01))
    rules = LabelSettings(horizon=3, **FREE)
    labels = triple_barrier(candles, np.ones(8), rules, funding=funding)
    # Entered at hour 1, ended in the candle of hour 3; a stop is 2 away, a settlement costs 1.
    assert labels.r_long[0] == pytest.approx(1 - counted * 0.5)
    assert labels.r_short[0] == pytest.approx(-1 + counted * 0.5)


def test_finer_candles_say_which_barrier_came_first():
    coarse = candles_of([*flat(2), (100, 103, 97, 100), *flat(4)])
    quarter = [*flat(8), (100, 101, 97, 98), (99, 103, 99, 100), *flat(18)]
    for order, expected in ((quarter, -1), ([*flat(8), *quarter[9:10], *quarter[8:9]], 1)):
        finer = candles_of(order, "15m")
        rules = LabelSettings(horizon=3, **FREE)
        labels = triple_barrier(coarse, np.ones(7), rules, finer=finer)
        assert (labels.label[0], labels.end[0]) == (expected, 2)
        assert (labels.r_long[0], labels.r_short[0]) == (expected, -expected)


def test_finer_candles_that_are_missing_or_as_wild_leave_the_stop_first():
    coarse = candles_of([*flat(2), (100, 103, 97, 100), *flat(4)])
    rules = LabelSettings(horizon=3, **FREE)
    for quarters in (flat(8), [*flat(8), (100, 103, 97, 100), *flat(7)]):
        labels = triple_barrier(coarse, np.ones(7), rules, finer=candles_of(quarters, "15m"))
        assert (labels.label[0], labels.r_long[0], labels.r_short[0]) == (0, -1.0, -1.0)


def slow_label(candles, scale, rules, t, funding=(), finer=None):
    """Label one row by walking through what happened, step by step."""
    n = len(candles)
    if t + rules.horizon >= n or not scale[t] > 0:
        return None
    entry = float(candles.open[t + 1])
    barriers = {1: entry + rules.upper * scale[t], -1: entry - rules.lower * scale[t]}

    def touched(c, j):
        reached = {
            side
            for side, level in barriers.items()
            if (c.high[j] >= level if side > 0 else c.low[j] <= level)
        }
        opened = {side for side in reached if side * (c.open[j] - barriers[side]) >= 0}
        return opened or reached

    for j in range(t + 1, t + rules.horizon + 1):
        sides = touched(candles, j)
        if sides:
            break
    if len(sides) == 2 and finer is not None:
        for k in range(len(finer)):
            if candles.time[j] <= finer.time[k] < candles.close_time[j]:
                inner = touched(finer, k)
                if inner:
                    sides = inner
                    break
    paid = sum(
        rate * candles.close[max(i for i in range(n) if candles.close_time[i] <= when)]
        for when, rate in funding
        if candles.time[t + 1] <= when <= candles.time[j]
    )
    cost = rules.fee + rules.slippage
    results = []
    for side in (1, -1):
        stop, target = barriers[-side], barriers[side]
        if -side in sides:
            jumped = side * (stop - candles.open[j]) > 0
            price = candles.open[j] if jumped else stop
        elif side in sides:
            price = target
        else:
            price = candles.close[j]
        gain = side * (price - entry) - cost * (price + entry) - side * paid
        results.append(gain / abs(entry - stop))
    return (sides.pop() if len(sides) == 1 else 0), j, *results


@st.composite
def wild_market(draw):
    """Candles on whole prices, so that barriers are met exactly, jumped over, and met together."""
    n = draw(st.integers(1, 14))
    price = st.integers(92, 108)
    rows = []
    for _ in range(n):
        opened, close = draw(price), draw(price)
        high = max(opened, close) + draw(st.sampled_from([0, 0, 1, 4]))
        low = min(opened, close) - draw(st.sampled_from([0, 0, 1, 4]))
        rows.append((opened, high, low, close))
    scale = [draw(st.sampled_from([0.5, 1.0, 2.0, 4.0, 0.0, np.nan, np.inf])) for _ in rows]
    settled = draw(st.lists(st.integers(2, 4 * n + 2), unique=True, max_size=5))
    # Every half hour at finest: settlements on the hour and between.
    funding = sorted((when * HOUR // 2, draw(st.sampled_from([-0.01, 0.02]))) for when in settled)
    split = draw(st.booleans())
    quarters = []
    for opened, high, low, close in rows:
        path = draw(st.permutations([opened, high, low, close])) if split else [opened] * 4
        quarters += [(p, max(p, q), min(p, q), q) for p, q in pairwise([*path, close])]
    rules = LabelSettings(
        horizon=draw(st.integers(1, 6)),
        upper=draw(st.sampled_from([1.0, 2.0])),
        lower=draw(st.sampled_from([1.0, 3.0])),
        fee=draw(st.sampled_from([0.0, 0.001])),
        slippage=draw(st.sampled_from([0.0, 0.0004])),
    )
    finer = candles_of(quarters, "15m") if draw(st.booleans()) else None
    return candles_of(rows), np.array(scale), rules, funding, finer


@settings(max_examples=400, deadline=None)
@given(wild_market())
def test_labels_are_those_of_a_slow_implementation_that_walks_step_by_step(market):
    candles, scale, rules, funding, finer = market
    published = Published(
        np.array([when for when, _ in funding], dtype=np.int64) + FUNDING_FILED_MS,
        np.array([rate for _, rate in funding], dtype=float),
    )
    labels = triple_barrier(candles, scale, rules, funding=published, finer=finer)
    for t in range(len(candles)):
        usable = np.isfinite(scale[t]) and scale[t] > 0
        expected = slow_label(candles, scale, rules, t, funding, finer) if usable else None
        if expected is None:
            assert (labels.label[t], labels.end[t]) == (0, -1)
            assert np.isnan(labels.r_long[t])
            assert np.isnan(labels.r_short[t])
        else:
            got = (labels.label[t], labels.end[t], labels.r_long[t], labels.r_short[t])
            assert got[:2] == expected[:2]
            assert got[2:] == pytest.approx(expected[2:], abs=1e-9)


def test_a_label_never_looks_beyond_its_horizon():
    frame = candle_frame(600, seed=3)
    scale = np.full(600, 1.0)
    whole = triple_barrier(candles_from_frame(frame, "1h"), scale)
    for n in (1, 47, 48, 49, 333):
        part = triple_barrier(candles_from_frame(frame.iloc[:n], "1h"), scale[:n])
        known = max(n - 48, 0)
        assert (part.end[known:] == -1).all()
        for name in ("label", "end", "r_long", "r_short"):
            np.testing.assert_array_equal(
                getattr(part, name)[:known], getattr(whole, name)[:known], err_msg=name
            )
    assert (whole.end[:-48] >= 0).all()


def test_the_end_of_a_label_is_known_when_its_last_candle_closes():
    candles = candles_of([*flat(2), (100, 103, 99, 101), *flat(2)])
    labels = triple_barrier(candles, np.ones(5), LabelSettings(horizon=3))
    assert labels.end_time(candles).tolist() == [3 * HOUR, 3 * HOUR, NEVER, NEVER, NEVER]
    assert labels.known.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0, np.inf])
def test_a_row_without_a_usable_scale_has_no_label(value):
    scale = np.ones(8)
    scale[1] = value
    labels = triple_barrier(candles_of(flat(8)), scale, LabelSettings(horizon=3))
    assert labels.known.tolist() == [True, False, True, True, True, False, False, False]


def test_constant_prices_end_at_the_horizon_with_nothing_but_costs():
    labels = label_rows(flat(6), fee=0.001)
    np.testing.assert_array_equal(labels.label, 0)
    np.testing.assert_allclose(labels.r_long[:3], -0.1)
    np.testing.assert_array_equal(labels.r_long, labels.r_short)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_market_shorter_than_the_horizon_has_no_labels(n):
    labels = label_rows(flat(n))
    assert len(labels) == n
    assert not labels.known.any()


def test_scales_of_another_length_and_candles_that_are_not_finer_are_refused():
    candles = candles_of(flat(8))
    with pytest.raises(DataError, match="7 rows of scale for 8 candles"):
        triple_barrier(candles, np.ones(7))
    with pytest.raises(DataError, match="1h is not finer than 1h"):
        triple_barrier(candles, np.ones(8), finer=candles)


def test_a_whole_market_is_labelled_with_its_own_atr_and_funding():
    market = full_market(1500)
    atr = compute_features(market)["atr"]
    funding = market.published["funding_rate"]
    with_funding = triple_barrier(market.candles, atr, funding=funding)
    without = triple_barrier(market.candles, atr)
    known = with_funding.known
    assert known.sum() > 1300
    np.testing.assert_array_equal(with_funding.label, without.label)
    # What a long pays a short receives, in units of the same stop.
    change = (with_funding.r_long + with_funding.r_short)[known]
    np.testing.assert_allclose(change, (without.r_long + without.r_short)[known], atol=1e-9)
    assert np.abs(with_funding.r_long - without.r_long)[known].max() > 0
    assert {*with_funding.label[known]} == {-1, 0, 1}


def test_finer_candles_change_only_what_was_undecided():
    quarters = candle_frame(4000, seed=5, timeframe="15m")
    base = candles_from_frame(resample(quarters, "1h"), "1h")
    scale = np.full(len(base), 0.35)
    rules = LabelSettings(upper=1.0, lower=1.0)
    plain = triple_barrier(base, scale, rules)
    fine = triple_barrier(base, scale, rules, finer=candles_from_frame(quarters, "15m"))
    changed = plain.label != fine.label
    assert changed.sum() > 20
    assert (plain.label[changed] == 0).all()
    np.testing.assert_array_equal(plain.end, fine.end)
    np.testing.assert_array_equal(plain.r_long[~changed], fine.r_long[~changed])


# Weights ----------------------------------------------------------------------------------


def test_labels_that_do_not_overlap_are_unique():
    np.testing.assert_array_equal(
        uniqueness(np.array([0, 2, 5]), np.array([1, 4, 5]), 6), [1.0, 1.0, 1.0]
    )


def test_the_example_of_two_labels_that_share_half_their_rows():
    # Rows 0-3 and 2-5: two rows alone, two shared: (1 + 1 + 1/2 + 1/2) / 4.
    np.testing.assert_allclose(uniqueness(np.array([0, 2]), np.array([3, 5]), 6), [0.75, 0.75])


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=40))
def test_uniqueness_is_the_mean_share_of_the_rows_a_label_spans(spans):
    start = np.array([a for a, _ in spans], dtype=np.int64)
    end = start + np.array([length for _, length in spans], dtype=np.int64)
    got = uniqueness(start, end, 43)
    for i, (a, length) in enumerate(spans):
        rows = range(a, a + length + 1)
        shares = [1 / sum(s <= row <= e for s, e in zip(start, end, strict=True)) for row in rows]
        assert got[i] == pytest.approx(np.mean(shares))
        assert 0 < got[i] <= 1


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (2, 1), (0, 5)])
def test_spans_that_are_no_spans_are_refused(start, end):
    with pytest.raises(DataError, match="spans must lie within 5 rows"):
        uniqueness(np.array([start]), np.array([end]), 5)


def test_recency_halves_with_every_half_life():
    now = 100 * DAY_MS
    time = now - DAY_MS * np.array([0, 10, 20, 30])
    np.testing.assert_allclose(recency(time, now, 10), [1, 0.5, 0.25, 0.125])
    np.testing.assert_array_equal(recency(time, now, 0), 1.0)
    np.testing.assert_array_equal(recency(np.array([now + DAY_MS]), now, 10), 1.0)
