"""Records files: time-stamped values from outside the exchange's candles.

A record is seen from its ``known_at`` on (UTC; a time without a zone is UTC), never before. Two
kinds of file, CSV or feather, sorted by ``known_at``:

* sentiment: ``known_at, source, score, weight`` and optionally ``pair``. The score is the mood of
  the crowd, -1 (fear, bad news) to +1 (greed, good news); what to make of it is the sentiment
  head's business. The source is a kind (``fear_greed``, ``news``, ``social``), alone or as the
  prefix of a name (``news:coindesk``).
* derivatives: ``known_at, kind, value`` and optionally ``pair``; the kinds are
  :data:`DERIVATIVE_KINDS`.

``pair`` may be a pair or a base currency (``BTC``); empty means the whole market. A file is
checked as a whole before any of it is used. Rows in messages are data rows, counted from 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from quorum.candles import epoch_ms
from quorum.errors import DataError
from quorum.market import Published, Records
from quorum.typing import Bools, Floats

SENTIMENT_COLUMNS = ("known_at", "source", "score", "weight")
DERIVATIVES_COLUMNS = ("known_at", "kind", "value")

#: Kinds of derivatives records with the smallest and largest possible value.
DERIVATIVE_KINDS: Mapping[str, tuple[float, float]] = {
    "long_short_ratio": (0.0, np.inf),  # accounts long per account short
    "taker_buy_share": (0.0, 1.0),  # of the volume
    "exchange_reserves": (0.0, np.inf),  # coins held by exchanges
    "exchange_netflow": (-np.inf, np.inf),  # coins, positive into exchanges
    "liquidations": (-np.inf, np.inf),  # quote currency; signed: longs liquidated negative
    "open_interest": (0.0, np.inf),  # base currency
    "funding_rate": (-1.0, 1.0),  # fraction per settlement
    "premium_index": (-1.0, 1.0),  # fraction
}


def base_currency(pair: str) -> str:
    """Return the base currency of a pair, or a base currency itself, in capitals."""
    return pair.strip().split("/")[0].upper()


def read_frame(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV or feather file with at least one row and the wanted columns.

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, is empty or misses a column.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix not in (".csv", ".feather"):
        raise DataError(f"{path}: {path.suffix or 'no suffix'!r} is not .csv or .feather")
    try:
        if path.suffix == ".csv":
            # As text: a bad number must be quoted in the message as it stands in the file.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        else:
            frame = pd.read_feather(path)
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty") from None
    except (ValueError, OSError) as error:  # what the CSV, text and Arrow readers raise
        raise DataError(f"{path}: cannot be read: {error}") from error
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(f"{path}: column {', '.join(missing)} missing")
    if frame.empty:
        raise DataError(f"{path}: no rows")
    return frame


def refuse(path: Path, values: pd.Series, bad: Bools, why: str) -> None:
    """Raise ``DataError`` for the first bad row of a column, if there is one."""
    if bad.any():
        row = int(np.argmax(bad))
        value = values.iloc[row]
        shown = "nothing" if pd.isna(value) else repr(str(value))
        raise DataError(f"{path}: column {values.name}, row {row + 1}: {shown} {why}")


def numbers(path: Path, values: pd.Series, least: float = -np.inf, most: float = np.inf) -> Floats:
    """Read a column of finite numbers within limits."""
    out: Floats = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    refuse(path, values, ~np.isfinite(out), "is not a finite number")
    refuse(path, values, (out < least) | (out > most), f"is not in [{least:g}, {most:g}]")
    return out


def times(path: Path, values: pd.Series, *, strict: bool = False) -> pd.Series:
    """Read a column of increasing times as UTC; ``strict`` refuses equal ones."""
    if pd.api.types.is_numeric_dtype(values):
        refuse(path, values, np.ones(len(values), dtype=np.bool_), "is a number, not a date")
    if isinstance(values.dtype, (np.dtype, pd.DatetimeTZDtype)) and values.dtype.kind == "M":
        dates: pd.Series = pd.to_datetime(values, utc=True)
    else:
        dates = pd.to_datetime(values, utc=True, format="ISO8601", errors="coerce")
    refuse(path, values, dates.isna().to_numpy(dtype=np.bool_), "is not a date")
    step = np.diff(epoch_ms(dates), prepend=np.iinfo(np.int64).min // 2)
    refuse(path, values, step < int(strict), "is not after the row before it")
    return dates


def names(path: Path, values: pd.Series) -> pd.Series:
    """Read a column of names, none of them empty."""
    text = values.astype("string").str.strip()
    empty = (text.isna() | (text == "")).to_numpy(dtype=np.bool_)
    refuse(path, values, empty, "is not a name")
    return text


def pairs(frame: pd.DataFrame) -> pd.Series:
    """Return the base currency each row is about, empty for the whole market."""
    if "pair" not in frame:
        return pd.Series("", index=frame.index, dtype="string")
    return frame["pair"].astype("string").fillna("").map(base_currency).astype("string")


# A bot asks for every pair at every candle: a file is read, and divided among the currencies it
# is about, only when it has changed.
@lru_cache(maxsize=8)
def _sentiment(path: Path, _version: tuple[int, int]) -> dict[str, Records]:
    frame = read_frame(path, SENTIMENT_COLUMNS)
    known_at = epoch_ms(times(path, frame["known_at"]))
    source = names(path, frame["source"])
    score = numbers(path, frame["score"], -1.0, 1.0)
    weight = numbers(path, frame["weight"], 0.0)
    about = pairs(frame)

    def records(base: str) -> Records:
        rows = about.isin(["", base]).to_numpy(dtype=np.bool_)
        number, sources = pd.factorize(source[rows], sort=True)
        return Records(
            known_at[rows], score[rows], weight[rows], number.astype(np.int64), tuple(sources)
        )

    return {base: records(base) for base in {"", *about.unique()}}


@lru_cache(maxsize=8)
def _derivatives(path: Path, _version: tuple[int, int]) -> dict[str, dict[str, Published]]:
    frame = read_frame(path, DERIVATIVES_COLUMNS)
    kinds = names(path, frame["kind"])
    known = kinds.isin(list(DERIVATIVE_KINDS)).to_numpy(dtype=np.bool_)
    refuse(path, frame["kind"], ~known, f"is not one of {', '.join(DERIVATIVE_KINDS)}")
    values = numbers(path, frame["value"])
    for kind, (least, most) in DERIVATIVE_KINDS.items():
        outside = (kinds == kind).to_numpy(dtype=np.bool_) & ((values < least) | (values > most))
        refuse(path, frame["value"], outside, f"is not in [{least:g}, {most:g}] of {kind}")
    read = pd.DataFrame(
        {
            "known_at": epoch_ms(times(path, frame["known_at"])),
            "kind": kinds,
            "value": values,
            "pair": pairs(frame),
        }
    )
    out: dict[str, dict[str, Published]] = {"": {}}
    for (about, of), rows in read.groupby(["pair", "kind"], sort=True):
        last = rows.drop_duplicates("known_at", keep="last")
        out.setdefault(str(about), {})[str(of)] = Published(
            last["known_at"].to_numpy(dtype=np.int64), last["value"].to_numpy(dtype=np.float64)
        )
    return out


def _version(path: Path) -> tuple[int, int]:
    """Return what changes when a file does, or raise ``DataError`` if there is none."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: no such file") from error
    return status.st_mtime_ns, status.st_size


def load_sentiment(path: str | Path, pair: str) -> Records:
    """Read the sentiment records about a pair and about the whole market.

    Parameters
    ----------
    path : str or Path
        CSV or feather file, see the module docstring.
    pair : str
        For example ``"BTC/USDT:USDT"``.

    Returns
    -------
    Records
        Empty if the file has nothing on the pair; then the sentiment head abstains.

    Raises
    ------
    DataError
        Naming path, column, row and value.
    """
    path = Path(path)
    found = _sentiment(path, _version(path))
    return found.get(base_currency(pair), found[""])


def load_derivatives(path: str | Path, pair: str) -> dict[str, Published]:
    """Read the derivatives records of a pair, one series per kind.

    Where the file has a kind both for the pair and for the whole market, the pair's is taken;
    of records known at the same time the last.

    Returns
    -------
    dict of kind to Published

    Raises
    ------
    DataError
        Naming path, column, row and value.
    """
    path = Path(path)
    found = _derivatives(path, _version(path))
    return {**found[""], **found.get(base_currency(pair), {})}
