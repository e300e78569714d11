"""Why a journaled candle and its replay differ."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from quorum.candles import TIMEFRAMES, timeframe_ms
from quorum.journal.reading import JournaledCandle, JournaledFault
from quorum.journal.record import (
    BASE,
    DEPTH,
    Input,
    Known,
    flat,
    inputs_known,
    settings_digest,
    settings_record,
)
from quorum.market import Market
from quorum.settings import Settings
from quorum.signals import SignalTable

#: Columns as market and heads gave them; the others are made of them by the settings.
FIRST_HAND = ("candle", "tradable", "vote", "market")
#: Longest list of settings that is spelled out.
_NAMED = 5
_NOTHING = Input(0, 0, 0, 0)


class Cause(StrEnum):
    """What a difference may come from, the most direct first."""

    CANDLE = "another candle"
    EARLIER_CANDLE = "another candle before it"
    MISSING = "a series was missing"
    LATE = "a series was late"
    VALUES = "another series differs"
    FAULT = "a part failed"
    HISTORY = "short history"
    DISK = "the data directory lacks data"
    SETTINGS = "other settings"
    MODELS = "other models"
    VERSION = "another version"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Reason:
    """One cause, and how it shows.

    Attributes
    ----------
    cause : Cause
    text : str
    subject : str
        What it is about, where a cause may be about several things.
    usual : bool
        Whether it holds for candles that agree, too: then it is hardly why this one does not.
    """

    cause: Cause
    text: str
    subject: str = ""
    usual: bool = False


@dataclass(frozen=True)
class Replay:
    """A pair by the backtest path.

    Attributes
    ----------
    market : Market
    table : SignalTable
    settings : Settings
    version : str
    vintage : callable
        Returns the models that are live at a moment (ms), None without any.
    """

    market: Market
    table: SignalTable
    settings: Settings
    version: str
    vintage: Callable[[int], str | None]


def utc(time: int) -> str:
    """Return a moment (ms) as text."""
    return f"{datetime.fromtimestamp(time / 1000, tz=UTC):%Y-%m-%d %H:%M}"


def reasons_for(
    live: JournaledCandle,
    replay: Replay,
    row: int,
    columns: Sequence[str],
    faults: Sequence[JournaledFault],
    altered: Sequence[int],
    usual: Collection[tuple[Cause, str]] = (),
) -> tuple[Reason, ...]:
    """Return what may have made a candle's columns differ, the likeliest first.

    Parameters
    ----------
    live : JournaledCandle
    replay : Replay
    row : int
        Of the candle in the replay.
    columns : sequence of str
        Those that differ, in the order of the pipeline.
    faults : sequence of JournaledFault
        Of the pair.
    altered : sequence of int
        Opening times of earlier candles of the pair that differ themselves, ms.
    usual : collection of (cause, subject)
        What holds for candles that agree, see :func:`what_else_differs`.
    """
    found = what_else_differs(live, replay, row, columns, faults, altered)
    if not found:
        return (_unexplained(live, columns),)
    found = [replace(r, usual=(r.cause, r.subject) in usual) for r in found]
    order = list(Cause)
    if not columns[0].startswith(FIRST_HAND):
        # The votes are the same: what differs is what was made of them.
        order.remove(Cause.SETTINGS)
        order.insert(0, Cause.SETTINGS)
    return tuple(sorted(found, key=lambda r: (r.usual, order.index(r.cause))))


def what_else_differs(
    live: JournaledCandle,
    replay: Replay,
    row: int,
    columns: Sequence[str] = (),
    faults: Sequence[JournaledFault] = (),
    altered: Sequence[int] = (),
) -> list[Reason]:
    """Return everything behind a candle's columns that bot and replay do not have in common.

    See :func:`reasons_for`.
    """
    return [
        *_candles(live, replay, row, columns, altered),
        *_series(live, replay, row),
        *_faults(live, faults),
        *_settings(live, replay),
        *_software(live, replay, int(replay.market.close_time[row])),
    ]


def _candles(
    live: JournaledCandle,
    replay: Replay,
    row: int,
    columns: Sequence[str],
    altered: Sequence[int],
) -> Iterator[Reason]:
    """Yield what is wrong with the pair's own candles."""
    own = [name.removeprefix("candle ") for name in columns if name.startswith("candle ")]
    if own:
        shown = "; ".join(
            f"{name} {live.values[f'candle {name}']} live, "
            f"{getattr(replay.market.candles, name)[row]} replayed"
            for name in own
        )
        yield Reason(Cause.CANDLE, shown)
        return
    told = live.inputs.get(BASE, _NOTHING)
    known = dict(_known(replay.market, row))[BASE]
    if len(known.time) < min(told.rows, DEPTH):
        yield Reason(
            Cause.DISK,
            f"the bot had {told.rows} candles of history, the data directory has "
            f"{len(known.time)}: it begins at {utc(int(known.time[0]))}",
        )
    elif known.describe(told.rows).digest != told.digest:
        began = utc(told.first)
        where = f"that of {utc(altered[-1])}" if altered else "one older than this journal tells"
        yield Reason(Cause.EARLIER_CANDLE, f"{where}, in the history from {began} on")
    if told.rows < live.run.startup:
        yield Reason(
            Cause.HISTORY,
            f"the bot had {told.rows} candles, from {utc(told.first)} on; it needs "
            f"{live.run.startup}",
        )


def _known(market: Market, row: int) -> Iterator[tuple[str, Known]]:
    for role, known, _ in inputs_known(market, row):
        yield role, known


def _series(live: JournaledCandle, replay: Replay, row: int) -> Iterator[Reason]:
    """Yield what is wrong with each series beside the candles."""
    here = dict(_known(replay.market, row))
    begin = live.inputs.get(BASE, _NOTHING).first
    for role in dict.fromkeys((*live.inputs, *here)):
        if role == BASE:
            continue
        told = live.inputs.get(role, _NOTHING)
        known = here.get(role)
        mine = _NOTHING if known is None else known.describe(min(told.rows, DEPTH) or DEPTH)
        if told.rows == 0 and mine.rows == 0:
            continue
        if told.rows == 0:
            yield Reason(
                Cause.MISSING, f"{role}: the bot had none, the replay {mine.rows} rows", role
            )
        elif mine.rows == 0:
            yield Reason(Cause.DISK, f"{role}: the bot had {told.rows} rows, the replay none", role)
        elif told.newest < mine.newest:
            yield Reason(
                Cause.LATE,
                f"{role}: the newest the bot had is of {utc(told.newest)}, the replay's of "
                f"{utc(mine.newest)}",
                role,
            )
        elif told.newest > mine.newest or mine.rows < min(told.rows, DEPTH):
            yield Reason(
                Cause.DISK,
                f"{role}: {told.rows} rows up to {utc(told.newest)} live, {mine.rows} up to "
                f"{utc(mine.newest)} replayed",
                role,
            )
        elif told.digest != mine.digest:
            yield Reason(Cause.VALUES, f"{role}: its values up to {utc(told.newest)} differ", role)
        if told.rows and _is_short(role, told, mine, begin, live.run.startup):
            yield Reason(
                Cause.HISTORY,
                f"{role}: the bot had {told.rows} rows, from {utc(told.first)} on",
                role,
            )


def _is_short(role: str, told: Input, mine: Input, begin: int, startup: int) -> bool:
    """Whether a series began later than a bot needs it to, and than it does in the replay."""
    if mine.rows == 0 or told.first <= mine.first:
        return False
    if role in TIMEFRAMES:
        # Weeks are made of the days the bot asks for.
        return told.rows < startup // max(1, timeframe_ms(role) // timeframe_ms("1d")) - 1
    if role.startswith(("context", "universe")):
        return told.rows < startup
    # What is published needs to reach back as far as the candles.
    return told.first > begin + timeframe_ms("1d")


def _faults(live: JournaledCandle, faults: Sequence[JournaledFault]) -> Iterator[Reason]:
    for fault in faults:
        if fault.run.id == live.run.id and fault.at <= live.at:
            yield Reason(
                Cause.FAULT,
                f"{fault.part} failed live on {fault.pair} ({fault.error}), first at "
                f"{utc(fault.at)}; the bot's log has its traceback",
                fault.part,
            )


def _settings(live: JournaledCandle, replay: Replay) -> list[Reason]:
    """Return the settings that differ; defaults that differ come with another version."""
    if live.run.digest == settings_digest(replay.settings):
        return []
    before, now = flat(live.run.settings), flat(settings_record(replay.settings))
    names = sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))
    told = [
        f"quorum.{name} {before.get(name, 'default')} live, {now.get(name, 'default')} replayed"
        for name in names[:_NAMED]
    ]
    if len(names) > _NAMED:
        told.append(f"and {len(names) - _NAMED} more")
    return [Reason(Cause.SETTINGS, "; ".join(told) or "the defaults differ")]


def _software(live: JournaledCandle, replay: Replay, closed: int) -> Iterator[Reason]:
    vintage = replay.vintage(closed)
    if vintage != live.vintage:
        yield Reason(
            Cause.MODELS, f"vintage {live.vintage or 'none'} live, {vintage or 'none'} replayed"
        )
    if live.run.version != replay.version:
        yield Reason(Cause.VERSION, f"Quorum {live.run.version} live, {replay.version} replayed")


def _unexplained(live: JournaledCandle, columns: Sequence[str]) -> Reason:
    """Say what is left where everything a candle follows from is the same."""
    silent = [
        name.split()[1]
        for name in columns
        if name.startswith("vote ") and name.endswith(" available") and live.values.get(name) == 0
    ]
    if silent:
        return Reason(
            Cause.FAULT,
            f"{', '.join(silent)} abstained live with the same data, settings and version: see "
            "the bot's log for what failed",
        )
    return Reason(
        Cause.UNEXPLAINED,
        "candles, series, settings, models and version are the same: please report this",
    )
