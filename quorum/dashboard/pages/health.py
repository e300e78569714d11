"""Health: whether candles come, how late, what failed (spec U2)."""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from quorum.candles import timeframe_ms
from quorum.dashboard.render import sections_page, snapshot_of, when
from quorum.dashboard.snapshot import Snapshot
from quorum.report.page.blocks import Block, Cell, Points, Section, Table, Text, number
from quorum.supervision.supervisor import read_status

router = APIRouter(tags=["health"])
#: Candles that may be missing.
LATE = 2
Now = Annotated[Snapshot, Depends(snapshot_of)]


class PairHealth(BaseModel):
    """One pair: its last candle, and seconds from the close of a candle to its analysis."""

    model_config = ConfigDict(frozen=True)

    pair: str
    last_candle: datetime | None
    behind_candles: int | None
    lag_seconds: float | None
    usual_lag_seconds: float | None


class FaultRecord(BaseModel):
    """A part that failed on a pair."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    pair: str
    part: str
    error: str


class ProcessRecord(BaseModel):
    """A process of ``quorum up``; ``pid`` is null while it does not run."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int | None
    restarts: int
    last_status: int | None


class Health(BaseModel):
    """Whether everything is alive.

    ``healthy`` if no pair is more than two candles behind the others, and of a bot, if its newest
    candle closed less than two candles ago. ``age_seconds`` is since then, on the bot's clock.
    """

    model_config = ConfigDict(frozen=True)

    healthy: bool
    source: str
    kind: str
    newest: datetime
    age_seconds: float | None
    version: str
    pairs: tuple[PairHealth, ...]
    processes: tuple[ProcessRecord, ...]
    faults: tuple[FaultRecord, ...]
    notes: tuple[str, ...]


def health_of(snapshot: Snapshot) -> Health:
    """Return what is known of every pair; behind is counted from the newest pair."""
    latest = {d.pair: d for d in snapshot.latest()}
    newest = max((d.closed for d in latest.values()), default=None)
    step = timeframe_ms(snapshot.run.timeframe) / 1000
    pairs = tuple(_pair(pair, snapshot, newest, step) for pair in snapshot.run.pairs)
    age = None if newest is None else (snapshot.now() - newest).total_seconds()
    fresh = age is not None and (not snapshot.live or age <= LATE * step)
    return Health(
        healthy=fresh and all((p.behind_candles or 0) <= LATE for p in pairs),
        age_seconds=age,
        source=snapshot.name,
        kind=snapshot.kind,
        newest=snapshot.at,
        version=snapshot.version,
        pairs=pairs,
        processes=tuple(map(ProcessRecord.model_validate, read_status(snapshot.supervised))),
        faults=tuple(FaultRecord(**vars(fault)) for fault in list(snapshot.faults)[::-1][:50]),
        notes=tuple(snapshot.notes),
    )


def _pair(pair: str, snapshot: Snapshot, newest: datetime | None, step: float) -> PairHealth:
    decisions, lags = snapshot.decisions.get(pair, ()), snapshot.lags.get(pair, ())
    if not decisions:
        return PairHealth(
            pair=pair, last_candle=None, behind_candles=None, lag_seconds=None,
            usual_lag_seconds=None,
        )  # fmt: skip
    last = decisions[-1]
    behind = 0 if newest is None else round((newest - last.closed).total_seconds() / step)
    return PairHealth(
        pair=pair,
        last_candle=last.opened,
        behind_candles=behind,
        lag_seconds=lags[-1] if lags else None,
        usual_lag_seconds=median(lags) if lags else None,
    )


@router.get("/health", response_class=HTMLResponse, include_in_schema=False)
def health(request: Request, snapshot: Now) -> HTMLResponse:
    """Show feeds, lag and what failed."""
    found = health_of(snapshot)
    title = "Everything is alive" if found.healthy else "Something is missing"
    blocks: list[Block] = [_feeds(found)]
    if found.notes:
        blocks.append(Points(found.notes))
    sections = [Section("feeds", title, blocks), Section("faults", "What failed", [_faults(found)])]
    if found.processes:
        sections.insert(1, Section("processes", "Processes", [_processes(found)]))
    return sections_page(request, snapshot, "Health", sections)


def _feeds(found: Health) -> Table:
    rows: list[list[Cell | str]] = []
    for p in found.pairs:
        late = p.behind_candles is None or p.behind_candles > LATE
        behind = "none seen" if p.behind_candles is None else f"{p.behind_candles}"
        lag, usual = (
            "" if value is None else f"{number(value, 1)} s"
            for value in (p.lag_seconds, p.usual_lag_seconds)
        )
        tone = "bad" if late else ""
        rows.append([p.pair, when(p.last_candle), Cell(behind, tone), lag, usual])
    headings = [
        ("pair", ""), ("last candle", "opened, UTC"), ("behind", "candles"),
        ("analysed after", ""), ("usually", ""),
    ]  # fmt: skip
    sentence = f"{found.source}, {found.kind}; newest {when(found.newest)} UTC."
    return Table(headings, rows, sentence)


def _processes(found: Health) -> Table:
    rows: list[list[Cell | str]] = [
        [
            p.name,
            Cell("runs", "good") if p.pid is not None else Cell("is down", "bad"),
            number(p.restarts, 0),
            "" if p.last_status is None else f"{p.last_status}",
        ]
        for p in found.processes
    ]
    headings = [("process", ""), ("", ""), ("started again", "times"), ("last status", "")]
    return Table(headings, rows, "Of quorum up.", words=frozenset({0, 1}))


def _faults(found: Health) -> Block:
    if not found.faults:
        return Text("Nothing failed since the journal begins.")
    rows = [[when(f.at), f.pair, f.part, f.error] for f in found.faults]
    headings = [("UTC", ""), ("pair", ""), ("part", ""), ("error", "")]
    return Table(headings, rows, words=frozenset({0, 1, 2, 3}))


@router.get("/api/v1/health")
def health_api(snapshot: Now) -> Health:
    """Return whether everything is alive."""
    return health_of(snapshot)
