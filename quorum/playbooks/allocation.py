"""Allocation: how much of its size each playbook may use now (spec A-1, A-2)."""

from __future__ import annotations

from pydantic import Field

from quorum.section import Section

#: Drawdowns of the account between which shares fall, percent of its peak: the first is common,
#: at the second the shutdown of the guards is near.
FALLS_FROM, FALLS_TO = 2.0, 4.0


class AllocationSettings(Section):
    """Constant shares (the budgets), fewer in a drawdown of the whole account."""

    derisk_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="what is left of all shares at 4 % drawdown, falling from 2 %; 1: all [share]",
    )


def derisked(drawdown: float, settings: AllocationSettings) -> float:
    """Return the factor on every share, falling linearly between two drawdowns (spec A-2).

    Parameters
    ----------
    drawdown : float
        Of the account from its peak, percent.
    """
    fallen = min(max((drawdown - FALLS_FROM) / (FALLS_TO - FALLS_FROM), 0.0), 1.0)
    return 1.0 - (1.0 - settings.derisk_share) * fallen
