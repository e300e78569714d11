"""The pages in the order of the menu: one is a file with a router and a line here."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from quorum.dashboard.pages import (
    advisors,
    guards,
    health,
    models,
    now,
    performance,
    portfolio,
    trade,
)


@dataclass(frozen=True)
class Page:
    """A page: path, its word in the menu, and the router of it and of its API."""

    path: str
    label: str
    router: APIRouter


PAGES: tuple[Page, ...] = (
    Page("/", "now", now.router),
    Page("/trades", "trades", trade.router),
    Page("/portfolio", "portfolio", portfolio.router),
    Page("/guards", "guards", guards.router),
    Page("/advisors", "advisors", advisors.router),
    Page("/performance", "performance", performance.router),
    Page("/models", "models", models.router),
    Page("/health", "health", health.router),
)
