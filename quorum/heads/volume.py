"""H3 volume: whether the volume is behind the price.

State readings (CVD, OBV, MFI, CMF, VWAP, volume profile, taker flow) say at every candle who is
in control; event readings (a climax, a dry-up, a low-volume gap next to the price) speak only
while they last. Each is -1 (sellers) to +1 (buyers). Their weighted mean is the score, from
which direction and probability follow; confidence is the share of the readings that agree,
corrected by a CVD divergence (+-0.15), by participation and by the quality of the flow data.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from quorum.features.series import held, ratio
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, make_votes
from quorum.market import Market
from quorum.typing import Bools, Floats

STATES = ("cvd", "obv", "mfi", "cmf", "vwap", "value_area", "taker_flow")
EVENTS = ("climax", "dry_up", "volume_gap")


class ReadingWeights(NamedTuple):
    """Share of each reading in the score; normalised over those that speak."""

    cvd: float = 0.22  # weight of the CVD
    obv: float = 0.14  # weight of the OBV slope
    mfi: float = 0.12  # weight of the money flow index
    cmf: float = 0.16  # weight of the Chaikin money flow
    vwap: float = 0.12  # weight of the VWAP distance
    value_area: float = 0.12  # weight of the place in the profile
    taker_flow: float = 0.12  # weight of the taker buy share
    climax: float = 0.15  # weight of a live climax
    dry_up: float = 0.08  # weight of a live dry-up
    volume_gap: float = 0.08  # weight of a near low-volume gap


class ReadingScales(NamedTuple):
    """The value at which each reading is full (+-1), and where it fades again."""

    cvd: float = 0.04  # CVD over volume [fraction]
    cvd_fast_share: float = 0.4  # share of the fast window in the CVD reading [fraction]
    obv: float = 0.5  # OBV slope over volume [fraction]
    mfi: float = 30.0  # MFI over or under 50 [points]
    mfi_spent: float = 50.0  # MFI over or under 50 at which it is spent [points]
    cmf: float = 0.25  # Chaikin money flow [fraction]
    vwap: float = 2.0  # distance from the VWAP [ATR]
    vwap_spent: float = 5.0  # distance at which the move is spent [ATR]
    value_area: float = 1.0  # distance from the middle of the value area [heights of the area]
    taker_flow: float = 0.10  # taker buy share over or under one half [fraction]
    gap_reach: float = 1.0  # how far a low-volume gap pulls [ATR]
    climax_hold: int = 12  # a climax fades over this long [candles]
    dry_up_hold: int = 6  # the same for a dry-up [candles]


class VolumeConstants(NamedTuple):
    """Settings of H3."""

    weights: ReadingWeights = ReadingWeights()
    scales: ReadingScales = ReadingScales()
    min_readings: int = 4  # state readings needed, else the head abstains
    min_score: float = 0.10  # score under which the vote is flat [-1 to 1]
    probability_slope: float = 0.4  # probability over 0.5 per point of score
    max_probability: float = 0.90  # most probability given
    quiet: float = 0.25  # a reading under this has no opinion [-1 to 1]
    base_confidence: float = 0.30  # confidence if no reading agreed
    full_confidence: float = 0.90  # confidence if all agree
    divergence: float = 0.15  # confidence a CVD divergence adds or takes
    participation: float = 0.05  # confidence that rising volume adds, dry volume takes
    rising_volume: float = 1.2  # short over long mean volume that is rising [ratio]
    real_flow: float = 0.05  # confidence that real trade flow adds


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


class VolumeHead(Head[HeadSettings]):
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
    Settings = HeadSettings
    constants: VolumeConstants = VolumeConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes of H3."""
        s = self.constants
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
        s = self.constants
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
        scale = self.constants.scales
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
        scale = self.constants.scales
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
