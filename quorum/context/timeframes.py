"""Timeframes: whether the trends of the hour, the day and the week agree (spec T1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from quorum.consensus import DECIMALS
from quorum.context.base import Adjuster, AdjusterSettings, Effect
from quorum.features.structure import STRUCTURE_TIMEFRAMES
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats


class Dominant(IntEnum):
    """Dominant trend over all timeframes, as the column ``dominant`` has it."""

    BEARISH = -1
    NEUTRAL = 0
    BULLISH = 1
    #: The timeframes contradict each other.
    MIXED = 2


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
    aligned: float = Field(
        0.75, ge=0, le=1, description="alignment from which the size is full (T1) [share]"
    )
    conflicted: float = Field(
        0.60, ge=0, le=1, description="alignment under which timeframes conflict (T1) [share]"
    )
    factor: float = Field(
        0.7, ge=0, le=1, description="times the size where they are not aligned (T1) [factor]"
    )
    gate: bool = Field(
        False, description="refuse a signal where timeframes conflict, else only size it down"
    )
    trend_share: ClassVar[float] = 0.6  # share over which a side dominates (T1) [share]
    neutral_share: ClassVar[float] = 0.4  # trendless share over which it is neutral (T1) [share]

    @model_validator(mode="after")
    def _in_order(self) -> TimeframeSettings:
        if self.conflicted > self.aligned:
            raise ValueError(f"conflicted {self.conflicted} is over aligned {self.aligned}")
        return self


class Timeframes(Adjuster[TimeframeSettings]):
    """Full size where the timeframes agree, less where they quarrel (spec T1).

    A timeframe's direction is the trend its last break of a confirmed swing left (features
    ``structure_trend_<tf>``): the reading that the structure head trades by, and one that cannot
    flicker around a moving average. Shares are shares of *weight*, over the timeframes whose
    structure is known:

    1. A timeframe without a recent break belongs to neither side, but counts in the whole.
    2. ``alignment`` is the share of the larger side, ``alignment_side`` that side (0: a tie).
    3. ``dominant`` is the side whose share exceeds ``trend_share``; else neutral where the
       trendless share exceeds ``neutral_share``; else mixed.

    Alignment says whether the timeframes agree with each other, not with the signal.
    """

    name = "timeframes"
    published: ClassVar[tuple[str, ...]] = ("alignment", "alignment_side", "dominant")
    Settings = TimeframeSettings

    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return alignment (0-1), its side (+1, -1, 0) and the dominant trend.

        All NaN with fewer than ``min_timeframes`` known. A higher timeframe counts once its
        candle has closed; lag 0 beyond the swings that are broken.
        """
        s = self.settings
        unknown = np.full(len(market), np.nan)
        trends = np.array(
            [features.get(f"structure_trend_{tf}", unknown) for tf in STRUCTURE_TIMEFRAMES]
        )
        known = np.isfinite(trends)
        w = s.weights
        weights = known * np.array([[w.base], [w.four_hours], [w.day], [w.week]])
        total = weights.sum(axis=0)
        speaks = (known.sum(axis=0) >= s.min_timeframes) & (total > 0)
        total = np.where(speaks, total, np.nan)
        # Rounded: .1 + .2 + .3 of the weight is .6 of it.
        up = np.round((weights * (trends > 0)).sum(axis=0) / total, DECIMALS)
        down = np.round((weights * (trends < 0)).sum(axis=0) / total, DECIMALS)
        flat = np.round((weights * (trends == 0)).sum(axis=0) / total, DECIMALS)
        dominant = np.select(
            [up > s.trend_share, down > s.trend_share, flat > s.neutral_share],
            [Dominant.BULLISH, Dominant.BEARISH, Dominant.NEUTRAL],
            Dominant.MIXED,
        ).astype(np.float64)
        return {
            "alignment": np.maximum(up, down),
            "alignment_side": np.sign(up - down),
            "dominant": np.where(speaks, dominant, np.nan),
        }

    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Return the factor or veto of T1; nothing where too few timeframes are known.

        Without the gate a conflict costs what a weak alignment costs: it is never met larger.
        """
        alignment = row["alignment"]
        if math.isnan(alignment):
            return Effect()
        facts = {"dominant_trend": Dominant(int(row["dominant"])).name.lower()}
        s = self.settings
        if alignment < s.conflicted and s.gate:
            return Effect(veto="timeframes_conflict", facts=facts)
        if alignment < s.aligned:
            return Effect(reasons={"timeframe_alignment": s.factor}, facts=facts)
        return Effect(facts=facts)
