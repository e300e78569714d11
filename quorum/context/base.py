"""Adjuster and Effect: how the market around a signal changes it (spec Z, L, D, T)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import Field

from quorum.features.table import Features
from quorum.market import Market
from quorum.section import Section
from quorum.typing import Floats


class AdjusterSettings(Section):
    """What every adjuster has."""

    enabled: bool = Field(True, description="whether it may change a signal")


@dataclass(frozen=True)
class Effect:
    """What one adjuster does to one signal.

    Attributes
    ----------
    reasons : mapping of name to factor
        Factors on the position size by the name that the signal keeps, for example
        ``{"liquidation_risk": 0.5}``; a factor of 1.0 is not worth a name.
    confidence : float
        Factor on the confidence that sizing and quality see; the R:R stays with the unboosted
        band.
    veto : str or None
        Reason code with which the signal is refused.
    endangers : bool
        Whether it takes an excellent signal down to good (spec C10).
    facts : mapping
        Fields of the signal it fills in, for example ``{"regime": "weak_bull"}``. What is not
        known is left out (the field stays None).
    """

    reasons: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 1.0
    veto: str | None = None
    endangers: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


S = TypeVar("S", bound=AdjusterSettings)


class Adjuster(ABC, Generic[S]):
    """One reading of the market around a signal.

    What it reads is published as columns (:meth:`columns`, causal, vectorised); what it does to
    one signal follows from the signal's row of these columns (:meth:`effect`, once per trade).
    Unknown is NaN in a column; the effect of the unknown is none.
    """

    name: ClassVar[str]
    #: Names of the columns it publishes.
    published: ClassVar[tuple[str, ...]]
    Settings: type[S]

    def __init__(self, settings: S | None = None) -> None:
        self.settings: S = settings if settings is not None else self.Settings()

    @abstractmethod
    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return the published columns, float64 of shape (n_candles,), NaN where unknown."""

    @abstractmethod
    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Return what it does to a signal of ``direction`` (+1, -1) on this row."""


def told(value: Any) -> str:
    """Return a fact as a person reads it: numbers short, groups and lists on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{told(key)} {told(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return "; ".join(map(told, value)) or "none"
    return str(value).replace("_", " ")
