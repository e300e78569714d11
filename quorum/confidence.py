"""Measured confidence: what signals like one did, in place of what its heads state (spec C12).

From the outcomes of earlier signals (simulated trades that have ended) come a win rate and an
expectancy per side, rising with the stated confidence and held towards the base rate; the
expectancy says in which band a signal is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from quorum.candles import DAY_MS
from quorum.section import Section
from quorum.typing import Floats, Ints

#: Stated confidences that are told apart.
EDGES = np.array([0.70, 0.75, 0.80, 0.85, 0.90, 0.95])
#: Outcomes needed before anything is measured; those that overlap count as a part of one.
LEAST = 100.0
#: Outcomes that the base rate counts as, beside those of a group.
PRIOR = 50.0
#: Outcomes older than this count no more [days].
MEMORY_DAYS = 730
#: A day's measure knows what was known this long before its midnight: by then a bot has looked
#: at every pair once more [days].
LAG_DAYS = 1
#: Columns of a sum over outcomes.
WEIGHT, WON, RETURNED = range(3)
LONG, SHORT = range(2)


class MeasuredSettings(Section):
    """What a measured expectancy is worth."""

    #: Expectancy after costs from which the medium, high and very high band begin [R a trade].
    bands: ClassVar[tuple[float, float, float]] = (0.0, 0.15, 0.30)
    losing: Literal["smallest", "refuse"] = Field(
        "smallest",
        description="a signal whose like does not break even: the smallest size of the bands, "
        "or no trade",
    )

    def confidence(self, expectancy: Floats, edges: tuple[float, float, float]) -> Floats:
        """Return the confidence an expectancy stands for.

        Parameters
        ----------
        expectancy : ndarray
            After costs [R], NaN where unknown.
        edges : tuple of float
            Confidences at which the medium, high and very high band begin.

        Returns
        -------
        ndarray of the same shape
            Straight between the edges of the bands and on from the last ones, 0-1; NaN where
            unknown.
        """
        (e0, e1, e2), (c0, c1, c2) = self.bands, edges
        low = c0 + (expectancy - e0) * (c1 - c0) / (e1 - e0)
        high = c1 + (expectancy - e1) * (c2 - c1) / (e2 - e1)
        found: Floats = np.clip(np.where(expectancy < e1, low, high), 0.0, 1.0)
        return found


@dataclass(frozen=True)
class Outcomes:
    """Signals and what became of them; arrays of shape (n_signals,).

    Attributes
    ----------
    time, known_at : ndarray, int64
        Close of the signal's candle, and of the candle that settled its trade, milliseconds.
    direction : ndarray, int8
    stated : ndarray, float64
        Confidence the heads stated (C5).
    weight : ndarray, float64
        One over the signals of the same pair and side within the day that ends with it.
    r : ndarray, float64
        Result after costs [R].
    """

    time: Ints
    known_at: Ints
    direction: NDArray[np.int8]
    stated: Floats
    weight: Floats
    r: Floats

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: NDArray[np.bool_] | Ints) -> Outcomes:
        """Return some of them."""
        return Outcomes(*(getattr(self, f.name)[rows] for f in fields(self)))


def no_outcomes() -> Outcomes:
    """Return none."""
    whole, real = np.zeros(0, np.int64), np.zeros(0)
    return Outcomes(whole, whole, np.zeros(0, np.int8), real, real, real)


def joined(parts: list[Outcomes]) -> Outcomes:
    """Return the outcomes of all parts."""
    parts = [no_outcomes(), *parts]
    names = [f.name for f in fields(Outcomes)]
    return Outcomes(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def spread_weight(time: Ints, direction: NDArray[np.int8]) -> Floats:
    """Return one over the signals of the same side within the day that ends with each.

    Looking back only, so that what a signal weighs is settled when it is given. ``time`` rises.
    """
    weight = np.ones(len(time))
    for side in (1, -1):
        own = np.flatnonzero(direction == side)
        first = np.searchsorted(time[own], time[own] - DAY_MS, side="right")
        weight[own] = 1.0 / (np.arange(len(own)) - first + 1)
    return weight


class Measure(NamedTuple):
    """Win rate, and expectancy after costs [R]; NaN where too little is known."""

    win_rate: Floats
    expectancy: Floats


class Measures:
    """What outcomes say of a signal, by the day it is given on.

    Parameters
    ----------
    outcomes : Outcomes
        Of all pairs, in any order.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        order = np.argsort(outcomes.known_at, kind="stable")
        o = outcomes.take(order)
        self._known_at = o.known_at
        group = np.where(o.direction > 0, LONG, SHORT) * (len(EDGES) + 1) + _bin(o.stated)
        parts = np.zeros((len(o) + 1, 2 * (len(EDGES) + 1), 3))
        values = np.column_stack([np.ones(len(o)), o.r > 0, o.r]) * o.weight[:, None]
        parts[np.arange(len(o)) + 1, group] = values
        self._sums = np.cumsum(parts, axis=0).reshape(len(o) + 1, 2, len(EDGES) + 1, 3)

    def at(self, time: Ints, direction: NDArray[np.int8], stated: Floats) -> Measure:
        """Return what was known of signals like these by the midnight before the last.

        Parameters
        ----------
        time : ndarray of shape (n_signals,), int64
            Close of each signal's candle, milliseconds.
        direction : ndarray of shape (n_signals,), int8
        stated : ndarray of shape (n_signals,), float64
        """
        days, day = np.unique(time // DAY_MS - LAG_DAYS, return_inverse=True)
        until = np.searchsorted(self._known_at, days * DAY_MS, side="left")
        since = np.searchsorted(self._known_at, (days - MEMORY_DAYS) * DAY_MS, side="left")
        curves = _curves(self._sums[until] - self._sums[since], LEAST, PRIOR)
        side = np.where(direction > 0, LONG, SHORT)
        found = curves[:, day, side, _bin(stated)]
        return Measure(np.round(found[0], 9), np.round(found[1], 9))


def _bin(stated: Floats) -> Ints:
    """Return the group of a stated confidence."""
    group: Ints = np.searchsorted(EDGES - 5e-10, stated, side="right")
    return group


@njit(cache=True)
def _curves(sums: Floats, least: float, prior: float) -> Floats:
    """Return win rate and expectancy, shape (2, n_days, 2, n_groups), NaN under ``least``.

    Each side is held towards both, each group towards its side, by ``prior``; then groups that
    fall with the stated confidence are pooled with those before them.
    """
    days, sides, groups, _ = sums.shape
    curves = np.full((2, days, sides, groups), np.nan)
    for d in range(days):
        total = sums[d, :, :, 0].sum()
        if total < least:
            continue
        for k in range(2):
            overall = sums[d, :, :, k + 1].sum() / total
            for s in range(sides):
                weight = sums[d, s, :, 0] + prior
                side = sums[d, s, :, k + 1].sum() + prior * overall
                side /= sums[d, s, :, 0].sum() + prior
                curves[k, d, s] = _rising((sums[d, s, :, k + 1] + prior * side) / weight, weight)
    return curves


@njit(cache=True)
def _rising(values: Floats, weights: Floats) -> Floats:
    """Return the closest values (weighted least squares) that never fall (pooled violators)."""
    mean, weight = np.zeros(len(values)), np.zeros(len(values))
    size = np.zeros(len(values), np.int64)
    n = 0
    for i in range(len(values)):
        mean[n], weight[n], size[n] = values[i], weights[i], 1
        while n > 0 and mean[n - 1] >= mean[n]:
            both = weight[n - 1] + weight[n]
            mean[n - 1] = (mean[n - 1] * weight[n - 1] + mean[n] * weight[n]) / both
            weight[n - 1] = both
            size[n - 1] += size[n]
            n -= 1
        n += 1
    return np.repeat(mean[:n], size[:n])
