"""Settings of elite sizing (spec S3)."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from quorum.section import Section


class TailConstants(NamedTuple):
    """What a unit can lose beyond its stop: CVaR over the expected holding time."""

    # expected holding time; on recorded 1h candles of 2023-2025 trades last 16 in the mean, three
    # of four under 20 [candles]
    holding: int = 24
    level: float = 0.95  # confidence level of the CVaR
    history: int = 1000  # returns it is measured on [candles]
    # holding times that must fit into the known history side by side: with 20 one of them is the
    # worst 5 %
    periods: int = 20
    short_history: float = 1.5  # loss per unit where the history is too short [stop distances]


class CorrelationSettings(Section):
    """How the trades already open shrink another one."""

    window: ClassVar[int] = 720  # rolling window [candles]
    least: ClassVar[int] = 168  # candles both must know, else it is unknown [candles]
    weight: ClassVar[float] = 0.5  # size lost at a mean correlation of 1 [fraction]
    largest: float = Field(
        0.80, gt=0, le=1, description="mean correlation beyond which there is no trade"
    )

    def factor(self, mean: float) -> float:
        """Return the diversification factor of a mean correlation, 1.0 for an unknown one."""
        return 1.0 if math.isnan(mean) else 1.0 - self.weight * mean


class PerformanceConstants(NamedTuple):
    """How past results move the size: 1 + win x (win rate - .5) + sharpe x clip(Sharpe, -1, 1)."""

    trades: int = 10  # last closed trades that count
    win: float = 1.5  # weight of the win rate above one half
    sharpe: float = 0.2  # weight of the Sharpe ratio per trade
    smallest: float = 0.7  # smallest multiplier
    largest: float = 1.3  # largest multiplier

    def factor(self, win_rate: float, sharpe: float) -> float:
        """Return the multiplier of past results; what is not known adds nothing."""
        factor = 1.0
        if not math.isnan(win_rate):
            factor += self.win * (win_rate - 0.5)
        if not math.isnan(sharpe):
            factor += self.sharpe * min(max(sharpe, -1.0), 1.0)
        return min(max(factor, self.smallest), self.largest)


class CapSettings(Section):
    """Largest position values beside ``sizing.max_percent``; the smallest cap wins."""

    pair: float = Field(10.0, gt=0, le=1000, description="position value in one pair [% of equity]")
    pairs: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(
        {}, description="the same for single pairs, by name [% of equity]"
    )
    concentration: float = Field(
        50.0,
        gt=0,
        le=10_000,
        description="value of all positions on one side, this one included [% of equity]",
    )


class EliteSettings(Section):
    """A risk budget, divided by what a unit can lose (spec S3)."""

    risk: float = Field(1.0, gt=0, le=100, description="risk budget of a trade [% of equity]")
    min_expected_return: float = Field(
        0.3,
        ge=-1,
        le=10,
        description="expected return, times the regime's factor, that must be exceeded [R]",
    )
    smallest: ClassVar[float] = 0.4  # smallest product of all multipliers
    largest: ClassVar[float] = 1.5  # largest product of all multipliers
    tail: ClassVar[TailConstants] = TailConstants()  # what a unit can lose
    correlation: CorrelationSettings = Field(
        CorrelationSettings(), description="diversification against the open trades"
    )
    performance: ClassVar[PerformanceConstants] = PerformanceConstants()  # what past results change
    caps: CapSettings = Field(CapSettings(), description="largest position values")

    @property
    def lookback(self) -> int:
        """Returns the method reads, of the pair and of every open trade's [candles]."""
        return max(self.tail.history, self.correlation.window)
