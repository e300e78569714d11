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

    def _used(
        self, ledger: Ledger, equity: float | None
    ) -> tuple[float, float, float, float] | None:
        """Return loss of the day, its allowance, loss at all, its allowance; quote currency."""
        s, initial, now = self.settings, self._initial(ledger), ledger.equity
        if initial is None or equity is None or now is None or ledger.day_open is None:
            return None
        # What was seen up to the moment in which a day begins belongs to the day before.
        today = now if ledger.last_at == ledger.day_start else equity
        day, total = max(0.0, ledger.day_open - today), max(0.0, initial - equity)
        return day, s.daily / 100 * initial, total, s.total / 100 * initial

    def _at_worst(self, ledger: Ledger) -> tuple[float, float, float, float] | None:
        return self._used(ledger, ledger.equity if ledger.worst is None else ledger.worst)

    def observe(self, moment: Moment) -> Reason | None:
        """Check the used part of both allowances; entries return when equity does."""
        used = self._at_worst(moment.ledger)
        if used is None:
            return None
        day, daily, total, whole = used
        if reached(total, self.settings.total_stop / 100 * whole):
            return Reason.DRAWDOWN_TOTAL
        stopped = reached(day, self.settings.daily_stop / 100 * daily)
        return Reason.DRAWDOWN_DAY if stopped else None

    def size_factor(self, ledger: Ledger) -> float:
        """Return what is left of the scarcer allowance, 0-1: sizes shrink linearly with it."""
        used = self._used(ledger, ledger.equity)
        if used is None:
            return 1.0
        day, daily, total, whole = used
        return max(0.0, 1.0 - max(day / daily, total / whole))

    def headroom(self, ledger: Ledger) -> float:
        """Return what may still be lost before a rule is broken, quote currency."""
        used = self._used(ledger, ledger.equity)
        if used is None:
            return math.inf
        day, daily, total, whole = used
        return max(0.0, min(daily - day, whole - total))

    def limits(self, ledger: Ledger) -> tuple[Limit, ...]:
        """Return both allowances in percent of the initial balance, with where entries end."""
        s, used, initial = self.settings, self._at_worst(ledger), self._initial(ledger)
        day = total = None
        if used is not None and initial:
            day, total = 100 * used[0] / initial, 100 * used[2] / initial
        return (
            Limit(self.name, "entries end, day", day, s.daily * s.daily_stop / 100, "% of initial"),
            Limit(self.name, "allowance of the day", day, s.daily, "% of initial"),
            Limit(
                self.name, "entries end, total", total, s.total * s.total_stop / 100, "% of initial"
            ),
            Limit(self.name, "total allowance", total, s.total, "% of initial"),
        )
