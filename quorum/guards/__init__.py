"""Guards: what stops entries, and what stops everything (spec G).

Which protection is whose: the host's own protections look at closed trades only and block
entries (a cooldown per pair, pairs with low profit). The guards here see equity *including*
floating profit, fees and funding, halt the whole account, and remember it across restarts.

In a backtest they use simulated time and equity and start clean at every run. Nobody re-arms
a backtest: after an emergency shutdown it trades no more, and its drawdown ends near the limit.
``guards.preset: off`` turns them off where trades must not depend on each other, as in the
host's lookahead analysis.
"""

from __future__ import annotations

from quorum.guards.base import (
    EntryRequest,
    Ledger,
    Limit,
    MarketFlags,
    Permission,
    Reason,
    State,
    Transition,
)
from quorum.guards.machine import Guards
from quorum.guards.settings import PRESETS, GuardSettings
from quorum.guards.store import LedgerStore, MemoryStore, SqlStore, rearm

__all__ = [
    "PRESETS",
    "EntryRequest",
    "GuardSettings",
    "Guards",
    "Ledger",
    "LedgerStore",
    "Limit",
    "MarketFlags",
    "MemoryStore",
    "Permission",
    "Reason",
    "SqlStore",
    "State",
    "Transition",
    "rearm",
]
