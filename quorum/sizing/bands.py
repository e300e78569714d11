"""Sizing by confidence bands (spec S1)."""

from __future__ import annotations

from pydantic import Field, model_validator

from quorum.consensus import GRACE
from quorum.section import Section
from quorum.sizing.base import Record, Size, SizeRequest, SizingMethod, factors_of, noted, refused


class BandsSettings(Section):
    """Percentage of the capital by confidence band (spec S1)."""

    very_high: tuple[float, float, float, float] = Field(
        (0.85, 0.95, 2.0, 3.0),
        description="confidence from, to and size from, to of the very high band [%]",
    )
    high: tuple[float, float, float, float] = Field(
        (0.75, 0.85, 1.5, 2.5), description="the same of the high band [%]"
    )
    medium: tuple[float, float, float, float] = Field(
        (0.65, 0.75, 1.0, 1.5), description="the same of the medium band [%]"
    )

    @model_validator(mode="after")
    def _bands_rise(self) -> BandsSettings:
        for name in ("medium", "high", "very_high"):
            low, high, smallest, largest = getattr(self, name)
            if not (low < high and 0 < smallest <= largest):
                raise ValueError(f"{name}: confidence and size must rise, both above 0")
        if not self.medium[0] < self.high[0] < self.very_high[0]:
            raise ValueError("medium, high and very_high must begin in this order")
        return self


class Bands(SizingMethod):
    """A percentage of the capital that rises linearly within each confidence band (spec S1)."""

    name = "bands"

    def percent(self, confidence: float) -> float:
        """Return the unadjusted percentage of capital for a confidence, 0 under the bands."""
        bands = self.settings.bands
        for low, high, smallest, largest in (bands.very_high, bands.high, bands.medium):
            if confidence >= low - GRACE:
                within = min(1.0, max(0.0, (confidence - low) / (high - low)))
                return smallest + within * (largest - smallest)
        return 0.0

    def _sized(self, request: SizeRequest, record: Record) -> Size:
        """Size one trade.

        1. Percentage by band; times what the multipliers leave together.
        2. By basis: the percentage is position value, or the loss at the stop.
        3. Cap, guards and smallest order.
        """
        percent = self.percent(request.confidence)
        record["basis"] = self.settings.basis
        record.update(noted({"band_percent": percent, **factors_of(request)}))
        if percent <= 0:
            return refused("confidence_under_bands", record=record)
        reasons = [f"bands={percent:.3f}%"]
        percent *= self._factored(request, reasons, record)
        fraction = percent / 100
        if self.settings.basis == "risk":
            if request.distance <= 0:
                return refused("stop_at_entry", record=record)
            fraction /= request.distance
            reasons.append(f"risk_basis={1 / request.distance:.3g}")
        return self._placed(request, fraction * request.capital, reasons, record)
