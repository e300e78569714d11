"""Reading a journal back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, and_, or_, select

from quorum.errors import DataError
from quorum.journal.record import Input, Value
from quorum.journal.writing import FORMAT
from quorum.state import Store
from quorum.state.kinds.journal import JOURNAL


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
        Lines that could not be read, by database and position.
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


def journaling_bots(store: Store) -> list[str]:
    """Return the bots that have a journal in a store, by name."""
    with store.read() as connection:
        bots = connection.execute(select(JOURNAL.c.bot).distinct().order_by(JOURNAL.c.bot))
        return list(bots.scalars())


def read_journal(
    store: Store,
    bot: str,
    *,
    since: int = 0,
    until: int | None = None,
    pairs: set[str] | None = None,
) -> Journal:
    """Read a journal; candles, entries by the opening time of their candle.

    Parameters
    ----------
    store : Store
    bot : str
    since, until : int
        First opening time, and the one before which to end, ms.
    pairs : set of str, optional
        By default all.

    Raises
    ------
    DataError
        If there is no journal, or another Quorum's format.
    """
    journal = Journal()
    runs: dict[str, Run] = {}
    wanted = [JOURNAL.c.kind == "run", JOURNAL.c.time.is_(None), _between(since, until)]
    chosen = select(JOURNAL.c.id, JOURNAL.c.body).where(JOURNAL.c.bot == bot, or_(*wanted))
    with store.read() as connection:
        rows = connection.execute(chosen.order_by(JOURNAL.c.id)).all()
    if not rows:
        raise DataError(
            f"{store}: no journal of {bot!r}; a bot in dry-run or live trading writes it"
        )
    for position, body in rows:
        where = f"{store} journal {position}"
        try:
            _take(json.loads(body), runs, journal, since, until, pairs)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise DataError(f"{where}: {error}") from error
            journal.damaged.append(where)
    return journal


def _between(since: int, until: int | None) -> ColumnElement[bool]:
    begun = JOURNAL.c.time >= since
    return begun if until is None else and_(begun, JOURNAL.c.time < until)


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
