"""Where a trade ends: stops and targets."""

from __future__ import annotations

from pydantic import Field

from quorum.exits.stops import StopSettings, atr_stop
from quorum.exits.targets import TargetSettings, target_price
from quorum.section import Section

__all__ = ["ExitSettings", "StopSettings", "TargetSettings", "atr_stop", "target_price"]


class ExitSettings(Section):
    """Stops, targets, and what else ends a trade."""

    stop: StopSettings = Field(StopSettings(), description="the protective stop")
    target: TargetSettings = Field(TargetSettings(), description="the R:R target")
    reversal: bool = Field(True, description="leave when a quorum forms on the other side")
    time_stop: float = Field(
        168.0, gt=0, description="leave a trade that is older, whatever its result (P4) [h]"
    )
