"""A walk-forward in tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from quorum.tuning.verdict import Record, Verdict
from quorum.tuning.walk import WindowResult


def render(results: Sequence[WindowResult], verdict: Verdict) -> RenderableType:
    """Return the tables of a walk-forward and its verdict in words."""
    colour = "green" if verdict.better else "yellow"
    lines = [f"[bold {colour}]{verdict.sentence}[/]"]
    lines += [f"  - {reason}" for reason in verdict.reasons]
    return Group(
        _windows(results), _records(verdict), _stability(verdict, len(results)), "\n".join(lines)
    )


def _table(title: str, first: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _windows(results: Sequence[WindowResult]) -> Table:
    table = _table(
        "windows: loss (smaller is better), in sample and on the span after it",
        "tuned on",
        ("judged on", "trials", "effective", "best", "default", "DSR", "PBO", "tuned", "default"),
    )
    for r in results:
        t = r.trials
        table.add_row(
            r.train,
            r.judge,
            str(t.count),
            f"{t.effective:.1f}",
            f"{t.best_loss:.3f}",
            f"{t.configured_loss:.3f}",
            _share(t.deflated),
            _share(t.overfitting),
            f"{r.tuned.loss:.3f}",
            f"{r.configured.loss:.3f}",
        )
    return table


def _records(verdict: Verdict) -> Table:
    table = _table(
        f"out of sample, {verdict.windows} windows, {verdict.trials} trials",
        "",
        ("tuned", "default"),
    )
    both = (verdict.tuned, verdict.configured)
    rows: tuple[tuple[str, list[str]], ...] = (
        ("loss, mean", [f"{r.loss:.3f}" for r in both]),
        ("growth per year", [f"{r.growth:+.2%}" for r in both]),
        ("largest drawdown", [f"{r.drawdown:.2%}" for r in both]),
        ("Sharpe ratio per year", [f"{r.sharpe:.2f}" for r in both]),
        ("P(Sharpe > 0)", [_share(r.positive) for r in both]),
        ("trades", [str(r.trades) for r in both]),
        ("win rate", [_win_rate(r) for r in both]),
        ("windows won", [str(verdict.won), str(verdict.windows - verdict.won)]),
        ("deflated Sharpe ratio", [_share(verdict.deflated), ""]),
        ("probability of overfitting, mean", [_share(verdict.overfitting), ""]),
    )
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _stability(verdict: Verdict, windows: int) -> Table:
    table = _table(
        "chosen parameters by window; spread: of the range they could be chosen from",
        "parameter",
        ("spread", *(str(index) for index in range(windows))),
    )
    for s in verdict.stability:
        spread = "" if s.spread is None else f"{s.spread:.0%}"
        table.add_row(s.name, spread, *(_number(value) for value in s.values))
    return table


def _win_rate(record: Record) -> str:
    return f"{record.wins / record.trades:.0%}" if record.trades else "-"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
