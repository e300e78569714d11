"""The mirror property: on a reflected market every head votes the other way.

Prices are reflected about a high level, ``p -> c - p``, and everything that has a sign of its own
(funding, premium, sentiment, taker flow) with them. What remains different is stated per head.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from drawn_markets import mirrored, mirrored_candles
from evaluations import with_constants
from markets import START, candle_frame, resample

from quorum.candles import candles_from_frame
from quorum.features import Features, compute_features
from quorum.heads import HEADS
from quorum.heads.base import Head, Votes
from quorum.heads.crypto_readings import (
    CrowdConstants,
    PositionConstants,
    ReadingConstants,
    SupplyConstants,
)
from quorum.market import HOUR_MS, Frames, Market, Published, Records, build_market

N = 3000
DAYS_BEFORE = 300
#: Prices lie within one part in a hundred of this level, in steps that reflect exactly.
LEVEL, TICK = 16_384.0, 1 / 256
PRICES = ["open", "high", "low", "close"]
#: Votes are given to four decimals: one step of the last is no difference.
ROUNDING = 1.01e-4
START_MS = int(START.timestamp() * 1000)
#: Published series that change their sign, that turn about one half, and that are ratios.
SIGNED = ("funding_rate", "premium_index", "exchange_netflow")
HALVED = ("taker_buy_share",)
RATIOS = ("long_short_ratio",)


def lifted(frame: pd.DataFrame) -> pd.DataFrame:
    """Lift candles of prices about 100 to the level, on the grid of ticks."""
    return frame.assign(**{p: LEVEL + np.round((frame[p] - 100.0) / TICK) * TICK for p in PRICES})


def hourly(values: np.ndarray, every: int = 1) -> Published:
    at = START_MS + (np.arange(len(values), dtype=np.int64) + 1) * every * HOUR_MS
    return Published(at, values)


def made() -> Market:
    """Return a market in which every head has something to read."""
    rng = np.random.default_rng(5)
    start = START - pd.Timedelta(days=DAYS_BEFORE)
    history = lifted(candle_frame(N + 24 * DAYS_BEFORE, seed=5, start=start))
    base = history.iloc[-N:].reset_index(drop=True)
    frames = Frames(
        base=base,
        higher={"4h": resample(history, "4h"), "1d": resample(history, "1d")},
        universe={
            name: candles_from_frame(
                resample(lifted(candle_frame(len(history), seed=seed, start=start)), "1d"), "1d"
            )
            for seed, name in enumerate(("BTC", "ETH", "BNB", "XRP", "ADA", "DOT", "SOL"))
        },
    )
    published = {
        "funding_rate": hourly(2e-4 * rng.standard_t(3, N // 8), 8),
        "premium_index": hourly(0.0015 * rng.standard_t(3, N)),
        "open_interest": hourly(1e6 * np.exp(np.cumsum(0.01 * rng.standard_normal(N)))),
        "long_short_ratio": hourly(np.exp(0.6 * rng.standard_normal(N))),
        "exchange_netflow": hourly(rng.standard_normal(N // 24), 24),
        "taker_buy_share": hourly(np.clip(0.5 + 0.06 * rng.standard_normal(N), 0.0, 1.0)),
    }
    times = START_MS + np.sort(rng.integers(0, N * HOUR_MS, 2000))
    sources = ("fear_greed", "news:a", "news:b", "social:c")
    sentiment = Records(
        known_at=times,
        columns={
            "score": np.clip(0.5 * rng.standard_normal(2000), -1.0, 1.0),
            "weight": np.ones(2000),
            "source": rng.integers(0, len(sources), 2000),
        },
        labels={"source": sources},
    )
    market = build_market("SOL/USDT:USDT", "1h", frames)
    return replace(
        market,
        published={**market.published, **published},
        records={"sentiment": sentiment},
    )


def turned(name: str, series: Published) -> Published:
    if name in SIGNED:
        return replace(series, value=-series.value)
    if name in HALVED:
        return replace(series, value=1.0 - series.value)
    return replace(series, value=1.0 / series.value) if name in RATIOS else series


def reflected(market: Market) -> Market:
    sentiment = market.records["sentiment"]
    opposite = {**sentiment.columns, "score": -sentiment["score"]}
    return replace(
        mirrored(market, LEVEL),
        published={name: turned(name, series) for name, series in market.published.items()},
        universe={n: mirrored_candles(c, LEVEL) for n, c in market.universe.items()},
        records={"sentiment": replace(sentiment, columns=opposite)},
    )


@cache
def both() -> tuple[tuple[Market, Features], tuple[Market, Features]]:
    market = made()
    image = reflected(market)
    return (market, compute_features(market)), (image, compute_features(image))


class Tolerance(NamedTuple):
    """What may differ: share of candles in direction, share of the equal votes in confidence."""

    direction: float
    confidence: float
    why: str


EXACT = Tolerance(0.0, 0.0, "every rule is written for one side and read off both")
TOLERATED = {
    "technical": Tolerance(0.0, 0.003, "ROC, PPO and TRIX are measured in percent of the price"),
    "sentiment": EXACT,
    "volume": Tolerance(
        0.02, 0.10, "the bins of the volume profile lie on one grid of log prices for all markets"
    ),
    "rules": Tolerance(
        0.003, 0.003, "TA-Lib takes a candle that closes at its open for a rising one"
    ),
    "ict": EXACT,
    "wyckoff": EXACT,
    "harmonic": EXACT,
    "structure": EXACT,
    "crypto": EXACT,
}
#: Where the spec itself treats the sides differently (H6: a dry break is a spring below a range
#: and a weaker upthrust above it; H9: crowded longs are common, crowded shorts are not), the
#: numbers are made equal, so that what is left to differ is the code.
EQUAL_SIDES: dict[str, dict[str, Any]] = {
    "wyckoff": {"mirror_break": 0.90},
    "crypto": {
        "readings": ReadingConstants(
            crowd=CrowdConstants(ratio_long=1.0 / 3.0, premium_long=-0.005, funding_long_crowd=0.0),
            position=PositionConstants(covering_confidence=0.80),
            supply=SupplyConstants(inflow_confidence=0.75),
        )
    },
}


def votes_of(head: type[Head]) -> tuple[Votes, Votes]:
    asked = with_constants(head, **EQUAL_SIDES.get(head.name, {}))
    (market, features), (image, image_features) = both()
    return asked.vote(market, features), asked.vote(image, image_features)


# The heads of trained models read predictions: tests/heads/test_model_heads.py.
@pytest.mark.parametrize("head", HEADS[:9], ids=lambda head: head.name)
def test_a_head_votes_the_other_way_on_the_reflected_market(head: type[Head]) -> None:
    votes, image = votes_of(head)
    assert np.any(votes.direction > 0)
    assert np.any(votes.direction < 0)
    np.testing.assert_array_equal(votes.available, image.available)
    tolerated = TOLERATED[head.name]
    opposite = votes.direction == -image.direction
    assert np.mean(~opposite) <= tolerated.direction, tolerated.why
    # A vote may become flat where it stood at its threshold, but never take the other side.
    assert not np.any(votes.direction * image.direction > 0)
    agreeing = opposite & (votes.direction != 0)
    differs = np.abs(votes.confidence - image.confidence) > ROUNDING
    assert np.mean(differs[agreeing]) <= tolerated.confidence, tolerated.why


@pytest.mark.parametrize("name", EQUAL_SIDES)
def test_the_spec_makes_some_sides_unequal(name: str) -> None:
    (market, features), (image, image_features) = both()
    head = next(head for head in HEADS if head.name == name)()
    votes, turned = head.vote(market, features), head.vote(image, image_features)
    assert np.any(np.abs(votes.confidence - turned.confidence) > ROUNDING)
