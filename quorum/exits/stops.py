"""Where a trade is wrong: the protective stop (spec P1)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from quorum.section import Section


class StopSettings(Section):
    """How far away the stop stands."""

    method: Literal["atr"] = Field("atr", description="what the stop is placed by")
    atr_multiple: float = Field(
        1.5, gt=0, le=20, description="distance of the stop [multiples of ATR 14]"
    )
    max_risk: float = Field(
        5.0, gt=0, le=50, description="largest distance of the stop [% of the entry price]"
    )


def atr_stop(entry: float, atr: float, direction: int, settings: StopSettings) -> float:
    """Return the stop price ``atr_multiple`` ATR against the trade, never wider than max risk.

    Raises
    ------
    ValueError
        If entry or ATR is not a positive number.
    """
    if not (math.isfinite(entry) and entry > 0 and math.isfinite(atr) and atr > 0):
        raise ValueError(f"stop: entry {entry} and ATR {atr} must be positive")
    distance = min(settings.atr_multiple * atr, settings.max_risk / 100 * entry)
    return entry - direction * distance
