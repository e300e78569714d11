"""Section: models alone, advisors alone, and their hybrid (spec H-7)."""

from __future__ import annotations

from collections.abc import Sequence

from quorum.evidence.bootstrap import Interval
from quorum.report.page.blocks import Cell, Section, Table, number, percent, span, tone_of
from quorum.simulation.hybrid_evidence import Made

CAPTION = (
    "The same candles, at which both spoke, the same stops, targets and costs; only who decides "
    "on the side differs. In brackets what holds the truth with 95 % confidence."
)


def hybrid_section(made: Sequence[Made]) -> Section | None:
    """Return what each of the three would have made, None where they never spoke together."""
    if not made:
        return None
    headings = [
        ("decided by", ""), ("trades", ""), ("win rate", ""), ("a trade", "R"), ("Sharpe", ""),
        ("drawdown", "R"), ("profit factor", ""), ("wrong a day later", ""),
    ]  # fmt: skip
    rows: list[list[Cell | str]] = [
        [
            m.decider,
            f"{m.trades:,}",
            _share(m.win_rate),
            _number(m.mean_r, toned=0.0),
            _number(m.sharpe, toned=0.0),
            _number(m.drawdown),
            _number(m.profit_factor, toned=1.0),
            _share(m.false_signals),
        ]
        for m in made
    ]
    return Section(
        "hybrid", "Do models and advisors know more together?", (Table(headings, rows, CAPTION),)
    )


def _share(interval: Interval) -> Cell:
    return _told(percent(interval.estimate, 0), span(interval, 0, share=True))


def _number(interval: Interval, toned: float | None = None) -> Cell:
    told = _told(number(interval.estimate), span(interval))
    return told if toned is None else Cell(told.text, tone_of(interval, toned))


def _told(estimate: str, within: str) -> Cell:
    return Cell(f"{estimate} ({within})" if within else estimate)
