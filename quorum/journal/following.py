"""Following a journal that is still being written, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import func, select

from quorum.errors import DataError
from quorum.journal.reading import Item, Run, item_of
from quorum.state import Store
from quorum.state.kinds.journal import JOURNAL


class JournalTail:
    """Reads what was appended to a journal since it was last read.

    Parameters
    ----------
    store : Store or None
        The state of the bot; it may not be there yet. None where none is kept.
    bot : str

    Attributes
    ----------
    damaged : int
        Lines that could not be read so far.
    """

    def __init__(self, store: Store | None, bot: str) -> None:
        self.store = store
        self.bot = bot
        self.damaged = 0
        self._runs: dict[str, Run] = {}
        self._last = 0

    def stamp(self) -> int:
        """Return the position of the newest line in the store: it changes with every line."""
        if self.store is None or not self.store.exists():
            return 0
        with self.store.read() as connection:
            return int(connection.execute(select(func.max(JOURNAL.c.id))).scalar() or 0)

    def read(self) -> Iterator[tuple[str, Item]]:
        """Yield every new line with its position in the journal.

        Raises
        ------
        DataError
            If it is the journal of another version of Quorum.
        StateError
            If the store cannot be read.
        """
        if self.store is None or not self.store.exists():
            return
        new = (JOURNAL.c.bot == self.bot, JOURNAL.c.id > self._last)
        chosen = select(JOURNAL.c.id, JOURNAL.c.body).where(*new).order_by(JOURNAL.c.id)
        with self.store.read() as connection:
            rows = connection.execute(chosen).all()
        for position, body in rows:
            item = None
            try:
                item = item_of(json.loads(body), self._runs)
            except (KeyError, TypeError, ValueError) as error:
                if isinstance(error, DataError):
                    # It is met again at the next call: nothing behind it can be read.
                    raise DataError(f"{self.store} journal {position}: {error}") from error
                self.damaged += 1
            self._last = position
            if item is not None:
                yield f"journal:{position}", item
