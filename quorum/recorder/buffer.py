"""Buffer: rows between the streams and the sinks, bounded; what is given up is told."""

from __future__ import annotations

from collections import defaultdict
from threading import Lock
from typing import Any

from quorum.recorder.channels import CHANNELS, Rows

#: Rows held at most: a minute and more of a busy market.
CAPACITY = 200_000


class Buffer:
    """Rows that wait to be written.

    When it is full, books and marks are given up before trades and liquidations, and a row of the
    channel ``gaps`` says what was lost, from when to when.

    Parameters
    ----------
    capacity : int, default=CAPACITY
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._rows: Rows = defaultdict(list)
        self._size = 0
        self._lost: dict[tuple[str, str], list[int]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return self._size

    def put(self, channel: str, row: tuple[Any, ...]) -> None:
        """Add a row of a channel."""
        with self._lock:
            if self._size >= self.capacity and not self._make_room(channel):
                self._lose(channel, row)
                return
            self._rows[channel].append(row)
            self._size += 1

    def take(self) -> Rows:
        """Return everything and be empty; losses come along as gaps."""
        with self._lock:
            rows, self._rows, self._size = dict(self._rows), defaultdict(list), 0
            lost, self._lost = self._lost, {}
        gaps = [
            (pair, first, last, channel, last, "overflow", count)
            for (channel, pair), (first, last, count) in lost.items()
        ]
        if gaps:
            rows["gaps"] = [*rows.get("gaps", []), *gaps]
        return rows

    def add(self, rows: Rows, *, first: bool = False) -> None:
        """Add many rows, before all others (``first``) where they could not be written before."""
        with self._lock:
            for channel, found in rows.items():
                held = self._rows[channel]
                self._rows[channel] = found + held if first else held + found
                self._size += len(found)
            for channel in sorted(self._rows, key=lambda name: not CHANNELS[name].goes_first):
                excess = min(max(0, self._size - self.capacity), len(self._rows[channel]))
                for row in self._rows[channel][:excess]:
                    self._lose(channel, row)
                del self._rows[channel][:excess]
                self._size -= excess

    def _make_room(self, channel: str) -> bool:
        """Give up a row of a channel that goes first, for one that does not."""
        if CHANNELS[channel].goes_first:
            return False
        for name, found in self._rows.items():
            if CHANNELS[name].goes_first and found:
                self._lose(name, found.pop())
                self._size -= 1
                return True
        return False

    def _lose(self, channel: str, row: tuple[Any, ...]) -> None:
        if channel == "gaps":
            return
        at = row[2]
        known = self._lost.setdefault((channel, row[0]), [at, at, 0])
        known[0], known[1], known[2] = min(known[0], at), max(known[1], at), known[2] + 1
