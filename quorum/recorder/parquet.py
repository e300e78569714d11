"""Files: a hot segment per channel and day, sealed to Parquet by pair when the day is over.

::

    hot/trades-2026-03-01.arrow                    an Arrow stream, appended to once a second
    trades/BTC_USDT_USDT/2026-03-01.parquet        sealed, any tool reads it
    trades/BTC_USDT_USDT/_2026-03-01.json          rows, first and last time, checksum

A hot segment may end within a batch when the process was killed: it is cut behind its last whole
batch before anything is appended. Sealing writes to a temporary name and renames; killed in the
middle, it is done again.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from quorum.recorder.channels import CHANNELS, DAY_MS, Channel, Rows, day_of, folder_of
from quorum.recorder.sink import Sink, SinkError, between, distinct

HOT = "hot"
_SUFFIX = ".arrow"


class ParquetSink(Sink):
    """Recorded rows in files.

    Parameters
    ----------
    folder : Path
    keep_days : int
        Age at which sealed days go.

    Raises
    ------
    SinkError
        If the folder cannot be used.
    """

    def __init__(self, folder: Path, keep_days: int = 30) -> None:
        self.folder = folder
        self.keep_days = keep_days
        self._open: dict[Path, int] = {}
        try:
            (folder / HOT).mkdir(parents=True, exist_ok=True)
            for path in (folder / HOT).glob(f"*{_SUFFIX}"):
                _cut_torn_tail(path)
        except OSError as error:
            raise SinkError(f"{folder}: cannot be used: {error.strerror or error}") from error

    def write(self, rows: Rows) -> None:
        """Append to the hot segments of the days the rows were received."""
        for name, found in rows.items():
            channel = CHANNELS[name]
            days: dict[str, list[tuple[object, ...]]] = {}
            for row in found:
                days.setdefault(day_of(row[2]), []).append(row)
            for day, received in days.items():
                self._append(channel, day, channel.table(received))

    def _append(self, channel: Channel, day: str, table: pa.Table) -> None:
        path = self.folder / HOT / f"{channel.name}-{day}{_SUFFIX}"
        data = b"".join(batch.serialize().to_pybytes() for batch in table.to_batches())
        try:
            file = self._open.get(path)
            if file is None:
                file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
                self._open[path] = file
            end = os.fstat(file).st_size
            if end == 0:
                data = channel.schema.serialize().to_pybytes() + data
            written = os.write(file, data)
            if written < len(data):
                os.ftruncate(file, end)
                raise OSError(f"only {written} of {len(data)} bytes were written")
            os.fdatasync(file)
        except OSError as error:
            raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error

    def read(self, channel: Channel, pair: str, start: int, end: int) -> pa.Table:
        """Return rows of sealed days and of hot segments."""
        first, last = day_of(start), day_of(max(start, end - 1))
        parts = [
            between(pq.read_table(path, schema=channel.schema), pair, start, end)
            for path in sorted((self.folder / channel.name / folder_of(pair)).glob("*.parquet"))
            if first <= path.stem <= last
        ]
        parts += [
            between(_read_stream(path), pair, start, end)
            for path in self._hot(channel)
            if first <= _day(path) <= last
        ]
        return distinct(pa.concat_tables([channel.schema.empty_table(), *parts]), channel)

    def pairs(self, channel: Channel) -> list[str]:
        """Return the pairs there are hot rows of."""
        found: set[str] = set()
        for path in self._hot(channel):
            found |= set(pc.unique(_read_stream(path)["pair"]).to_pylist())
        return sorted(found)

    def tidy(self, now: int) -> None:
        """Seal every day before today, and drop sealed days that are too old."""
        today, oldest = day_of(now), day_of(now - self.keep_days * DAY_MS)
        try:
            for channel in CHANNELS.values():
                for path in self._hot(channel):
                    if _day(path) < today:
                        self._seal(channel, path)
                for path in (self.folder / channel.name).glob("*/*"):
                    if path.stem.lstrip("_") < oldest:
                        path.unlink()
        except (OSError, pa.ArrowException) as error:
            raise SinkError(f"{self.folder}: a day cannot be sealed: {error}") from error

    def close(self) -> None:
        """Close the hot segments; they are appended to when it begins again."""
        for file in self._open.values():
            os.close(file)
        self._open.clear()

    # How ----------------------------------------------------------------------------------

    def _hot(self, channel: Channel) -> list[Path]:
        return sorted((self.folder / HOT).glob(f"{channel.name}-*{_SUFFIX}"))

    def _seal(self, channel: Channel, path: Path) -> None:
        """Write a day's rows by pair, beside those sealed already, and drop the segment."""
        file = self._open.pop(path, None)
        if file is not None:
            os.close(file)
        hot, day = _read_stream(path), _day(path)
        for pair in pc.unique(hot["pair"]).to_pylist():
            target = self.folder / channel.name / folder_of(pair) / f"{day}.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            parts = [hot.filter(pc.equal(hot["pair"], pair))]
            if target.is_file():
                parts.insert(0, pq.read_table(target, schema=channel.schema))
            _write_sealed(distinct(pa.concat_tables(parts), channel), target)
        path.unlink()


def _write_sealed(table: pa.Table, target: Path) -> None:
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    pq.write_table(table, fresh, compression="zstd")
    received = table["received_at"]
    manifest = {
        "rows": len(table),
        "first_received_at": pc.min(received).as_py(),
        "last_received_at": pc.max(received).as_py(),
        "sha256": hashlib.sha256(fresh.read_bytes()).hexdigest(),
    }
    # Readers of a whole folder pass over names that begin so.
    told = target.with_name(f"_{target.stem}.json")
    fresh_manifest = told.with_name(f".{told.name}.{os.getpid()}")
    fresh_manifest.write_text(json.dumps(manifest), encoding="utf-8")
    _sync(fresh)
    fresh.replace(target)
    fresh_manifest.replace(told)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _day(path: Path) -> str:
    return path.stem.split("-", 1)[1]


def _whole_length(path: Path) -> int:
    """Return the bytes of a segment up to the end of its last whole batch."""
    with pa.memory_map(str(path)) if path.stat().st_size else pa.BufferReader(b"") as file:
        whole = 0
        try:
            schema = pa.ipc.read_schema(file)
            whole = int(file.tell())
            while file.tell() < file.size():
                pa.ipc.read_record_batch(pa.ipc.read_message(file), schema).validate(full=True)
                whole = int(file.tell())
        except (pa.ArrowException, EOFError, OSError):
            # What a killed process had begun to write.
            return whole
    return whole


def _cut_torn_tail(path: Path) -> None:
    whole = _whole_length(path)
    if whole < path.stat().st_size:
        os.truncate(path, whole)


def _read_stream(path: Path) -> pa.Table:
    """Read a segment as far as it is whole; another process may be appending to it."""
    data = path.read_bytes()[: _whole_length(path)]
    if not data:
        return CHANNELS[path.stem.split("-", 1)[0]].schema.empty_table()
    return pa.ipc.open_stream(data).read_all()
