"""Numbers at their limits: no candle a feed can deliver makes a family or a head fail.

Warnings are errors here: a division by zero or an overflow that NumPy only reports is a number
nobody meant.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import candle_frame, full_market, resample

from quorum.candles import Candles
from quorum.features import FAMILIES, Features, compute_features
from quorum.heads import HEADS
from quorum.heads.base import Head, Votes
from quorum.market import Frames, Market, build_market

PRICES = ["open", "high", "low", "close"]
SIZES = (1, 2, 3, 50, 900)


def flat(n: int) -> pd.DataFrame:
    """All prices equal."""
    return candle_frame(n).assign(**dict.fromkeys(PRICES, 100.0))


def without_range(n: int) -> pd.DataFrame:
    """Candles that open and close at one price, each at another."""
    frame = candle_frame(n)
    return frame.assign(**dict.fromkeys(PRICES, frame["close"]))


def untraded(n: int) -> pd.DataFrame:
    return candle_frame(n).assign(volume=0.0)


def halted(n: int) -> pd.DataFrame:
    """A third of the candles, in the middle, stand still without volume."""
    frame = candle_frame(n)
    still = slice(n // 3, 2 * n // 3)
    frame.loc[still, PRICES] = frame["close"].iloc[n // 3]
    frame.loc[still, "volume"] = 0.0
    return frame


def scaled(n: int, price: float, volume: float) -> pd.DataFrame:
    frame = candle_frame(n)
    frame[PRICES] *= price / 100.0
    return frame.assign(volume=frame["volume"] * volume)


def coarse(n: int) -> pd.DataFrame:
    """Prices of a few ticks: most candles have no body, many no range."""
    frame = candle_frame(n)
    frame[PRICES] = np.round(frame[PRICES] / 5.0) * 1e-8
    return frame


def spiked(n: int) -> pd.DataFrame:
    """One candle a thousand times as high, one a thousandth as low, and volume to match."""
    frame = candle_frame(n)
    frame.loc[n // 3, "high"] *= 1e3
    frame.loc[n // 2, "low"] *= 1e-3
    frame.loc[n // 3, "volume"] *= 1e6
    return frame


KINDS: dict[str, Callable[[int], pd.DataFrame]] = {
    "ordinary": candle_frame,
    "flat": flat,
    "without_range": without_range,
    "untraded": untraded,
    "halted": halted,
    "tiny": lambda n: scaled(n, 1e-7, 1e9),
    "huge": lambda n: scaled(n, 1e6, 1e-6),
    "coarse": coarse,
    "spiked": spiked,
}


def market_of(base: pd.DataFrame) -> Market:
    """Return a market with higher timeframes and derivatives made of the same candles."""
    frames = Frames(
        base=base,
        higher={"4h": resample(base, "4h"), "1d": resample(base, "1d")},
        funding_rate=pd.DataFrame({"date": base["date"].iloc[::8], "funding_rate": 1e-4}),
        mark=base,
        open_interest=pd.DataFrame({"date": base["date"], "open_interest_amount": 1e6}),
        spot=base,
    )
    return build_market("SOL/USDT:USDT", "1h", frames)


@cache
def computed(kind: str, n: int) -> tuple[Market, Features, dict[str, Exception]]:
    """Compute every family with warnings as errors; return which failed, and why."""
    market = market_of(KINDS[kind](n))
    out, failed = Features(n), {}
    for name, family in FAMILIES.items():
        out.begin(name)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                family.add(market, out, family.constants)
            except Exception as error:
                failed[name] = error
    return market, out, failed


def vote_on(head: type[Head], kind: str, n: int) -> Votes:
    market, features, _ = computed(kind, n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return head().vote(market, features)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_gives_finite_numbers_or_nan_on_any_candles(family: str, kind: str) -> None:
    for n in SIZES:
        _, features, failed = computed(kind, n)
        if family in failed:
            raise failed[family]
        own = [name for name, column in features.columns.items() if column.family == family]
        assert own or family in ("swings", "advice"), "what has columns or needs records"
        for name in own:
            assert not np.isinf(features[name]).any(), f"{name} of {n} candles"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_head_votes_in_its_bounds_on_any_candles(head: type[Head], kind: str) -> None:
    for n in SIZES:
        votes = vote_on(head, kind, n)
        assert votes.direction.shape == (n,)
        assert np.isin(votes.direction, (-1, 0, 1)).all()
        assert ((votes.probability >= 0) & (votes.probability <= 1)).all()
        assert ((votes.confidence >= 0) & (votes.confidence <= 1)).all()
        assert not votes.direction[~votes.available].any()
        for name, values in votes.readings.items():
            assert values.shape == (n,)
            assert not np.isinf(values).any(), f"{name} of {n} candles"


def test_an_empty_history_gives_empty_columns_and_votes() -> None:
    market = full_market(50).head(0)
    out = Features(0)
    for name, family in FAMILIES.items():
        out.begin(name)
        family.add(market, out, family.constants)
    for head in HEADS:
        assert head().vote(market, out).direction.shape == (0,)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_head_has_no_opinion_on_prices_that_are_all_equal(head: type[Head]) -> None:
    for n in SIZES:
        assert not vote_on(head, "flat", n).direction.any()


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_head_says_nothing_about_one_candle(head: type[Head]) -> None:
    for kind in KINDS:
        assert not vote_on(head, kind, 1).direction.any()


def multiplied(candles: Candles, price: float, volume: float) -> Candles:
    c = candles
    return replace(
        c,
        open=c.open * price,
        high=c.high * price,
        low=c.low * price,
        close=c.close * price,
        volume=c.volume * volume,
    )


@cache
def in_units(price: float, volume: float) -> tuple[Market, Features]:
    """Return a market whose prices and volumes are counted in other units."""
    market = full_market(1500, seed=2)
    quoted = {
        name: replace(series, value=series.value * (price if name in ("mark", "spot_close") else 1))
        for name, series in market.published.items()
    }
    higher = {
        timeframe: replace(h, candles=multiplied(h.candles, price, volume))
        for timeframe, h in market.higher.items()
    }
    candles = multiplied(market.candles, price, volume)
    market = replace(market, candles=candles, higher=higher, published=quoted)
    return market, compute_features(market)


@pytest.mark.parametrize(("price", "volume"), [(1e-9, 1e9), (1e4, 1e-6)])
@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_vote_does_not_depend_on_the_unit_of_price_and_volume(
    head: type[Head], price: float, volume: float
) -> None:
    one, other = (head().vote(*in_units(*units)) for units in ((1.0, 1.0), (price, volume)))
    np.testing.assert_array_equal(one.available, other.available)
    # The bins of the volume profile stand on one grid of log prices, which the unit shifts.
    tolerated = 0.02 if head.name == "volume" else 0.0
    assert np.mean(one.direction != other.direction) <= tolerated
    differs = np.abs(one.confidence - other.confidence) > 1.01e-4
    assert np.mean(differs) <= 5 * tolerated


candle_rows = st.lists(
    st.tuples(
        st.floats(1e-9, 1e9),
        st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4),
        st.sampled_from([0.0, 1e-9, 1.0, 1e15]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(candle_rows)
def test_whatever_the_candles_are_every_head_answers_without_a_warning(rows) -> None:
    # Each candle trades anywhere between its price and twice that; its neighbours anywhere else.
    at = np.array([[price * (1.0 + share) for share in shares] for price, shares, _ in rows])
    frame = candle_frame(len(rows)).assign(
        open=at[:, 0],
        high=at.max(axis=1),
        low=at.min(axis=1),
        close=at[:, 3],
        volume=[volume for *_, volume in rows],
    )
    market = market_of(frame)
    out = Features(len(market))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, family in FAMILIES.items():
            out.begin(name)
            family.add(market, out, family.constants)
        for head in HEADS:
            votes = head().vote(market, out)
            assert not np.isinf(np.array(list(votes.readings.values()))).any(), head.name
