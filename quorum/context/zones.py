"""Zones: where a signal stands in the dealing range, and at what price it enters (spec Z)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from quorum.consensus import DECIMALS
from quorum.context.base import Adjuster, AdjusterSettings, Effect
from quorum.features.structure import range_suffix
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats

#: Column of the place in the dealing range.
ZONE_POSITION = "zone_position"
IMMEDIATE, WAIT_PULLBACK, LIMIT_ORDER = "immediate", "wait_pullback", "limit_order"
DISCOUNT, EQUILIBRIUM, PREMIUM = "discount", "equilibrium", "premium"


class EntryZoneSettings(AdjusterSettings):
    """Edges of the zones, and how a signal in the wrong one enters."""

    discount: float = Field(
        0.45, ge=0, le=0.5, description="range position below which it is discount (Z1) [0-1]"
    )
    timeframe: Literal["next", "base", "4h", "1d", "1w"] = Field(
        "next",
        description="timeframe of the dealing range (Z1): the next longer one, or this; one that "
        "is not longer than the base timeframe is the base timeframe",
    )
    premium: float = Field(
        0.55, ge=0.5, le=1, description="range position above which it is premium (Z1) [0-1]"
    )
    entry: Literal["wait_pullback", "limit_order", "immediate"] = Field(
        "wait_pullback",
        description="how a long in premium and a short in discount enter (Z2): a limit a little "
        "better, a limit at the edge of equilibrium, or at once",
    )
    pullback: float = Field(
        0.003,
        gt=0,
        le=0.05,
        description="how much better than the price a pullback's limit is (Z2) [fraction]",
    )
    expiry: int = Field(
        3,
        ge=1,
        le=1000,
        description="an entry order expires unfilled after this long (Z2) [candles]",
    )


class Zones(Adjuster[EntryZoneSettings]):
    """Buy low in the range, sell high; else wait for a better price (spec Z1, Z2).

    The range runs between the last confirmed swing low and swing high of the next longer
    timeframe (feature ``range_position``; its lag is that of the swings there). A close beyond
    the range is at its end: premium over it, discount under it.
    """

    name = "zones"
    #: Position 0-1; the prices at which discount ends and premium begins.
    published: ClassVar[tuple[str, ...]] = (
        ZONE_POSITION,
        "zone_discount_edge",
        "zone_premium_edge",
    )
    Settings = EntryZoneSettings

    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return the position in the range (0-1) and the edges of equilibrium (prices)."""
        unknown = np.full(len(market), np.nan)
        suffix = range_suffix(market.candles.timeframe, self.settings.timeframe)
        position = features.get(f"range_position{suffix}", unknown)
        low = features.get(f"dealing_range_low{suffix}", unknown)
        width = features.get(f"dealing_range_high{suffix}", unknown) - low
        return {
            # Rounded, so that .55 of the range is .55 whatever the prices are.
            ZONE_POSITION: position.round(DECIMALS),
            "zone_discount_edge": low + self.settings.discount * width,
            "zone_premium_edge": low + self.settings.premium * width,
        }

    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Return the zone and the entry strategy; nothing where the range is unknown."""
        position = row[ZONE_POSITION]
        if math.isnan(position):
            return Effect()
        status = self._status(position)
        wrong = PREMIUM if direction > 0 else DISCOUNT
        strategy = self.settings.entry if status == wrong else IMMEDIATE
        return Effect(facts={"entry_zone_status": status, "entry_strategy": strategy})

    def _status(self, position: float) -> str:
        """Name the zone of a position; both edges belong to equilibrium."""
        if position < self.settings.discount:
            return DISCOUNT
        return PREMIUM if position > self.settings.premium else EQUILIBRIUM


def entry_price(
    strategy: str,
    direction: int,
    price: float,
    row: Mapping[str, float],
    settings: EntryZoneSettings,
) -> float:
    """Return the limit price of an entry (spec Z2), never worse than ``price``.

    Parameters
    ----------
    strategy : str
        ``"wait_pullback"``: better by ``settings.pullback``. ``"limit_order"``: at the nearer
        edge of equilibrium, where the signal would enter at once; ``price`` itself when price
        is there already or the edge is unknown. Anything else: ``price``.
    direction : int
        +1 long, -1 short.
    price : float
        What an immediate entry would pay, quote currency.
    row : mapping
        The signal's row of the published columns.
    settings : EntryZoneSettings

    Examples
    --------
    >>> round(entry_price("wait_pullback", 1, 1000.0, {}, EntryZoneSettings()), 6)
    997.0
    """
    if strategy == WAIT_PULLBACK:
        return price * (1 - direction * settings.pullback)
    if strategy == LIMIT_ORDER:
        edge = row["zone_premium_edge" if direction > 0 else "zone_discount_edge"]
        if direction * (price - edge) > 0:
            return float(edge)
    return price
