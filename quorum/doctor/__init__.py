"""``quorum doctor``: what is wrong with a set-up before it trades, each finding with its fix.

One file per topic, one function per check; the table below names them in the order in which they
are run. The checks see a :class:`Setup` and never the host, the network or a secret's value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from quorum.doctor.base import (
    Check,
    Exchange,
    Finding,
    Layer,
    Level,
    Override,
    Setup,
    Span,
    Strategy,
)
from quorum.doctor.candles import candles, informative
from quorum.doctor.capital import open_trades, smallest_order, stake_amount
from quorum.doctor.clock import clock
from quorum.doctor.databases import databases
from quorum.doctor.folders import folders
from quorum.doctor.guards import reference
from quorum.doctor.keys import api_server, keys, secrets
from quorum.doctor.mode import initial_state, listed, stake_currency, trading_mode
from quorum.doctor.models import models
from quorum.doctor.orders import order_types
from quorum.doctor.overrides import overridden, parameter_file, strategy_file
from quorum.doctor.pricing import custom_prices, order_book
from quorum.doctor.pytorch import pytorch
from quorum.doctor.sources import sources
from quorum.doctor.startup import startup
from quorum.doctor.versions import versions
from quorum.doctor_settings import DoctorSettings

__all__ = [
    "CHECKS",
    "DoctorSettings",
    "Exchange",
    "Finding",
    "Layer",
    "Level",
    "Override",
    "Setup",
    "Span",
    "Strategy",
    "examine",
]

CHECKS: dict[str, Check] = {
    "overrides": overridden,
    "strategy file": strategy_file,
    "parameter file": parameter_file,
    "trading mode": trading_mode,
    "initial state": initial_state,
    "stake currency": stake_currency,
    "listed pairs": listed,
    "order book": order_book,
    "custom prices": custom_prices,
    "order types": order_types,
    "smallest order": smallest_order,
    "open trades": open_trades,
    "stake amount": stake_amount,
    "candles": candles,
    "informative candles": informative,
    "sources": sources,
    "start-up": startup,
    "guards": reference,
    "models": models,
    "clock": clock,
    "secrets": secrets,
    "keys": keys,
    "api server": api_server,
    "folders": folders,
    "databases": databases,
    "versions": versions,
    "pytorch": pytorch,
}


def examine(setup: Setup, names: Iterable[str] | None = None) -> list[Finding]:
    """Run the checks in their order; one that finds nothing wrong says so itself."""
    chosen = CHECKS if names is None else {name: CHECKS[name] for name in names}
    return [replace(finding, check=name) for name, run in chosen.items() for finding in run(setup)]
