"""Where a trade has paid: the R:R target (spec P2)."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from quorum.consensus import Band
from quorum.section import Section


class TargetSettings(Section):
    """How far away the target stands."""

    risk_reward: tuple[float, float, float] = Field(
        (3.0, 2.5, 2.0), description="R:R of the very high, high and medium band [R]"
    )
    swing_margin: float = Field(
        0.5, ge=0, le=10, description="how far before a nearer swing the target stands [%]"
    )
    min_risk_reward: float = Field(1.5, gt=0, le=20, description="smallest R:R [R]")
    max_risk_reward: float = Field(5.0, gt=0, le=50, description="largest R:R [R]")

    @model_validator(mode="after")
    def _limits_in_order(self) -> TargetSettings:
        if self.min_risk_reward > self.max_risk_reward:
            raise ValueError(
                f"min_risk_reward {self.min_risk_reward} is over "
                f"max_risk_reward {self.max_risk_reward}"
            )
        return self

    def ratio(self, band: Band) -> float:
        """Return the R:R of a confidence band."""
        very_high, high, medium = self.risk_reward
        return {Band.VERY_HIGH: very_high, Band.HIGH: high}.get(band, medium)


def target_price(
    entry: float,
    stop: float,
    band: Band,
    swing: float,
    settings: TargetSettings,
) -> float:
    """Return the target price (spec P2).

    1. The band's multiple of the stop distance.
    2. If a confirmed swing lies nearer, stand a margin before it.
    3. Keep the resulting ratio within its limits.

    Parameters
    ----------
    entry, stop : float
        Prices; their order tells the direction.
    band : Band
    swing : float
        Nearest confirmed swing beyond the entry in the trade's direction, NaN for none.
    settings : TargetSettings

    Raises
    ------
    ValueError
        If the stop is at the entry.
    """
    risk = abs(entry - stop)
    if risk == 0:
        raise ValueError(f"target: stop {stop} is at the entry")
    direction = 1 if stop < entry else -1
    ratio = settings.ratio(band)
    if math.isfinite(swing) and direction * (swing - entry) > 0:
        before = swing * (1 - direction * settings.swing_margin / 100)
        ratio = min(ratio, direction * (before - entry) / risk)
    ratio = min(max(ratio, settings.min_risk_reward), settings.max_risk_reward)
    return entry + direction * ratio * risk
