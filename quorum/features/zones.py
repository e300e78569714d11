"""Zones: the price areas of one-sided trading that price tends to come back to."""

from __future__ import annotations

from typing import NamedTuple

from quorum.features.gaps import GapConstants, add_gaps
from quorum.features.order_blocks import OrderBlockConstants, add_order_blocks
from quorum.features.table import Features
from quorum.market import Market


class ZoneConstants(NamedTuple):
    """Order blocks and fair-value gaps."""

    order_blocks: OrderBlockConstants = OrderBlockConstants()
    gaps: GapConstants = GapConstants()


def add_zones(market: Market, out: Features, constants: ZoneConstants) -> None:
    """Add order blocks, breaker blocks, fair-value gaps and balanced price ranges."""
    add_order_blocks(market, out, constants.order_blocks)
    add_gaps(market, out, constants.gaps)
