"""Where the guards keep their ledger: in a database that survives a crash, or in memory."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from quorum.guards.base import Ledger, Reason, State, Transition
from quorum.state import StateError, Store
from quorum.state.kinds.guards import GUARD_EVENTS, GUARD_LEDGERS

#: Seconds after which a ledger is written although nothing but the time has changed.
HEARTBEAT = 60.0
#: How often a re-arming is tried while the bot writes at the same time.
REARM_ATTEMPTS = 5
#: What changes with every observation and is worth no write of its own.
VOLATILE = frozenset({"last_at", "equity", "worst", "drawdown"})


class ConflictError(StateError):
    """Another process has written the ledger since it was read."""


class LedgerStore(ABC):
    """Keeps one ledger."""

    @abstractmethod
    def load(self) -> Ledger | None:
        """Return the ledger, None where there is none yet; raises ``StateError``."""

    @abstractmethod
    def save(self, ledger: Ledger, transitions: Sequence[Transition] = ()) -> None:
        """Write the ledger; what returns is on disk. Raises ``StateError``."""


class MemoryStore(LedgerStore):
    """Keeps nothing beyond the run: a backtest starts clean."""

    def load(self) -> Ledger | None:
        """Return nothing."""
        return None

    def save(self, ledger: Ledger, transitions: Sequence[Transition] = ()) -> None:
        """Do nothing."""


class SqlStore(LedgerStore):
    """Keeps the ledger of one bot in the state store, with every change of state.

    Parameters
    ----------
    store : Store or str
        The store, or its address.
    bot : str
        Several bots may share a store under different names.

    Raises
    ------
    StateError
        If the address cannot be used at all.
    """

    def __init__(self, store: Store | str, bot: str = "quorum") -> None:
        self.store = store if isinstance(store, Store) else Store(store)
        self.bot = bot
        self._version: int | None = None
        self._saved: dict[str, Any] = {}

    def __str__(self) -> str:
        return str(self.store)

    def load(self) -> Ledger | None:
        """Read the ledger; makes the tables in a new database."""
        chosen = select(GUARD_LEDGERS.c.version, GUARD_LEDGERS.c.ledger)
        with self.store.read() as connection:
            row = connection.execute(chosen.where(GUARD_LEDGERS.c.bot == self.bot)).first()
        if row is None:
            self._version, self._saved = 0, {}
            return None
        try:
            content = json.loads(row.ledger)
            ledger = _ledger(content)
        except (ValueError, TypeError) as error:
            raise StateError(
                f"{self}: the guards of {self.bot!r} cannot be read: {error}"
            ) from error
        self._version, self._saved = row.version, content
        return ledger

    def save(self, ledger: Ledger, transitions: Sequence[Transition] = ()) -> None:
        """Write the ledger and the changes of state in one transaction.

        Raises
        ------
        ConflictError
            If another process has written since :meth:`load`.
        """
        content = asdict(ledger)
        if not transitions and not self._is_news(content):
            return
        if self._version is None:
            raise StateError(f"{self}: the state of the guards has not been read yet")
        try:
            text = json.dumps(content, allow_nan=False)
        except ValueError as error:
            raise StateError(
                f"{self}: the guards of {self.bot!r} hold no number: {error}"
            ) from error
        with self.store.write() as connection:
            self._write(connection, text)
            for t in transitions:
                connection.execute(insert(GUARD_EVENTS).values(bot=self.bot, **_event(t)))
        self._version, self._saved = self._version + 1, content

    def _is_news(self, content: dict[str, Any]) -> bool:
        saved = self._saved
        if not saved or any(content[k] != saved.get(k) for k in content.keys() - VOLATILE):
            return True
        return (content["last_at"] or 0.0) - (saved.get("last_at") or 0.0) >= HEARTBEAT

    def _write(self, connection: Connection, text: str) -> None:
        version = self._version or 0
        if version == 0:
            row = select(GUARD_LEDGERS.c.version).where(GUARD_LEDGERS.c.bot == self.bot)
            if connection.execute(row).first() is not None:
                raise ConflictError(f"{self}: another process writes the guards of {self.bot!r}")
            connection.execute(insert(GUARD_LEDGERS).values(bot=self.bot, version=1, ledger=text))
            return
        changed = connection.execute(
            update(GUARD_LEDGERS)
            .where(GUARD_LEDGERS.c.bot == self.bot, GUARD_LEDGERS.c.version == version)
            .values(version=version + 1, ledger=text)
        )
        if changed.rowcount != 1:
            raise ConflictError(f"{self}: another process writes the guards of {self.bot!r}")

    def events(self, count: int = 10) -> list[Transition]:
        """Return the latest changes of state, newest first; raises ``StateError``."""
        chosen = select(GUARD_EVENTS).where(GUARD_EVENTS.c.bot == self.bot)
        with self.store.read() as connection:
            rows = connection.execute(chosen.order_by(GUARD_EVENTS.c.id.desc()).limit(count)).all()
        return [
            Transition(
                datetime.fromisoformat(row.at),
                State(row.before),
                State(row.after),
                Reason(row.reason) if row.reason else None,
                row.detail,
            )
            for row in rows
        ]

    def close(self) -> None:
        """Give back the connections."""
        self.store.close()


def _event(transition: Transition) -> dict[str, str]:
    return {
        "at": transition.at.isoformat(),
        "before": transition.before.value,
        "after": transition.after.value,
        "reason": transition.reason.value if transition.reason else "",
        "detail": transition.detail,
    }


def _ledger(content: dict[str, Any]) -> Ledger:
    """Build a ledger from what was stored; fields of another version are left out."""
    known = {f.name for f in fields(Ledger)}
    ledger = Ledger(**{k: v for k, v in content.items() if k in known})
    ledger.state = State(ledger.state)
    ledger.reason = None if ledger.reason is None else Reason(ledger.reason)
    return ledger


def rearm(store: LedgerStore, reason: str) -> Transition:
    """End a halt: a person says why trading may go on (spec G3).

    The highest equity is forgotten: the drawdown is measured anew from the next observation.
    Limits of day and week stay in force.

    Raises
    ------
    StateError
        If nothing is halted, no reason is given, or the state cannot be written.
    """
    if not reason.strip():
        raise StateError("re-arming needs a reason")
    for _ in range(REARM_ATTEMPTS - 1):
        try:
            return _rearm(store, reason.strip())
        except ConflictError:
            # The bot has written in between: look again.
            continue
    return _rearm(store, reason.strip())


def _rearm(store: LedgerStore, reason: str) -> Transition:
    ledger = store.load()
    if ledger is None or ledger.state is not State.HALTED:
        state = "there is no state yet" if ledger is None else f"the state is {ledger.state}"
        raise StateError(f"nothing to re-arm: {state}")
    now = datetime.now(UTC)
    change = Transition(now, State.HALTED, State.ACTIVE, Reason.REARMED, reason)
    ledger.state, ledger.reason, ledger.since = State.ACTIVE, None, now.timestamp()
    ledger.arms += 1
    ledger.peak = ledger.drawdown = ledger.last_at = None
    store.save(ledger, (change,))
    return change
