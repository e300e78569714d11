"""Writing: what the streams bring goes to the sinks once a second."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from quorum.recorder.bars import BarWriter
from quorum.recorder.buffer import Buffer
from quorum.recorder.sink import Sink, SinkError

logger = logging.getLogger(__name__)

#: Seconds between two writes: what ``kill -9`` may cost.
FLUSH = 0.5
#: Seconds between two looks for days to be sealed.
TIDY = 60.0


class Writer:
    """Empties a buffer into sinks.

    A database that does not answer is waited for, and rows wait in the buffer; a file that cannot
    be written (a disk that is full) ends the recording with its message.

    Parameters
    ----------
    buffer : Buffer
    sinks : sequence of Sink
    clock : callable
        Returns now, ms.
    bars : BarWriter, optional
    """

    def __init__(
        self,
        buffer: Buffer,
        sinks: Sequence[Sink],
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        bars: BarWriter | None = None,
    ) -> None:
        self.buffer = buffer
        self._sinks = tuple(sinks)
        #: Each sink has its own backlog: one that waits does not hold up the other.
        self._backlogs = [Buffer(buffer.capacity) for _ in sinks]
        self._broken = [False] * len(sinks)
        self._clock = clock
        self._bars = bars
        self._tidied = 0.0
        self.written = 0

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return len(self.buffer) + max((len(backlog) for backlog in self._backlogs), default=0)

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop, and once more then.

        Raises
        ------
        SinkError
            If rows can no longer be written to files.
        """
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLUSH)
            await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Write what has come, and the bars of minutes that are over."""
        now = self._clock()
        rows = self.buffer.take()
        self.written += sum(map(len, rows.values()))
        for number, sink in enumerate(self._sinks):
            backlog = self._backlogs[number]
            backlog.add(rows)
            self._write(number, sink, backlog)
        if self._bars is not None:
            self._bars.add(rows)
            self._bars.write(now)
        if time.monotonic() - self._tidied > TIDY:
            self._tidied = time.monotonic()
            for number, sink in enumerate(self._sinks):
                if not self._broken[number]:
                    sink.tidy(self._clock())

    def _write(self, number: int, sink: Sink, backlog: Buffer) -> None:
        rows = backlog.take()
        if not rows:
            return
        try:
            sink.write(rows)
        except SinkError as error:
            backlog.add(rows, first=True)
            if not sink.waits:
                raise
            if not self._broken[number]:
                logger.error("Recording waits for the database: %s", error)
            self._broken[number] = True
        else:
            if self._broken[number]:
                logger.warning("Recording to the database goes on")
            self._broken[number] = False
