"""Drawdown rules as funded accounts have them (spec G4)."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from quorum.guards.base import Guard, GuardTier, Ledger, Limit, Moment, Reason, reached


class DrawdownRules(GuardTier):
    """What the account may lose at all, and when entries end before that."""

    enabled: bool = Field(False, description="whether this tier acts")
    daily: float = Field(
        5.0, gt=0, le=100, description="loss allowed in a day [% of the initial balance]"
    )
    total: float = Field(
        10.0, gt=0, le=100, description="loss allowed at all [% of the initial balance]"
    )
    daily_stop: float = Field(
        60.0, gt=0, le=100, description="used part of the daily allowance that ends entries [%]"
    )
    total_stop: float = Field(
        80.0, gt=0, le=100, description="used part of the total allowance that ends entries [%]"
    )
    initial_balance: float | None = Field(
        None,
        gt=0,
        description="balance the rules are of, else the account's first; money paid in or out "
        "moves it [quote units]",
    )

    @model_validator(mode="after")
    def _day_within_total(self) -> DrawdownRules:
        if self.daily > self.total:
            raise ValueError(f"daily {self.daily:g} is over total {self.total:g}")
        return self


class DrawdownGuard(Guard[DrawdownRules]):
    """Ends entries well before the allowance does, and shrinks what is staked on the way."""

    name = "drawdown"

    def _initial(self, ledger: Ledger) -> float | None:
        stated = self.settings.initial_balance
        return ledger.initial if stated is None else stated * ledger.flow

    def _left(self, ledger: Ledger) -> tuple[float, float, float, float] | None:
        """Return loss of the day, its allowance, loss at all, its allowance; quote currency."""
        s, initial, equity = self.settings, self._initial(ledger), ledger.equity
        if initial is None or equity is None or ledger.day_open is None:
            return None
        day = max(0.0, ledger.day_open - equity)
        total = max(0.0, initial - equity)
        return day, s.daily / 100 * initial, total, s.total / 100 * initial

    def observe(self, moment: Moment) -> Reason | None:
        """Check the used part of both allowances; entries return when equity does."""
        left = self._left(moment.ledger)
        if left is None:
            return None
        day, daily, total, whole = left
        if reached(total, self.settings.total_stop / 100 * whole):
            return Reason.DRAWDOWN_TOTAL
        stopped = reached(day, self.settings.daily_stop / 100 * daily)
        return Reason.DRAWDOWN_DAY if stopped else None

    def size_factor(self, ledger: Ledger) -> float:
        """Return what is left of the scarcer allowance, 0-1: sizes shrink linearly with it."""
        left = self._left(ledger)
        if left is None:
            return 1.0
        day, daily, total, whole = left
        return max(0.0, 1.0 - max(day / daily, total / whole))

    def headroom(self, ledger: Ledger) -> float:
        """Return what may still be lost before a rule is broken, quote currency."""
        left = self._left(ledger)
        if left is None:
            return math.inf
        day, daily, total, whole = left
        return max(0.0, min(daily - day, whole - total))

    def limits(self, ledger: Ledger) -> tuple[Limit, ...]:
        """Return both allowances in percent of the initial balance, with where entries end."""
        s, left, initial = self.settings, self._left(ledger), self._initial(ledger)
        day = total = None
        if left is not None and initial:
            day, total = 100 * left[0] / initial, 100 * left[2] / initial
        return (
            Limit(self.name, "entries end, day", day, s.daily * s.daily_stop / 100, "% of initial"),
            Limit(self.name, "allowance of the day", day, s.daily, "% of initial"),
            Limit(
                self.name, "entries end, total", total, s.total * s.total_stop / 100, "% of initial"
            ),
            Limit(self.name, "total allowance", total, s.total, "% of initial"),
        )
