"""The files of a journal: one per day, JSON lines, append-only.

A line is one ``write`` to the kernel: ``kill -9`` loses none that was written. Files are synced
to the disk when their day ends and when the bot stops, so a power cut can cost what the kernel
had not yet written back of the last day. A line cut short by it is removed when the file is
opened again, and passed over by readers.
"""

from __future__ import annotations

import json
import logging
import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from quorum.errors import DataError
from quorum.journal.settings import JournalSettings

logger = logging.getLogger(__name__)

#: Version of the lines; raised when an older Quorum could not read them.
FORMAT = 1
_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")


def day_files(folder: Path) -> list[Path]:
    """Return the files of a journal, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))


class JournalWriter:
    """Appends lines to the file of the day; removes files that are too old or too many.

    Parameters
    ----------
    folder : Path
    settings : JournalSettings
    """

    def __init__(self, folder: Path, settings: JournalSettings) -> None:
        self.folder = folder
        self._settings = settings
        self._day: date | None = None
        self._file: int | None = None
        self._size = 0
        self._older = 0
        self._full = False

    def begin(self, time: int) -> bool:
        """Open the file of a candle's day; return whether it is another one than before.

        A candle that comes after the first of the next day is filed with those.

        Raises
        ------
        OSError
            If the file cannot be opened.
        """
        day = datetime.fromtimestamp(time / 1000, tz=UTC).date()
        if self._file is not None and self._day is not None and day <= self._day:
            return False
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{day.isoformat()}.jsonl"
        _drop_partial_line(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        self._size = os.fstat(self._file).st_size
        self._day = day
        self._full = False
        self._prune(path)
        return True

    def append(self, line: dict[str, Any]) -> None:
        """Append one line to the open file.

        Raises
        ------
        OSError
            If it could not be written whole; nothing of it is left then.
        """
        if self._file is None:
            raise DataError(f"{self.folder}: no day has begun")
        content = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        if self._older + self._size + len(content) > self._limit:
            if not self._full:
                self._full = True
                logger.warning(
                    "%s has reached %.0f MB (journal.max_megabytes); the rest of the day is not "
                    "journaled",
                    self.folder,
                    self._settings.max_megabytes,
                )
            return
        written = os.write(self._file, content)
        if written < len(content):
            os.ftruncate(self._file, self._size)
            raise OSError(f"{self.folder}: only {written} of {len(content)} bytes were written")
        self._size += written

    def close(self) -> None:
        """Sync what was written to the disk and close the file."""
        if self._file is not None:
            try:
                os.fsync(self._file)
            finally:
                os.close(self._file)
                self._file = None

    @property
    def _limit(self) -> int:
        return int(self._settings.max_megabytes * 1_000_000)

    def _prune(self, current: Path) -> None:
        """Remove files older than allowed; then the oldest while half the space is taken."""
        assert self._day is not None
        oldest = (self._day - timedelta(days=self._settings.keep_days)).isoformat()
        sizes = {p: p.stat().st_size for p in day_files(self.folder) if p != current}
        self._older = sum(sizes.values())
        for path, size in sizes.items():
            # Half is left for the day that begins.
            if path.stem < oldest or self._older > self._limit // 2:
                path.unlink()
                self._older -= size


def _drop_partial_line(path: Path) -> None:
    """Cut a file off behind its last whole line."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            step = min(65536, position)
            file.seek(position - step)
            newline = file.read(step).rfind(b"\n")
            if newline >= 0:
                position += newline + 1 - step
                break
            position -= step
        if position < end:
            file.truncate(position)
