"""Render: the pages' templates, over the blocks that they share with the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from quorum.dashboard.snapshot import Snapshot
from quorum.dashboard.source import Source
from quorum.report.page.blocks import Section, duration
from quorum.report.page.compose import charts, page_environment, script_json

if TYPE_CHECKING:
    from jinja2 import Environment

#: Sent by the script of a page that asks for its own content anew.
PART = "x-quorum-part"


def source_of(request: Request) -> Source:
    """Return what the application reads."""
    source: Source = request.app.state.source
    return source


def snapshot_of(request: Request) -> Snapshot:
    """Return everything as it is now; a dependency of every page and route."""
    return source_of(request).snapshot()


def _template(name: str) -> str:
    return (files("quorum.dashboard") / "templates" / name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Return what renders the pages."""
    made = page_environment(_template)
    made.filters["ago"] = ago
    made.filters["when"] = when
    made.filters["price"] = price
    made.filters["words"] = words
    made.filters["fact"] = fact
    return made


def page(
    request: Request, template: str, snapshot: Snapshot, *sections: Section, **context: Any
) -> HTMLResponse:
    """Render a page, or its content alone where its script asks for that."""
    from quorum.dashboard.pages import PAGES

    figures = {chart.name: json.loads(chart.figure.to_json()) for chart in charts(sections)}
    text = environment().get_template(template).render(
        layout="part.html" if PART in request.headers else "layout.html",
        pages=PAGES,
        here=request.url.path,
        snapshot=snapshot,
        sections=sections,
        figures=script_json(figures) if figures else "",
        now=datetime.now(UTC),
        **context,
    )  # fmt: skip
    return HTMLResponse(text)


def sections_page(
    request: Request, snapshot: Snapshot, title: str, sections: Sequence[Section]
) -> HTMLResponse:
    """Render a page that is made of blocks alone."""
    return page(request, "sections.html", snapshot, *sections, title=title)


def when(moment: datetime | None) -> str:
    """Write a moment, UTC."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Write how long ago a moment is."""
    if moment is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else duration(seconds / 3600)


def price(value: float | None) -> str:
    """Write a price with five digits that count."""
    if value is None or value != value:
        return "\N{EN DASH}"
    digits = max(0, 5 - len(f"{int(abs(value))}")) if abs(value) >= 1 else 6
    return f"{value:,.{digits}f}"


def words(code: str | None) -> str:
    """Write a code in words."""
    return "" if code is None else str(code).replace("_", " ")


def fact(value: object) -> str:
    """Write a fact of the context."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else words(str(value))
