"""Guards: their state, the distance to each limit, and resuming with a reason (spec U2, U3)."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from quorum.dashboard.access import form_fields
from quorum.dashboard.pages.portfolio import limits_block
from quorum.dashboard.render import page, snapshot_of, source_of, when
from quorum.dashboard.snapshot import Snapshot
from quorum.guards import State
from quorum.report.page.blocks import Cell, Section, Table, number
from quorum.state import StateError

logger = logging.getLogger(__name__)
router = APIRouter(tags=["guards"])
Now = Annotated[Snapshot, Depends(snapshot_of)]
#: Characters of a reason at most.
LONGEST = 500


class GuardLimit(BaseModel):
    """One limit; ``used`` is null while it is not known."""

    model_config = ConfigDict(frozen=True)

    guard: str
    name: str
    used: float | None
    limit: float
    unit: str


class GuardChange(BaseModel):
    """One change of state."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    before: str
    after: str
    reason: str | None
    detail: str


class GuardsNow(BaseModel):
    """Where the guards stand; ``problem`` says why it is not known, empty where it is."""

    model_config = ConfigDict(frozen=True)

    state: str | None
    reason: str | None
    since: datetime | None
    equity: float | None
    peak: float | None
    limits: tuple[GuardLimit, ...]
    changes: tuple[GuardChange, ...]
    problem: str


class Wish(BaseModel):
    """Why something is done; kept with the change."""

    reason: str = Field(min_length=3, max_length=LONGEST)


def guards_now(snapshot: Snapshot) -> GuardsNow:
    """Return where the guards stand."""
    stand, ledger = snapshot.guards, snapshot.guards.ledger
    since = None if ledger is None else ledger.since
    return GuardsNow(
        state=None if ledger is None else ledger.state.value,
        reason=ledger.reason.value if ledger is not None and ledger.reason else None,
        since=None if since is None else datetime.fromtimestamp(since, tz=UTC),
        equity=None if ledger is None else ledger.equity,
        peak=None if ledger is None else ledger.peak,
        limits=tuple(GuardLimit(**asdict(limit)) for limit in stand.limits),
        changes=tuple(GuardChange.model_validate(asdict(change)) for change in stand.changes),
        problem=stand.problem,
    )


@router.get("/guards", response_class=HTMLResponse, include_in_schema=False)
def guards(request: Request, snapshot: Now, told: str = "") -> HTMLResponse:
    """Show the guards."""
    ledger = snapshot.guards.ledger
    sections = [Section("limits", "Limits", [limits_block(snapshot)])]
    if snapshot.run.refused:
        sections.append(Section("refusals", "Entries refused", [_refusals(snapshot)]))
    if snapshot.guards.changes:
        sections.append(Section("changes", "Changes of state", [_changes(snapshot)]))
    return page(
        request, "guards.html", snapshot, *sections, title="Guards", guards=guards_now(snapshot),
        halted=ledger is not None and ledger.state is State.HALTED, told=told,
    )  # fmt: skip


def _changes(snapshot: Snapshot) -> Table:
    rows = [
        [when(c.at), f"{c.before} to {c.after}", (c.reason or "").replace("_", " "), c.detail]
        for c in snapshot.guards.changes
    ]
    headings = [("UTC", ""), ("change", ""), ("reason", ""), ("", "")]
    return Table(headings, rows, words=frozenset({0, 1, 2, 3}))


def _refusals(snapshot: Snapshot) -> Table:
    refused = snapshot.run.refused or {}
    most = max(refused.values(), default=1)
    rows: list[list[Cell | str]] = [
        [reason.replace("_", " "), Cell(number(count, 0), "", count / most)]
        for reason, count in sorted(refused.items(), key=lambda item: -item[1])
    ]
    return Table([("reason", ""), ("entries", "")], rows)


@router.get("/api/v1/guards")
def guards_api(snapshot: Now) -> GuardsNow:
    """Return state, limits and the latest changes."""
    return guards_now(snapshot)


@router.post("/api/v1/guards/resume")
def resume(request: Request, wish: Wish) -> GuardChange:
    """End a halt: the bot may enter again, and its drawdown is measured anew."""
    try:
        change = source_of(request).resume(wish.reason)
    except StateError as error:
        raise HTTPException(409, str(error)) from error
    who = request.client.host if request.client else "unknown"
    logger.warning("guards resumed from %s: %r", who, wish.reason)
    return GuardChange.model_validate(asdict(change))


@router.post("/guards/resume", include_in_schema=False)
async def resume_form(request: Request) -> Response:
    """Resume from the page."""
    try:
        wish = Wish(reason=(await form_fields(request)).get("reason", "").strip())
        await run_in_threadpool(resume, request, wish)
    except ValidationError:
        told = f"give a reason of 3 to {LONGEST} characters"
        return RedirectResponse(f"/guards?told={quote(told)}", 303)
    except HTTPException as error:
        return RedirectResponse(f"/guards?told={quote(str(error.detail))}", 303)
    return RedirectResponse("/guards", 303)
