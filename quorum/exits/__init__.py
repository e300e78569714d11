"""Where a trade ends: stops and targets."""

from __future__ import annotations

from quorum.exits.ladder import (
    FIRST_TARGET_UNDER_MIN_RR,
    LadderSettings,
    ladder_prices,
    ladder_shares,
)
from quorum.exits.plan import (
    EXIT_COLUMNS,
    ExitPlan,
    ExitPlans,
    ExitSettings,
    plan_exits,
    plan_many,
)
from quorum.exits.stops import Stops, StopSettings, levels_of, place_stops
from quorum.exits.targets import TargetSettings, target_prices

__all__ = [
    "EXIT_COLUMNS",
    "FIRST_TARGET_UNDER_MIN_RR",
    "ExitPlan",
    "ExitPlans",
    "ExitSettings",
    "LadderSettings",
    "StopSettings",
    "Stops",
    "TargetSettings",
    "ladder_prices",
    "ladder_shares",
    "levels_of",
    "place_stops",
    "plan_exits",
    "plan_many",
    "target_prices",
]
