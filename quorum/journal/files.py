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
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from quorum.errors import DataError
from quorum.journal.record import Input, Value
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


@dataclass(frozen=True)
class Run:
    """One start of a bot, and what it ran with.

    Attributes
    ----------
    id : str
    at : int
        When it began, ms.
    version, bot, timeframe : str
    startup : int
        Candles of history it asked for.
    columns : tuple of str
    settings : dict
        Those that are not the defaults.
    digest : str
        Of all settings.
    """

    id: str
    at: int
    version: str
    bot: str
    timeframe: str
    startup: int
    columns: tuple[str, ...]
    settings: dict[str, Any]
    digest: str


@dataclass(frozen=True)
class JournaledCandle:
    """One candle as a bot saw it.

    Attributes
    ----------
    run : Run
    pair : str
    time : int
        Opening time, ms.
    at : int
        When it was analysed, ms.
    values : dict of column name to value
    inputs : dict of role to Input
    vintage : str or None
        The models that were live.
    """

    run: Run
    pair: str
    time: int
    at: int
    values: dict[str, Value]
    inputs: dict[str, Input]
    vintage: str | None


@dataclass(frozen=True)
class JournaledEntry:
    """One entry that was put to the bot: accepted, or refused with a reason.

    Prices are None where no signal stood any more.
    """

    run: Run
    pair: str
    time: int
    at: int
    refusal: str | None
    price: float | None
    stop: float | None
    target: float | None


@dataclass(frozen=True)
class JournaledFault:
    """A part that failed on a pair and abstains since."""

    run: Run
    pair: str
    at: int
    part: str
    error: str


@dataclass
class Journal:
    """What was read of a journal.

    Attributes
    ----------
    runs : list of Run
    candles : list of JournaledCandle
    entries : list of JournaledEntry
    faults : list of JournaledFault
    damaged : list of str
        Lines that could not be read, as ``file:line``.
    """

    runs: list[Run] = field(default_factory=list)
    candles: list[JournaledCandle] = field(default_factory=list)
    entries: list[JournaledEntry] = field(default_factory=list)
    faults: list[JournaledFault] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def read_journal(
    folder: Path, *, since: int = 0, until: int | None = None, pairs: set[str] | None = None
) -> Journal:
    """Read a journal; candles, entries by the opening time of their candle.

    Parameters
    ----------
    folder : Path
    since, until : int
        First opening time, and the one before which to end, ms.
    pairs : set of str, optional
        By default all.

    Raises
    ------
    DataError
        If there is no journal, or another Quorum's format.
    """
    files = day_files(folder)
    if not files:
        raise DataError(f"{folder}: no journal; a bot in dry-run or live trading writes it")
    journal = Journal()
    runs: dict[str, Run] = {}
    for path in files:
        for where, line in _lines(path, journal.damaged):
            try:
                _take(line, runs, journal, since, until, pairs)
            except (KeyError, TypeError, ValueError) as error:
                if isinstance(error, DataError):
                    raise DataError(f"{where}: {error}") from error
                journal.damaged.append(where)
    return journal


def _lines(path: Path, damaged: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    content = path.read_bytes()
    # Behind the last line break there is nothing, or a line still being written.
    for number, text in enumerate(content.split(b"\n")[:-1], start=1):
        where = f"{path}:{number}"
        try:
            line = json.loads(text)
        except ValueError:
            damaged.append(where)
            continue
        if isinstance(line, dict):
            yield where, line
        else:
            damaged.append(where)


def _take(
    line: dict[str, Any],
    runs: dict[str, Run],
    journal: Journal,
    since: int,
    until: int | None,
    pairs: set[str] | None,
) -> None:
    """Add one line to a journal, if it is wanted."""
    kind = line["kind"]
    if kind == "run":
        if line["format"] != FORMAT:
            raise DataError(f"format {line['format']}, this Quorum reads {FORMAT}")
        run = _run(line)
        if runs.get(run.id) != run:
            journal.runs.append(run)
        runs[run.id] = run
        return
    run = runs[line["run"]]
    if pairs is not None and line["pair"] not in pairs:
        return
    if kind == "fault":
        journal.faults.append(
            JournaledFault(run, line["pair"], line["at"], line["part"], line["error"])
        )
    elif since <= line["time"] and (until is None or line["time"] < until):
        place = (run, line["pair"], line["time"], line["at"])
        if kind == "candle":
            journal.candles.append(
                JournaledCandle(
                    *place,
                    dict(zip(run.columns, line["values"], strict=True)),
                    {role: Input(*described) for role, described in line["inputs"].items()},
                    line["vintage"],
                )
            )
        elif kind == "entry":
            prices = (line["price"], line["stop"], line["target"])
            journal.entries.append(JournaledEntry(*place, line["refusal"], *prices))
        else:
            raise ValueError(kind)


def _run(line: dict[str, Any]) -> Run:
    known = {k: v for k, v in line.items() if k not in ("kind", "format", "columns", "run")}
    return Run(id=line["run"], columns=tuple(line["columns"]), **known)
