"""The exits of one entry, from its row of columns: stop, ladder of targets, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from quorum.consensus import Band
from quorum.exits.ladder import LadderSettings, ladder_prices, ladder_shares, ladder_veto
from quorum.exits.management import ManagementSettings
from quorum.exits.stops import Level, StopSettings, place_stop
from quorum.exits.targets import TargetSettings, target_price
from quorum.features.level_map import LEVEL_COLUMNS
from quorum.features.level_search import LEVELS
from quorum.section import Section

#: Feature columns that stops and targets read.
EXIT_COLUMNS: tuple[str, ...] = ("atr", "swing_high_near", "swing_low_near", *LEVEL_COLUMNS)


class ExitSettings(Section):
    """Stops, targets, and what else ends a trade."""

    stop: StopSettings = Field(StopSettings(), description="the protective stop")
    target: TargetSettings = Field(TargetSettings(), description="the R:R target")
    ladder: LadderSettings = Field(LadderSettings(), description="the parts a trade is paid in")
    reversal: bool = Field(True, description="leave when a quorum forms on the other side")
    management: ManagementSettings = Field(
        ManagementSettings(), description="what becomes of an open trade"
    )


@dataclass(frozen=True)
class ExitPlan:
    """Where a trade ends.

    Attributes
    ----------
    stop : float
        Price.
    stop_kind : str
        What it stands behind: ``"structure"`` or ``"atr"``.
    targets : tuple of float
        Prices of the ladder, nearest first; the first is the take-profit.
    shares : tuple of float
        Part of the position taken out at each, together 1.
    risk_reward : float
        R:R of the first target.
    veto : str or None
        Reason code with which the trade is refused.
    """

    stop: float
    stop_kind: str
    targets: tuple[float, ...]
    shares: tuple[float, ...]
    risk_reward: float
    veto: str | None = None


def levels_of(row: Mapping[str, float], side: str) -> tuple[Level, ...]:
    """Return the levels of one side (``"support"``, ``"resistance"``) that a row knows."""
    found = (
        Level(*(row.get(f"{side}{what}_{i}", math.nan) for what in ("", "_edge", "_strength")))
        for i in range(1, LEVELS + 1)
    )
    return tuple(level for level in found if all(map(math.isfinite, level)))


def plan_exits(
    row: Mapping[str, float],
    direction: int,
    entry: float,
    band: Band,
    settings: ExitSettings,
    stop_factor: float = 1.0,
) -> ExitPlan:
    """Plan the exits of one entry (spec P1-P3).

    1. The stop behind structure, else by ATR.
    2. The target by the band's R:R, in front of a nearer swing.
    3. The ladder from it over the next levels; a first rung that pays too little is a veto.

    Parameters
    ----------
    row : mapping of column name to float
        ``EXIT_COLUMNS`` at the candle of the signal; levels that are missing or NaN are unknown.
    direction : int
        +1 long, -1 short.
    entry : float
        Price; the levels are held against it, not against the close.
    band : Band
        Confidence band, unboosted.
    settings : ExitSettings
    stop_factor : float, default 1.0
        Factor on the distance of the stop.

    Raises
    ------
    ValueError
        If entry, ATR or factor is not a positive number.
    """
    supports, resistances = levels_of(row, "support"), levels_of(row, "resistance")
    behind, ahead = (supports, resistances) if direction > 0 else (resistances, supports)
    swing = row["swing_high_near" if direction > 0 else "swing_low_near"]
    stop = place_stop(entry, row["atr"], direction, behind, settings.stop, stop_factor)
    target = target_price(entry, stop.price, band, swing, settings.target)
    targets = ladder_prices(
        entry, stop.price, target, ahead, settings.ladder, settings.target.swing_margin
    )
    ratio = abs(targets[0] - entry) / abs(entry - stop.price)
    return ExitPlan(
        stop=stop.price,
        stop_kind=stop.kind,
        targets=targets,
        shares=ladder_shares(len(targets), settings.ladder),
        risk_reward=ratio,
        veto=ladder_veto(ratio, settings.ladder),
    )
