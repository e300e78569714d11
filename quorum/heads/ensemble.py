"""The ensemble head: several kinds of models, joined, and how far they agree (spec M4 c)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.features.predictions import (
    AGREEMENT,
    ENSEMBLE_DOWN,
    ENSEMBLE_UP,
    RETURN_LONG,
    RETURN_SHORT,
    UNITED,
)
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, abstain, make_votes
from quorum.market import Market


class EnsembleHeadSettings(HeadSettings):
    """When the ensemble's opinion is a vote."""

    act: float = Field(
        0.60, ge=0.5, le=1, description="calibrated probability from which it acts (C2)"
    )
    min_return: float = Field(
        0.0, ge=-1, le=5, description="expected result after costs needed to act [R]"
    )
    disagreement: ClassVar[float] = 0.9  # times the confidence where members differ [factor]


class EnsembleHead(Head[EnsembleHeadSettings]):
    """Votes for the side that the joined models expect to pay after costs.

    Probability is the ensemble's, calibrated out of fold; confidence the same, less where the
    members differ. Abstains where no model was live; flat where the side does not pay.
    """

    name: ClassVar[str] = "ensemble"
    weight: ClassVar[float] = 0.12
    reasons: ClassVar[tuple[str, ...]] = ("ensemble_up", "ensemble_down", "members_differ")
    Settings = EnsembleHeadSettings

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes; lag 0 after the close."""
        names = (ENSEMBLE_UP, ENSEMBLE_DOWN, RETURN_LONG, RETURN_SHORT, AGREEMENT, UNITED)
        columns = [values for name in names if (values := features.get(name)) is not None]
        if len(columns) < len(names):
            return abstain(len(market))
        up, down, long, short, agreement, united = columns
        s = self.settings
        available = np.isfinite(up) & np.isfinite(down)
        probability = np.fmax(up, down)
        expected = np.where(up > down, long, short)
        acts = available & (probability >= s.act) & (up != down) & (expected > s.min_return)
        direction = np.where(acts, np.sign(up - down), 0)
        differ = united < 1.0
        flags = {
            "ensemble_up": direction > 0,
            "ensemble_down": direction < 0,
            "members_differ": (direction != 0) & differ,
        }
        return make_votes(
            direction,
            probability,
            np.where(differ, s.disagreement, 1.0) * probability,
            self.mask(flags),
            available,
            {"up": up, "down": down, "return": expected, "agreement": agreement},
        )
