"""The signal head: a walk-forward classifier of which barrier comes first (spec M4 b)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.features.predictions import SIGNAL_DOWN, SIGNAL_UP
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, abstain, make_votes
from quorum.market import Market


class SignalHeadSettings(HeadSettings):
    """When the signal model's opinion is a vote."""

    act: float = Field(
        0.65, ge=0.5, le=1, description="calibrated probability from which it acts (M4)"
    )


class SignalHead(Head[SignalHeadSettings]):
    """Votes for the barrier that the signal model expects first, from a probability of 0.65.

    The probability is calibrated out of fold, so it is the confidence too. Abstains where no
    model was live; flat where the model is not sure.
    """

    name: ClassVar[str] = "signal"
    weight: ClassVar[float] = 0.12
    reasons: ClassVar[tuple[str, ...]] = ("model_up", "model_down")
    Settings = SignalHeadSettings

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes; lag 0 after the close."""
        up, down = features.get(SIGNAL_UP), features.get(SIGNAL_DOWN)
        if up is None or down is None:
            return abstain(len(market))
        available = np.isfinite(up) & np.isfinite(down)
        probability = np.fmax(up, down)
        acts = available & (probability >= self.settings.act) & (up != down)
        direction = np.where(acts, np.sign(up - down), 0)
        return make_votes(
            direction,
            probability,
            probability,
            self.mask({"model_up": direction > 0, "model_down": direction < 0}),
            available,
            {"up": up, "down": down},
        )
