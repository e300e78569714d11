"""Settings of the guards: a preset, and every number of it that is to be another (spec G)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from quorum.guards.day import DayLimits
from quorum.guards.drawdown import DrawdownRules
from quorum.guards.position import PositionLimits
from quorum.guards.system import SystemLimits
from quorum.section import Section

#: What each preset changes in the defaults of the tiers.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "conservative": {
        "position": {"max_open": 5, "max_stake": 5.0, "max_correlation": 0.7},
        "day": {"max_loss": 2.0, "max_trades": 5, "max_losses": 2, "max_weekly_drawdown": 5.0},
        "system": {"max_drawdown": 4.0, "swan_pause": 240.0, "flatten": True},
    },
    # Evaluation in two steps: the day ends at midnight in Prague. The shutdown lies at the point
    # where the total allowance ends entries, measured from the peak.
    "ftmo_2step": {
        "timezone": "Europe/Prague",
        "system": {"max_drawdown": 8.0},
        "drawdown": {"enabled": True},
    },
    "off": {
        "position": {"enabled": False},
        "day": {"enabled": False},
        "system": {"enabled": False},
        "drawdown": {"enabled": False},
    },
}


class GuardSettings(Section):
    """What stops entries, and what stops everything."""

    preset: Literal["conservative", "default", "ftmo_2step", "off"] = Field(
        "default", description="numbers to begin with; those given beside it win"
    )
    timezone: str = Field("UTC", description="time zone in which days and weeks begin")
    position: PositionLimits = Field(PositionLimits(), description="limits of one position (G1)")
    day: DayLimits = Field(DayLimits(), description="limits of a day and a week (G2)")
    system: SystemLimits = Field(SystemLimits(), description="limits of the whole system (G3)")
    drawdown: DrawdownRules = Field(DrawdownRules(), description="drawdown rules (G4)")

    @model_validator(mode="before")
    @classmethod
    def _begin_with_the_preset(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        preset = PRESETS.get(str(data.get("preset", "default")), {})
        return _laid_over(preset, data)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("is no time zone, for example Europe/Prague") from error
        return name


def _laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``over`` laid over ``base``, groups merged."""
    merged = {**base, **over}
    for name in base.keys() & over.keys():
        if isinstance(base[name], Mapping) and isinstance(over[name], Mapping):
            merged[name] = {**base[name], **over[name]}
    return merged
