"""Feature families: from a market to named, causal columns.

A family is a function ``add_<family>(market, out, constants)`` with its own constants;
the registry below runs them in order, so a family may read the columns of those before it.
Adding one is a new file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from quorum.faults import report_fault
from quorum.features.advice import AdviceConstants, add_advice
from quorum.features.candlesticks import CandlestickConstants, add_candlesticks
from quorum.features.chart_patterns import ChartConstants, add_chart_patterns
from quorum.features.derivatives import DerivativesConstants, add_derivatives
from quorum.features.harmonics import HarmonicConstants, add_harmonics
from quorum.features.higher_timeframes import HigherTimeframeConstants, add_higher_timeframes
from quorum.features.level_map import LevelMapConstants, add_level_map
from quorum.features.levels import LevelConstants, add_levels
from quorum.features.liquidity import LiquidityConstants, add_liquidity
from quorum.features.momentum import MomentumConstants, add_momentum
from quorum.features.sessions import SessionConstants, add_sessions
from quorum.features.structure import StructureConstants, add_structure
from quorum.features.swings import SwingConstants, add_swings
from quorum.features.table import Column, Features
from quorum.features.trend import TrendConstants, add_trend
from quorum.features.volatility import VolatilityConstants, add_volatility
from quorum.features.volume import VolumeConstants, add_volume
from quorum.features.volume_profile import VolumeProfileConstants, add_volume_profile
from quorum.features.wyckoff import WyckoffConstants, add_wyckoff
from quorum.features.zones import ZoneConstants, add_zones
from quorum.market import Market

__all__ = ["FAMILIES", "Column", "Features", "compute_features", "feature_constants"]


class Family(NamedTuple):
    """One registered feature family."""

    add: Callable[[Market, Features, Any], None]
    constants: Any


FAMILIES: dict[str, Family] = {
    "volatility": Family(add_volatility, VolatilityConstants()),
    "swings": Family(add_swings, SwingConstants()),
    "trend": Family(add_trend, TrendConstants()),
    "momentum": Family(add_momentum, MomentumConstants()),
    "volume": Family(add_volume, VolumeConstants()),
    "volume_profile": Family(add_volume_profile, VolumeProfileConstants()),
    "levels": Family(add_levels, LevelConstants()),
    "candlesticks": Family(add_candlesticks, CandlestickConstants()),
    "chart_patterns": Family(add_chart_patterns, ChartConstants()),
    "sessions": Family(add_sessions, SessionConstants()),
    "liquidity": Family(add_liquidity, LiquidityConstants()),
    "zones": Family(add_zones, ZoneConstants()),
    "structure": Family(add_structure, StructureConstants()),
    "advice": Family(add_advice, AdviceConstants()),
    "level_map": Family(add_level_map, LevelMapConstants()),
    "wyckoff": Family(add_wyckoff, WyckoffConstants()),
    "harmonics": Family(add_harmonics, HarmonicConstants()),
    "derivatives": Family(add_derivatives, DerivativesConstants()),
    "higher_timeframes": Family(add_higher_timeframes, HigherTimeframeConstants()),
}


def feature_constants() -> dict[str, Any]:
    """Return the constants of every family as a tree, as models note what they learned from."""
    return {name: _tree(family.constants) for name, family in FAMILIES.items()}


def _tree(group: Any) -> Any:
    if not hasattr(group, "_asdict"):
        return group
    return {name: _tree(value) for name, value in group._asdict().items()}


def compute_features(market: Market) -> Features:
    """Compute every feature column of a market.

    Parameters
    ----------
    market : Market

    Returns
    -------
    Features
        float64 columns of shape (n_candles,), NaN where not yet defined. The columns of a
        family that failed are missing, its error is logged, and the heads that need them
        abstain.
    """
    out = Features(len(market))
    for name, family in FAMILIES.items():
        out.begin(name)
        try:
            family.add(market, out, family.constants)
        except Exception as error:
            out.discard(name)
            report_fault(f"feature family {name}", market.pair, error)
    return out
