"""Rows of context columns, from feature values given by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quorum.candles import Candles
from quorum.context import Adjuster
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market


def flat_market(n: int = 1, price: float = 100.0) -> Market:
    """Return ``n`` hourly candles that stand still, without any other source."""
    time = np.arange(n, dtype=np.int64) * HOUR_MS
    still = np.full(n, price)
    return Market("SOL/USDT:USDT", Candles("1h", time, still, still, still, still, still))


def columns_of(adjuster: Adjuster[Any], **features: Sequence[float]) -> dict[str, np.ndarray]:
    """Return what an adjuster publishes where only these feature columns are known."""
    n = len(next(iter(features.values()), [0.0]))
    table = Features(n)
    for name, values in features.items():
        table.add(name, np.asarray(values, dtype=np.float64))
    return adjuster.columns(flat_market(n), table)


def row_of(adjuster: Adjuster[Any], **features: float) -> dict[str, float]:
    """Return one row of :func:`columns_of`."""
    columns = columns_of(adjuster, **{name: [value] for name, value in features.items()})
    return {name: float(values[0]) for name, values in columns.items()}
