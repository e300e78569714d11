"""Where a bot keeps the state of its guards: beside its trades, unless told otherwise."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from freqtrade.constants import DEFAULT_DB_DRYRUN_URL, DEFAULT_DB_PROD_URL
from freqtrade.exceptions import OperationalException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from quorum.errors import QuorumError
from quorum.guards import GuardSettings, LedgerStore, MemoryStore, SqlStore, StoreError

logger = logging.getLogger(__name__)


def guards_url(config: Mapping[str, Any], settings: GuardSettings) -> str | None:
    """Return where the state of the guards is kept, None where only in memory.

    A SQLite file beside the trades database, or the same server.

    Raises
    ------
    StoreError
        If the URL of the trades database cannot be read.
    """
    if settings.database is not None:
        return settings.database
    url = config.get("db_url")
    if config.get("dry_run", True) and url in (None, DEFAULT_DB_PROD_URL):
        url = DEFAULT_DB_DRYRUN_URL
    try:
        trades = make_url(url or DEFAULT_DB_PROD_URL)
    except ArgumentError as error:
        raise StoreError(f"db_url: {error}") from error
    if trades.get_backend_name() != "sqlite":
        return trades.render_as_string(hide_password=False)
    if trades.database in (None, "", ":memory:"):
        return None
    path = Path(str(trades.database))
    return f"sqlite:///{path.with_name(f'{path.stem}.guards.sqlite')}"


def bot_name(config: Mapping[str, Any]) -> str:
    """Return the name under which a bot keeps its state."""
    return str(config.get("bot_name") or "freqtrade")


def open_store(config: Mapping[str, Any], settings: GuardSettings) -> LedgerStore:
    """Return the store of a bot; raises ``StoreError`` for an unusable URL."""
    url = guards_url(config, settings)
    return MemoryStore() if url is None else SqlStore(url, bot_name(config))


def durable_store(config: Mapping[str, Any], settings: GuardSettings) -> LedgerStore:
    """Return the store of a running bot.

    Raises
    ------
    OperationalException
        What the host prints without a traceback, for an unusable URL.
    """
    try:
        store = open_store(config, settings)
    except QuorumError as error:
        raise OperationalException(str(error)) from error
    if isinstance(store, MemoryStore):
        logger.warning(
            "The trades database is in memory, and so is the state of the guards: a halt does "
            "not survive a restart. Set guards.database to keep it."
        )
    return store
