"""Where a trade is wrong: the protective stop (spec P1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from quorum.section import Section

#: What a stop stands behind.
STRUCTURE, ATR = "structure", "atr"


class StopSettings(Section):
    """How far away the stop stands, and behind what."""

    method: Literal["structure", "atr"] = Field(
        "structure", description="what the stop is placed by; structure falls back on atr"
    )
    min_strength: float = Field(
        0.6, ge=0, le=1, description="a level must be stronger than this to carry a stop [0-1]"
    )
    margin: float = Field(
        0.2, ge=0, le=10, description="how far beyond the level's zone the stop stands [%]"
    )
    min_atr: float = Field(
        0.5,
        ge=0,
        le=10,
        description="a level that would put the stop nearer is passed over [multiples of ATR 14]",
    )
    atr_multiple: float = Field(
        1.5, gt=0, le=20, description="distance of the stop without a level [multiples of ATR 14]"
    )
    max_risk: float = Field(
        5.0, gt=0, le=50, description="largest distance of the stop [% of the entry price]"
    )


class Level(NamedTuple):
    """A support or resistance.

    Attributes
    ----------
    price : float
        Where the zone lies.
    edge : float
        Its far end as seen from the price: under a support, over a resistance.
    strength : float
        0-1.
    """

    price: float
    edge: float
    strength: float


class Stop(NamedTuple):
    """A stop price, and what it stands behind (``"structure"`` or ``"atr"``)."""

    price: float
    kind: str


def atr_stop(entry: float, atr: float, direction: int, settings: StopSettings) -> float:
    """Return the stop price ``atr_multiple`` ATR against the trade, never wider than max risk.

    Raises
    ------
    ValueError
        If entry or ATR is not a positive number.
    """
    _check(entry, atr)
    distance = min(settings.atr_multiple * atr, settings.max_risk / 100 * entry)
    return entry - direction * distance


def structure_stop(
    entry: float, atr: float, direction: int, levels: Sequence[Level], settings: StopSettings
) -> Stop:
    """Return the stop beyond the nearest strong level behind the trade, else the ATR stop.

    1. Of the levels on the losing side of the entry, nearest first, those stronger than
       ``min_strength`` count.
    2. The stop stands ``margin`` beyond the far edge of the level's zone.
    3. A level right at the price would put it within the noise (``min_atr``): the next one is
       tried.
    4. A stop wider than max risk is not taken; it would have to stand in front of its level.

    Parameters
    ----------
    entry, atr : float
    direction : int
        +1 long, -1 short.
    levels : sequence of Level
        Supports of a long, resistances of a short, in any order.
    settings : StopSettings

    Raises
    ------
    ValueError
        If entry or ATR is not a positive number.
    """
    _check(entry, atr)
    behind = [
        level
        for level in levels
        if direction * (entry - level.price) > 0 and level.strength > settings.min_strength
    ]
    for level in sorted(behind, key=lambda level: direction * (entry - level.price)):
        price = level.edge * (1 - direction * settings.margin / 100)
        distance = direction * (entry - price)
        if distance > settings.max_risk / 100 * entry:
            break
        if distance > 0 and distance >= settings.min_atr * atr:
            return Stop(price, STRUCTURE)
    return Stop(atr_stop(entry, atr, direction, settings), ATR)


def place_stop(
    entry: float,
    atr: float,
    direction: int,
    levels: Sequence[Level],
    settings: StopSettings,
    factor: float = 1.0,
) -> Stop:
    """Return the stop by the method of the settings, its distance times ``factor``.

    A factor under one (tighter stops in a risky market phase) may bring a structure stop in
    front of its level; one over one never makes it wider than max risk.

    Raises
    ------
    ValueError
        If entry, ATR or factor is not a positive number.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"stop: factor {factor} must be positive")
    if settings.method == ATR:
        stop = Stop(atr_stop(entry, atr, direction, settings), ATR)
    else:
        stop = structure_stop(entry, atr, direction, levels, settings)
    if factor == 1.0:
        return stop
    distance = min(factor * abs(entry - stop.price), settings.max_risk / 100 * entry)
    return Stop(entry - direction * distance, stop.kind)


def _check(entry: float, atr: float) -> None:
    if not (math.isfinite(entry) and entry > 0 and math.isfinite(atr) and atr > 0):
        raise ValueError(f"stop: entry {entry} and ATR {atr} must be positive")
