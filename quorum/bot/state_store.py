"""Where a bot keeps its state: beside its trades, unless told otherwise (spec R-1)."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from freqtrade.constants import DEFAULT_DB_DRYRUN_URL, DEFAULT_DB_PROD_URL
from freqtrade.exceptions import OperationalException

from quorum.errors import DataError, QuorumError
from quorum.guards import LedgerStore, MemoryStore, SqlStore
from quorum.journal.former import copy_journal
from quorum.records import STATE
from quorum.settings import Settings
from quorum.state import Store, database_url
from quorum.state.takeover import Takeover, copy_guards

logger = logging.getLogger(__name__)

#: Environment variable that goes before the setting: an address may hold a password.
URL_VARIABLE = "QUORUM_STATE_URL"
#: Where journals were below the user directory, a folder per bot.
JOURNAL_FOLDER = "quorum_journal"


def trades_url(config: Mapping[str, Any]) -> str:
    """Return the address of the trades database, as the host takes it from its configuration."""
    dry_run, url = config.get("dry_run", True), config.get("db_url")
    if url is None or (dry_run and url == DEFAULT_DB_PROD_URL):
        return DEFAULT_DB_DRYRUN_URL if dry_run else DEFAULT_DB_PROD_URL
    return str(url)


def state_url(config: Mapping[str, Any], settings: Settings) -> str | None:
    """Return where the state is kept, None where only in memory, as the trades are.

    A SQLite file beside the trades database, or the same server.

    Raises
    ------
    DataError
        If an address cannot be read.
    """
    for what, given in (
        (URL_VARIABLE, os.environ.get(URL_VARIABLE)),
        ("quorum.state.url", settings.state.url),
    ):
        if given:
            return database_url(given, what).render_as_string(hide_password=False)
    trades = database_url(trades_url(config), "db_url")
    if trades.get_backend_name() != "sqlite":
        return trades.render_as_string(hide_password=False)
    if trades.database in (None, "", ":memory:"):
        return None
    path = Path(str(trades.database))
    return f"sqlite:///{path.with_name(f'{path.stem}.quorum.sqlite')}"


def bot_name(config: Mapping[str, Any]) -> str:
    """Return the name under which a bot keeps its state."""
    return str(config.get("bot_name") or "freqtrade")


def takeovers(config: Mapping[str, Any]) -> list[Takeover]:
    """Return what an earlier Quorum may have kept of a bot in files of its own.

    The guards beside the trades, the journal in the user directory; both are named like the
    trades database, the journal like the bot where that is no file.
    """
    bot, trades = bot_name(config), database_url(trades_url(config), "db_url")
    found, name = [], bot
    if trades.get_backend_name() == "sqlite" and trades.database not in (None, "", ":memory:"):
        path = Path(str(trades.database))
        name = path.stem
        found.append(Takeover(path.with_name(f"{name}.guards.sqlite"), copy_guards))
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".") or "freqtrade"
    folder = Path(config.get("user_data_dir") or "user_data") / JOURNAL_FOLDER / name
    return [*found, Takeover(folder, copy_journal(bot))]


def open_state(
    config: Mapping[str, Any], settings: Settings, *, readonly: bool = False
) -> Store | None:
    """Return the store of a bot, None where the state is in memory only.

    Raises
    ------
    QuorumError
        For an unusable address.
    """
    url = state_url(config, settings)
    if url is None:
        return None
    return Store(url, takeovers=takeovers(config), readonly=readonly)


def kept_state(config: Mapping[str, Any], settings: Settings) -> Store | None:
    """Return the store of a bot for a command, None where nothing has been kept yet.

    Looking must not make a database; but what an earlier Quorum kept is taken over.

    Raises
    ------
    QuorumError
        For an unusable address, and where the state is in memory only.
    """
    store = open_state(config, settings)
    if store is None:
        raise DataError("the trades database is in memory: no state is kept; set state.url")
    former = any(takeover.source.exists() for takeover in takeovers(config))
    return store if store.exists() or former else None


def records_store(config: Mapping[str, Any], settings: Settings) -> Store | None:
    """Return the store to read records from, None where none of them are in it."""
    if STATE not in settings.market.records.values():
        return None
    return open_state(config, settings, readonly=True)


def guard_ledger(config: Mapping[str, Any], settings: Settings) -> LedgerStore:
    """Return where a running bot keeps the ledger of its guards.

    Raises
    ------
    OperationalException
        What the host prints without a traceback, for an unusable address.
    """
    try:
        store = open_state(config, settings)
    except QuorumError as error:
        raise OperationalException(str(error)) from error
    if store is None:
        logger.warning(
            "The trades database is in memory, and so is the state: a halt does not survive a "
            "restart, and no journal is kept. Set state.url to keep them."
        )
        return MemoryStore()
    return SqlStore(store, bot_name(config))
