"""Published columns made by hand: votes and context as populate_indicators leaves them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markets import START

from quorum.candles import epoch_ms
from quorum.context import ADJUSTERS
from quorum.exits import EXIT_COLUMNS
from quorum.heads import HEADS
from quorum.settings import Settings
from quorum.signals import SignalTable, decide

#: The classical heads: models vote only where they have been trained.
NAMES = tuple(head.name for head in HEADS)[:9]
WEIGHTS = {head.name: head.weight for head in HEADS}


#: Every published market column; NaN says nothing.
UNKNOWN = (
    *EXIT_COLUMNS,
    *(name for adjuster in ADJUSTERS for name in adjuster.published),
    "chandelier_long",
    "chandelier_short",
)


def published(
    rows: list[list[tuple[int, float, float] | None]], *, close=100.0, atr=1.0, **columns
) -> pd.DataFrame:
    """Return a frame with published votes; None abstains, columns not given are unknown."""
    n = len(rows)
    data = {
        "date": pd.date_range(START, periods=n, freq="1h").as_unit("ms"),
        "close": np.full(n, close),
        **{name: np.full(n, np.nan) for name in UNKNOWN},
        "near_reversal": np.zeros(n),
        "far_reversal": np.zeros(n),
        "divergence": np.zeros(n),
        "atr": np.full(n, atr),
        "tradable": np.ones(n, bool),
        **{name: np.full(n, value) for name, value in columns.items()},
    }
    for h, name in enumerate(NAMES):
        votes = [row[h] for row in rows]
        data[f"vote_{name}"] = np.array(
            [np.nan if v is None else v[0] * v[1] for v in votes], np.float32
        )
        data[f"confidence_{name}"] = np.array([v[2] if v else 0.0 for v in votes], np.float32)
        data[f"reason_{name}"] = np.array([1 if v and v[0] else 0 for v in votes], np.int64)
    for head in HEADS[9:]:
        data[f"vote_{head.name}"] = np.full(n, np.nan, np.float32)
        data[f"confidence_{head.name}"] = np.zeros(n, np.float32)
        data[f"reason_{head.name}"] = np.zeros(n, np.int64)
    return pd.DataFrame(data)


def table_of(frame: pd.DataFrame, settings: Settings | None = None) -> SignalTable:
    """Decide the signals of a published frame."""
    return decide(
        frame, epoch_ms(frame["date"]), NAMES, WEIGHTS, (settings or Settings()).consensus
    )


def agreeing(count: int, probability: float, confidence: float, side: int = 1):
    """Return a row of votes: ``count`` of nine heads agree, the others are flat."""
    return [(side, probability, confidence)] * count + [(0, 0.5, 0.0)] * (9 - count)
