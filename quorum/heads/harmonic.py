"""H7 harmonic: a completed harmonic pattern votes for the turn out of its reversal zone."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from quorum.features.harmonic_patterns import PATTERN_NAMES
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, make_votes
from quorum.market import Market

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


class HarmonicConstants(NamedTuple):
    """How the ratio error becomes a vote (spec H7)."""

    perfect: float = 0.90  # probability and confidence at exact ratios
    at_tolerance: float = 0.65  # the same where every ratio is off by the tolerance
    decay: float = 0.015  # confidence lost per candle after completion [share]


class HarmonicHead(Head[HeadSettings]):
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
    Settings = HeadSettings
    constants: HarmonicConstants = HarmonicConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Return +1 / -1 while a bullish / bearish pattern is live."""
        s = self.constants
        error, age = features["harmonic_error"], features["harmonic_age"]
        quality = s.perfect - (s.perfect - s.at_tolerance) * error
        confidence = quality * (1.0 - s.decay * age)
        pattern = features["harmonic_pattern"]
        named = {name: pattern == number for number, name in enumerate(PATTERN_NAMES, start=1)}
        equal_legs = features["harmonic_confluence"] > 0
        return make_votes(
            features["harmonic_direction"],
            quality,
            confidence,
            self.mask({**named, "equal_legs": equal_legs, "completed": age == 0, "live": age > 0}),
            # Before X, A, B and C can exist "no pattern" means nothing.
            features.swings["base"].at_least(4),
            {name: features[f"harmonic_{name}"] for name in READINGS},
        )
