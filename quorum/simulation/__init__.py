"""What becomes of entries: simulated trades, without the host and thousands at a time."""

from __future__ import annotations

from quorum.simulation.ablation import Row, ablate, books_of, summarise, to_json
from quorum.simulation.agreement import Agreement, HostTrade, compare_runs
from quorum.simulation.book import Book, open_book
from quorum.simulation.context import Context, read_context
from quorum.simulation.material import Material, material_of
from quorum.simulation.portfolio import PortfolioSettings, Run, Trade, run_portfolio
from quorum.simulation.random_entries import RandomEntries, RandomSettings, random_entries
from quorum.simulation.trades import Outcomes, simulate
from quorum.simulation.venue import Venue, funding_paid

__all__ = [
    "Agreement",
    "Book",
    "Context",
    "HostTrade",
    "Material",
    "Outcomes",
    "PortfolioSettings",
    "RandomEntries",
    "RandomSettings",
    "Row",
    "Run",
    "Trade",
    "Venue",
    "ablate",
    "books_of",
    "compare_runs",
    "funding_paid",
    "material_of",
    "open_book",
    "random_entries",
    "read_context",
    "run_portfolio",
    "simulate",
    "summarise",
    "to_json",
]
