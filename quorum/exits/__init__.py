"""Where a trade ends: stops and targets."""

from __future__ import annotations

from quorum.exits.ladder import (
    FIRST_TARGET_UNDER_MIN_RR,
    LadderSettings,
    ladder_prices,
    ladder_shares,
)
from quorum.exits.plan import EXIT_COLUMNS, ExitPlan, ExitSettings, levels_of, plan_exits
from quorum.exits.stops import Level, Stop, StopSettings, atr_stop, place_stop, structure_stop
from quorum.exits.targets import TargetSettings, target_price

__all__ = [
    "EXIT_COLUMNS",
    "FIRST_TARGET_UNDER_MIN_RR",
    "ExitPlan",
    "ExitSettings",
    "LadderSettings",
    "Level",
    "Stop",
    "StopSettings",
    "TargetSettings",
    "atr_stop",
    "ladder_prices",
    "ladder_shares",
    "levels_of",
    "place_stop",
    "plan_exits",
    "structure_stop",
    "target_price",
]
