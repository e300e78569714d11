"""Where a trade is paid in parts: the ladder of targets (spec P3).

The specification asks twice for a first target: P2 by band (3 / 2.5 / 2 R, pulled in front of a
nearer swing), P3 by the next level or 2 R. Its scenarios take P2's as the take-profit, so that is
the first rung here (``first = "target"``). The rungs after it are the next levels in the trade's
direction, each a margin before its level as P2 stands before a swing. Where there is no level, the
way from the first rung to the last of ``scale`` is divided as ``scale`` is: from 2 R that gives
3 R and 5 R as written, from 3 R it gives 3.67 R and 5 R. No rung lies beyond 5 R; a rung that would
not be ahead of the one before it is left out and its share taken out with that one. With
``first = "levels"`` the first rung is the next level (or 2 R) itself, and the take-profit with it.

Either way a first rung under ``min_first`` refuses the trade, which by default is what P2 keeps
its target above. With ``pass_near`` a swing or level that would pay less is passed, and the rung
stands before the next level that pays it (in place of the swing, where it is nearer than the
band's R:R).
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from numba import njit
from pydantic import Field, model_validator

from quorum.exits.targets import GRACE
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints

#: Reason code of a refused trade.
FIRST_TARGET_UNDER_MIN_RR = "first_target_under_min_rr"
#: Rungs of a ladder at most.
RUNGS = 3


class LadderSettings(Section):
    """How many parts, how large, and how far apart."""

    first: Literal["target", "levels"] = Field(
        "target", description="the first rung: the R:R target (P2), or the next level"
    )
    shares: tuple[float, float, float] = Field(
        (70.0, 20.0, 10.0), description="parts taken out at the rungs [% of the position]"
    )
    scale: tuple[float, float, float] = Field(
        (2.0, 3.0, 5.0), description="rungs without levels; none lies beyond the last [R]"
    )
    min_first: float = Field(
        1.5, ge=0, le=20, description="a first rung under this refuses the trade [R]"
    )
    pass_near: bool = Field(
        True,
        description="pass a swing or level that pays less than min_first, and stand before the "
        "next that pays it; off: it refuses the trade",
    )
    min_step: ClassVar[float] = 0.5  # a level nearer to the rung before is no rung [R]

    @model_validator(mode="after")
    def _consistent(self) -> LadderSettings:
        if min(self.shares) < 0 or abs(sum(self.shares) - 100) > GRACE:
            raise ValueError(f"shares {self.shares} must be positive and add up to 100 %")
        if self.scale[0] <= 0 or any(a >= b for a, b in pairwise(self.scale)):
            raise ValueError(f"scale {self.scale} must be positive and rise")
        return self


def ladder_prices(
    entry: Floats,
    stop: Floats,
    target: Floats,
    levels: Floats,
    settings: LadderSettings,
    margin: float = 0.0,
) -> Floats:
    """Return the prices of the rungs, nearest first.

    Parameters
    ----------
    entry, stop : ndarray of shape (n_entries,), float64
        Prices; their order tells the direction.
    target : ndarray of shape (n_entries,), float64
        Prices of the R:R targets (P2).
    levels : ndarray of shape (n_entries, n_levels), float64
        Prices of resistances of longs, supports of shorts, in any order; NaN where unknown.
    settings : LadderSettings
    margin : float, default 0
        How far before its level a rung stands [%].

    Returns
    -------
    ndarray of shape (n_entries, 3), float64
        NaN where there is no rung; after the first none lies under zero.

    Raises
    ------
    ValueError
        If a stop is at its entry.
    """
    for i in np.flatnonzero(stop == entry):
        raise ValueError(f"ladder: stop {stop[i]} is at the entry")
    first = target if settings.first == "target" else np.full(len(entry), np.nan)
    rungs = np.full((len(entry), RUNGS), np.nan)
    least = settings.min_first if settings.pass_near else 0.0
    _climb(entry, stop, first, least, levels, settings.scale, settings.min_step, margin, rungs)
    return rungs


@njit(cache=True)
def _climb(
    entry: Floats,
    stop: Floats,
    first: Floats,
    least: float,
    levels: Floats,
    scale: tuple[float, float, float],
    min_step: float,
    margin: float,
    rungs: Floats,
) -> None:
    """Write the rungs' prices.

    ``first`` is the price of the first, NaN for the next level's that pays ``least`` [R].
    """
    farthest = scale[-1]
    for i in range(len(entry)):
        risk, d = abs(entry[i] - stop[i]), 1.0 if stop[i] < entry[i] else -1.0
        reach = d * (levels[i] * (1 - d * margin / 100) - entry[i]) / risk
        if np.isfinite(first[i]):
            begin = d * (first[i] - entry[i]) / risk
            rungs[i, 0] = first[i]
        else:
            begin = _next(reach, least - GRACE, farthest)
            begin = begin if np.isfinite(begin) else scale[0]
            rungs[i, 0] = entry[i] + d * begin * risk
        count, last = 1, begin
        for planned in scale[1:]:
            part = (planned - scale[0]) / (farthest - scale[0])
            rung = _next(reach, last + min_step, farthest)
            if not np.isfinite(rung):
                rung = max(begin + part * (farthest - begin), last + min_step)
            if rung > farthest + GRACE:
                continue
            last, price = rung, entry[i] + d * rung * risk
            if price > 0:
                rungs[i, count] = price
                count += 1


@njit(cache=True)
def _next(reach: Floats, least: float, most: float) -> float:
    """Return the smallest ratio over zero within limits, infinite for none."""
    found = np.inf
    for ratio in reach:
        if ratio > 0 and least <= ratio <= most and ratio < found:
            found = ratio
    return found


def ladder_shares(rungs: Ints, settings: LadderSettings) -> Floats:
    """Return the parts taken out at each of so many rungs; the last takes the rest.

    Returns
    -------
    ndarray of shape (n_entries, 3), float64
        Together 1 in each row, 0 where there is no rung.
    """
    shares = np.array(settings.shares) / 100
    rest = np.array([sum(shares[rung:]) for rung in range(RUNGS)])
    rung, last = np.arange(RUNGS), rungs[:, None] - 1
    taken: Floats = np.where(rung < last, shares, np.where(rung == last, rest, 0.0))
    return taken


def pays_too_little(risk_reward: Floats, settings: LadderSettings) -> Bools:
    """Whether a first rung at ``risk_reward`` refuses the trade."""
    too_little: Bools = risk_reward < settings.min_first - GRACE
    return too_little
