"""Order flow: the minute bars that ``quorum record`` makes (spec R-3, H3)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from quorum.market import Market, Records
from quorum.recorder.bars import FOLDER, SCHEMA, read_bars
from quorum.records.columns import Column, number
from quorum.records.kind import RecordKind
from quorum.typing import Floats

MINUTE_MS = 60_000
#: Share of a candle's minutes that must be recorded for its flow to count.
COVERED = 0.95


class FlowRecords(RecordKind):
    """Bars of a minute; the source in the settings is the recorder's folder."""

    name: ClassVar[str] = "flow"
    columns: ClassVar[Mapping[str, Column]] = {name: number() for name in SCHEMA.names[1:]}
    #: Six minutes: what is older says nothing of a book.
    max_age: ClassVar[float] = 0.1
    by_pair: ClassVar[bool] = True

    def pair_version(self, folder: Path, base: str) -> Hashable:
        """Return what changes when bars of a pair are written."""
        files = sorted((folder / FOLDER).glob(f"{base}_*/*.parquet"))
        return tuple((str(path), path.stat().st_mtime_ns) for path in files)

    def read_pair(self, folder: Path, base: str) -> pd.DataFrame:
        """Return the bars of a pair; those without a book are left out of means of books."""
        found = sorted(path.name for path in (folder / FOLDER).glob(f"{base}_*"))
        frames = [read_bars(folder, name).to_pandas() for name in found]
        empty = SCHEMA.empty_table().to_pandas()
        frame = pd.concat([empty, *frames], ignore_index=True).sort_values("known_at")
        frame["known_at"] = pd.to_datetime(frame["known_at"], unit="ms", utc=True)
        whole: pd.DataFrame = frame.ffill().fillna(0.0).reset_index(drop=True)
        return whole

    def join(self, market: Market, records: Records) -> Market:
        """Keep the bars, and let what takers bought and sold be the candles' real delta."""
        market = super().join(market, records)
        recorded = taker_delta(market, records)
        if market.taker_delta is not None:
            recorded = np.where(np.isfinite(market.taker_delta), market.taker_delta, recorded)
        return replace(market, taker_delta=recorded)


def taker_delta(market: Market, records: Records) -> Floats:
    """Return buy minus sell volume per candle, NaN where too little of it was recorded.

    A candle has the bars that became known while it was open: those of its own minutes, but for
    the last one, and the last minute of the candle before.
    """
    close, step = market.close_time, market.candles.step
    delta = np.concatenate([[0.0], np.cumsum(records["buy_volume"] - records["sell_volume"])])
    last = np.searchsorted(records.known_at, close, side="right")
    first = np.searchsorted(records.known_at, close - step, side="right")
    covered = (last - first) >= COVERED * step / MINUTE_MS
    return np.where(covered, delta[last] - delta[first], np.nan)
