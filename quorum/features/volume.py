"""Volume: how much was traded, by whom, and at which prices."""

from __future__ import annotations

import bottleneck as bn
import numpy as np
from pydantic import Field

from quorum.features.table import Features
from quorum.market import Market
from quorum.section import Section


class VolumeSettings(Section):
    """Windows of the volume columns."""

    mean: int = Field(20, ge=2, le=500, description="window of the mean volume [candles]")


def add_volume(market: Market, out: Features, settings: VolumeSettings) -> None:
    """Add ``volume_ratio``: volume over the mean of the candles *before* it. Lag 0."""
    volume = market.candles.volume
    mean = np.full(len(volume), np.nan)
    if len(volume) > settings.mean:
        mean[1:] = bn.move_mean(volume, settings.mean)[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(mean > 0, volume / mean, np.nan)
    out.add("volume_ratio", ratio)
