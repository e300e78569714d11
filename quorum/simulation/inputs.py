"""What the kernel that follows trades takes, from a pair's table, candles and settings."""

from __future__ import annotations

import numpy as np

from quorum.candles import Candles
from quorum.context.zones import Zones
from quorum.settings import Settings
from quorum.signals import SignalTable
from quorum.simulation import follow
from quorum.simulation.venue import Venue
from quorum.typing import Floats

#: Published columns that open trades are managed by, in the order of the kernel.
MANAGED = ("chandelier_long", "chandelier_short", "near_reversal", "far_reversal", "divergence")


def market_matrix(table: SignalTable, candles: Candles, venue: Venue) -> Floats:
    """Return what candles say as the kernel takes it, shape (11, n_candles)."""
    n = len(candles)
    funding = np.zeros(n) if venue.funding is None else np.nan_to_num(venue.funding)
    return np.vstack(
        [
            candles.open,
            candles.high,
            candles.low,
            candles.close,
            *(table.columns[name] for name in MANAGED),
            table.entry.astype(np.float64),
            np.cumsum(funding),
        ]
    )


def terms_of(settings: Settings, candles: Candles, venue: Venue) -> follow.Terms:
    """Return what trades of a pair are followed by."""
    return follow.Terms(
        rules=settings.exits.management.rules(),
        opposite=settings.exits.reversal,
        expiry=settings.context_of(Zones).expiry,
        step=float(candles.step),
        tick=venue.tick,
        market=venue.fee + venue.slippage,
        resting=venue.fee,
    )
