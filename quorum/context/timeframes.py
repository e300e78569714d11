"""Timeframes: whether the trends of the hour, the day and the week go with a signal (spec T1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from quorum.consensus import DECIMALS
from quorum.context.base import Adjuster, AdjusterSettings, Effect
from quorum.features.structure import BREAK, CHANGE, STRUCTURE_TIMEFRAMES
from quorum.features.swings import HIGH, LOW
from quorum.features.table import Features
from quorum.features.volume_delta import divergence
from quorum.market import Market
from quorum.typing import Floats


class Dominant(IntEnum):
    """Dominant trend over all timeframes, as the column ``dominant`` has it."""

    BEARISH = -1
    NEUTRAL = 0
    BULLISH = 1
    #: The timeframes contradict each other.
    MIXED = 2


class Pattern(IntEnum):
    """What the last break of a timeframe was, as the columns ``pattern_<tf>`` have it."""

    BREAK_OF_STRUCTURE = BREAK
    CHANGE_OF_CHARACTER = CHANGE


class AlignmentWeights(NamedTuple):
    """How much each timeframe counts; normalised over those that are known (T1)."""

    base: float = 0.1  # weight of the base timeframe [share]
    four_hours: float = 0.2  # weight of 4h [share]
    day: float = 0.3  # weight of 1d [share]
    week: float = 0.4  # weight of 1w [share]


class TimeframeSettings(AdjusterSettings):
    """When timeframes agree, and what their quarrel costs."""

    weights: ClassVar[AlignmentWeights] = AlignmentWeights()  # weights of the timeframes
    min_timeframes: ClassVar[int] = 2  # known timeframes needed to speak of alignment [timeframes]
    trend_age: ClassVar[int] = 20  # a break older than this has left no direction [candles]
    rsi_hold: ClassVar[int] = 24  # how long a divergence of the RSI stays alive [candles]
    rsi_span: ClassVar[int] = 120  # most candles between the two swings compared [candles]
    aligned: float = Field(
        0.75, ge=0, le=1, description="alignment from which the size is full (T1) [share]"
    )
    conflicted: float = Field(
        0.60, ge=0, le=1, description="alignment under which timeframes conflict (T1) [share]"
    )
    factor: float = Field(
        0.7, ge=0, le=1, description="times the size where they are not aligned (T1) [factor]"
    )
    against: ClassVar[float] = 0.4  # times the size where they go against the signal (T1) [factor]
    gate: bool = Field(
        False,
        description="refuse a signal where timeframes conflict or are aligned against it, else "
        "only size it down",
    )
    trend_share: ClassVar[float] = 0.6  # share over which a side dominates (T1) [share]
    neutral_share: ClassVar[float] = 0.4  # trendless share over which it is neutral (T1) [share]

    @model_validator(mode="after")
    def _in_order(self) -> TimeframeSettings:
        if self.conflicted > self.aligned:
            raise ValueError(f"conflicted {self.conflicted} is over aligned {self.aligned}")
        return self


class Timeframes(Adjuster[TimeframeSettings]):
    """Full size where the timeframes go with a signal, less where they quarrel (spec T1).

    A timeframe's direction is the trend its last break of a confirmed swing left (features
    ``structure_trend_<tf>``), neutral where that break is older than ``trend_age`` of its
    candles. Shares are shares of *weight*, over the timeframes whose structure is known:

    1. A neutral timeframe belongs to neither side, but counts in the whole.
    2. ``trend_up`` and ``trend_down`` are the shares of the sides, ``alignment`` the larger,
       ``alignment_side`` that side (0: a tie).
    3. ``dominant`` is the side whose share exceeds ``trend_share``; else neutral where the
       neutral share exceeds ``neutral_share``; else mixed.
    """

    name = "timeframes"
    published: ClassVar[tuple[str, ...]] = (
        "alignment",
        "alignment_side",
        "trend_up",
        "trend_down",
        "dominant",
        *(f"trend_{tf}" for tf in STRUCTURE_TIMEFRAMES),
        *(f"pattern_{tf}" for tf in STRUCTURE_TIMEFRAMES),
        "rsi_divergence",
        "cvd_divergence",
    )
    Settings = TimeframeSettings

    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return the columns of T1; those of shares are NaN under ``min_timeframes`` known.

        ``trend_<tf>`` (direction times how fresh its break is, -1 to 1, 0 neutral),
        ``pattern_<tf>`` (code of :class:`Pattern`), ``rsi_divergence`` and ``cvd_divergence``
        (+1 bullish, -1 bearish while alive, else 0). A higher timeframe counts once its candle
        has closed; lag 0 beyond the swings that are broken.
        """
        s = self.settings
        unknown = np.full(len(market), np.nan)
        freshness = np.array([self._freshness(features, tf) for tf in STRUCTURE_TIMEFRAMES])
        known = np.isfinite(freshness)
        w = s.weights
        weights = known * np.array([[w.base], [w.four_hours], [w.day], [w.week]])
        total = weights.sum(axis=0)
        speaks = (known.sum(axis=0) >= s.min_timeframes) & (total > 0)
        total = np.where(speaks, total, np.nan)
        # Rounded: .1 + .2 + .3 of the weight is .6 of it.
        up = np.round((weights * (freshness > 0)).sum(axis=0) / total, DECIMALS)
        down = np.round((weights * (freshness < 0)).sum(axis=0) / total, DECIMALS)
        flat = np.round((weights * (freshness == 0)).sum(axis=0) / total, DECIMALS)
        dominant = np.select(
            [up > s.trend_share, down > s.trend_share, flat > s.neutral_share],
            [Dominant.BULLISH, Dominant.BEARISH, Dominant.NEUTRAL],
            Dominant.MIXED,
        ).astype(np.float64)
        # Swings that are not there yet cannot diverge.
        speaking = np.where(np.isfinite(freshness[0]), 0.0, np.nan)
        bull, bear = (features.get(f"cvd_divergence_{side}", unknown) for side in ("bull", "bear"))
        return {
            "alignment": np.maximum(up, down),
            "alignment_side": np.sign(up - down),
            "trend_up": up,
            "trend_down": down,
            "dominant": np.where(speaks, dominant, np.nan),
            **{f"trend_{tf}": freshness[i] for i, tf in enumerate(STRUCTURE_TIMEFRAMES)},
            **{
                f"pattern_{tf}": features.get(f"break_kind_{tf}", unknown)
                for tf in STRUCTURE_TIMEFRAMES
            },
            "rsi_divergence": self._rsi_divergence(market, features) + speaking,
            "cvd_divergence": np.sign(bull) - np.sign(bear) + speaking,
        }

    def _freshness(self, features: Features, timeframe: str) -> Floats:
        """Return direction times freshness of a timeframe's last break, NaN where unknown."""
        unknown = np.full(features.n_candles, np.nan)
        trend = features.get(f"structure_trend_{timeframe}", unknown)
        age = features.get(f"break_age_{timeframe}", np.zeros(features.n_candles))
        fresh = np.maximum(1.0 - np.nan_to_num(age) / (self.settings.trend_age + 1), 0.0)
        return np.round(trend * fresh, DECIMALS)

    def _rsi_divergence(self, market: Market, features: Features) -> Floats:
        """Return +1 where a lower low came with a higher RSI, -1 where a higher high with a lower.

        At the last two confirmed swings of a side, alive for ``rsi_hold`` candles; 0 else. Lag:
        that of the swings.
        """
        rsi, swings = features.get("rsi_14"), features.swings.get("base")
        if rsi is None or swings is None:
            return np.full(len(market), np.nan)
        change = np.nan_to_num(np.diff(rsi, prepend=np.nan))
        s, close = self.settings, market.candles.close
        alive = [
            divergence(
                swings, change, np.ones(len(close)), close, side, s.rsi_span, 0.0, s.rsi_hold
            )
            for side in (LOW, HIGH)
        ]
        return np.sign(alive[0]) - np.sign(alive[1])

    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Return the factor or veto of T1; nothing where too few timeframes are known.

        Without the gate a conflict costs what a weak alignment costs: it is never met larger.
        """
        if math.isnan(row["alignment"]):
            return Effect()
        with_signal, against = row["trend_up"], row["trend_down"]
        if direction < 0:
            with_signal, against = against, with_signal
        s = self.settings
        facts = {
            "dominant_trend": Dominant(int(row["dominant"])).name.lower(),
            "alignment_with_signal": with_signal,
            **_record(row, direction),
        }
        opposed = against >= s.conflicted
        if (opposed or with_signal < s.conflicted) and s.gate:
            veto = "timeframes_against" if opposed else "timeframes_conflict"
            return Effect(veto=veto, facts={**facts, "timeframe_action": "stay out"})
        if opposed:
            facts["timeframe_action"] = "stay out, or much smaller"
            return Effect(reasons={"timeframes_against": s.against}, facts=facts)
        if with_signal < s.aligned:
            facts["timeframe_action"] = "enter smaller"
            return Effect(reasons={"timeframe_alignment": s.factor}, facts=facts)
        return Effect(facts={**facts, "timeframe_action": "enter"})


def _pattern(code: float) -> str:
    """Return the name of a pattern, none without one."""
    return "none" if math.isnan(code) else Pattern(int(code)).name.lower()


def _record(row: Mapping[str, float], direction: int) -> dict[str, Any]:
    """Return direction, confidence and pattern of every timeframe, and divergences in words."""
    told = {}
    for name in STRUCTURE_TIMEFRAMES:
        fresh = row[f"trend_{name}"]
        if math.isnan(fresh):
            continue
        told[name] = {
            "direction": "bullish" if fresh > 0 else "bearish" if fresh < 0 else "neutral",
            "confidence": round(abs(fresh), 2),
            "pattern": _pattern(row[f"pattern_{name}"]),
        }
    found = []
    for name, words in (("rsi", "RSI"), ("cvd", "CVD")):
        side = row[f"{name}_divergence"]
        if side and not math.isnan(side):
            stands = "with" if side == direction else "against"
            kind = "bullish" if side > 0 else "bearish"
            found.append(f"{kind} divergence of price and {words}, {stands} the signal")
    return {"timeframes": told, "divergences": found}
