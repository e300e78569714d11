"""Guards of the single position (spec G1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from quorum.guards.base import (
    EntryRequest,
    Guard,
    GuardTier,
    Ledger,
    Limit,
    Moment,
    Reason,
)


class PositionLimits(GuardTier):
    """What one more position may not exceed."""

    enabled: bool = Field(True, description="whether this tier acts")
    max_open: int = Field(10, ge=1, le=1000, description="open trades at most [trades]")
    max_stake: float = Field(
        10.0, gt=0, le=10_000, description="largest position value [% of the balance]"
    )
    max_correlation: float = Field(
        0.80,
        ge=0,
        le=1,
        description="largest mean correlation with the open trades; 1 turns it off [1]",
    )
    correlation_window: ClassVar[int] = 720  # returns the correlation is measured on [candles]
    cooldown_pair: float = Field(
        60.0, ge=0, description="after an entry or the end of a trade of the same pair [min]"
    )
    cooldown_direction: float = Field(
        30.0, ge=0, description="after an entry in the same direction [min]"
    )
    cooldown_any: float = Field(15.0, ge=0, description="after any entry [min]")


class PositionGuard(Guard[PositionLimits]):
    """Refuses single entries; never changes the state.

    Cooldowns space *entries*; that a pair rests after its stop is also what the host's
    ``CooldownPeriod`` protection does, per pair only.
    """

    name = "position"

    def refusals(self, request: EntryRequest, moment: Moment) -> Iterator[Reason]:
        """Check stop and target, number, size, correlation, then the cooldowns."""
        s, d = self.settings, request.direction
        # Written so that NaN refuses.
        if request.stop is None or not d * (request.price - request.stop) > 0:
            yield Reason.NO_STOP
        if request.target is None or not d * (request.target - request.price) > 0:
            yield Reason.NO_TARGET
        if sum(trade.counted for trade in moment.account.open) >= s.max_open:
            yield Reason.MAX_OPEN_TRADES
        largest = s.max_stake / 100 * moment.account.balance
        if not (0 < request.notional <= largest * (1 + 1e-9)):
            yield Reason.MAX_STAKE
        rho = request.correlation
        if rho is not None and s.max_correlation < 1 and not rho <= s.max_correlation:
            yield Reason.MAX_CORRELATION
        yield from self._cooldowns(request, moment)

    def _cooldowns(self, request: EntryRequest, moment: Moment) -> Iterator[Reason]:
        s, account, now = self.settings, moment.account, moment.now
        horizon = now - 60 * max(s.cooldown_pair, s.cooldown_direction, s.cooldown_any)
        pair = direction = anything = -math.inf
        for trade in account.open:
            if not trade.counted:
                continue
            opened = trade.opened.timestamp()
            anything = max(anything, opened)
            if trade.direction == request.direction:
                direction = max(direction, opened)
            if trade.pair == request.pair:
                pair = max(pair, opened)
        # Closed trades are in order of closing: older ones cannot have opened later.
        for done in reversed(account.closed):
            closed = done.closed.timestamp()
            if closed < horizon:
                break
            if not done.counted:
                continue
            opened = done.opened.timestamp()
            anything = max(anything, opened)
            if done.direction == request.direction:
                direction = max(direction, opened)
            if done.pair == request.pair:
                pair = max(pair, closed)
        if now - pair < 60 * s.cooldown_pair:
            yield Reason.COOLDOWN_PAIR
        if now - direction < 60 * s.cooldown_direction:
            yield Reason.COOLDOWN_DIRECTION
        if now - anything < 60 * s.cooldown_any:
            yield Reason.COOLDOWN_ANY

    def limits(self, ledger: Ledger) -> tuple[Limit, ...]:
        """Return the limit on open trades; the others are of each entry."""
        used = float(ledger.open_trades)
        return (Limit(self.name, "open trades", used, self.settings.max_open, "trades"),)


def signed_correlation(correlations: list[tuple[float, int]], direction: int) -> float | None:
    """Return the mean correlation with open trades, negative for trades that hedge each other.

    Parameters
    ----------
    correlations : list of (correlation of returns, direction of the open trade)
    direction : int
        Of the entry.
    """
    known = [rho * d * direction for rho, d in correlations if math.isfinite(rho)]
    return sum(known) / len(known) if known else None
