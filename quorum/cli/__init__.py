"""``quorum ...``: thin commands over the package."""

from __future__ import annotations

from quorum.cli import (
    ablation,
    demo,
    doctor,
    evidence,
    fills,
    guards,
    health,
    init,
    inspect,
    models,
    parity,
    regimes,
    report,
    run,
    serve,
    settings,
    state,
    trades,
    train,
    tune,
    up,
)
from quorum.cli.app import app

__all__ = [
    "ablation",
    "app",
    "demo",
    "doctor",
    "evidence",
    "fills",
    "guards",
    "health",
    "init",
    "inspect",
    "models",
    "parity",
    "regimes",
    "report",
    "run",
    "serve",
    "settings",
    "state",
    "trades",
    "train",
    "tune",
    "up",
]
