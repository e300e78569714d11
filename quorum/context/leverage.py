"""Leverage: a crowd that pays to be on one side of the perpetual (spec D)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.consensus import DECIMALS
from quorum.context.base import Adjuster, AdjusterSettings, Effect
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats


class LeverageSettings(AdjusterSettings):
    """When leverage is crowded, and what that does to a signal."""

    # perpetual premium above which longs are crowded (D1) [fraction]
    long_crowded: ClassVar[float] = 0.005
    # perpetual premium below which shorts are crowded (D1) [fraction]
    short_crowded: ClassVar[float] = -0.003
    with_crowd: float = Field(
        0.5, ge=0, le=1, description="times the size of a signal with the crowd (D2) [factor]"
    )
    against_crowd: float = Field(
        1.1,
        ge=1,
        le=1.5,
        description="times the confidence of a signal against the crowd (D2) [factor]",
    )


class Leverage(Adjuster[LeverageSettings]):
    """Smaller with a crowded side, surer against it (spec D1, D2).

    The premium is the feature ``perp_premium``, which takes the best source the market has.
    """

    name = "leverage"
    #: Premium as a fraction of spot; +1 longs crowded, -1 shorts crowded, 0 neither.
    published: ClassVar[tuple[str, ...]] = ("premium", "crowd")
    Settings = LeverageSettings

    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return the perpetual premium (fraction) and the crowded side (+1, -1, 0); lag 0."""
        unknown = np.full(len(market), np.nan)
        premium = features.get("perp_premium", unknown).round(DECIMALS)
        long = premium > self.settings.long_crowded
        short = premium < self.settings.short_crowded
        crowd = np.where(long, 1.0, np.where(short, -1.0, 0.0))
        return {"premium": premium, "crowd": np.where(np.isnan(premium), np.nan, crowd)}

    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Return the factors of D2; nothing where the premium is unknown."""
        crowd = row["crowd"]
        if math.isnan(crowd):
            return Effect()
        facts = {"extreme_leverage_detected": bool(crowd != 0)}
        if crowd == direction:
            return Effect(
                reasons={"crowded_leverage": self.settings.with_crowd}, endangers=True, facts=facts
            )
        if crowd == -direction:
            return Effect(confidence=self.settings.against_crowd, facts=facts)
        return Effect(facts=facts)
