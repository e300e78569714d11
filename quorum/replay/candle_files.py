"""Candle files in each of the formats in which freqtrade keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from quorum.candles import epoch_ms
from quorum.errors import DataError

#: Format as ``dataformat_ohlcv`` names it to the suffix of its files, the best one first.
FORMATS = {"feather": ".feather", "parquet": ".parquet", "json": ".json", "jsongz": ".json.gz"}
#: Columns of the JSON formats, which tell them apart by their number alone.
_BY_WIDTH = {
    6: ("date", "open", "high", "low", "close", "volume"),
    2: ("date", "funding_rate"),
    3: ("date", "open_interest_amount", "open_interest_value"),
}


def file_format(path: Path) -> str | None:
    """Return the format of a file by its name, None where it is no candle file's."""
    return next((name for name, suffix in FORMATS.items() if path.name.endswith(suffix)), None)


def read_candle_file(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a candle file, or some of its columns.

    Raises
    ------
    DataError
        If it cannot be read or a column is missing; names the file and what is wrong with it.
    """
    name = file_format(path)
    if name is None:
        raise DataError(f"{path}: ends in none of {', '.join(FORMATS.values())}")
    wanted = list(columns) if columns else None
    try:
        return _READERS[name](path, wanted)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    # Arrow's errors derive from these.
    except (OSError, EOFError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read as a {name} file ({reason})") from error


def write_candle_file(frame: pd.DataFrame, path: Path) -> None:
    """Write candles in the format that the file's name says."""
    name = file_format(path)
    if name == "feather":
        frame.to_feather(path, compression="lz4")
    elif name == "parquet":
        frame.to_parquet(path)
    else:
        rows = frame.assign(date=epoch_ms(frame["date"]))
        rows.to_json(path, orient="values", compression="gzip" if name == "jsongz" else None)


def _read_json(path: Path, columns: list[str] | None) -> pd.DataFrame:
    frame = pd.read_json(path, orient="values")
    if frame.empty:
        return pd.DataFrame(columns=columns or _BY_WIDTH[6])
    if len(frame.columns) not in _BY_WIDTH:
        raise ValueError(f"rows of {len(frame.columns)} values")
    frame.columns = pd.Index(_BY_WIDTH[len(frame.columns)])
    frame["date"] = pd.to_datetime(frame["date"], unit="ms", utc=True)
    return frame[columns] if columns else frame


def _read_parquet(path: Path, columns: list[str] | None) -> pd.DataFrame:
    return pd.read_parquet(path, columns=columns)


def _read_feather(path: Path, columns: list[str] | None) -> pd.DataFrame:
    return pd.read_feather(path, columns=columns)


_READERS: dict[str, Callable[[Path, list[str] | None], pd.DataFrame]] = {
    "feather": _read_feather,
    "parquet": _read_parquet,
    "json": _read_json,
    "jsongz": _read_json,
}
