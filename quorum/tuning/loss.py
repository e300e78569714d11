"""The loss that tuning minimises: growth against drawdown, enough trades, kept promises.

Three parts, each within one unit, so that none drowns the others:

- **Quality** ``(g - k d) / (|g| + k d + floor)`` with the growth ``g`` per year and the largest
  drawdown ``d``: rises with growth and falls with drawdown everywhere, within -1 and 1.
- **Too few trades** ``(1 - n / needed)^2`` under what is needed, 0 from there on: smooth, so that
  the search is led to more trades instead of being thrown back at an edge.
- **Broken promises**: each confidence band promises a win rate (spec S1); what it falls short of
  it, as a share of the promise, weighted by the band's share of the trades. A few trades prove
  little: the realised rate is pulled to the promise by ``promise_prior`` trades that kept it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.candles import DAY_MS
from quorum.evidence.performance import drawdown
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints

MS_PER_YEAR = 365.25 * DAY_MS
MS_PER_MONTH = MS_PER_YEAR / 12
#: What is left of an account that has lost everything: keeps its growth a number.
RUIN = 1e-6


class LossSettings(Section):
    """What the loss of hyperopt weighs."""

    drawdown_weight: float = Field(
        1.0, ge=0, le=10, description="what drawdown costs against growth per year [ratio]"
    )
    # growth and drawdown that count as small [share of capital]
    noise_floor: ClassVar[float] = 0.05
    trades_per_month: float = Field(
        4.0, ge=0, le=1000, description="trades under which results prove too little [1/month]"
    )
    trades_weight: ClassVar[float] = 1.0  # what too few trades cost
    promise_weight: ClassVar[float] = 0.5  # what win rates under the bands' promise cost
    promise_prior: ClassVar[float] = 10.0  # trades that keep the promise, assumed per band [trades]


@dataclass(frozen=True)
class Outcome:
    """The closed trades of one span.

    Attributes
    ----------
    closed : ndarray of shape (n_trades,), int64
        Closing time, milliseconds since the epoch, in any order.
    profit : ndarray of shape (n_trades,), float64
        In the currency of ``capital``.
    band : sequence of str
        Confidence band of each trade, ``""`` where it is not known.
    start, end : int
        The span, milliseconds since the epoch.
    capital : float
        At its start.
    """

    closed: Ints
    profit: Floats
    band: Sequence[str]
    start: int
    end: int
    capital: float

    def equity(self) -> Floats:
        """Return the capital after each trade in the order they closed, from the start on."""
        order = np.argsort(self.closed, kind="stable")
        return self.capital + np.concatenate([[0.0], np.cumsum(self.profit[order])])

    def drawdown(self) -> float:
        """Return the largest fall of the capital from its peak, as a share of the peak."""
        return float(drawdown(self.equity()).max())

    def growth(self) -> float:
        """Return the logarithmic growth per year."""
        left = max((self.capital + float(self.profit.sum())) / self.capital, RUIN)
        return math.log(left) * MS_PER_YEAR / max(self.end - self.start, 1)

    def daily_returns(self) -> Floats:
        """Return the return of every day of the span, shape (n_days,).

        A day's profit over the capital it began with; nothing is earned after ruin.
        """
        first, last = self.start // DAY_MS, -(-self.end // DAY_MS)
        days = np.clip(self.closed // DAY_MS - first, 0, max(last - first, 1) - 1)
        profit = np.bincount(days, self.profit, minlength=max(last - first, 1))
        before = self.capital + np.concatenate([[0.0], np.cumsum(profit)[:-1]])
        ruined = np.minimum.accumulate(before) <= 0
        return np.where(ruined, 0.0, profit / np.where(ruined, 1.0, before))


@dataclass(frozen=True)
class Loss:
    """The loss and its parts; ``total`` is what is minimised."""

    total: float
    quality: float
    few_trades: float
    broken_promise: float


def quality(growth: float, fall: float, settings: LossSettings) -> float:
    """Return the quality of a growth per year and a largest drawdown, within -1 and 1."""
    cost = settings.drawdown_weight * fall
    return (growth - cost) / (abs(growth) + cost + settings.noise_floor)


def few_trades(n_trades: int, span: float, settings: LossSettings) -> float:
    """Return the penalty for too few trades in a span of milliseconds, 0-1."""
    needed = settings.trades_per_month * span / MS_PER_MONTH
    return (1 - n_trades / needed) ** 2 if n_trades < needed else 0.0


def broken_promise(
    band: Sequence[str], wins: Bools, promises: Mapping[str, float], settings: LossSettings
) -> float:
    """Return how far the bands stay under their promised win rates, 0-1.

    Trades of a band without a promise count as trades that keep theirs.
    """
    names = np.asarray(band, dtype=str)
    penalty = 0.0
    for name, promise in promises.items():
        mine = names == name
        n = int(mine.sum())
        if n and promise > 0:
            prior = settings.promise_prior
            rate = (float(wins[mine].sum()) + prior * promise) / (n + prior)
            penalty += n / len(names) * max(0.0, 1 - rate / promise)
    return penalty


def score(outcome: Outcome, promises: Mapping[str, float], settings: LossSettings) -> Loss:
    """Return the loss of an outcome; smaller is better.

    Parameters
    ----------
    outcome : Outcome
    promises : mapping of band to win rate
    settings : LossSettings
    """
    good = quality(outcome.growth(), outcome.drawdown(), settings)
    few = few_trades(len(outcome.profit), outcome.end - outcome.start, settings)
    broken = broken_promise(outcome.band, outcome.profit > 0, promises, settings)
    total = settings.trades_weight * few + settings.promise_weight * broken - good
    return Loss(total, good, few, broken)


def band_of(tag: str | None) -> str:
    """Return the confidence band an entry tag names, ``""`` for a tag that is not ours."""
    agreeing, _, band = (tag or "").partition(" ")
    return band if "/" in agreeing else ""


def promised(win_rate: tuple[float, float, float]) -> dict[str, float]:
    """Return the promise by band of the setting ``sizing.win_rate`` (spec S1)."""
    return dict(zip(("very_high", "high", "medium"), win_rate, strict=True))
