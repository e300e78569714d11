"""A market rebuilt from raw series that say something else after a moment.

When a row of a raw series became public is stated here once more, apart from the loaders that are
held against it: one that lets a row be seen earlier shows it in its columns.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quorum.bot.host import load_market
from quorum.bot.source import Series
from quorum.candles import PRICES, epoch_ms, timeframe_ms
from quorum.market import Market
from quorum.records.loading import STATE
from quorum.settings import Settings
from quorum.typing import Ints
from quorum.verify import Rebuild

#: Funding is settled at its time and filed by exchanges within the minute.
FUNDING_DELAY_MS = 60_000
#: Series whose values may be negative.
SIGNED = ("funding_rate", "premiumIndex")


def published_at(series: Series, dates: Ints) -> Ints:
    """Return when each row of a raw series became public, milliseconds since the epoch.

    A candle when it has closed, funding when it is filed; open interest is a snapshot that some
    exchanges stamp with the beginning of its hour.
    """
    if series.candle_type == "funding_rate":
        return dates + FUNDING_DELAY_MS
    return dates + timeframe_ms(series.timeframe)


def garbled(series: Series, frame: pd.DataFrame, moment: int) -> pd.DataFrame:
    """Return a raw series in which every row that was not public at a moment is another.

    Parameters
    ----------
    series : Series
    frame : DataFrame
        As the host keeps it.
    moment : int
        Milliseconds since the epoch.
    """
    later = published_at(series, epoch_ms(frame["date"])) > moment
    count = int(later.sum())
    if not count:
        return frame
    out = frame.copy()
    rng = np.random.default_rng([zlib.crc32("/".join(series).encode()), moment // 1000])
    # One factor for the prices of a row, or the candle would be none.
    factors = np.exp(rng.normal(0.0, 0.3, count))
    for column in frame.columns.drop("date"):
        values = frame[column].to_numpy(dtype=np.float64).copy()
        if series.candle_type in SIGNED:
            values[later] = rng.normal(0.0, 1e-2, count)
        elif column in PRICES:
            values[later] *= factors
        else:
            values[later] *= np.exp(rng.normal(0.0, 1.0, count))
        out[column] = values
    return out


@contextmanager
def rebuilding(config: dict[str, Any], settings: Settings, pair: str) -> Iterator[Rebuild]:
    """Give a function that rebuilds a pair's market with everything later than a moment changed.

    Candle series are garbled, records of files left out; all else is what :func:`load_market`
    does, also for records in the state store, which are read as files are.
    """
    root = Path(config.get("user_data_dir", "."))
    with tempfile.TemporaryDirectory(prefix="quorum-verify-") as folder:

        def rebuild(moment: int) -> Market:
            records = {
                kind: source if source == STATE else _records_until(root / source, moment, folder)
                for kind, source in settings.market.records.items()
            }
            market = settings.market.model_copy(update={"records": records})
            return load_market(
                config,
                settings.model_copy(update={"market": market}),
                pair,
                lambda series, frame: garbled(series, frame, moment),
            )

        yield rebuild


def _records_until(path: Path, moment: int, folder: str) -> str:
    """Write a copy of a records file without what was known later."""
    csv = path.suffix == ".csv"
    frame = pd.read_csv(path, dtype=str) if csv else pd.read_feather(path)
    kept = frame[epoch_ms(pd.to_datetime(frame["known_at"], utc=True)) <= moment]
    if kept.empty:
        # A file must hold a record: a head that has one coming reads otherwise than one without.
        kept = frame.head(1)
    copy = Path(folder) / f"{moment}-{path.name}"
    if csv:
        kept.to_csv(copy, index=False)
    else:
        kept.reset_index(drop=True).to_feather(copy)
    return str(copy)
