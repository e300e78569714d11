"""Facts between a bot and the writer: kept in the state, so that neither waits for the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, func, insert, select

from quorum.advisors.facts import Facts, Quote
from quorum.answers import HOUR_MS
from quorum.state import Store
from quorum.state.kinds.advice import FACTS

#: How long facts are kept: until what was asked about a week later is settled.
KEPT_MS = 24 * 40 * HOUR_MS


def to_json(facts: Facts) -> str:
    """Write facts as JSON."""
    return json.dumps(asdict(facts), separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> Facts:
    """Read facts from JSON."""
    values = json.loads(text)
    quotes = tuple(Quote(**quote) for quote in values.pop("quotes"))
    return Facts(**values, quotes=quotes)


class FactStore:
    """The facts in one state store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, facts: Facts) -> None:
        """Keep the facts of one pair at one candle, and forget old ones of the pair."""
        c = FACTS.c
        with self._store.write() as connection:
            mine = c.pair == facts.pair
            old = (c.candle == facts.candle) | (c.candle < facts.candle - KEPT_MS)
            connection.execute(delete(FACTS).where(mine & old))
            values = {"pair": facts.pair, "candle": facts.candle, "facts": to_json(facts)}
            connection.execute(insert(FACTS).values(**values))

    def newest(self) -> int | None:
        """Return the newest candle there are facts of, None without any."""
        if not self._store.exists():
            return None
        with self._store.read() as connection:
            return connection.execute(select(func.max(FACTS.c.candle))).scalar()

    def at(self, candle: int, pairs: Sequence[str] | None = None) -> list[Facts]:
        """Return the facts of every pair at a candle."""
        if not self._store.exists():
            return []
        where = select(FACTS.c.facts).where(FACTS.c.candle == candle)
        if pairs is not None:
            where = where.where(FACTS.c.pair.in_(list(pairs)))
        with self._store.read() as connection:
            found = connection.execute(where.order_by(FACTS.c.pair)).scalars().all()
        return [from_json(text) for text in found]

    def closes(self) -> dict[str, dict[int, float]]:
        """Return by pair the closes at the candles that are kept."""
        if not self._store.exists():
            return {}
        closes: dict[str, dict[int, float]] = {}
        with self._store.read() as connection:
            for pair, candle, text in connection.execute(
                select(FACTS.c.pair, FACTS.c.candle, FACTS.c.facts)
            ):
                closes.setdefault(pair, {})[int(candle)] = float(json.loads(text)["close"])
        return closes
