"""How far a simulated run and the host's backtest of the same settings agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from quorum.simulation.portfolio import Run

#: Exit reason of trades the host closes because the candles end.
LEFT_OPEN = "force_exit"
#: Tolerance with the guards off: shares of the host's trades that are found again, and that end
#: within one candle of it.
MATCHED, EXITS = 0.98, 0.99
#: With guards one trade more or less changes which entries the others are allowed.
MATCHED_WITH_GUARDS = 0.95


class HostTrade(NamedTuple):
    """One trade of the host; times are milliseconds since the epoch."""

    pair: str
    direction: int
    opened: int
    closed: int
    profit: float
    profit_ratio: float
    reason: str


@dataclass(frozen=True)
class Agreement:
    """Agreement over the trades that ended.

    Attributes
    ----------
    host, simulated : int
        Trades of each.
    matched : int
        Trades with the same pair, direction and candle of entry.
    same_exit, within_one, same_reason : int
        Of these, that end in the same candle, at most one candle apart, for the same reason.
    host_profit, simulated_profit : float
        Quote currency.
    ratio_difference : float
        Mean of the absolute difference of the matched trades' profit ratios.
    """

    host: int
    simulated: int
    matched: int
    same_exit: int
    within_one: int
    same_reason: int
    host_profit: float
    simulated_profit: float
    ratio_difference: float

    @property
    def share_matched(self) -> float:
        """Share of the host's trades that are found again, NaN without any."""
        return self.matched / self.host if self.host else np.nan

    @property
    def share_exits(self) -> float:
        """Share of the matched trades that end within one candle, NaN without any."""
        return self.within_one / self.matched if self.matched else np.nan

    def agrees(self, *, guards: bool = False) -> bool:
        """Whether the tolerance is kept; two runs without trades agree."""
        if self.host == 0:
            return self.simulated == 0
        least = MATCHED_WITH_GUARDS if guards else MATCHED
        return self.share_matched >= least and self.share_exits >= EXITS


def compare_runs(run: Run, host: Sequence[HostTrade], step: int) -> Agreement:
    """Hold a simulated run against the host's trades.

    Parameters
    ----------
    run : Run
    host : sequence of HostTrade
        Those it was forced out of at the end are left out.
    step : int
        Length of a candle, milliseconds.
    """
    ended = {(t.pair, t.direction, t.opened): t for t in host if t.reason != LEFT_OPEN}
    pairs = [
        (t, ended[t.pair, t.direction, t.ordered])
        for t in run.trades
        if (t.pair, t.direction, t.ordered) in ended
    ]
    return Agreement(
        host=len(ended),
        simulated=len(run.trades),
        matched=len(pairs),
        same_exit=sum(ours.closed == theirs.closed for ours, theirs in pairs),
        within_one=sum(abs(ours.closed - theirs.closed) <= step for ours, theirs in pairs),
        same_reason=sum(ours.reason == theirs.reason for ours, theirs in pairs),
        host_profit=sum(t.profit for t in ended.values()),
        simulated_profit=sum(t.profit for t in run.trades),
        ratio_difference=float(
            np.mean([abs(ours.profit_ratio - theirs.profit_ratio) for ours, theirs in pairs])
        )
        if pairs
        else np.nan,
    )
