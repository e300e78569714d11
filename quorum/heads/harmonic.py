"""H7 harmonic: a completed harmonic pattern votes for the turn out of its reversal zone."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.features.harmonic_patterns import PATTERN_NAMES
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, abstain, make_votes
from quorum.market import Market
from quorum.typing import Bools

READINGS = (
    "pattern",
    "error",
    "age",
    "stop",
    "target",
    "target_2",
    "setup",
    "prz_near",
    "prz_far",
)


class HarmonicHeadSettings(HeadSettings):
    """How the ratio error becomes a vote (spec H7)."""

    perfect: float = Field(
        0.90, ge=0, le=1, description="probability and confidence at exact ratios"
    )
    at_tolerance: float = Field(
        0.65, ge=0, le=1, description="the same where every ratio is off by the tolerance"
    )
    decay: float = Field(
        0.015, ge=0, le=1, description="confidence lost per candle after completion [share]"
    )


class HarmonicHead(Head[HarmonicHeadSettings]):
    """Votes with the live pattern of the ``harmonics`` features (spec H7).

    1. Error 0 (all ratios ideal) gives ``perfect``, error 1 (all at the tolerance)
       ``at_tolerance``, linearly between, for probability and confidence alike.
    2. While the pattern is live its confidence decays by ``decay`` per candle; the features end
       it at its first target, its stop or after ``hold`` candles.

    Without confirmed swings (short history) the head abstains.
    """

    name: ClassVar[str] = "harmonic"
    weight: ClassVar[float] = 0.09
    reasons: ClassVar[tuple[str, ...]] = (*PATTERN_NAMES, "equal_legs", "completed", "live")
    Settings = HarmonicHeadSettings

    def vote(self, market: Market, features: Features) -> Votes:
        """Return +1 / -1 while a bullish / bearish pattern is live."""
        if "harmonic_pattern" not in features or "base" not in features.swings:
            return abstain(len(market))
        s = self.settings
        pattern = features["harmonic_pattern"].astype(np.int64)
        error, age = features["harmonic_error"], features["harmonic_age"]
        quality = s.perfect - (s.perfect - s.at_tolerance) * error
        confidence = quality * (1.0 - s.decay * age)
        when = np.where(age == 0, self.bit("completed"), self.bit("live"))
        when = when | np.where(features["harmonic_confluence"] > 0, self.bit("equal_legs"), 0)
        reason = np.where(pattern > 0, (1 << np.maximum(pattern - 1, 0)) | when, 0)
        return make_votes(
            features["harmonic_direction"],
            quality,
            confidence,
            reason,
            self._available(features),
            {name: features[f"harmonic_{name}"] for name in READINGS},
        )

    def _available(self, features: Features) -> Bools:
        """Whether X, A, B and C can exist: before that "no pattern" means nothing."""
        swings = features.swings["base"]
        if not len(swings.chain):
            return np.zeros(len(swings.event), dtype=np.bool_)
        oldest = swings.chain[np.maximum(swings.event, 0), 3]
        available: Bools = (swings.event >= 0) & (oldest >= 0)
        return available
