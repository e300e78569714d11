"""Figures: what a benchmark measured, beside what it should stay under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes
    ----------
    name : str
        What was measured.
    value : float
    unit : str
        ``"s"``, ``"ms"``, ``"GB"``, ``"x"``; decides the precision shown.
    limit : float or None
        Largest value that is ok, in the same unit; None where nothing is promised.
    beside : str
        What it is compared with, or made of.
    """

    name: str
    value: float
    unit: str
    limit: float | None = None
    beside: str = ""

    @property
    def verdict(self) -> str:
        """``"ok"``, ``"over"``, or nothing without a limit."""
        if self.limit is None:
            return ""
        return "[green]ok[/]" if self.value <= self.limit else "[bold red]over[/]"


def show(value: float, unit: str) -> str:
    """Write a number with its unit, as precise as it can be repeated."""
    digits = 0 if unit == "ms" and value >= 100 else 1 if unit == "ms" or value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def render(title: str, figures: Sequence[Figure], details: Sequence[Figure] = ()) -> Table:
    """Return the one table of a run; details follow below the figures."""
    table = Table(title=title, title_justify="left")
    table.add_column("figure", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("beside", overflow="fold")
    for group in (figures, details):
        for f in group:
            limit = "" if f.limit is None else f"{f.limit:g} {f.unit}"
            table.add_row(f.name, show(f.value, f.unit), limit, f.verdict, f.beside)
        table.add_section()
    return table
