"""Reading the columns of records: what is not as it must be is refused with row and value.

Rows in messages are data rows, counted from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from quorum.candles import epoch_ms
from quorum.errors import DataError
from quorum.typing import Bools, Floats

#: Reads one column of a file: numbers as float64, names as text. Raises ``DataError``.
Column = Callable[[Path, pd.Series], Floats | pd.Series]


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


def number(least: float = -np.inf, most: float = np.inf) -> Column:
    """Return a column of finite numbers within limits."""
    return lambda path, values: numbers(path, values, least, most)


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
