"""``quorum ...``: thin commands over the package."""

from __future__ import annotations

from quorum.cli import fills, guards, inspect, regimes, run, settings, trades
from quorum.cli.app import app

__all__ = ["app", "fills", "guards", "inspect", "regimes", "run", "settings", "trades"]
