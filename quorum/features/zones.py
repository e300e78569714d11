"""Zones: the price areas of one-sided trading that price tends to come back to."""

from __future__ import annotations

from pydantic import Field

from quorum.features.gaps import GapSettings, add_gaps
from quorum.features.order_blocks import OrderBlockSettings, add_order_blocks
from quorum.features.table import Features
from quorum.market import Market
from quorum.section import Section


class ZoneSettings(Section):
    """Order blocks and fair-value gaps."""

    order_blocks: OrderBlockSettings = Field(
        OrderBlockSettings(), description="order blocks and breaker blocks"
    )
    gaps: GapSettings = Field(
        GapSettings(), description="fair-value gaps and balanced price ranges"
    )


def add_zones(market: Market, out: Features, settings: ZoneSettings) -> None:
    """Add order blocks, breaker blocks, fair-value gaps and balanced price ranges."""
    add_order_blocks(market, out, settings.order_blocks)
    add_gaps(market, out, settings.gaps)
