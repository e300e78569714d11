"""How often each head casts a valid vote: dead and saturated heads show here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quorum.consensus import ConsensusSettings
from quorum.pipeline import Evaluation


@dataclass(frozen=True)
class Rate:
    """Shares of the candles of one pair and year, 0-1 each."""

    pair: str
    year: int
    head: str
    candles: int
    available: float
    long: float
    short: float


def vote_rates(result: Evaluation, settings: ConsensusSettings) -> list[Rate]:
    """Return the share of valid long and short votes per head and year.

    Candles before the market has its minimum history are left out.
    """
    market = result.market
    dates = market.candles.time.astype("datetime64[ms]")
    years = dates.astype("datetime64[Y]").astype(int) + 1970
    counted = np.arange(len(market)) >= market.settings.min_history - 1
    rates = []
    for year in np.unique(years[counted]):
        rows = counted & (years == year)
        for name, v in result.votes.items():
            valid = (v.probability >= settings.min_probability) & (
                v.confidence >= settings.min_confidence
            )
            rates.append(
                Rate(
                    market.pair,
                    int(year),
                    name,
                    int(rows.sum()),
                    float(v.available[rows].mean()),
                    float((valid & (v.direction > 0))[rows].mean()),
                    float((valid & (v.direction < 0))[rows].mean()),
                )
            )
    return rates
