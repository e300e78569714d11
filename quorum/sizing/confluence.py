"""Sizing by the confluence score (spec S2)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from quorum.consensus import GRACE
from quorum.section import Section
from quorum.sizing.base import Record, Size, SizeRequest, SizingMethod, factors_of, noted, refused


class Profile(NamedTuple):
    """From which score a profile enters, and from which it adds."""

    long_entry: float = 68.0  # score a long needs [points]
    short_entry: float = 35.0  # score a short must not exceed
    long_scaling: float = 68.0  # score beyond which a long grows [points]
    short_scaling: float = 35.0  # score below which a short grows [points]
    trailing_stop: float = 2.0  # distance of the trailing stop [% of the best price]


#: Enters and adds at the same score.
EXECUTOR = Profile()
#: Enters late and counts from a point before; shorts are 100 - longs.
MANAGER = Profile(long_entry=70.0, short_entry=30.0, long_scaling=69.0, short_scaling=31.0)


class ConfluenceSettings(Section):
    """Percentage of the capital by confluence score (spec S2)."""

    profile: Literal["executor", "manager"] = Field("executor", description="thresholds in force")
    base: float = Field(
        3.0, gt=0, le=100, description="size at the scaling threshold [% of capital]"
    )
    per_point: float = Field(
        1.0, ge=0, le=100, description="size added per point beyond it [% of capital]"
    )
    largest: float = Field(10.0, gt=0, le=100, description="largest size [% of capital]")
    # loss at the stop of the initial size, which is only reported, at full reliability [% of
    # balance]
    initial_risk: ClassVar[float] = 1.0
    executor: ClassVar[Profile] = EXECUTOR
    manager: ClassVar[Profile] = MANAGER

    @model_validator(mode="after")
    def _base_under_largest(self) -> ConfluenceSettings:
        if self.base > self.largest:
            raise ValueError(f"base: {self.base} must not exceed largest: {self.largest}")
        return self


class Confluence(SizingMethod):
    """A base percentage, and more of it for every point of score beyond a threshold (spec S2)."""

    name = "confluence"

    @property
    def profile(self) -> Profile:
        """The thresholds in force."""
        own = self.settings.confluence
        return own.manager if own.profile == "manager" else own.executor

    def percent(self, score: float, direction: int) -> float:
        """Return the percentage of capital for a score, 0 where the profile does not enter."""
        own, p = self.settings.confluence, self.profile
        if direction > 0:
            beyond, entered = score - p.long_scaling, score >= p.long_entry - GRACE
        else:
            beyond, entered = p.short_scaling - score, score <= p.short_entry + GRACE
        if not entered:
            return 0.0
        return min(own.base + own.per_point * max(beyond, 0.0), own.largest)

    def initial(self, request: SizeRequest) -> float:
        """Return the risk-based size, quote currency; NaN where it is not known.

        Balance x risk % x reliability is lost at the stop.
        """
        risk = request.balance * self.settings.confluence.initial_risk / 100 * request.reliability
        return risk / request.distance if request.distance > 0 else math.nan

    def _sized(self, request: SizeRequest, record: Record) -> Size:
        """Size one trade.

        1. Percentage by score; times what the multipliers leave together.
        2. The initial size, for comparison.
        3. Cap, guards and smallest order.
        """
        own = self.settings.confluence
        percent = self.percent(request.confluence, request.direction)
        initial = self.initial(request)
        record["profile"] = own.profile
        record.update(
            noted(
                {
                    "score": request.confluence,
                    "direction": request.direction,
                    "score_percent": percent,
                    "reliability": request.reliability,
                    "initial_notional": initial,
                    "initial_fraction": initial / request.capital,
                    "trailing_stop": self.profile.trailing_stop / 100,
                    **factors_of(request),
                }
            )
        )
        if percent <= 0:
            return refused("score_within_thresholds", record=record)
        reasons = [f"confluence={percent:.3f}%"]
        if math.isfinite(initial):
            reasons.append(f"initial_risk_size={initial / request.capital * 100:.3f}%")
        percent *= self._factored(request, reasons, record)
        notional = percent / 100 * request.capital
        return self._placed(request, notional, reasons, record, self.profile.trailing_stop / 100)
