"""Writing a journal: rows of the state store, append-only, old days removed.

A line is on disk when it is written: neither ``kill -9`` nor a power cut loses it. While the store
cannot be written, lines wait in memory and are written with the next that can.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection

from quorum.errors import DataError
from quorum.journal.settings import JournalSettings
from quorum.state import StateError, Store
from quorum.state.kinds.journal import JOURNAL

logger = logging.getLogger(__name__)

#: Version of the lines; raised when an older Quorum could not read them.
FORMAT = 1
#: Lines that wait for a store that cannot be written; then the oldest go.
MOST_WAITING = 2000
#: Seconds until a store that could not be written is tried again: trying may take long.
RETRY = 10.0


def journal_row(bot: str, day: str, line: Mapping[str, Any]) -> dict[str, Any]:
    """Return one line of a journal as a row of its table."""
    body = json.dumps(line, separators=(",", ":"), allow_nan=False)
    return {
        "bot": bot,
        "day": day,
        "run": line["run"],
        "kind": line["kind"],
        "pair": line.get("pair", ""),
        "time": line.get("time"),
        "at": line["at"],
        "refusal": line.get("refusal"),
        "size": len(body),
        "body": body,
    }


class JournalWriter:
    """Appends lines to the journal of one bot; removes days that are too old or too many.

    Parameters
    ----------
    store : Store
    bot : str
    settings : JournalSettings
    """

    def __init__(self, store: Store, bot: str, settings: JournalSettings) -> None:
        self.store = store
        self.bot = bot
        self._settings = settings
        self._day: date | None = None
        self._pruned: date | None = None
        self._size = 0
        self._waiting: list[dict[str, Any]] = []
        self._retry_at = 0.0
        self._is_full = False

    @property
    def is_behind(self) -> bool:
        """Whether lines wait for the store."""
        return bool(self._waiting)

    def begin(self, moment: int) -> bool:
        """File what follows under the day of a candle; return whether it is another than before.

        A candle that comes after the first of the next day is filed with those.
        """
        day = datetime.fromtimestamp(moment / 1000, tz=UTC).date()
        if self._day is not None and day <= self._day:
            return False
        self._day = day
        self._is_full = False
        return True

    def append(self, line: Mapping[str, Any]) -> None:
        """Append one line.

        Raises
        ------
        StateError
            If the store cannot be written; the line waits.
        """
        if self._day is None:
            raise DataError(f"{self.store}: no day has begun")
        self._waiting.append(journal_row(self.bot, self._day.isoformat(), line))
        if time.monotonic() >= self._retry_at:
            self._write()

    def close(self) -> None:
        """Write what still waits; raises ``StateError``."""
        if self._waiting:
            self._write()
        self.store.close()

    def _write(self) -> None:
        try:
            with self.store.write() as connection:
                if self._pruned != self._day:
                    self._size = self._prune(connection)
                rows = self._that_fit()
                if rows:
                    connection.execute(insert(JOURNAL), rows)
        except StateError:
            self._retry_at = time.monotonic() + RETRY
            del self._waiting[:-MOST_WAITING]
            raise
        self._pruned = self._day
        self._size += sum(row["size"] for row in rows)
        self._waiting.clear()

    def _that_fit(self) -> list[dict[str, Any]]:
        """Return the lines there is room for; the rest of the day is told of once."""
        rows, size = [], self._size
        for row in self._waiting:
            size += row["size"]
            if size <= self._limit:
                rows.append(row)
        if len(rows) < len(self._waiting) and not self._is_full:
            self._is_full = True
            logger.warning(
                "The journal of %s in %s has reached %.0f MB (journal.max_megabytes); the rest of "
                "the day is not journaled",
                self.bot,
                self.store,
                self._settings.max_megabytes,
            )
        return rows

    @property
    def _limit(self) -> int:
        return int(self._settings.max_megabytes * 1_000_000)

    def _prune(self, connection: Connection) -> int:
        """Remove days older than allowed, then the oldest while half the space is taken.

        Returns
        -------
        int
            Bytes that are left.
        """
        assert self._day is not None
        sized = select(JOURNAL.c.day, func.sum(JOURNAL.c.size)).where(JOURNAL.c.bot == self.bot)
        found = connection.execute(sized.group_by(JOURNAL.c.day).order_by(JOURNAL.c.day)).all()
        oldest = (self._day - timedelta(days=self._settings.keep_days)).isoformat()
        left = sum(size for _, size in found)
        for day, size in found:
            # Half is left for the day that begins, of which nothing is removed.
            if day >= self._day.isoformat() or (day >= oldest and left <= self._limit // 2):
                break
            where = (JOURNAL.c.bot == self.bot, JOURNAL.c.day == day)
            connection.execute(delete(JOURNAL).where(*where))
            left -= size
        return int(left)
