"""What every sizing method is given and what it returns (spec S)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field

from quorum.section import Section


class SizingSettings(Section):
    """How a confidence becomes a stake."""

    method: Literal["bands"] = Field("bands", description="sizing method")
    basis: Literal["notional", "risk"] = Field(
        "notional",
        description="what the percentage is: position value, or what is lost at the stop",
    )
    very_high: tuple[float, float, float, float] = Field(
        (0.85, 0.95, 2.0, 3.0),
        description="confidence from, to and size from, to of the very high band [%]",
    )
    high: tuple[float, float, float, float] = Field(
        (0.75, 0.85, 1.5, 2.5), description="the same of the high band [%]"
    )
    medium: tuple[float, float, float, float] = Field(
        (0.65, 0.75, 1.0, 1.5), description="the same of the medium band [%]"
    )
    max_percent: float = Field(
        10.0, gt=0, le=100, description="largest position value [% of capital]"
    )
    min_order: float = Field(10.0, ge=0, description="smallest order [quote units]")
    win_rate: tuple[float, float, float] = Field(
        (0.80, 0.70, 0.60),
        description="win rate promised by very high, high, medium until outcomes are measured",
    )


@dataclass(frozen=True)
class SizeRequest:
    """One trade to be sized.

    Attributes
    ----------
    confidence : float
        Consensus confidence, 0-1.
    entry, stop : float
        Prices in the quote currency.
    capital : float
        What the percentages are of, quote currency.
    min_order : float
        The exchange's smallest position value, quote currency.
    multipliers : mapping of reason to factor
        What acted on the signal, in order, for example ``{"liquidation_risk": 0.5}``.
    """

    confidence: float
    entry: float
    stop: float
    capital: float
    min_order: float = 0.0
    multipliers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """A sized trade.

    Attributes
    ----------
    fraction : float
        Position value as a fraction of the capital, 0 when refused.
    notional : float
        Position value, quote currency (the stake is this over the leverage).
    risk_amount : float
        What is lost at the stop before costs, quote currency.
    reasons : tuple of str
        What acted on the size, ``name=factor``; or why it is 0.
    """

    fraction: float
    notional: float
    risk_amount: float
    reasons: tuple[str, ...]


def refused(*reasons: str) -> Size:
    """Return the size of a trade that is not taken."""
    return Size(0.0, 0.0, 0.0, reasons)


class SizingMethod(ABC):
    """One way to turn a signal into a position value."""

    name: ClassVar[str]

    def __init__(self, settings: SizingSettings) -> None:
        self.settings = settings

    @abstractmethod
    def size(self, request: SizeRequest) -> Size:
        """Size one trade; never raises for a valid request."""
