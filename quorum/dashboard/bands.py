"""Bands: where a bot would be if its days were drawn from those of its backtest (spec U2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quorum.evidence.bootstrap import block_length, block_rows, percentile_of
from quorum.typing import Floats

#: Levels of the bands, outermost first.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
RUNS = 2000


@dataclass(frozen=True)
class Bands:
    """A run held against draws of another.

    Attributes
    ----------
    levels : ndarray of shape (5, n_days), float64
        Growth since the beginning that 5, 25, 50, 75 and 95 % of the draws stay under.
    growth : ndarray of shape (n_days,), float64
        Of the run.
    percentile : float
        Share of the draws that end lower than the run.
    """

    levels: Floats
    growth: Floats
    percentile: float


def bands(live: Floats, backtest: Floats, runs: int = RUNS, seed: int = 7) -> Bands:
    """Draw blocks of a backtest's days, as many as the run has, and see where it lies.

    Parameters
    ----------
    live, backtest : ndarray of shape (n_days,), float64
        Daily returns.
    """
    days, n = len(live), len(backtest)
    rng, length = np.random.default_rng(seed), block_length(backtest)
    rows = np.hstack([block_rows(n, runs, length, rng) for _ in range(-(-days // n))])
    drawn: Floats = np.asarray(np.cumprod(1 + backtest[rows[:, :days]], axis=1) - 1, np.float64)
    growth: Floats = np.asarray(np.cumprod(1 + live) - 1, dtype=np.float64)
    return Bands(
        levels=np.quantile(drawn, LEVELS, axis=0),
        growth=growth,
        percentile=percentile_of(float(growth[-1]), drawn[:, -1]),
    )
