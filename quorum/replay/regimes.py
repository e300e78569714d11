"""The eight market regimes (spec T2) as a Markov chain with known parameters.

The chain steps once an hour. A regime lasts a geometric number of hours and is followed by one
of its successors; both are settings, so a synthetic market's truth is known exactly.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from quorum.section import Section
from quorum.typing import Ints

REGIMES = (
    "strong_bull",
    "weak_bull",
    "bull_range",
    "bear_range",
    "weak_bear",
    "strong_bear",
    "high_volatility",
    "low_volatility",
)


class RegimeSettings(Section):
    """What the market factor does while one regime lasts."""

    drift: float = Field(0.0, ge=-0.1, le=0.1, description="log drift [per day]")
    volatility: float = Field(0.02, gt=0, le=0.5, description="typical volatility [per day]")
    half_life: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="half-life of the pull to the range's middle, none: no pull [h]",
    )
    duration: float = Field(7.0, ge=0.1, le=365, description="mean duration [days]")
    successors: dict[str, float] = Field(description="weights of the regimes that follow")

    @model_validator(mode="after")
    def _successors_are_regimes(self) -> Self:
        unknown = set(self.successors) - set(REGIMES)
        if unknown:
            raise ValueError(f"successors: {', '.join(sorted(unknown))} is no regime")
        if min(self.successors.values(), default=0.0) < 0 or not sum(self.successors.values()) > 0:
            raise ValueError("successors: weights must not be negative and their sum not zero")
        return self


def _mirrored(successors: dict[str, float]) -> dict[str, float]:
    """Swap bull and bear in the names of the successors."""
    swap = {"bull": "bear", "bear": "bull"}
    return {
        "_".join(swap.get(word, word) for word in name.split("_")): weight
        for name, weight in successors.items()
    }


_AFTER_STRONG_BULL = {
    "weak_bull": 0.40,
    "bull_range": 0.25,
    "high_volatility": 0.25,
    "strong_bear": 0.10,
}
_AFTER_WEAK_BULL = {
    "strong_bull": 0.30,
    "bull_range": 0.35,
    "low_volatility": 0.15,
    "weak_bear": 0.10,
    "high_volatility": 0.10,
}
_AFTER_BULL_RANGE = {
    "weak_bull": 0.30,
    "strong_bull": 0.25,
    "low_volatility": 0.15,
    "bear_range": 0.15,
    "high_volatility": 0.10,
    "weak_bear": 0.05,
}
_AFTER_HIGH_VOLATILITY = {
    "strong_bull": 0.25,
    "strong_bear": 0.25,
    "bull_range": 0.25,
    "bear_range": 0.25,
}
_AFTER_LOW_VOLATILITY = {
    "weak_bull": 0.25,
    "weak_bear": 0.25,
    "bull_range": 0.25,
    "bear_range": 0.25,
}


class Regimes(Section):
    """One group of settings per regime; by default bull and bear mirror each other in drift."""

    strong_bull: RegimeSettings = Field(
        RegimeSettings(drift=0.010, volatility=0.030, duration=8, successors=_AFTER_STRONG_BULL),
        description="a clear rise",
    )
    weak_bull: RegimeSettings = Field(
        RegimeSettings(drift=0.0035, volatility=0.022, duration=10, successors=_AFTER_WEAK_BULL),
        description="a slow rise",
    )
    bull_range: RegimeSettings = Field(
        RegimeSettings(
            drift=0.0005, volatility=0.019, half_life=14, duration=7, successors=_AFTER_BULL_RANGE
        ),
        description="a range with an upward bias",
    )
    bear_range: RegimeSettings = Field(
        RegimeSettings(
            drift=-0.0005,
            volatility=0.020,
            half_life=14,
            duration=7,
            successors=_mirrored(_AFTER_BULL_RANGE),
        ),
        description="a range with a downward bias",
    )
    weak_bear: RegimeSettings = Field(
        RegimeSettings(
            drift=-0.0035, volatility=0.024, duration=10, successors=_mirrored(_AFTER_WEAK_BULL)
        ),
        description="a slow fall",
    )
    strong_bear: RegimeSettings = Field(
        RegimeSettings(
            drift=-0.010, volatility=0.035, duration=8, successors=_mirrored(_AFTER_STRONG_BULL)
        ),
        description="a clear fall",
    )
    high_volatility: RegimeSettings = Field(
        RegimeSettings(volatility=0.055, duration=3, successors=_AFTER_HIGH_VOLATILITY),
        description="large moves without direction",
    )
    low_volatility: RegimeSettings = Field(
        RegimeSettings(
            volatility=0.010, half_life=24, duration=6, successors=_AFTER_LOW_VOLATILITY
        ),
        description="small moves around a middle",
    )

    def in_order(self) -> list[RegimeSettings]:
        """Return the regimes' settings in the order of ``REGIMES``."""
        return [getattr(self, name) for name in REGIMES]

    def transition_matrix(self) -> np.ndarray:
        """Return the hourly transition matrix, rows and columns in the order of ``REGIMES``."""
        matrix = np.zeros((len(REGIMES), len(REGIMES)))
        for row, regime in enumerate(self.in_order()):
            leave = min(1.0, 1.0 / (24.0 * regime.duration))
            total = sum(regime.successors.values())
            for name, weight in regime.successors.items():
                matrix[row, REGIMES.index(name)] += leave * weight / total
            matrix[row, row] += 1.0 - leave
        return matrix


def regime_path(regimes: Regimes, n_hours: int, rng: np.random.Generator) -> Ints:
    """Draw the regime of every hour.

    Returns
    -------
    ndarray of shape (n_hours,), int64
        Index into ``REGIMES``.
    """
    matrix = regimes.transition_matrix()
    path = np.empty(n_hours, dtype=np.int64)
    state = int(rng.integers(len(REGIMES)))
    hour = 0
    while hour < n_hours:
        stay = matrix[state, state]
        # A geometric stay and then a jump is the chain itself, drawn once per visit.
        visit = int(rng.geometric(1.0 - stay)) if stay < 1.0 else n_hours
        path[hour : hour + visit] = state
        hour += visit
        jump = matrix[state].copy()
        jump[state] = 0.0
        if jump.sum() > 0:
            state = int(rng.choice(len(REGIMES), p=jump / jump.sum()))
    return path
