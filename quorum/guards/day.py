"""Guards of the day and the week (spec G2)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from quorum.guards.base import (
    EntryRequest,
    Guard,
    GuardTier,
    Ledger,
    Limit,
    Moment,
    Reason,
    loss_percent,
    reached,
)

#: Exit reasons of the host that mean a trade ended at its stop.
STOPS = frozenset({"stop_loss", "trailing_stop_loss", "stoploss_on_exchange", "liquidation"})


#: Probability of a streak of losses that is no longer bad luck.
UNLIKELY = 0.05
#: Trades that the win rate is measured on, and those that the rate before any stands for.
MEASURED_ON, PRIOR = 100, 10


class DayLimits(GuardTier):
    """What a day and a week may cost."""

    enabled: bool = Field(True, description="whether this tier acts")
    max_loss: float = Field(
        3.0, gt=0, le=100, description="loss of a day [% of the day's opening equity]"
    )
    max_trades: int = Field(10, ge=1, le=10_000, description="entries of a day at most [trades]")
    max_losses: int = Field(
        3,
        ge=1,
        le=1000,
        description="losses in a row that pause the entries before trades are known; then those "
        "that have a probability of 5 % at the rate of the wins so far [trades]",
    )
    pause: float = Field(24.0, ge=0, description="pause after losses in a row [h]")
    max_weekly_drawdown: float = Field(
        10.0, gt=0, le=100, description="drawdown of a week [% of the week's highest equity]"
    )
    plan_stops: int = Field(
        2,
        ge=1,
        le=1000,
        description="losing stops in a week after which a plan (pair and direction) rests "
        "until the next week [trades]",
    )

    def streak(self, wins: int, trades: int) -> int:
        """Return the losses in a row that pause after so many wins among so many trades.

        The first ones that have less than 5 % probability at the measured rate, held towards
        that at which ``max_losses`` are the first.
        """
        before = 1.0 - UNLIKELY ** (1.0 / self.max_losses)
        rate = (wins + PRIOR * before) / (trades + PRIOR)
        # Half a trade in a million is no reason to wait for another loss.
        return max(1, math.ceil(math.log(UNLIKELY) / math.log1p(-rate) - 1e-6))


class DayGuard(Guard[DayLimits]):
    """Stops entries for the rest of a day, a week, or a pause.

    A limit that was reached stays reached until its day or week is over, whatever the equity
    does meanwhile.
    """

    name = "day"

    def observe(self, moment: Moment) -> Reason | None:
        """Latch the limits of day and week, count losses in a row."""
        s, ledger = self.settings, moment.ledger
        lost = loss_percent(ledger.day_open, ledger.equity)
        if lost is not None and reached(lost, s.max_loss):
            ledger.day_stopped = True
        drawdown = loss_percent(ledger.week_peak, ledger.equity)
        if drawdown is not None and reached(drawdown, s.max_weekly_drawdown):
            ledger.week_stopped = True
        self._count_losses(moment)
        if ledger.week_stopped:
            return Reason.WEEKLY_DRAWDOWN
        if ledger.day_stopped:
            return Reason.DAILY_LOSS
        return Reason.LOSS_STREAK if moment.now < ledger.paused_until else None

    def _count_losses(self, moment: Moment) -> None:
        """Count the trades closed since the last observation; a pause begins a new count."""
        s, ledger, closed = self.settings, moment.ledger, moment.account.closed
        for at in range(min(ledger.seen, len(closed)), len(closed)):
            trade = closed[at]
            if not trade.counted:
                continue
            ledger.streak = ledger.streak + 1 if trade.profit < 0 else 0
            # The streak itself does not count: it is what is held against the rate.
            known = [t for t in closed[: at + 1] if t.counted]
            before = known[: len(known) - ledger.streak][-MEASURED_ON:]
            wins = sum(t.profit > 0 for t in before)
            ledger.streak_limit = s.streak(wins, len(before))
            if ledger.streak >= ledger.streak_limit:
                ledger.streak = 0
                end = trade.closed.timestamp() + 3600 * s.pause
                ledger.paused_until = max(ledger.paused_until, end)
        ledger.seen = len(closed)

    def refusals(self, request: EntryRequest, moment: Moment) -> Iterator[Reason]:
        """Check the number of the day's entries and the plan's stops of the week."""
        s, ledger = self.settings, moment.ledger
        if ledger.day_trades >= s.max_trades:
            yield Reason.DAILY_TRADES
        week, stops = ledger.week_start or 0.0, 0
        for trade in reversed(moment.account.closed):
            if trade.closed.timestamp() < week:
                break
            plan = trade.pair == request.pair and trade.direction == request.direction
            stops += trade.counted and plan and trade.profit < 0 and trade.reason in STOPS
        if stops >= s.plan_stops:
            yield Reason.PLAN_STOPPED

    def limits(self, ledger: Ledger) -> tuple[Limit, ...]:
        """Return the limits of day and week."""
        s = self.settings
        lost = loss_percent(ledger.day_open, ledger.equity)
        drawdown = loss_percent(ledger.week_peak, ledger.equity)
        return (
            Limit(self.name, "loss of the day", lost, s.max_loss, "%"),
            Limit(self.name, "trades of the day", float(ledger.day_trades), s.max_trades, "trades"),
            Limit(
                self.name,
                "losses in a row",
                float(ledger.streak),
                ledger.streak_limit or s.max_losses,
                "trades",
            ),
            Limit(self.name, "drawdown of the week", drawdown, s.max_weekly_drawdown, "%"),
        )
