"""The ledger of the guards, one row per bot, and every change of their state (spec G)."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table, Text

from quorum.state.kind import METADATA, Kind

#: ``version`` counts the writes: who writes names the one it has read, and so notices another
#: process that wrote in between.
GUARD_LEDGERS = Table(
    "quorum_guards",
    METADATA,
    Column("bot", String(255), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("ledger", Text, nullable=False),
)
GUARD_EVENTS = Table(
    "quorum_guard_events",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("bot", String(255), nullable=False, index=True),
    Column("at", String(40), nullable=False),
    Column("before", String(16), nullable=False),
    Column("after", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)
GUARDS = Kind("guards", (GUARD_LEDGERS, GUARD_EVENTS))
