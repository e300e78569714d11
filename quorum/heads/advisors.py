"""The advisors head: what several language models agree on (spec A7)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from quorum.features.advice import (
    AGREEMENT,
    ALIGNMENT,
    CONFIDENCE,
    DIRECTION,
    PROBABILITY,
    PROVEN,
    SPEAKING,
    UNPROVEN,
)
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, abstain, make_votes
from quorum.market import Market

#: Alignment of the timeframes under which there is no vote.
LEAST_ALIGNMENT = 0.60


class AdvisorsHeadSettings(HeadSettings):
    """Nothing but whether it speaks."""


class AdvisorsHead(Head[AdvisorsHeadSettings]):
    """Votes for the side most advisors are on, where their timeframes point the same way.

    Until 200 answers have been settled its probability is capped at 0.60 and its confidence
    stays under the valid line; from then on the probability is the measured hit rate. Abstains
    where fewer than two advisors speak.
    """

    name: ClassVar[str] = "advisors"
    weight: ClassVar[float] = 0.12
    reasons: ClassVar[tuple[str, ...]] = ("advisors_up", "advisors_down", "unproven", "split")
    Settings = AdvisorsHeadSettings

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes; lag 0 after the close."""
        side = features.get(DIRECTION)
        if side is None:
            return abstain(len(market))
        confidence, proven = features[CONFIDENCE], features[PROVEN] > 0
        available = np.isfinite(side)
        direction = np.where(features[ALIGNMENT] >= LEAST_ALIGNMENT, np.nan_to_num(side), 0.0)
        flags = {
            "advisors_up": direction > 0,
            "advisors_down": direction < 0,
            "unproven": (direction != 0) & ~proven,
            "split": (direction != 0) & (features[AGREEMENT] < 1.0),
        }
        return make_votes(
            direction,
            features[PROBABILITY],
            np.where(proven, confidence, np.minimum(confidence, UNPROVEN)),
            self.mask(flags),
            available,
            {
                "stated": confidence,
                "agreement": features[AGREEMENT],
                "alignment": features[ALIGNMENT],
                "speaking": features[SPEAKING],
            },
        )
