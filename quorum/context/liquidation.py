"""Liquidation cascades: clusters of leverage on the way against a trade (spec L1-L2).

Nobody publishes where positions would be liquidated, so it is estimated. Every trade has a buyer
and a seller, and each of the two opens a position or closes one. Volume *V* and the change of
open interest *d* of a candle settle how much was opened: ``(V + d) / 2`` longs and as many
shorts; half of the volume where open interest is not known. What was opened is shared out over
the leverages and noted at the price at which an isolated position of that leverage is liquidated.

The adverse side of a long is below: there the longs are that would be sold out with it, and their
forced selling drives price through its stop. The adverse side of a short is above.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.consensus import GRACE
from quorum.context.base import Adjuster, AdjusterSettings, Effect
from quorum.context.liquidation_map import BLOCK, follow_map
from quorum.features.series import shifted
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market
from quorum.typing import Floats


class LiquidationSettings(AdjusterSettings):
    """How liquidations are estimated, and what a cluster does to a signal (L1-L2)."""

    # (leverage, weight) of the positions opened; weights of any scale
    leverages: ClassVar[tuple[tuple[float, float], ...]] = (
        (100.0, 0.10),
        (50.0, 0.15),
        (25.0, 0.25),
        (10.0, 0.30),
        (5.0, 0.20),
    )
    maintenance_margin: float = Field(
        0.005, ge=0, lt=0.01, description="maintenance margin rate [fraction of position value]"
    )
    bin: ClassVar[float] = 0.0025  # width of a cluster [log price]
    half_life: ClassVar[float] = 168.0  # age that halves a contribution [candles]
    max_age: ClassVar[int] = 720  # age that ends a contribution, in steps of BLOCK [candles]
    min_candles: ClassVar[int] = 168  # candles with new positions before it is known
    top_share: ClassVar[float] = 0.10  # share of the non-empty bins that count as clusters
    veto_distance: float = Field(
        0.02, ge=0, le=1, description="nearer adverse clusters forbid a trade [fraction of price]"
    )
    risk_distance: float = Field(
        0.05, ge=0, le=1, description="nearer adverse clusters are a risk [fraction of price]"
    )
    risk_slope: ClassVar[float] = 10.0  # cascade probability lost per unit of distance
    risk_probability: ClassVar[float] = 0.3  # larger cascade probabilities are a risk
    risk_factor: float = Field(0.5, ge=0, le=1, description="size multiplier at risk")
    stop_buffer: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="distance of the order's own liquidation price beyond its stop "
        "[fraction of the entry price]",
    )


def liquidation_price(entry: float, leverage: float, direction: int, margin: float) -> float:
    """Return the price at which an isolated position is liquidated, quote currency.

    Where its loss leaves of its margin ``1 / leverage`` only the maintenance margin, which is
    the rate ``margin`` of the position's value at that price. 0 for a long without leverage.
    """
    return entry * (1 - direction / leverage) / (1 - direction * margin)


def safe_leverage(entry: float, stop: float, wanted: float, settings: LiquidationSettings) -> float:
    """Cut leverage so that the order is liquidated only beyond its stop (spec L2).

    Parameters
    ----------
    entry, stop : float
        Quote currency; a stop below the entry is a long's.
    wanted : float
        Leverage asked for.
    settings : LiquidationSettings

    Returns
    -------
    float
        The largest leverage up to ``wanted`` whose liquidation price lies at least
        ``stop_buffer`` of the entry price beyond the stop; never under 1.

    Raises
    ------
    ValueError
        If a price or the leverage is unusable, or the stop is at the entry.
    """
    usable = all(math.isfinite(x) and x > 0 for x in (entry, stop, wanted))
    if not usable or stop == entry:
        raise ValueError(f"leverage: entry {entry}, stop {stop}, leverage {wanted} make no order")
    direction = 1 if stop < entry else -1
    farthest = stop / entry - direction * settings.stop_buffer
    # The share of its own price that the position may lose before it is liquidated.
    needed = 1 - direction * settings.maintenance_margin
    room = direction * (1 - farthest * needed)
    return max(1.0, wanted if room * wanted <= 1 else 1 / room)


class Liquidation(Adjuster[LiquidationSettings]):
    """Meets markets smaller, or not at all, that a cascade could carry against the trade."""

    name = "liquidation"
    published = (
        "liquidation_below",
        "liquidation_above",
        "liquidation_below_mass",
        "liquidation_above_mass",
    )
    Settings = LiquidationSettings

    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return the nearest clusters that count (spec L1); lag 0.

        ``liquidation_below`` (of longs) and ``liquidation_above`` (of shorts): distance from the
        close as a fraction of it, NaN where none counts. ``liquidation_below_mass``,
        ``liquidation_above_mass``: that cluster's share of the map, 0 where none counts, NaN
        where the map is not known.
        """
        s, c = self.settings, market.candles
        leverage, weight = np.array(s.leverages, dtype=np.float64).T
        prices = [
            np.log([liquidation_price(1.0, x, side, s.maintenance_margin) for x in leverage])
            for side in (1, -1)
        ]
        rows = follow_map(
            np.stack([c.low, c.high, c.close]),
            opened(c.volume, market.open_interest, max(1, HOUR_MS // c.step)),
            c.time // c.step,
            np.abs(prices),
            weight / weight.sum(),
            s.bin,
            s.half_life,
            math.ceil(s.max_age / BLOCK),
            s.top_share,
            s.min_candles,
        )
        return dict(zip(self.published, rows, strict=True))

    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Refuse, halve or leave alone a signal by its nearest adverse cluster (spec L2)."""
        s = self.settings
        side = "below" if direction > 0 else "above"
        distance = row[f"liquidation_{side}"]
        if math.isnan(row[f"liquidation_{side}_mass"]):
            return Effect()
        if math.isnan(distance):
            return Effect(facts={"liquidation_risk_detected": False})
        detected = {"liquidation_risk_detected": True}
        if distance < s.veto_distance - GRACE:
            return Effect(veto="liquidation_cluster", facts=detected)
        probability = max(0.0, 1 - s.risk_slope * distance)
        if probability > s.risk_probability + GRACE or distance < s.risk_distance - GRACE:
            return Effect({"liquidation_risk": s.risk_factor}, endangers=True, facts=detected)
        return Effect(facts={"liquidation_risk_detected": False})


def opened(volume: Floats, open_interest: Floats, span: int = 1) -> Floats:
    """Return the volume of the positions opened per side and candle.

    ``(V + d) / 2`` with volume V and the change d of open interest, within 0 and V; ``V / 2``
    where d is not known. Open interest is taken as it becomes known, an hour after its snapshot.

    Parameters
    ----------
    volume, open_interest : ndarray of shape (n_candles,), float64
        Base currency; open interest NaN where unknown.
    span : int, default 1
        Candles between two snapshots, over which their difference is spread.
    """
    change = (open_interest - shifted(open_interest, span)) / span
    return np.clip((volume + np.where(np.isfinite(change), change, 0.0)) / 2, 0.0, volume)
