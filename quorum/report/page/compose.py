"""Compose: sections into one self-contained page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.extras import extra
from quorum.report.page.account import account_section
from quorum.report.page.advised import hybrid_section
from quorum.report.page.blocks import Block, Chart, Choice, Section, Trades, date, number, percent
from quorum.report.page.breakdown import breakdown_section
from quorum.report.page.cards import cards_payload
from quorum.report.page.chains import random_blocks, walk_section
from quorum.report.page.confidence import confidence_section
from quorum.report.page.funnel import funnel_section
from quorum.report.page.heads import heads_section
from quorum.report.page.inputs import Inputs
from quorum.report.page.learned import models_section
from quorum.report.page.measures import Measures, measure
from quorum.report.page.run import PageSettings, Run
from quorum.report.page.verdict import Verdict, judge

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Page:
    """A run judged and laid out."""

    run: Run
    measures: Measures
    verdict: Verdict
    sections: tuple[Section, ...]


def lay_out(run: Run, inputs: Inputs | None = None, settings: PageSettings | None = None) -> Page:
    """Measure and judge a run, and lay out the sections it has something for."""
    inputs, settings = inputs or Inputs(), settings or PageSettings()
    m = measure(run, settings)
    verdict = judge(run, m, inputs, settings)
    found: list[Section | None] = []
    if inputs.random is not None:
        found.append(Section("random", "Is it the timing?", random_blocks(inputs.random)))
    found.append(account_section(run, m))
    if len(m.ledger):
        found.append(confidence_section(m, settings))
    found.append(heads_section(run, m, inputs.ablations, settings))
    found.append(funnel_section(run.funnel))
    if run.trades or run.refused:
        found.append(breakdown_section(run, m, settings))
    found += [walk_section(inputs), models_section(inputs.models), hybrid_section(inputs.hybrid)]
    if run.trades:
        found.append(Section("trades", "Every trade", (Trades(len(run.trades)),)))
    return Page(run, m, verdict, tuple(section for section in found if section is not None))


def render(page: Page, settings: PageSettings | None = None) -> str:
    """Return the page as one HTML document that needs nothing beside it."""
    figures = {chart.name: json.loads(chart.figure.to_json()) for chart in charts(page.sections)}
    run = page.run
    return page_environment().get_template("page.html").render(
        page=page,
        run=run,
        span=f"{date(run.first)} to {date(run.last)}",
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        figures=script_json(figures),
        trades=script_json(cards_payload(run, settings or PageSettings())),
        plotly=_plotly(),
        style=page_text("page.css"),
        script=page_text("page.js"),
        cards=page_text("cards.js"),
    )  # fmt: skip


def write_page(path: Path, html: str) -> None:
    """Write the page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(html, encoding="utf-8")
    fresh.replace(path)


def charts(sections: Sequence[Section]) -> Iterator[Chart]:
    """Yield every chart, also those that are not shown at first."""

    def within(blocks: Sequence[Block]) -> Iterator[Chart]:
        for block in blocks:
            if isinstance(block, Chart):
                yield block
            elif isinstance(block, Choice):
                for _, inner in block.options:
                    yield from within(inner)

    for section in sections:
        yield from within(section.blocks)


def script_json(content: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def page_text(name: str) -> str:
    """Return a file of the page's own: template, style or script."""
    return (files("quorum.report.page") / "template" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    with extra("report"):
        from plotly.offline import get_plotlyjs
    script: str = get_plotlyjs()
    # The library quotes such an element in one of its own strings.
    return script.replace("</script", "<\\/script")


def page_environment(more: Callable[[str], str] | None = None) -> Environment:
    """Return what renders the blocks of a page.

    Parameters
    ----------
    more : callable, optional
        Returns another template by name; raises ``FileNotFoundError`` for one it does not have.
    """
    with extra("report"):
        from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound

    class Own(BaseLoader):
        def get_source(
            self, environment: Environment, template: str
        ) -> tuple[str, None, Callable[[], bool]]:
            for read in (page_text, *([more] if more else [])):
                try:
                    return read(template), None, lambda: True
                except FileNotFoundError:
                    continue
            raise TemplateNotFound(template)

    environment = Environment(
        loader=Own(), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["percent"] = percent
    environment.filters["number"] = number
    return environment
