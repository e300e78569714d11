"""``quorum ...``: thin commands over the package."""

from __future__ import annotations

from quorum.cli import (
    doctor,
    fills,
    guards,
    init,
    inspect,
    models,
    regimes,
    run,
    settings,
    trades,
    train,
    tune,
)
from quorum.cli.app import app

__all__ = [
    "app",
    "doctor",
    "fills",
    "guards",
    "init",
    "inspect",
    "models",
    "regimes",
    "run",
    "settings",
    "trades",
    "train",
    "tune",
]
