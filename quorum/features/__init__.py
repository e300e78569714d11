"""Feature families: from a market to named, causal columns.

A family is a function ``add_<family>(market, out, settings)`` with its own settings section;
the registry below runs them in order, so a family may read the columns of those before it.
Adding one is a new file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from pydantic import create_model

from quorum.faults import report_fault
from quorum.features.candlesticks import CandlestickSettings, add_candlesticks
from quorum.features.chart_patterns import ChartSettings, add_chart_patterns
from quorum.features.derivatives import DerivativesSettings, add_derivatives
from quorum.features.harmonics import HarmonicSettings, add_harmonics
from quorum.features.higher_timeframes import HigherTimeframeSettings, add_higher_timeframes
from quorum.features.level_map import LevelMapSettings, add_level_map
from quorum.features.levels import LevelSettings, add_levels
from quorum.features.liquidity import LiquiditySettings, add_liquidity
from quorum.features.momentum import MomentumSettings, add_momentum
from quorum.features.sessions import SessionSettings, add_sessions
from quorum.features.structure import StructureSettings, add_structure
from quorum.features.swings import SwingSettings, add_swings
from quorum.features.table import Column, Features
from quorum.features.trend import TrendSettings, add_trend
from quorum.features.volatility import VolatilitySettings, add_volatility
from quorum.features.volume import VolumeSettings, add_volume
from quorum.features.volume_profile import VolumeProfileSettings, add_volume_profile
from quorum.features.wyckoff import WyckoffSettings, add_wyckoff
from quorum.features.zones import ZoneSettings, add_zones
from quorum.market import Market
from quorum.section import Section

__all__ = ["FAMILIES", "Column", "FeatureSettings", "Features", "compute_features"]


class Family(NamedTuple):
    """One registered feature family."""

    add: Callable[[Market, Features, Any], None]
    settings: type[Section]


FAMILIES: dict[str, Family] = {
    "volatility": Family(add_volatility, VolatilitySettings),
    "swings": Family(add_swings, SwingSettings),
    "trend": Family(add_trend, TrendSettings),
    "momentum": Family(add_momentum, MomentumSettings),
    "volume": Family(add_volume, VolumeSettings),
    "volume_profile": Family(add_volume_profile, VolumeProfileSettings),
    "levels": Family(add_levels, LevelSettings),
    "candlesticks": Family(add_candlesticks, CandlestickSettings),
    "chart_patterns": Family(add_chart_patterns, ChartSettings),
    "sessions": Family(add_sessions, SessionSettings),
    "liquidity": Family(add_liquidity, LiquiditySettings),
    "zones": Family(add_zones, ZoneSettings),
    "structure": Family(add_structure, StructureSettings),
    "level_map": Family(add_level_map, LevelMapSettings),
    "wyckoff": Family(add_wyckoff, WyckoffSettings),
    "harmonics": Family(add_harmonics, HarmonicSettings),
    "derivatives": Family(add_derivatives, DerivativesSettings),
    "higher_timeframes": Family(add_higher_timeframes, HigherTimeframeSettings),
}

FeatureSettings: type[Section] = create_model(
    "FeatureSettings",
    __base__=Section,
    __doc__="Parameters of the feature columns, one group per family.",
    **cast(
        "dict[str, Any]",
        {name: (family.settings, family.settings()) for name, family in FAMILIES.items()},
    ),
)


def compute_features(market: Market, settings: Section | None = None) -> Features:
    """Compute every feature column of a market.

    Parameters
    ----------
    market : Market
    settings : FeatureSettings, default the defaults

    Returns
    -------
    Features
        float64 columns of shape (n_candles,), NaN where not yet defined. The columns of a
        family that failed are missing, its error is logged, and the heads that need them
        abstain.
    """
    settings = settings or FeatureSettings()
    out = Features(len(market))
    for name, family in FAMILIES.items():
        out.begin(name)
        try:
            family.add(market, out, getattr(settings, name))
        except Exception as error:
            out.discard(name)
            report_fault(f"feature family {name}", market.pair, error)
    return out
