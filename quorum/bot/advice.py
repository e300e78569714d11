"""The advisors' answers for a bot or a backtest: read from the ledger, never asked for."""

from __future__ import annotations

import logging
from typing import Any

from freqtrade.enums import RunMode

from quorum.advisors.book import AnswerBook
from quorum.advisors.ledger import Ledger
from quorum.answers import Answers
from quorum.bot.state_store import open_state
from quorum.errors import DataError, QuorumError, SettingsError
from quorum.faults import report_fault
from quorum.settings import Settings

logger = logging.getLogger(__name__)


class Advice:
    """Gives each pair's market the answers that may be used.

    A running bot reads what is new at every candle; everything else reads the ledger once, so
    that one run sees one ledger.

    Parameters
    ----------
    book : AnswerBook
    running : bool

    Raises
    ------
    DataError
        If the ledger cannot be used.
    """

    def __init__(self, book: AnswerBook, *, running: bool) -> None:
        self._book = book
        self._running = running
        book.refresh()
        told = ", ".join(f"{count} {why}" for why, count in sorted(book.coverage.items()))
        logger.info("Answers of advisors: %s", told or "none")

    def of(self, pair: str) -> Answers:
        """Return the answers about a pair; those read before where the ledger fails."""
        if self._running:
            try:
                self._book.refresh()
            except QuorumError as error:
                report_fault("advisors' ledger", pair, error)
        return self._book.answers(pair)


def ledger_of(config: dict[str, Any], settings: Settings, *, readonly: bool) -> Ledger:
    """Return the ledger in the state of a bot.

    Raises
    ------
    SettingsError
        If that state is kept in memory only.
    """
    store = open_state(config, settings, readonly=readonly)
    if store is None:
        raise SettingsError(
            "quorum.advisors: the trades database is in memory, and a ledger is not: set "
            "quorum.state.url"
        )
    return Ledger(store)


def advice(config: dict[str, Any], settings: Settings, timeframe: str) -> Advice | None:
    """Return the reader of the ledger, None where advisors are off.

    Raises
    ------
    DataError
        If the ledger cannot be used: an edited one is refused before anything starts.
    """
    if not settings.advisors.enabled:
        return None
    running = config.get("runmode") in (RunMode.LIVE, RunMode.DRY_RUN)
    ledger = ledger_of(config, settings, readonly=not running)
    try:
        return Advice(AnswerBook(ledger, settings.advisors, timeframe), running=running)
    except QuorumError as error:
        raise DataError(f"quorum.advisors.enabled = True: {error}") from error
