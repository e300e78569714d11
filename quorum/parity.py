"""Parity: a bot decides what a backtest of the same candles decides, or it is told why not.

The journal of a bot is compared with a replay, candle by candle and column by column in the order
of the pipeline; what differs is traced to its cause (:mod:`quorum.journal.causes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from quorum.entry import adjust
from quorum.exits import plan_exits
from quorum.heads import HEADS
from quorum.journal.causes import Cause, Reason, Replay, reasons_for, what_else_differs
from quorum.journal.reading import (
    Journal,
    JournaledCandle,
    JournaledEntry,
    JournaledFault,
)
from quorum.journal.record import Value, column_names, column_values

_HEADS = {head.name: head for head in HEADS}
ABSENT = "absent"
#: Candles that agree of which one looks what else differs.
SAMPLE = 24


@dataclass(frozen=True)
class Difference:
    """A candle that differs: its first column that does, and why.

    Attributes
    ----------
    pair : str
    time : int
        Opening time of the candle, ms.
    column : str
    live, replayed : str
        The two values as they are told.
    columns : tuple of str
        Every column of the candle that differs, in the order of the pipeline.
    reasons : tuple of Reason
        The likeliest first.
    """

    pair: str
    time: int
    column: str
    live: str
    replayed: str
    columns: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass
class PairParity:
    """What the comparison of one pair found.

    Attributes
    ----------
    pair : str
    candles : int
        Compared.
    entries : int
        Entries whose stop, target and refusal were compared.
    absent : int
        Journaled candles that the replay does not have.
    differences : list of Difference
        In the order of time.
    """

    pair: str
    candles: int = 0
    entries: int = 0
    absent: int = 0
    differences: list[Difference] = field(default_factory=list)

    def columns(self) -> Counter[str]:
        """Count the differences by column."""
        return Counter(name for d in self.differences for name in d.columns)

    def causes(self) -> Counter[Cause]:
        """Count the differing candles by likeliest cause."""
        return Counter(d.reasons[0].cause for d in self.differences)


def first_difference(parities: Iterable[PairParity]) -> Difference | None:
    """Return the earliest difference of all pairs, None where there is none."""
    found = [d for parity in parities for d in parity.differences]
    return min(found, key=lambda d: d.time, default=None)


def compare_pair(pair: str, journal: Journal, replay: Replay, tolerance: float = 0.0) -> PairParity:
    """Compare what a bot journaled of one pair with its replay.

    Parameters
    ----------
    pair : str
    journal : Journal
        Other pairs are passed over.
    replay : Replay
    tolerance : float, default 0
        Difference of two fractional numbers that passes, as a share of the larger one.
    """
    parity = PairParity(pair)
    names = column_names(replay.table)
    faults = [fault for fault in journal.faults if fault.pair == pair]
    entries = _entries_of(pair, journal)
    agreeing: list[tuple[JournaledCandle, int]] = []
    differing_rows: list[tuple[JournaledCandle, int, dict[str, Value], dict[str, Value]]] = []
    for live in _candles_of(pair, journal):
        row = replay.table.row_at(live.time)
        if row is None:
            parity.absent += 1
            continue
        parity.candles += 1
        values = column_values(replay.market, replay.table, row)
        here: dict[str, Value] = dict(zip(names, values, strict=True))
        there = dict(live.values)
        for number, entry in enumerate(entries.get((live.run.id, live.time), []), start=1):
            parity.entries += _add_entry(entry, f"entry {number}", replay, row, there, here)
        if differing(there, here, tolerance):
            differing_rows.append((live, row, there, here))
        else:
            agreeing.append((live, row))
    if not differing_rows:
        return parity
    usual = _usual(agreeing, replay, faults)
    altered: list[int] = []
    for live, row, there, here in differing_rows:
        columns = differing(there, here, tolerance)
        first = columns[0]
        reasons = reasons_for(live, replay, row, columns, faults, altered, usual)
        if first.startswith("candle"):
            altered.append(live.time)
        told = tell(first, there), tell(first, here)
        parity.differences.append(Difference(pair, live.time, first, *told, columns, reasons))
    return parity


def _usual(
    agreeing: Sequence[tuple[JournaledCandle, int]],
    replay: Replay,
    faults: Sequence[JournaledFault],
) -> set[tuple[Cause, str]]:
    """Return what differs behind candles that agree, by a sample of them."""
    sample = agreeing[:: max(1, len(agreeing) // SAMPLE)]
    return {
        (reason.cause, reason.subject)
        for live, row in sample
        for reason in what_else_differs(live, replay, row, faults=faults)
    }


def _candles_of(pair: str, journal: Journal) -> list[JournaledCandle]:
    """Return the candles of a pair in the order of time; a restarted bot sees one twice."""
    own = (candle for candle in journal.candles if candle.pair == pair)
    return sorted(own, key=lambda candle: (candle.time, candle.at))


def _entries_of(pair: str, journal: Journal) -> dict[tuple[str, int], list[JournaledEntry]]:
    """Return the entries of a pair by run and candle."""
    found: dict[tuple[str, int], list[JournaledEntry]] = {}
    for entry in journal.entries:
        if entry.pair == pair:
            found.setdefault((entry.run.id, entry.time), []).append(entry)
    return found


def _add_entry(
    entry: JournaledEntry,
    name: str,
    replay: Replay,
    row: int,
    there: dict[str, Value],
    here: dict[str, Value],
) -> bool:
    """Add an entry's stop, target and refusal to both sides; False where there is no signal.

    What the account refuses is not replayed; what the market refuses must be refused live.
    """
    table, settings = replay.table, replay.settings
    direction = int(table.entry[row])
    if entry.price is None or direction == 0:
        return False
    context = adjust(table, row, settings)
    exits = plan_exits(
        table.columns,
        row,
        direction,
        entry.price,
        int(table.plan_band[row]),
        settings.exits,
        context.facts.get("stop_factor", 1.0),
    )
    there[f"{name} stop"], here[f"{name} stop"] = entry.stop, exits.stop
    there[f"{name} target"], here[f"{name} target"] = entry.target, exits.targets[0]
    veto = context.veto or exits.veto
    if veto is not None:
        refused = f"{name} refused {veto}"
        there[refused], here[refused] = int(entry.refusal == veto), 1
    return True


def differing(
    there: Mapping[str, Value], here: Mapping[str, Value], tolerance: float = 0.0
) -> tuple[str, ...]:
    """Return the columns that differ or that only one side has, in the order of the pipeline."""
    names = dict.fromkeys((*here, *there))
    return tuple(
        name
        for name in names
        if name not in there or name not in here or not _same(there[name], here[name], tolerance)
    )


def _same(one: Value, other: Value, tolerance: float) -> bool:
    if one == other or one is None or other is None:
        return one == other
    fractional = isinstance(one, float) or isinstance(other, float)
    return fractional and abs(one - other) <= tolerance * max(abs(one), abs(other))


def tell(column: str, values: Mapping[str, Value]) -> str:
    """Return a column's value as text: reasons of votes in words, exact numbers else."""
    if column not in values:
        return ABSENT
    value = values[column]
    if value is None:
        return "unknown"
    part = column.split()
    if part[0] == "vote" and part[-1] == "reason" and part[1] in _HEADS:
        return _HEADS[part[1]].reason_text(int(value)) or "none"
    return repr(value)
