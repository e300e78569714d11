"""Reading a journal back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from quorum.errors import DataError
from quorum.journal.files import FORMAT, day_files
from quorum.journal.record import Input, Value


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


#: What one line of a journal tells.
Item: TypeAlias = Run | JournaledCandle | JournaledEntry | JournaledFault


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

    def add(self, item: Item) -> None:
        """File one line; a start that is told again is the same start."""
        if isinstance(item, Run):
            if not any(item is run for run in self.runs):
                self.runs.append(item)
        elif isinstance(item, JournaledCandle):
            self.candles.append(item)
        elif isinstance(item, JournaledEntry):
            self.entries.append(item)
        else:
            self.faults.append(item)


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
    if kind != "run":
        if pairs is not None and line["pair"] not in pairs:
            return
        if kind != "fault" and not (
            since <= line["time"] and (until is None or line["time"] < until)
        ):
            return
    journal.add(item_of(line, runs))


def item_of(line: dict[str, Any], runs: dict[str, Run]) -> Item:
    """Return what a line tells; a start is added to ``runs``, which the lines after it name.

    Raises
    ------
    DataError
        If it is of another Quorum's format.
    KeyError, TypeError, ValueError
        If the line is damaged.
    """
    kind = line["kind"]
    if kind == "run":
        if line["format"] != FORMAT:
            raise DataError(f"format {line['format']}, this Quorum reads {FORMAT}")
        run = _run(line)
        if runs.get(run.id) != run:
            runs[run.id] = run
        return runs[run.id]
    run = runs[line["run"]]
    if kind == "fault":
        return JournaledFault(run, line["pair"], line["at"], line["part"], line["error"])
    place = (run, line["pair"], line["time"], line["at"])
    if kind == "candle":
        return JournaledCandle(
            *place,
            dict(zip(run.columns, line["values"], strict=True)),
            {role: Input(*described) for role, described in line["inputs"].items()},
            line["vintage"],
        )
    if kind == "entry":
        prices = (line["price"], line["stop"], line["target"])
        return JournaledEntry(*place, line["refusal"], *prices)
    raise ValueError(kind)


def _run(line: dict[str, Any]) -> Run:
    known = {k: v for k, v in line.items() if k not in ("kind", "format", "columns", "run")}
    return Run(id=line["run"], columns=tuple(line["columns"]), **known)
