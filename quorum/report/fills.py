"""Fills: what a backtest's candles hide, shown by the same backtest on shorter candles (spec P5).

Inside one candle the host does not know which price came first. It fills orders in an order of
its own - entry, then a rung that is placed now, then stop and target - and it sees the extreme of
the candle when it moves a stop. The same trades on candles of five minutes leave little of that
open, so the difference between the two runs is what the longer candle got wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

from quorum.exits.management import LADDER_TAG, REVERSAL_TAG
from quorum.exits.rules import REASONS, REVERSAL, STOP_PASSED, TIME_STOP
from quorum.report.trades import Fill, TradeRecord

#: Results this near to each other are alike: funding is charged to the minute [% of the stake].
ALIKE = 0.01
#: What the host and the keeper call an exit, and what it is called here.
KINDS: Mapping[str, str] = {
    "stop_loss": "stop",
    "trailing_stop_loss": "trailing",
    "liquidation": "liquidation",
    "roi": "target",
    REVERSAL_TAG: "reversal",
    REASONS[REVERSAL]: "reversal",
    REASONS[STOP_PASSED]: "stop",
    REASONS[TIME_STOP]: "time",
    "force_exit": "end of test",
}


class Cause(StrEnum):
    """Why a trade did not end the same way in both runs; the first that applies."""

    SAME = "same exits in the same candles"
    ENTRY = "entered at another price or in another candle"
    ENTRY_CANDLE = "an exit in the candle of the entry"
    SAME_CANDLE = "two exits in one candle, taken in another order"
    RUNGS = "two rungs in one candle, of which the longer candle fills one"
    LATER = "an exit in another candle"


#: What each cause means, for a reader of the report.
EXPLANATIONS: Mapping[Cause, str] = {
    Cause.ENTRY: "the shorter candles may fill a waiting order elsewhere, or take within the "
    "candle what was refused at its beginning; everything after it differs",
    Cause.ENTRY_CANDLE: "the longer candle takes its high and low for reached after the entry; "
    "part of it may have come before",
    Cause.SAME_CANDLE: "the longer candle holds both prices: the host fills a rung placed in this "
    "candle before it looks at the stop, takes the target before a stop that has moved, and moves "
    "no stop in a candle that reaches the old one",
    Cause.RUNGS: "the next rung is placed a candle after the last was filled, sooner on short "
    "candles, and takes the price of then where that is better",
    Cause.LATER: "only one run saw this exit here: a stop moved by prices of the candle under way "
    "is met by others of the same candle that came before; what follows differs",
}


def kind_of(tag: str) -> str:
    """Return the kind of an exit by its order's tag: ``stop``, ``ladder_1``, ``target`` ..."""
    return tag if tag.startswith(LADDER_TAG) else KINDS.get(tag, tag.replace("_", " "))


@dataclass(frozen=True)
class KindDifference:
    """One kind of exit in both runs.

    Attributes
    ----------
    kind : str
    plain, detailed : int
        Fills in all trades of each run.
    both : int
        Matched trades that have one in both runs.
    price : float
        Mean difference of their prices, positive where the plain run's is better for the
        trade [basis points]; NaN without any.
    """

    kind: str
    plain: int
    detailed: int
    both: int
    price: float


@dataclass(frozen=True)
class CauseDifference:
    """Matched trades that differ for one cause.

    Attributes
    ----------
    cause : Cause
    trades : int
    better, worse : int
        Trades whose result is better, worse, in the plain run by more than ``ALIKE``.
    points : float
        Mean difference of the results, plain minus detailed [% of the stake].
    profit : float
        Sum of the differences, quote currency.
    """

    cause: Cause
    trades: int
    better: int
    worse: int
    points: float
    profit: float


@dataclass(frozen=True)
class FillComparison:
    """Two runs of one backtest, on plain and on detailed candles.

    Attributes
    ----------
    matched : tuple of (TradeRecord, TradeRecord)
        Trades of the same pair and side opened in the same base candle: plain, detailed.
    only_plain, only_detailed : tuple of TradeRecord
    kinds : tuple of KindDifference
    causes : tuple of CauseDifference
        Causes without a trade are left out.
    """

    matched: tuple[tuple[TradeRecord, TradeRecord], ...]
    only_plain: tuple[TradeRecord, ...]
    only_detailed: tuple[TradeRecord, ...]
    kinds: tuple[KindDifference, ...]
    causes: tuple[CauseDifference, ...]

    @property
    def profit(self) -> tuple[float, float]:
        """Total profit of the plain and of the detailed run, quote currency."""
        plain = [p for p, _ in self.matched] + list(self.only_plain)
        detailed = [d for _, d in self.matched] + list(self.only_detailed)
        return sum(t.profit for t in plain), sum(t.profit for t in detailed)

    @property
    def optimism(self) -> tuple[float, float]:
        """Mean difference of matched results and its standard error [% of the stake].

        Positive: the plain run flatters. NaN with fewer than two matched trades.
        """
        gaps = [100 * (p.profit_ratio - d.profit_ratio) for p, d in self.matched]
        if len(gaps) < 2:
            return float("nan"), float("nan")
        return float(np.mean(gaps)), float(np.std(gaps, ddof=1) / len(gaps) ** 0.5)

    @property
    def signs(self) -> tuple[int, int]:
        """Matched trades with the better, with the worse result in the plain run."""
        return sum(c.better for c in self.causes), sum(c.worse for c in self.causes)

    @property
    def bias(self) -> int:
        """+1 where the plain run flatters, -1 where it is too harsh, 0 if chance explains it.

        Few large differences hide in the error of the mean, many small ones in the mean: either
        the mean or the count of signs must be two errors away from none, and neither against it.
        """
        mean, error = self.optimism
        better, worse = self.signs
        found = {0}
        if abs(mean) > 2 * error:
            found.add(1 if mean > 0 else -1)
        if abs(better - worse) > 2 * (better + worse) ** 0.5:
            found.add(1 if better > worse else -1)
        return sum(found)


def compare(
    plain: Sequence[TradeRecord], detailed: Sequence[TradeRecord], step: timedelta
) -> FillComparison:
    """Compare the fills of two runs of one backtest.

    Parameters
    ----------
    plain, detailed : sequence of TradeRecord
    step : timedelta
        Length of the base candle.

    Returns
    -------
    FillComparison
    """
    matched, only_plain, only_detailed = _match(plain, detailed, step)
    return FillComparison(
        tuple(matched),
        tuple(only_plain),
        tuple(only_detailed),
        tuple(_kinds(plain, detailed, matched)),
        tuple(_causes(matched, step)),
    )


def _candle(at: datetime, step: timedelta) -> int:
    """Return the number of the base candle a moment lies in."""
    return int(at.timestamp() // step.total_seconds())


def _match(
    plain: Sequence[TradeRecord], detailed: Sequence[TradeRecord], step: timedelta
) -> tuple[list[tuple[TradeRecord, TradeRecord]], list[TradeRecord], list[TradeRecord]]:
    """Pair the trades of both runs by pair, side and base candle; the rest is left over."""
    waiting: dict[tuple[str, int, int], list[TradeRecord]] = defaultdict(list)
    for trade in sorted(detailed, key=lambda t: t.opened):
        waiting[trade.pair, trade.direction, _candle(trade.opened, step)].append(trade)
    matched, alone = [], []
    for trade in sorted(plain, key=lambda t: t.opened):
        same = waiting[trade.pair, trade.direction, _candle(trade.opened, step)]
        if same:
            matched.append((trade, same.pop(0)))
        else:
            alone.append(trade)
    return matched, alone, [trade for trades in waiting.values() for trade in trades]


def _exits(trade: TradeRecord) -> list[Fill]:
    return [fill for fill in trade.fills if not fill.entry]


def _prices(trade: TradeRecord) -> dict[str, float]:
    """Return the mean price of a trade's exits by kind, weighted by amount."""
    fills: dict[str, list[Fill]] = defaultdict(list)
    for fill in _exits(trade):
        fills[kind_of(fill.tag)].append(fill)
    return {
        kind: float(np.average([f.price for f in some], weights=[f.amount for f in some]))
        for kind, some in fills.items()
    }


def _kinds(
    plain: Iterable[TradeRecord],
    detailed: Iterable[TradeRecord],
    matched: Iterable[tuple[TradeRecord, TradeRecord]],
) -> list[KindDifference]:
    """Count and price every kind of exit that occurs, in the order of the names."""
    counts = [
        [kind_of(fill.tag) for trade in trades for fill in _exits(trade)]
        for trades in (plain, detailed)
    ]
    gaps: dict[str, list[float]] = defaultdict(list)
    for one, other in matched:
        there = _prices(other)
        for kind, price in _prices(one).items():
            if kind in there:
                gaps[kind].append(1e4 * one.direction * (price / there[kind] - 1))
    return [
        KindDifference(
            kind,
            counts[0].count(kind),
            counts[1].count(kind),
            len(gaps[kind]),
            float(np.mean(gaps[kind])) if gaps[kind] else float("nan"),
        )
        for kind in sorted({*counts[0], *counts[1]})
    ]


def cause_of(plain: TradeRecord, detailed: TradeRecord, step: timedelta) -> Cause:
    """Return why a matched trade was not ended the same way in both runs."""
    entries = [next((f for f in t.fills if f.entry), None) for t in (plain, detailed)]
    places = [None if e is None else (_candle(e.at, step), round(e.price, 12)) for e in entries]
    if places[0] != places[1]:
        return Cause.ENTRY
    one, other = (
        [(kind_of(f.tag), _candle(f.at, step)) for f in _exits(t)] for t in (plain, detailed)
    )
    if one == other:
        return Cause.SAME
    first = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    differing = [exits[first] for exits in (one, other) if len(exits) > first]
    candle = min(at for _, at in differing)
    if places[0] is not None and candle == places[0][0]:
        return Cause.ENTRY_CANDLE
    if first > 0 and len(other) > first and one[first - 1][0].startswith(LADDER_TAG):
        kind, at = other[first]
        if at == one[first - 1][1] and (kind.startswith(LADDER_TAG) or kind == "target"):
            return Cause.RUNGS
    if len({at for _, at in differing}) == 1:
        return Cause.SAME_CANDLE
    return Cause.LATER


def _causes(
    matched: Iterable[tuple[TradeRecord, TradeRecord]], step: timedelta
) -> list[CauseDifference]:
    """Sum up the matched trades by cause."""
    groups: dict[Cause, list[tuple[TradeRecord, TradeRecord]]] = defaultdict(list)
    for one, other in matched:
        groups[cause_of(one, other, step)].append((one, other))
    found = []
    for cause in (cause for cause in Cause if cause in groups):
        gaps = [100 * (p.profit_ratio - d.profit_ratio) for p, d in groups[cause]]
        found.append(
            CauseDifference(
                cause,
                trades=len(gaps),
                better=sum(gap > ALIKE for gap in gaps),
                worse=sum(gap < -ALIKE for gap in gaps),
                points=float(np.mean(gaps)),
                profit=sum(p.profit - d.profit for p, d in groups[cause]),
            )
        )
    return found
