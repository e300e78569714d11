"""RecordLoader: the records a market is built with, read once per change of their source."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Table, func, select

from quorum.candles import epoch_ms
from quorum.errors import DataError, QuorumError
from quorum.faults import report_fault
from quorum.market import Market, Records
from quorum.records.columns import base_currency, pairs, read_frame, times
from quorum.records.kind import RecordKind
from quorum.records.registry import RECORD_KINDS
from quorum.state import Store

#: Instead of a file: the records are in the state store.
STATE = "state"


#: Reads a source: what to call it in messages, and its rows.
_Reader = Callable[[], tuple[Path, pd.DataFrame]]


class _Read(NamedTuple):
    """What was read of a source, and the state of the source it was read in."""

    version: Hashable
    records: Records
    about: pd.Series
    divided: dict[str, Records]


class RecordLoader:
    """Reads records and joins them to markets.

    A bot asks for every pair at every candle: a source is read, and divided among the currencies
    it is about, only when it has changed.

    Parameters
    ----------
    sources : mapping of kind to str
        Path of a file, or ``"state"``; kinds that are not named are not read.
    root : Path
        Folder that relative paths are relative to.
    store : Store, optional
        For sources in the state store.
    kinds : sequence of RecordKind

    Raises
    ------
    DataError
        For an unknown kind or an unusable source, which is named.
    """

    def __init__(
        self,
        sources: Mapping[str, str],
        root: Path,
        *,
        store: Store | None = None,
        kinds: Sequence[RecordKind] = RECORD_KINDS,
    ) -> None:
        known = {kind.name: kind for kind in kinds}
        for name in sources:
            if name not in known:
                raise DataError(
                    f"market.records.{name}: unknown kind of record (known: {', '.join(known)})"
                )
        self._sources = {known[name]: source for name, source in sources.items()}
        self._root = root
        self._store = store
        self._read: dict[tuple[str, str], _Read] = {}
        # What cannot be used is refused here, before anything starts.
        for kind in self._sources:
            self.records(kind, "")

    def join(self, market: Market) -> Market:
        """Return the market with its records; a source that broke is reported and left out."""
        for kind in self._sources:
            try:
                records = self.records(kind, market.pair)
            except QuorumError as error:
                report_fault(f"{kind.name} records", market.pair, error)
                continue
            market = kind.join(market, records)
        return market

    def records(self, kind: RecordKind, pair: str) -> Records:
        """Return the records of a kind that join a pair, empty where there are none.

        Raises
        ------
        QuorumError
            Naming source, column, row and value.
        """
        base = base_currency(pair)
        version, read = self._source(kind, base)
        place = (kind.name, base if kind.by_pair else "")
        found = self._read.get(place)
        if found is None or found.version != version:
            records, about = checked(kind, *read())
            found = self._read[place] = _Read(version, records, about, {})
        if base not in found.divided:
            rows = kind.about_pair(found.records, found.about, base)
            found.divided[base] = found.records.rows(rows)
        return found.divided[base]

    def _source(
        self, kind: RecordKind, base: str
    ) -> tuple[Hashable, Callable[[], tuple[Path, pd.DataFrame]]]:
        """Return what changes when a source does, and how to read it."""
        source = self._sources[kind]
        if source != STATE:
            path = self._root / source
            if kind.by_pair:
                if not path.is_dir():
                    raise DataError(f"{path}: no such folder")
                return kind.pair_version(path, base), lambda: (path, kind.read_pair(path, base))
            wanted = ("known_at", *kind.columns)
            return _file_version(path), lambda: (path, read_frame(path, wanted))
        if kind.table is None or self._store is None:
            why = "they are kept in files only" if kind.table is None else "no state is kept"
            raise DataError(f"market.records.{kind.name} = {STATE!r}: {why}")
        store, table = self._store, kind.table
        where = Path(STATE) / kind.name
        return _rows_version(store, table), lambda: (where, _rows(store, table, kind.columns))


def stored_versions(
    sources: Mapping[str, str], store: Store | None, kinds: Iterable[RecordKind] = RECORD_KINDS
) -> dict[str, Hashable]:
    """Return what changes when records in the state store do, by kind that is read from there."""
    return {
        kind.name: _rows_version(store, kind.table)
        for kind in kinds
        if sources.get(kind.name) == STATE and store is not None and kind.table is not None
    }


def _rows_version(store: Store, table: Table) -> Hashable:
    with store.read() as connection:
        return tuple(connection.execute(select(func.count(), func.max(table.c.id))).one())


def _rows(store: Store, table: Table, columns: Iterable[str]) -> pd.DataFrame:
    wanted = [table.c[name] for name in ("known_at", "pair", *columns)]
    with store.read() as connection:
        rows = connection.execute(select(*wanted).order_by(table.c.known_at, table.c.id)).all()
    frame = pd.DataFrame(rows, columns=[column.name for column in wanted])
    frame["known_at"] = pd.to_datetime(frame["known_at"], unit="ms", utc=True)
    return frame


def checked(kind: RecordKind, path: Path, frame: pd.DataFrame) -> tuple[Records, pd.Series]:
    """Read a frame of records by the columns of its kind.

    Returns
    -------
    Records
    Series of shape (n_records,)
        Base currency each is about, empty for the whole market.

    Raises
    ------
    DataError
        Naming path, column, row and value.
    """
    known_at = epoch_ms(times(path, frame["known_at"]))
    read = {name: column(path, frame[name]) for name, column in kind.columns.items()}
    kind.check(path, frame.assign(**read))
    columns: dict[str, NDArray[Any]] = {}
    labels = {}
    for name, values in read.items():
        if isinstance(values, pd.Series):
            codes, found = pd.factorize(values, sort=True)
            columns[name], labels[name] = codes.astype(np.int64), tuple(map(str, found))
        else:
            columns[name] = values
    return Records(known_at, columns, labels, kind.max_age_ms), pairs(frame)


def _file_version(path: Path) -> tuple[int, int]:
    """Return what changes when a file does, or raise ``DataError`` if there is none."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: no such file") from error
    return status.st_mtime_ns, status.st_size
