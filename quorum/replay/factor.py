"""What all pairs of a synthetic market share: conditions per step, and the market factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from quorum.candles import TIMEFRAMES
from quorum.replay.paths import diffuse
from quorum.replay.regimes import Regimes
from quorum.replay.sessions import SessionSettings, session_curve
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints

#: Length of a simulation step.
STEP_MS = TIMEFRAMES["5m"]
STEPS_PER_HOUR = TIMEFRAMES["1h"] // STEP_MS
STEPS_PER_DAY = TIMEFRAMES["1d"] // STEP_MS


class VolatilitySettings(Section):
    """Clustering and tails of the five-minute returns."""

    alpha: float = Field(0.025, ge=0, le=0.5, description="GARCH weight of the last squared shock")
    beta: float = Field(0.9725, ge=0, lt=1, description="GARCH weight of the last variance")
    limit: float = Field(16.0, ge=1, le=1000, description="largest variance multiplier")
    tail: float = Field(
        4.5, gt=2, le=1000, description="degrees of freedom of the Student t shocks"
    )

    @model_validator(mode="after")
    def _stationary(self) -> Self:
        if self.alpha + self.beta >= 1:
            raise ValueError("alpha + beta must be less than 1")
        return self


@dataclass(frozen=True)
class Conditions:
    """The conditions every price moves under, per step.

    Attributes
    ----------
    dates : DatetimeIndex of shape (n_steps,)
        Opening time of each step.
    sigma, drift, pull, season : ndarray of shape (n_steps,)
        Volatility before clustering, log drift, pull to the middle of a range, session factor.
    new_regime : ndarray of shape (n_steps,), bool
    typical_sigma : float
        Root mean square volatility of a step over the regimes.
    garch : tuple of float
        Weights of the last squared shock and the last variance, largest multiplier.
    tail : float
        Degrees of freedom of the shocks.
    structured : bool
        False for a random walk.
    """

    dates: pd.DatetimeIndex
    sigma: Floats
    drift: Floats
    pull: Floats
    season: Floats
    new_regime: Bools
    typical_sigma: float
    garch: tuple[float, float, float]
    tail: float
    structured: bool

    def __len__(self) -> int:
        return len(self.dates)

    def diffuse(
        self, rng: np.random.Generator, *, scale: float = 1.0, drifting: bool = True
    ) -> tuple[Floats, Floats]:
        """Draw one log price path and the standard deviation of its steps.

        ``scale`` multiplies the volatility; the pull acts on every path, the drift only on a
        ``drifting`` one.
        """
        shocks = rng.standard_t(self.tail, len(self)) * np.sqrt(1.0 - 2.0 / self.tail)
        drift = self.drift if drifting else np.zeros(len(self))
        level, deviation = diffuse(
            shocks, scale * self.sigma, drift, self.pull, self.new_regime, *self.garch
        )
        return level, deviation


def hourly_grid(start: pd.Timestamp, n_hours: int) -> pd.DatetimeIndex:
    """Return the opening times of the hours (UTC, milliseconds as freqtrade stores them)."""
    return pd.date_range(start, periods=n_hours, freq="h", unit="ms")


def regime_conditions(
    hours: pd.DatetimeIndex,
    regime: Ints,
    regimes: Regimes,
    volatility: VolatilitySettings,
    sessions: SessionSettings,
) -> Conditions:
    """Return the conditions of a market that follows the given regimes.

    Parameters
    ----------
    hours : DatetimeIndex of shape (n_hours,)
    regime : ndarray of shape (n_hours,), int64
        Index into ``REGIMES``.
    """
    table = regimes.in_order()
    state = np.repeat(regime, STEPS_PER_HOUR)
    daily = np.array([r.volatility for r in table])
    drift = np.array([r.drift for r in table]) / STEPS_PER_DAY
    half_life = np.array([np.inf if r.half_life is None else r.half_life for r in table])
    pull = np.log(2.0) / (half_life * STEPS_PER_HOUR)
    season = np.repeat(session_curve(hours, sessions), STEPS_PER_HOUR)
    return Conditions(
        dates=_steps(hours),
        sigma=daily[state] * season / np.sqrt(STEPS_PER_DAY),
        drift=drift[state],
        pull=pull[state],
        season=season,
        new_regime=np.diff(state, prepend=-1) != 0,
        typical_sigma=_typical_sigma(regimes),
        garch=(volatility.alpha, volatility.beta, volatility.limit),
        tail=volatility.tail,
        structured=True,
    )


def random_walk_conditions(
    hours: pd.DatetimeIndex, regimes: Regimes, volatility: VolatilitySettings
) -> Conditions:
    """Return conditions without any structure: one volatility, independent shocks."""
    steps = len(hours) * STEPS_PER_HOUR
    typical = _typical_sigma(regimes)
    return Conditions(
        dates=_steps(hours),
        sigma=np.full(steps, typical),
        drift=np.zeros(steps),
        pull=np.zeros(steps),
        season=np.ones(steps),
        new_regime=np.zeros(steps, dtype=np.bool_),
        typical_sigma=typical,
        garch=(0.0, 0.0, 1.0),
        tail=volatility.tail,
        structured=False,
    )


def _steps(hours: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the opening times of the steps within the hours."""
    return pd.date_range(
        hours[0],
        periods=len(hours) * STEPS_PER_HOUR,
        freq=pd.Timedelta(milliseconds=STEP_MS),
        unit="ms",
    )


def _typical_sigma(regimes: Regimes) -> float:
    """Return the root mean square volatility of a step over the regimes."""
    daily = np.array([r.volatility for r in regimes.in_order()])
    return float(np.sqrt(np.mean(np.square(daily)) / STEPS_PER_DAY))
