"""What each playbook earned in a run: its lots, its returns, and its fills (spec A-4).

One trade of the host may hold lots of several playbooks. Every fill is given to the playbook its
tag names; what is sold beyond its lot, or without a name, goes to the lots that are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from quorum.candles import Candles, timeframe_ms
from quorum.evidence.performance import daily_closes
from quorum.playbooks import playbook_of
from quorum.report.trades import Fill, TradeRecord
from quorum.typing import Floats, Ints

#: Fills that no playbook's name stands on are those of the quorum of the heads.
CONSENSUS = "consensus"
TOGETHER = "together"
HOUR_MS = timeframe_ms("1h")
#: Share of a lot under which it counts as sold.
DUST = 1e-6
#: A fill this far from the opening of its hour was inside the candle.
INSIDE = 1e-3


@dataclass
class Step:
    """A part of a fill that belongs to one playbook; ``units`` negative where it sells."""

    at: int
    units: float
    price: float


@dataclass
class RoundTrip:
    """A lot from its first unit to its last.

    Attributes
    ----------
    pair, playbook : str
    direction : int
    steps : list of Step
    costs : float
        Fees, quote currency.
    funding : float
        Quote currency, negative where it was paid.
    """

    pair: str
    playbook: str
    direction: int
    steps: list[Step] = field(default_factory=list)
    costs: float = 0.0
    funding: float = 0.0

    @property
    def units(self) -> float:
        """What is held after the last step."""
        return sum(step.units for step in self.steps)

    @property
    def profit(self) -> float:
        """After all costs, quote currency."""
        cash = -self.direction * sum(step.units * step.price for step in self.steps)
        return cash - self.costs + self.funding

    @property
    def bought(self) -> float:
        """Value of everything that was entered, quote currency."""
        return sum(step.units * step.price for step in self.steps if step.units > 0)

    @property
    def hours(self) -> float:
        """From the first step to the last."""
        return (self.steps[-1].at - self.steps[0].at) / HOUR_MS


def round_trips(trade: TradeRecord) -> list[RoundTrip]:
    """Return the lots of a trade, in order of their beginning, costs and funding divided.

    Fees go by the value of each fill, funding by value and hours held.
    """
    running: dict[str, RoundTrip] = {}
    done: list[RoundTrip] = []
    for fill in sorted(trade.fills, key=lambda fill: fill.at):
        for name, units in _parts(fill, running):
            trip = running.setdefault(name, RoundTrip(trade.pair, name, trade.direction))
            trip.steps.append(Step(_ms(fill.at), units, fill.price))
            if units < 0 and trip.units <= DUST * -units:
                done.append(running.pop(name))
    trips = [*done, *running.values()]
    gross = sum(trip.profit for trip in trips)
    costs = gross + trade.funding - trade.profit
    _divide(trips, costs, trade.funding)
    return sorted(trips, key=lambda trip: trip.steps[0].at)


def _parts(fill: Fill, running: Mapping[str, RoundTrip]) -> Iterator[tuple[str, float]]:
    """Yield the playbooks of a fill and how many units each takes, negative in a sale."""
    name = playbook_of(fill.tag)
    if fill.entry:
        yield name or CONSENSUS, fill.amount
        return
    left = fill.amount
    for owner in sorted(running, key=lambda other: other != name):
        sold = min(left, running[owner].units)
        if sold > 0:
            yield owner, -sold
            left -= sold


def _divide(trips: Sequence[RoundTrip], costs: float, funding: float) -> None:
    turnover = [sum(abs(step.units) * step.price for step in trip.steps) for trip in trips]
    exposure = [trip.bought * max(trip.hours, 1.0) for trip in trips]
    for trip, moved, held in zip(trips, turnover, exposure, strict=True):
        trip.costs = costs * moved / max(sum(turnover), 1e-12)
        trip.funding = funding * held / max(sum(exposure), 1e-12)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


@dataclass(frozen=True)
class Sleeve:
    """One playbook's part of an account.

    Attributes
    ----------
    name : str
    trips : tuple of RoundTrip
    day : ndarray of shape (n_days,), int64
        Beginning of each day, milliseconds since the epoch.
    returns : ndarray of shape (n_days,), float64
        Its profit of each day as a share of the whole account's equity.
    exposure : ndarray of shape (n_hours,), float64
        Value it held as a share of that equity.
    """

    name: str
    trips: tuple[RoundTrip, ...]
    day: Ints
    returns: Floats
    exposure: Floats


def sleeves(
    trips: Sequence[RoundTrip],
    candles: Mapping[str, Candles],
    first: int,
    last: int,
    capital: float,
) -> dict[str, Sleeve]:
    """Return every playbook's part of the account, and ``together`` all of it.

    Marked at the opening of every hour; what filled inside a candle counts from the next.

    Parameters
    ----------
    candles : mapping of pair to Candles
        Hours.
    first, last : int
        Of the run, milliseconds since the epoch.
    capital : float
        The account at ``first``, quote currency.
    """
    hours = np.arange(first, last + HOUR_MS, HOUR_MS, dtype=np.int64)
    opens = {pair: _opens(candles[pair], hours) for pair in {trip.pair for trip in trips}}
    parts = {
        name: (np.zeros(len(hours)), np.zeros(len(hours))) for name in (*_names(trips), TOGETHER)
    }
    for trip in trips:
        earned, held = _marked(trip, opens[trip.pair], hours)
        for name in (trip.playbook, TOGETHER):
            profit, value = parts[name]
            profit += earned
            value += held
    equity = capital + parts[TOGETHER][0]
    return {
        name: _sleeve(name, trips, hours, profit, value, equity, capital)
        for name, (profit, value) in parts.items()
    }


def _names(trips: Sequence[RoundTrip]) -> list[str]:
    return sorted({trip.playbook for trip in trips})


def _opens(candles: Candles, hours: Ints) -> Floats:
    """Return the price at the opening of every hour, the last known where there is none."""
    row = np.searchsorted(candles.time, hours, side="right") - 1
    known = np.maximum(row, 0)
    fresh = candles.time[known] == hours
    price = np.where(fresh, candles.open[known], candles.close[known])
    return np.where(row >= 0, price, np.nan)


def _marked(trip: RoundTrip, opens: Floats, hours: Ints) -> tuple[Floats, Floats]:
    """Return the profit so far and the value held at every hour."""
    cash, units = np.zeros(len(hours)), np.zeros(len(hours))
    rows = np.searchsorted(hours, [step.at for step in trip.steps], side="left")
    rows = np.minimum(rows, len(hours) - 1)
    for row, step in zip(rows, trip.steps, strict=True):
        inside = abs(step.price / opens[row] - 1.0) > INSIDE and row + 1 < len(hours)
        at = row + 1 if inside else row
        cash[at] -= trip.direction * step.units * step.price
        units[at] += step.units
    begin, end = int(rows[0]), max(int(rows[-1]), int(rows[0]) + 1)
    spread = np.zeros(len(hours))
    spread[begin + 1 : end + 1] = 1.0
    share = spread / max(spread.sum(), 1.0)
    held = np.cumsum(units)
    worth = np.where(held > 0, held * np.nan_to_num(opens), 0.0)
    flows = np.cumsum(cash + (trip.funding - trip.costs) * share)
    return flows + trip.direction * worth, worth


def _sleeve(
    name: str,
    trips: Sequence[RoundTrip],
    hours: Ints,
    profit: Floats,
    value: Floats,
    equity: Floats,
    capital: float,
) -> Sleeve:
    day, closes = daily_closes(hours, profit)
    _, whole = daily_closes(hours, equity)
    start = np.concatenate([[capital], whole[:-1]])
    earned = np.diff(closes, prepend=0.0)
    own = tuple(t for t in trips if name in (TOGETHER, t.playbook))
    return Sleeve(name, own, day, earned / start, value / equity)
