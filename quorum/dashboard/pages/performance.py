"""Performance: what the run is worth, as the report says it, live against its backtest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from quorum.dashboard.render import page, snapshot_of
from quorum.dashboard.snapshot import Snapshot
from quorum.report.page.account import account_section
from quorum.report.page.blocks import Section, Text
from quorum.report.page.breakdown import breakdown_section
from quorum.report.page.confidence import confidence_section
from quorum.report.page.inputs import Inputs
from quorum.report.page.measures import measure
from quorum.report.page.run import PageSettings
from quorum.report.page.verdict import judge

router = APIRouter(tags=["metrics"])
Now = Annotated[Snapshot, Depends(snapshot_of)]
SETTINGS = PageSettings()


@router.get("/performance", response_class=HTMLResponse, include_in_schema=False)
def performance(request: Request, snapshot: Now) -> HTMLResponse:
    """Judge the run as the report does."""
    run = snapshot.run
    if not run.closed:
        sections = [Section("none", "No trade has ended yet", [Text("There is nothing to judge.")])]
        return page(
            request, "performance.html", snapshot, *sections, title="Performance", verdict=None
        )
    measures = measure(run, SETTINGS)
    verdict = judge(run, measures, Inputs(), SETTINGS)
    sections = [account_section(run, measures)]
    if len(measures.ledger):
        sections.append(confidence_section(measures, SETTINGS))
    sections.append(breakdown_section(run, measures, SETTINGS))
    return page(
        request, "performance.html", snapshot, *sections, title="Performance", verdict=verdict
    )


@router.get("/api/v1/metrics")
def metrics(snapshot: Now) -> dict[str, dict[str, float]]:
    """Return the measures of the run: estimate and, where known, its interval."""
    if not snapshot.run.closed:
        return {}
    found = measure(snapshot.run, SETTINGS).intervals
    return {
        name: {"estimate": i.estimate, "low": i.low, "high": i.high} for name, i in found.items()
    }
