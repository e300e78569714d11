"""Where a trade is paid in parts: the ladder of targets (spec P3).

The specification asks twice for a first target: P2 by band (3 / 2.5 / 2 R, pulled in front of a
nearer swing), P3 by the next level or 2 R. Its scenarios take P2's as the take-profit, so that is
the first rung here (``first = "target"``). The rungs after it are the next levels in the trade's
direction, each a margin before its level as P2 stands before a swing. Where there is no level, the
way from the first rung to the last of ``scale`` is divided as ``scale`` is: from 2 R that gives
3 R and 5 R as written, from 3 R it gives 3.67 R and 5 R. No rung lies beyond 5 R; a rung that would
not be ahead of the one before it is left out and its share taken out with that one. With
``first = "levels"`` the first rung is the next level (or 2 R) itself, and the take-profit with it.

Either way a first rung under ``min_first`` refuses the trade. P2 keeps its target within 1.5-5 R,
so a swing nearer than 2 R lets no trade through unless ``min_first`` is lowered to 1.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from quorum.exits.stops import Level
from quorum.section import Section

#: Reason code of a refused trade.
FIRST_TARGET_UNDER_MIN_RR = "first_target_under_min_rr"
#: Ratios are quotients of prices: 2 R may come out as 1.9999999999.
GRACE = 1e-9


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
        2.0, ge=0, le=20, description="a first rung under this refuses the trade [R]"
    )
    min_step: float = Field(
        0.5, gt=0, le=10, description="a level nearer to the rung before is no rung [R]"
    )

    @model_validator(mode="after")
    def _consistent(self) -> LadderSettings:
        if min(self.shares) < 0 or abs(sum(self.shares) - 100) > GRACE:
            raise ValueError(f"shares {self.shares} must be positive and add up to 100 %")
        if self.scale[0] <= 0 or any(a >= b for a, b in pairwise(self.scale)):
            raise ValueError(f"scale {self.scale} must be positive and rise")
        return self


def ladder_prices(
    entry: float,
    stop: float,
    target: float,
    levels: Sequence[Level],
    settings: LadderSettings,
    margin: float = 0.0,
) -> tuple[float, ...]:
    """Return the prices of the rungs, nearest first.

    Parameters
    ----------
    entry, stop : float
        Prices; their order tells the direction.
    target : float
        Price of the R:R target (P2).
    levels : sequence of Level
        Resistances of a long, supports of a short, in any order.
    settings : LadderSettings
    margin : float, default 0
        How far before its level a rung stands [%].

    Raises
    ------
    ValueError
        If the stop is at the entry.
    """
    risk = abs(entry - stop)
    if risk == 0:
        raise ValueError(f"ladder: stop {stop} is at the entry")
    direction = 1 if stop < entry else -1
    farthest = settings.scale[-1]
    reach = sorted(
        direction * (level.price * (1 - direction * margin / 100) - entry) / risk
        for level in levels
    )
    reach = [ratio for ratio in reach if 0 < ratio <= farthest]
    if settings.first == "target":
        rungs = [direction * (target - entry) / risk]
    else:
        rungs = [reach[0] if reach else settings.scale[0]]
    first = rungs[0]
    for planned in settings.scale[1:]:
        part = (planned - settings.scale[0]) / (farthest - settings.scale[0])
        beyond = (ratio for ratio in reach if ratio >= rungs[-1] + settings.min_step)
        rung = next(beyond, max(first + part * (farthest - first), rungs[-1] + settings.min_step))
        if rung <= farthest + GRACE:
            rungs.append(rung)
    prices = [entry + direction * rung * risk for rung in rungs]
    if settings.first == "target":
        prices[0] = target
    return tuple(price for price in prices if price > 0)


def ladder_shares(rungs: int, settings: LadderSettings) -> tuple[float, ...]:
    """Return the parts taken out at each rung, together 1; the last takes the rest."""
    shares = [share / 100 for share in settings.shares]
    return (*shares[: rungs - 1], sum(shares[rungs - 1 :]))


def ladder_veto(risk_reward: float, settings: LadderSettings) -> str | None:
    """Return why a first rung at ``risk_reward`` refuses the trade, None if it does not."""
    return FIRST_TARGET_UNDER_MIN_RR if risk_reward < settings.min_first - GRACE else None
