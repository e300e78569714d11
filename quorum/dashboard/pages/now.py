"""Now: per pair what the heads say, what came of it, and what an entry still lacks (spec U2)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from quorum.dashboard.decision import Decision, Vote
from quorum.dashboard.positions import Position, open_positions
from quorum.dashboard.render import page, snapshot_of, source_of
from quorum.dashboard.snapshot import Snapshot
from quorum.entry import Signal
from quorum.guards import State
from quorum.report.page.blocks import Cell, Table

router = APIRouter(tags=["signals"])
Now = Annotated[Snapshot, Depends(snapshot_of)]
MARKS = {
    1: "\N{BLACK UP-POINTING TRIANGLE}",
    -1: "\N{BLACK DOWN-POINTING TRIANGLE}",
    0: "\N{MIDDLE DOT}",
}
#: Events listed on the first page.
LATEST = 12


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def now(request: Request, snapshot: Now) -> HTMLResponse:
    """Show every pair, the nearest to an entry first."""
    decisions = sorted(snapshot.latest(), key=nearness, reverse=True)
    positions = open_positions(snapshot.run)
    held = {position.pair for position in positions}
    return page(
        request,
        "now.html",
        snapshot,
        positions=positions,
        decisions=[(d, lacking(d, snapshot, held)) for d in decisions],
        matrix=votes_table(decisions),
        events=source_of(request).log.latest(LATEST),
    )


def nearness(decision: Decision) -> tuple[float, ...]:
    """Return how near a candle is to an entry: signals, then votes, then confidence."""
    votes = max(decision.valid_long, decision.valid_short) - decision.votes_needed
    return (decision.signal is not None, min(votes, 0), decision.confidence)


def lacking(decision: Decision, snapshot: Snapshot, held: set[str]) -> tuple[str, ...]:
    """Return everything that keeps a pair from an entry now."""
    more = []
    if decision.asked not in (None, "accepted") and decision.signal is not None:
        more.append(f"the bot refused it: {decision.asked}")
    if decision.pair in held:
        more.append("a trade is open in this pair")
    ledger = snapshot.guards.ledger
    if ledger is not None and ledger.state is not State.ACTIVE:
        more.append(f"the guards are {ledger.state}: {ledger.reason or 'no reason kept'}")
    return (*decision.missing, *more)


def votes_table(decisions: list[Decision]) -> Table:
    """Return pairs by heads: the vote, weak where it does not count towards the quorum."""
    heads = list(dict.fromkeys(vote.head for d in decisions for vote in d.votes))
    rows: list[list[Cell | str]] = []
    for decision in decisions:
        votes = {vote.head: vote for vote in decision.votes}
        cells = [_cell(votes.get(head)) for head in heads]
        rows.append([decision.pair, *cells])
    headings = [("", ""), *((head, "") for head in heads)]
    return Table(headings, rows, "Votes of the last candle: those in colour count.")


def _cell(vote: Vote | None) -> Cell:
    if vote is None or not vote.available:
        return Cell("")
    if vote.direction == 0:
        return Cell(MARKS[0], "weak")
    tone = "good" if vote.direction > 0 else "bad"
    return Cell(f"{MARKS[vote.direction]} {vote.confidence:.2f}", tone if vote.valid else "weak")


@router.get("/api/v1/signals")
def signals(snapshot: Now) -> list[Signal]:
    """Return the signal of every pair whose last candle gives one."""
    return [d.signal for d in snapshot.latest() if d.signal is not None]


@router.get("/api/v1/decisions")
def decisions(
    snapshot: Now,
    pair: Annotated[str | None, Query(description="by default the last of every pair")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[Decision]:
    """Return decisions, newest first."""
    if pair is None:
        return snapshot.latest()
    return list(_of(snapshot, pair)[: -limit - 1 : -1])


@router.get("/api/v1/votes")
def votes(snapshot: Now, pair: str) -> list[Vote]:
    """Return the votes of a pair's last candle."""
    return list(_of(snapshot, pair)[-1].votes)


def _of(snapshot: Snapshot, pair: str) -> list[Decision]:
    found = snapshot.decisions.get(pair)
    if not found:
        raise HTTPException(404, "no decision of such a pair is known")
    return list(found)


@router.get("/api/v1/positions")
def positions(snapshot: Now) -> list[Position]:
    """Return the open trades."""
    return open_positions(snapshot.run)
