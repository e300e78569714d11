"""The clock of a replay: one for the exchange and for every bot that trades on it.

At speed 1 it is the wall clock (:class:`WallClock`) and nothing on the bot's side is touched. A
drill runs on a :class:`SharedClock`, a small file mapped by every process: it can run faster,
stand still, be moved forward, stop at a given time, and jump over the bot's own sleeps.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Protocol, Self

from quorum.errors import DataError

#: Nanoseconds in a millisecond and in a second.
MS = 1_000_000
SECOND = 1_000_000_000
#: sequence, real and simulated anchor [ns], speed [millionths], jump, stop [ns, 0: none].
_CELLS = struct.Struct("<6q")
_MILLION = 1_000_000

# Taken before anything replaces them: a bot's own sleep and clock become the simulated ones.
_real_time_ns = time.time_ns
_monotonic_ns = time.monotonic_ns
real_sleep: Callable[[float], None] = time.sleep


class Clock(Protocol):
    """What time it is on the exchange."""

    def now(self) -> int:
        """Return the time, milliseconds since the epoch."""
        ...


class WallClock:
    """The time of this machine."""

    def now(self) -> int:
        """Return the time, milliseconds since the epoch."""
        return _real_time_ns() // MS


class SharedClock:
    """A simulated clock in a file, the same for every process that opens it (POSIX).

    Parameters
    ----------
    path : Path
        A file :meth:`create` made.

    Raises
    ------
    DataError
        If the file is no clock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        try:
            self._file = path.open("r+b")
        except OSError as error:
            raise DataError(f"{path}: there is no clock ({error.strerror})") from error
        try:
            self._map = mmap.mmap(self._file.fileno(), _CELLS.size)
        except ValueError as error:
            self._file.close()
            raise DataError(f"{path}: is no clock ({error})") from error

    @classmethod
    def create(cls, path: Path, start: int, speed: float, *, jump: bool = False) -> Self:
        """Write a clock that starts at ``start`` (milliseconds) and return it opened."""
        cells = (0, _monotonic_ns(), start * MS, round(speed * _MILLION), int(jump), 0)
        path.write_bytes(_CELLS.pack(*cells))
        return cls(path)

    def close(self) -> None:
        """Let go of the file; the clock runs on for the others."""
        self._map.close()
        self._file.close()

    def now(self) -> int:
        """Return the time, milliseconds since the epoch."""
        return self.now_ns() // MS

    def now_ns(self) -> int:
        """Return the time, nanoseconds since the epoch."""
        return _reading(self._read())

    @property
    def speed(self) -> float:
        """Simulated seconds per second; 0 while it stands."""
        return self._read()[3] / _MILLION

    @property
    def jump(self) -> bool:
        """Whether a bot's sleeps are jumped over instead of slept."""
        return bool(self._read()[4])

    @property
    def stop(self) -> int | None:
        """The time it does not pass, milliseconds since the epoch, None if there is none."""
        stop = self._read()[5]
        return stop // MS if stop else None

    def set(
        self,
        *,
        speed: float | None = None,
        jump: bool | None = None,
        stop: int | None = None,
    ) -> None:
        """Change how it runs, from now on; ``stop`` is in milliseconds, 0 takes it away."""
        if speed is not None and speed < 0:
            raise DataError(f"speed {speed}: a clock does not run backwards")
        with self._writing() as cells:
            if speed is not None:
                cells[3] = round(speed * _MILLION)
            if jump is not None:
                cells[4] = int(jump)
            if stop is not None:
                cells[5] = stop * MS

    def advance_to(self, when: int) -> None:
        """Move forward to ``when`` (milliseconds), never back and never past the stop."""
        self.advance_to_ns(when * MS)

    def advance_to_ns(self, when: int) -> None:
        """Move forward to ``when`` (nanoseconds), never back and never past the stop."""
        with self._writing() as cells:
            limit = cells[5] or when
            cells[2] = max(cells[2], min(when, limit))

    def wait_real(self, until: int, poll: float = 0.02) -> float:
        """Return how long to sleep for real now on the way to ``until`` (ns), 0 when there."""
        cells = self._read()
        left = until - _reading(cells)
        if left <= 0:
            return 0.0
        speed = cells[3] / _MILLION
        return min(left / SECOND / speed, poll) if speed else poll

    def _read(self) -> tuple[int, ...]:
        """Return a consistent state: a writer makes the sequence odd while it writes."""
        while True:
            cells = _CELLS.unpack_from(self._map)
            if not cells[0] % 2 and _CELLS.unpack_from(self._map)[0] == cells[0]:
                return cells
            real_sleep(0)

    @contextmanager
    def _writing(self) -> Iterator[list[int]]:
        """Yield the state re-anchored at now, and publish what becomes of it."""
        import fcntl

        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                # A writer that was killed left the sequence odd; nobody else writes now.
                cells = list(_CELLS.unpack_from(self._map))
                cells[2] = _reading(tuple(cells))
                cells[1] = _monotonic_ns()
                yield cells
                sequence = cells[0] | 1
                struct.pack_into("<q", self._map, 0, sequence)
                struct.pack_into("<5q", self._map, 8, *cells[1:])
                struct.pack_into("<q", self._map, 0, sequence + 1)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)


def _reading(cells: tuple[int, ...]) -> int:
    """Return the time a state stands for, nanoseconds since the epoch."""
    _, real, simulated, speed, _, stop = cells
    now = simulated + (_monotonic_ns() - real) * speed // _MILLION
    return max(simulated, min(now, stop)) if stop else now
