"""Context: the market around a signal, as columns and as what they do to it.

Registered in the order of the specification; adding one is a new file and one line here.
"""

from __future__ import annotations

from typing import Any

from quorum.context.base import Adjuster, Effect
from quorum.context.hybrid import Hybrid
from quorum.context.leverage import Leverage
from quorum.context.liquidation import Liquidation
from quorum.context.phase import Phase
from quorum.context.regime import Regime
from quorum.context.timeframes import Timeframes
from quorum.context.zones import Zones

__all__ = ["ADJUSTERS", "Adjuster", "Effect"]

ADJUSTERS: tuple[type[Adjuster[Any]], ...] = (
    Zones,
    Liquidation,
    Leverage,
    Timeframes,
    Regime,
    Phase,
    Hybrid,
)
