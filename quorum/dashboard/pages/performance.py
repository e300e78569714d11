"""Performance: what the run is worth, as the report says it, live against its backtest."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from quorum.dashboard.bands import bands
from quorum.dashboard.render import page, snapshot_of
from quorum.dashboard.snapshot import Snapshot
from quorum.report.page.account import account_section
from quorum.report.page.blocks import Lines, Section, Text, counted, percent
from quorum.report.page.breakdown import breakdown_section
from quorum.report.page.confidence import confidence_section
from quorum.report.page.inputs import Inputs
from quorum.report.page.measures import Measures, measure
from quorum.report.page.run import PageSettings
from quorum.report.page.verdict import judge

router = APIRouter(tags=["metrics"])
Now = Annotated[Snapshot, Depends(snapshot_of)]
SETTINGS = PageSettings()
#: Days a bot needs to be held against its backtest.
LEAST = 2


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
    held = against_backtest(snapshot, measures)
    if held is not None:
        sections.insert(0, Section("bands", "Is it what the backtest promised?", [held]))
    if len(measures.ledger):
        sections.append(confidence_section(measures, SETTINGS))
    sections.append(breakdown_section(run, measures, SETTINGS))
    return page(
        request, "performance.html", snapshot, *sections, title="Performance", verdict=verdict
    )


def against_backtest(snapshot: Snapshot, measures: Measures) -> Lines | None:
    """Draw a bot's growth over the bands of its backtest; None without one, or without days."""
    other = snapshot.backtest
    if not snapshot.live or other is None or not other.closed or len(measures.returns) < LEAST:
        return None
    expected = measure(other, SETTINGS).returns
    found = bands(measures.returns, expected)
    inside = found.percentile
    sentence = (
        f"After {counted(len(measures.returns), 'day')} it stands above "
        f"{percent(inside, 0)} of draws of as many days from {other.name}; the lines are where "
        "5, 25, 50, 75 and 95 % of the draws end."
    )
    low, lower, middle, upper, high = (100 * level for level in found.levels)
    series = (
        ("95 %", "faint", high), ("5 %", "faint", low), ("75 %", "rule", upper),
        ("25 %", "rule", lower), ("50 %", "faint", middle), ("the bot", "good", 100 * found.growth),
    )  # fmt: skip
    time = (measures.day // 1000).tolist()
    drawn = [(name, tone, np.round(values, 4).tolist()) for name, tone, values in series]
    return Lines("bands", sentence, time, drawn, " %", 300, band=True)


@router.get("/api/v1/metrics")
def metrics(snapshot: Now) -> dict[str, dict[str, float]]:
    """Return the measures of the run: estimate and, where known, its interval."""
    if not snapshot.run.closed:
        return {}
    found = measure(snapshot.run, SETTINGS).intervals
    return {
        name: {"estimate": i.estimate, "low": i.low, "high": i.high} for name, i in found.items()
    }
