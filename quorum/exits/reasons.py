"""Why a stop and a target stand where they do, in words and numbers (spec E)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from quorum.exits.plan import ExitPlan, ExitSettings
from quorum.exits.stops import ATR
from quorum.features.level_search import LEVELS
from quorum.typing import Floats

#: Prices that are the same but for rounding.
SAME = 1e-9


class PriceReason(BaseModel):
    """What a price was taken from.

    Attributes
    ----------
    text : str
        For a person.
    level, touches, strength : float or None
        The level it stands at, how often that was touched (marks such as round numbers count as
        touches, too), and its strength 0-1; None where it stands at no level.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    level: float | None = None
    touches: float | None = None
    strength: float | None = None


class TakeProfitLevel(BaseModel):
    """A price at which a part of the position is taken out.

    Attributes
    ----------
    price : float
    share : float
        Of the position, 0-1.
    r : float
        Distance from the entry in units of the stop's.
    """

    model_config = ConfigDict(frozen=True)

    price: float
    share: float
    r: float


class _Level(NamedTuple):
    price: float
    edge: float
    touches: float
    strength: float


def _levels(columns: Mapping[str, Floats], row: int, side: str) -> list[_Level]:
    """Return the levels of one side that a row knows."""
    found = []
    for i in range(1, LEVELS + 1):
        values = [
            float(columns[name][row]) if name in columns else math.nan
            for name in (f"{side}_{i}", f"{side}_edge_{i}", f"{side}_touches_{i}",
                         f"{side}_strength_{i}")
        ]  # fmt: skip
        if math.isfinite(values[0]) and math.isfinite(values[1]):
            found.append(_Level(*values))
    return found


def stop_reason(
    columns: Mapping[str, Floats],
    row: int,
    direction: int,
    entry: float,
    plan: ExitPlan,
    settings: ExitSettings,
    stop_factor: float = 1.0,
) -> PriceReason:
    """Say what a stop stands behind (spec P1); parameters as of :func:`quorum.exits.plan_exits`."""
    s = settings.stop
    moved = "" if stop_factor == 1.0 else f", its distance times {stop_factor:g}"
    if plan.stop_kind == ATR:
        why = "by ATR" if s.method == ATR else "no level that carries a stop is near enough"
        return PriceReason(text=f"{s.atr_multiple:g} ATR from the entry, {why}{moved}")
    side, where = ("support", "under") if direction > 0 else ("resistance", "over")
    widest = s.max_risk / 100 * entry
    for level in _levels(columns, row, side):
        stop = level.edge * (1 - direction * s.margin / 100)
        if stop_factor != 1.0:
            stop = entry - direction * min(stop_factor * abs(entry - stop), widest)
        if abs(stop - plan.stop) <= SAME * entry:
            text = f"{s.margin:g} % {where} the zone of {_named(side, level)}{moved}"
            return _reason(text, level)
    return PriceReason(text=f"behind structure{moved}")


def target_reason(
    columns: Mapping[str, Floats],
    row: int,
    direction: int,
    band: str,
    plan: ExitPlan,
    settings: ExitSettings,
) -> PriceReason:
    """Say what the first target stands before (spec P2, P3)."""
    margin = 1 - direction * settings.target.swing_margin / 100
    side, swing = (
        ("resistance", "swing_high_near") if direction > 0 else ("support", "swing_low_near")
    )
    target = plan.targets[0]
    near = f"{settings.target.swing_margin:g} % before"
    for level in _levels(columns, row, side):
        if abs(level.price * margin - target) <= SAME * target:
            return _reason(f"{near} {_named(side, level)}", level)
    at = float(columns[swing][row]) if swing in columns else math.nan
    if abs(at * margin - target) <= SAME * target:
        name = "high" if direction > 0 else "low"
        return PriceReason(text=f"{near} the swing {name} at {at:.6g}", level=at)
    words = band.replace("_", " ")
    return PriceReason(text=f"{plan.risk_reward:.2f} R, what the {words} band aims at")


def _named(side: str, level: _Level) -> str:
    known = "" if math.isnan(level.touches) else f"{level.touches:g} touches, "
    return f"the {side} at {level.price:.6g} ({known}strength {level.strength:.2f})"


def _reason(text: str, level: _Level) -> PriceReason:
    touches = None if math.isnan(level.touches) else level.touches
    strength = None if math.isnan(level.strength) else level.strength
    return PriceReason(text=text, level=level.price, touches=touches, strength=strength)
