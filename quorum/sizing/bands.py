"""Sizing by confidence bands (spec S1)."""

from __future__ import annotations

import math

from quorum.consensus import GRACE
from quorum.sizing.base import Size, SizeRequest, SizingMethod, refused


class Bands(SizingMethod):
    """A percentage of the capital that rises linearly within each confidence band (spec S1)."""

    name = "bands"

    def percent(self, confidence: float) -> float:
        """Return the unadjusted percentage of capital for a confidence, 0 under the bands."""
        for low, high, smallest, largest in (
            self.settings.very_high,
            self.settings.high,
            self.settings.medium,
        ):
            if confidence >= low - GRACE:
                within = min(1.0, max(0.0, (confidence - low) / (high - low)))
                return smallest + within * (largest - smallest)
        return 0.0

    def size(self, request: SizeRequest) -> Size:
        """Size one trade.

        1. Percentage by band; each multiplier in turn.
        2. By basis: the percentage is position value, or the loss at the stop.
        3. Cap at ``max_percent``.
        4. Refuse what is under the smallest order: a lifted order would exceed its size.
        """
        if not (math.isfinite(request.capital) and request.capital > 0):
            return refused("no_capital")
        percent = self.percent(request.confidence)
        if percent <= 0:
            return refused("confidence_under_bands")
        reasons = [f"bands={percent:.3f}%"]
        for name, factor in request.multipliers.items():
            percent *= factor
            reasons.append(f"{name}={factor:g}")
        distance = abs(request.entry - request.stop) / request.entry
        fraction = percent / 100
        if self.settings.basis == "risk":
            if distance <= 0:
                return refused("stop_at_entry")
            fraction /= distance
            reasons.append(f"risk_basis={1 / distance:.3g}")
        if fraction > self.settings.max_percent / 100:
            fraction = self.settings.max_percent / 100
            reasons.append(f"max_percent={self.settings.max_percent:g}%")
        notional = fraction * request.capital
        if notional < max(self.settings.min_order, request.min_order):
            return refused(*reasons, "below_minimum_order")
        return Size(fraction, notional, notional * distance, tuple(reasons))
