"""Sink: where recorded rows go, and are read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from quorum.errors import QuorumError
from quorum.recorder.channels import Channel, Rows


class SinkError(QuorumError):
    """Recorded rows cannot be written or read."""


class Sink(ABC):
    """Keeps recorded rows. What has been written may be written again: it stays one row.

    Attributes
    ----------
    waits : bool
        Whether what cannot be written now may be written later, as with a database that restarts.
    """

    waits: ClassVar[bool] = False

    @abstractmethod
    def write(self, rows: Rows) -> None:
        """Write rows; what returns outlives ``kill -9``.

        Raises
        ------
        SinkError
            If they cannot be written.
        """

    @abstractmethod
    def read(self, channel: Channel, pair: str, start: int, end: int) -> pa.Table:
        """Return the rows of a pair received in [start, end), by the time they were received."""

    @abstractmethod
    def tidy(self, now: int) -> None:
        """Do what is to be done once in a while: seal days that are over, drop what is too old."""

    @abstractmethod
    def close(self) -> None:
        """End; nothing is lost that was written."""


def distinct(table: pa.Table, channel: Channel) -> pa.Table:
    """Return each row once, the first received, ordered by the time it was received."""
    order = [("received_at", "ascending"), ("exchange_at", "ascending")]
    table = table.sort_by([*order, *((name, "ascending") for name in channel.key)])
    numbered = table.append_column("row", pa.array(range(len(table)), type=pa.int64()))
    first = numbered.group_by(list(channel.identity)).aggregate([("row", "min")])["row_min"]
    if len(first) == len(table):
        return table
    return table.take(first.combine_chunks().sort())


def between(table: pa.Table, pair: str, start: int, end: int) -> pa.Table:
    """Return the rows of a pair received in [start, end)."""
    received = table["received_at"]
    inside = pc.and_(pc.greater_equal(received, start), pc.less(received, end))
    return table.filter(pc.and_(inside, pc.equal(table["pair"], pair)))
