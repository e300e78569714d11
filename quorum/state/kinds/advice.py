"""The ledger of the advisors: what was asked, what came back, what is reserved (spec A5)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from quorum.state.kind import METADATA, Kind, new_id, time_ms

#: Rows are only added. ``hash`` covers every other column and the row before, ``previous``:
#: no two rows can follow the same one. Costs are in millionths of a US dollar; ``detail`` is the
#: digest of a text.
ADVICE = Table(
    "quorum_advice",
    METADATA,
    new_id(),
    Column("record", String(64), nullable=False),
    Column("question", String(64), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("model", String(128), nullable=False),
    Column("role", String(32), nullable=False),
    Column("pair", String(64), nullable=False),
    time_ms("candle"),
    time_ms("asked_at", index=True),
    time_ms("known_at"),
    time_ms("cut_off", nullable=True),
    Column("status", String(16), nullable=False),
    Column("numbers", Text, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("detail", String(64), nullable=False),
    Column("previous", String(64), nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
)
Index(
    "quorum_advice_first_answer",
    ADVICE.c.record,
    unique=True,
    sqlite_where=ADVICE.c.status == "answered",
    postgresql_where=ADVICE.c.status == "answered",
)
#: Prompts, answers and what else a record holds, each once.
TEXTS = Table(
    "quorum_advice_texts",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)
#: Calls under way since a moment of the real clock, with what they may cost; ``asked_at`` is of
#: the market's clock, which is another where a market is replayed.
RESERVED = Table(
    "quorum_advice_reserved",
    METADATA,
    Column("question", String(64), primary_key=True),
    time_ms("asked_at"),
    time_ms("since"),
    Column("tokens", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
)
#: What the bot measured at the candles that questions are asked at; the newest only.
FACTS = Table(
    "quorum_advice_facts",
    METADATA,
    Column("pair", String(64), primary_key=True),
    Column("candle", BigInteger, primary_key=True, autoincrement=False),
    Column("facts", Text, nullable=False),
)
ADVICE_LEDGER = Kind("advice", (ADVICE, TEXTS, RESERVED, FACTS))
