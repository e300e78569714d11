"""The exits of entries, from their rows of columns: stop, ladder of targets, or a refusal.

A bot plans one entry, a simulation thousands; the plan of one is that of an array of length 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quorum.exits.ladder import (
    FIRST_TARGET_UNDER_MIN_RR,
    LadderSettings,
    ladder_prices,
    ladder_shares,
    pays_too_little,
)
from quorum.exits.management import ManagementSettings
from quorum.exits.stops import ATR, PRICE, STRUCTURE, StopSettings, levels_of, place_stops
from quorum.exits.targets import TargetSettings, target_prices
from quorum.features.level_map import LEVEL_COLUMNS
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints

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
    """Where one trade ends.

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


@dataclass(frozen=True)
class ExitPlans:
    """Where trades end.

    Attributes
    ----------
    stop, risk_reward : ndarray of shape (n_entries,), float64
        Price; R:R of the first target.
    structural : ndarray of shape (n_entries,), bool
        Whether the stop stands behind structure, else by ATR.
    targets, shares : ndarray of shape (n_entries, 3), float64
        Prices of the rungs and the parts taken out there; what is not used is NaN and 0.
    rungs : ndarray of shape (n_entries,), int64
        Rungs in use.
    too_near : ndarray of shape (n_entries,), bool
        Whether the first rung pays too little, which refuses the trade.
    """

    stop: Floats
    risk_reward: Floats
    structural: Bools
    targets: Floats
    shares: Floats
    rungs: Ints
    too_near: Bools

    def take(self, entries: Ints) -> ExitPlans:
        """Return some of the plans."""
        return ExitPlans(**{f.name: getattr(self, f.name)[entries] for f in fields(self)})

    def of(self, entry: int) -> ExitPlan:
        """Return the plan of one entry."""
        count = int(self.rungs[entry])
        return ExitPlan(
            stop=float(self.stop[entry]),
            stop_kind=STRUCTURE if self.structural[entry] else ATR,
            targets=tuple(self.targets[entry, :count].tolist()),
            shares=tuple(self.shares[entry, :count].tolist()),
            risk_reward=float(self.risk_reward[entry]),
            veto=FIRST_TARGET_UNDER_MIN_RR if self.too_near[entry] else None,
        )


def plan_exits(
    columns: Mapping[str, Floats],
    row: int,
    direction: int,
    entry: float,
    band: int,
    settings: ExitSettings,
    stop_factor: float = 1.0,
) -> ExitPlan:
    """Plan the exits of one entry: :func:`plan_many` of an array of length 1."""
    one = (np.array([value]) for value in (row, direction, float(entry), band, float(stop_factor)))
    rows, directions, entries, bands, factors = one
    return plan_many(columns, rows, directions, entries, bands, settings, factors).of(0)


def plan_many(
    columns: Mapping[str, Floats],
    rows: Ints,
    direction: NDArray[np.integer[Any]],
    entry: Floats,
    band: NDArray[np.integer[Any]],
    settings: ExitSettings,
    stop_factor: Floats,
) -> ExitPlans:
    """Plan the exits of entries (spec P1-P3).

    1. The stop behind structure, else by ATR.
    2. The target by the band's R:R, in front of a nearer swing or the next level that pays.
    3. The ladder from it over the next levels; a first rung that pays too little is a veto.

    Parameters
    ----------
    columns : mapping of name to ndarray of shape (n_candles,)
        ``EXIT_COLUMNS``; levels that are missing or NaN are unknown.
    rows : ndarray of shape (n_entries,), int64
        Candle of the signal.
    direction : ndarray of shape (n_entries,), integer
        +1 long, -1 short.
    entry : ndarray of shape (n_entries,), float64
        Price; the levels are held against it, not against the close.
    band : ndarray of shape (n_entries,), integer
        Confidence band, unboosted.
    settings : ExitSettings
    stop_factor : ndarray of shape (n_entries,), float64
        Factor on the distance of the stop.

    Raises
    ------
    ValueError
        If an entry, ATR or factor is not a positive number.
    """
    d, long = direction.astype(np.float64), direction > 0
    supports, resistances = (levels_of(columns, rows, s) for s in ("support", "resistance"))
    sides = long[:, None, None]
    behind = np.where(sides, supports, resistances)
    ahead = np.where(long[:, None], resistances[:, :, PRICE], supports[:, :, PRICE])
    swing = np.where(long, columns["swing_high_near"][rows], columns["swing_low_near"][rows])
    stop, structural = place_stops(
        entry, columns["atr"][rows], d, behind, settings.stop, stop_factor
    )
    margin, ladder = settings.target.swing_margin, settings.ladder
    following = ahead if ladder.pass_near else None
    target = target_prices(entry, stop, band, swing, settings.target, following, ladder.min_first)
    targets = ladder_prices(entry, stop, target, ahead, ladder, margin)
    rungs = np.isfinite(targets).sum(axis=1)
    ratio = np.abs(targets[:, 0] - entry) / np.abs(entry - stop)
    # A short cannot be paid under zero.
    too_near = pays_too_little(ratio, ladder) | (targets[:, 0] <= 0)
    shares = ladder_shares(rungs, ladder)
    return ExitPlans(stop, ratio, structural, targets, shares, rungs, too_near)
