"""Where a trade is paid in parts: the ladder of targets (spec P3).

The specification asks twice for a first target: P2 by band (3 / 2.5 / 2 R, pulled in front of a
nearer swing), P3 by the next level or 2 R. Its scenarios take P2's as the take-profit, so that is
the first rung here (``first = "target"``). The rungs after it are the next levels in the trade's
direction, each a margin before its level as P2 stands before a swing. Where there is no level the
rung before is taken on in the proportions of ``scale``: from 2 R that gives 3 R and 5 R as
written, from 3 R it gives 4.5 R and 7.5 R. With ``first = "levels"`` the first rung is the next
level (or 2 R) itself, and the take-profit with it.

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
        (2.0, 3.0, 5.0), description="rungs without levels; the later ones in proportion [R]"
    )
    min_first: float = Field(
        2.0, ge=0, le=20, description="a first rung under this refuses the trade [R]"
    )
    min_step: float = Field(
        0.5, gt=0, le=10, description="a level nearer to the rung before is no rung [R]"
    )
    max_risk_reward: float = Field(
        10.0, gt=0, le=100, description="a level farther away is no rung [R]"
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
    reach = sorted(
        direction * (level.price * (1 - direction * margin / 100) - entry) / risk
        for level in levels
    )
    reach = [ratio for ratio in reach if 0 < ratio <= settings.max_risk_reward]
    if settings.first == "target":
        rungs = [direction * (target - entry) / risk]
        prices = [target]
    else:
        rungs = [reach[0] if reach else settings.scale[0]]
        prices = [entry + direction * rungs[0] * risk]
    for before, after in pairwise(settings.scale):
        beyond = (ratio for ratio in reach if ratio >= rungs[-1] + settings.min_step)
        rungs.append(next(beyond, rungs[-1] * after / before))
        price = entry + direction * rungs[-1] * risk
        # A short whose scale ends under zero: half of what is left of the price.
        prices.append(price if price > 0 else prices[-1] / 2)
    return tuple(prices)


def ladder_veto(risk_reward: float, settings: LadderSettings) -> str | None:
    """Return why a first rung at ``risk_reward`` refuses the trade, None if it does not."""
    return FIRST_TARGET_UNDER_MIN_RR if risk_reward < settings.min_first - GRACE else None
