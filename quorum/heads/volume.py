"""H3 volume: whether the volume is behind the price.

State readings (CVD, OBV, MFI, CMF, VWAP, volume profile, taker flow) say at every candle who is
in control; event readings (a climax, a dry-up, a low-volume gap next to the price) speak only
while they last. Each is -1 (sellers) to +1 (buyers). Their weighted mean is the score, from
which direction and probability follow; confidence is the share of the readings that agree,
corrected by a CVD divergence (+-0.15), by participation and by the quality of the flow data.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.features.series import held, ratio
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, make_votes
from quorum.market import Market
from quorum.section import Section
from quorum.typing import Bools, Floats

STATES = ("cvd", "obv", "mfi", "cmf", "vwap", "value_area", "taker_flow")
EVENTS = ("climax", "dry_up", "volume_gap")


class ReadingWeights(Section):
    """Share of each reading in the score; normalised over those that speak."""

    cvd: float = Field(0.22, ge=0, le=1, description="weight of the CVD")
    obv: float = Field(0.14, ge=0, le=1, description="weight of the OBV slope")
    mfi: float = Field(0.12, ge=0, le=1, description="weight of the money flow index")
    cmf: float = Field(0.16, ge=0, le=1, description="weight of the Chaikin money flow")
    vwap: float = Field(0.12, ge=0, le=1, description="weight of the VWAP distance")
    value_area: float = Field(0.12, ge=0, le=1, description="weight of the place in the profile")
    taker_flow: float = Field(0.12, ge=0, le=1, description="weight of the taker buy share")
    climax: float = Field(0.15, ge=0, le=1, description="weight of a live climax")
    dry_up: float = Field(0.08, ge=0, le=1, description="weight of a live dry-up")
    volume_gap: float = Field(0.08, ge=0, le=1, description="weight of a near low-volume gap")


class ReadingScales(Section):
    """The value at which each reading is full (+-1), and where it fades again."""

    cvd: float = Field(0.04, gt=0, le=1, description="CVD over volume [fraction]")
    cvd_fast_share: float = Field(
        0.4, ge=0, le=1, description="share of the fast window in the CVD reading [fraction]"
    )
    obv: float = Field(0.5, gt=0, le=1, description="OBV slope over volume [fraction]")
    mfi: float = Field(30.0, gt=0, le=50, description="MFI over or under 50 [points]")
    mfi_spent: float = Field(
        50.0, gt=0, le=100, description="MFI over or under 50 at which it is spent [points]"
    )
    cmf: float = Field(0.25, gt=0, le=1, description="Chaikin money flow [fraction]")
    vwap: float = Field(2.0, gt=0, le=20, description="distance from the VWAP [ATR]")
    vwap_spent: float = Field(
        5.0, gt=0, le=50, description="distance at which the move is spent [ATR]"
    )
    value_area: float = Field(
        1.0,
        gt=0,
        le=5,
        description="distance from the middle of the value area [heights of the area]",
    )
    taker_flow: float = Field(
        0.10, gt=0, le=0.5, description="taker buy share over or under one half [fraction]"
    )
    gap_reach: float = Field(1.0, gt=0, le=10, description="how far a low-volume gap pulls [ATR]")
    climax_hold: int = Field(
        12, ge=1, le=200, description="a climax fades over this long [candles]"
    )
    dry_up_hold: int = Field(6, ge=1, le=200, description="the same for a dry-up [candles]")


class VolumeHeadSettings(HeadSettings):
    """Settings of H3."""

    weights: ReadingWeights = Field(ReadingWeights(), description="weights of the readings")
    scales: ReadingScales = Field(ReadingScales(), description="scales of the readings")
    min_readings: int = Field(
        4, ge=1, le=7, description="state readings needed, else the head abstains"
    )
    min_score: float = Field(
        0.10, ge=0, le=1, description="score under which the vote is flat [-1 to 1]"
    )
    probability_slope: float = Field(
        0.4, ge=0, le=1, description="probability over 0.5 per point of score"
    )
    max_probability: float = Field(0.90, ge=0.5, le=1, description="most probability given")
    quiet: float = Field(
        0.25, ge=0, lt=1, description="a reading under this has no opinion [-1 to 1]"
    )
    base_confidence: float = Field(0.30, ge=0, le=1, description="confidence if no reading agreed")
    full_confidence: float = Field(0.90, ge=0, le=1, description="confidence if all agree")
    divergence: float = Field(
        0.15, ge=0, le=0.5, description="confidence a CVD divergence adds or takes"
    )
    participation: float = Field(
        0.05, ge=0, le=0.3, description="confidence that rising volume adds, dry volume takes"
    )
    rising_volume: float = Field(
        1.2, ge=1, le=10, description="short over long mean volume that is rising [ratio]"
    )
    real_flow: float = Field(0.05, ge=0, le=0.3, description="confidence that real trade flow adds")


def scaled(values: Floats, full: float) -> Floats:
    """Scale to -1..1, full at ``full``."""
    return np.clip(values / full, -1.0, 1.0)


def spent(values: Floats, full: float, end: float) -> Floats:
    """Scale to -1..1, full at ``full``, fading to 0 at ``end``: strong, then stretched."""
    size = np.abs(values)
    fading = (end - size) / max(end - full, np.finfo(np.float64).tiny)
    share: Floats = np.clip(np.minimum(size / full, fading), 0.0, 1.0)
    return np.sign(values) * share


def fading(event: Floats, hold: int) -> Floats:
    """Per candle 1 at an event, falling to 0 over ``hold`` candles after the last one."""
    live, age = held(event, hold)
    return np.where(live > 0, 1.0 - age / hold, 0.0)


class VolumeHead(Head[VolumeHeadSettings]):
    """Volume behind the price: flow, money flow, value and exhaustion (spec H3)."""

    name: ClassVar[str] = "volume"
    weight: ClassVar[float] = 0.13
    reasons: ClassVar[tuple[str, ...]] = (
        *STATES,
        *EVENTS,
        "cvd_divergence",
        "against_divergence",
        "rising_volume",
        "real_flow",
    )
    Settings = VolumeHeadSettings

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes of H3."""
        s = self.settings
        states = self.states(features)
        voices = {**states, **self.events(features)}
        spoken = np.zeros(len(market))
        total = np.zeros(len(market))
        for name, reading in voices.items():
            weight = getattr(s.weights, name)
            total += weight * np.nan_to_num(reading)
            spoken += weight * np.isfinite(reading)
        score = ratio(total, spoken)
        known = np.sum([np.isfinite(reading) for reading in states.values()], axis=0)
        available = (known >= s.min_readings) & np.isfinite(score)
        direction = np.where(np.abs(score) >= s.min_score, np.sign(score), 0.0)
        agrees = {name: reading * direction > s.quiet for name, reading in voices.items()}
        agreeing = np.zeros(len(market))
        for name, agreed in agrees.items():
            agreeing += getattr(s.weights, name) * agreed
        agreement = ratio(agreeing, spoken)
        confidence, corrections = self._confidence(features, agreement, direction)
        return make_votes(
            direction,
            np.minimum(0.5 + s.probability_slope * np.abs(score), s.max_probability),
            confidence,
            self.mask(agrees | corrections),
            available,
            {"score": score, "agreement": agreement, **voices},
        )

    def _confidence(
        self, features: Features, agreement: Floats, direction: Floats
    ) -> tuple[Floats, dict[str, Bools]]:
        """Return the corrected confidence, and where each correction was made by reason code."""
        s = self.settings
        bull = features["cvd_divergence_bull"] > 0
        bear = features["cvd_divergence_bear"] > 0
        divergence = (bull.astype(np.float64) - bear) * direction
        rising = features["volume_trend"] >= s.rising_volume
        dry = features["volume_dry_up"] > 0
        real = np.nan_to_num(features["real_flow"])
        confidence = (
            s.base_confidence
            + (s.full_confidence - s.base_confidence) * agreement
            + s.divergence * divergence
            + s.participation * (rising.astype(np.float64) - dry)
            + s.real_flow * real
        )
        return confidence, {
            "cvd_divergence": divergence > 0,
            "against_divergence": divergence < 0,
            "rising_volume": rising,
            "real_flow": real > 0,
        }

    def states(self, features: Features) -> dict[str, Floats]:
        """Return the state readings, -1 to 1, NaN where unknown."""
        scale = self.settings.scales
        slow = 1.0 - scale.cvd_fast_share
        cvd = slow * features["cvd"] + scale.cvd_fast_share * features["cvd_fast"]
        return {
            "cvd": scaled(cvd, scale.cvd),
            "obv": scaled(features["obv_slope"], scale.obv),
            "mfi": spent(features["mfi"] - 50.0, scale.mfi, scale.mfi_spent),
            "cmf": scaled(features["cmf"], scale.cmf),
            "vwap": spent(features["vwap_distance"], scale.vwap, scale.vwap_spent),
            "value_area": scaled(features["value_position"] - 0.5, scale.value_area),
            "taker_flow": scaled(features["taker_buy_share"] - 0.5, scale.taker_flow),
        }

    def events(self, features: Features) -> dict[str, Floats]:
        """Return the event readings, -1 to 1, NaN while there is none.

        A selling climax has exhausted the sellers; a pullback on dry volume finds no supply; a
        low-volume gap just above offers no resistance. Each has its mirror.
        """
        scale = self.settings.scales
        climax = fading(features["selling_climax"], scale.climax_hold)
        climax = climax - fading(features["buying_climax"], scale.climax_hold)
        dry = fading(features["no_supply"], scale.dry_up_hold)
        dry = dry - fading(features["no_demand"], scale.dry_up_hold)
        pull = {
            side: np.nan_to_num(
                np.clip(1.0 - features[f"volume_gap_{side}_distance"] / scale.gap_reach, 0.0, 1.0)
            )
            for side in ("above", "below")
        }
        events = {"climax": climax, "dry_up": dry, "volume_gap": pull["above"] - pull["below"]}
        return {name: np.where(value != 0, value, np.nan) for name, value in events.items()}
