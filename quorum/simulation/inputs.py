"""What the kernel that follows trades takes, from a pair's table, candles and settings."""

from __future__ import annotations

import numpy as np

from quorum.candles import Candles
from quorum.context.zones import Zones
from quorum.market import HOUR_MS
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


def rules_of(settings: Settings, candles: Candles, venue: Venue) -> follow.Rules:
    """Return the numbers of the kernel."""
    m = settings.exits.management
    return follow.Rules(
        breakeven_at=m.breakeven_at,
        breakeven_on_divergence=m.breakeven_on_divergence,
        trail=m.trail,
        half_on_reversal=m.half_on_reversal,
        reversal_share=m.reversal_share,
        exit_on_reversal=m.exit_on_reversal,
        time_stop=m.time_stop * HOUR_MS / candles.step,
        opposite=settings.exits.reversal,
        expiry=settings.context_of(Zones).expiry,
        tick=venue.tick,
        market=venue.fee + venue.slippage,
        resting=venue.fee,
    )
