"""The journal of running bots: what each candle was, what was decided, and what was refused.

One row per line of the journal, in the order it was written: ``id`` is the position a reader goes
on from. ``body`` is the whole line as JSON; the other columns are what is asked for.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from quorum.state.kind import METADATA, Kind, new_id, time_ms

JOURNAL = Table(
    "quorum_journal",
    METADATA,
    new_id(),
    Column("bot", String(255), nullable=False),
    #: UTC day that the line is filed under, by which old ones go.
    Column("day", String(10), nullable=False),
    Column("run", String(32), nullable=False),
    #: ``run``, ``candle``, ``entry`` or ``fault``.
    Column("kind", String(16), nullable=False),
    Column("pair", String(64), nullable=False),
    #: Opening of the candle.
    time_ms("time", nullable=True),
    time_ms("at"),
    #: Why an entry was refused, NULL for one that was accepted.
    Column("refusal", String(64)),
    Column("size", Integer, nullable=False),
    Column("body", Text, nullable=False),
)
Index("ix_quorum_journal_bot_day", JOURNAL.c.bot, JOURNAL.c.day)
JOURNALS = Kind("journal", (JOURNAL,))
