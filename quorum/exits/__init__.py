"""Where a trade ends: stops and targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from quorum.consensus import Band
from quorum.exits.management import ManagementSettings
from quorum.exits.stops import StopSettings, atr_stop
from quorum.exits.targets import TargetSettings, target_price
from quorum.section import Section

#: Feature columns that stops and targets read.
EXIT_COLUMNS: tuple[str, ...] = ("atr", "swing_high_near", "swing_low_near")

__all__ = [
    "EXIT_COLUMNS",
    "ExitPlan",
    "ExitSettings",
    "StopSettings",
    "TargetSettings",
    "atr_stop",
    "plan_exits",
    "target_price",
]


class ExitSettings(Section):
    """Stops, targets, and what else ends a trade."""

    stop: StopSettings = Field(StopSettings(), description="the protective stop")
    target: TargetSettings = Field(TargetSettings(), description="the R:R target")
    reversal: bool = Field(True, description="leave when a quorum forms on the other side")
    management: ManagementSettings = Field(
        ManagementSettings(), description="what becomes of an open trade"
    )


@dataclass(frozen=True)
class ExitPlan:
    """Where a trade ends: stop, targets with their shares, R:R of the first; or a veto."""

    stop: float
    stop_kind: str
    targets: tuple[float, ...]
    shares: tuple[float, ...]
    risk_reward: float
    veto: str | None = None


def plan_exits(
    row: Mapping[str, float],
    direction: int,
    entry: float,
    band: Band,
    settings: ExitSettings,
    stop_factor: float = 1.0,
) -> ExitPlan:
    """Plan the exits of one entry from its row of columns (spec P1-P3)."""
    stop = atr_stop(entry, row["atr"] * stop_factor, direction, settings.stop)
    swing = row["swing_high_near" if direction > 0 else "swing_low_near"]
    target = target_price(entry, stop, band, swing, settings.target)
    ratio = abs(target - entry) / abs(entry - stop)
    return ExitPlan(stop, "atr", (target,), (1.0,), ratio)
