"""The advisors' answers for a bot or a backtest: read from the ledger, never asked for."""

from __future__ import annotations

import atexit
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from freqtrade.enums import RunMode

from quorum.advisors.book import AnswerBook
from quorum.advisors.fact_store import FactStore
from quorum.advisors.facts import facts_at
from quorum.advisors.ledger import Ledger
from quorum.advisors.questions import least_hours
from quorum.answers import HOUR_MS, Answers
from quorum.bot.state_store import open_state
from quorum.errors import DataError, QuorumError, SettingsError
from quorum.faults import report_fault
from quorum.pipeline import Evaluation
from quorum.settings import Settings
from quorum.state import Store

logger = logging.getLogger(__name__)


def is_running(config: dict[str, Any]) -> bool:
    """Whether a bot is run, live or dry."""
    return config.get("runmode") in (RunMode.LIVE, RunMode.DRY_RUN)


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
        if not running:
            book.close()
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


def ledger_of(
    config: dict[str, Any], settings: Settings, *, readonly: bool, patience: float | None = None
) -> Ledger:
    """Return the ledger in the state of a bot; ``patience`` in seconds for another's lock.

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
    if patience is None:
        return Ledger(store)
    return Ledger(Store(store.url, readonly=readonly, patience=patience))


def advice(config: dict[str, Any], settings: Settings, timeframe: str) -> Advice | None:
    """Return the reader of the ledger, None where advisors are off.

    Raises
    ------
    DataError
        If the ledger cannot be used: an edited one is refused before anything starts.
    """
    if not settings.advisors.enabled:
        return None
    running = is_running(config)
    ledger = ledger_of(config, settings, readonly=not running)
    try:
        return Advice(AnswerBook(ledger, settings.advisors, timeframe), running=running)
    except QuorumError as error:
        raise DataError(f"quorum.advisors.enabled = True: {error}") from error


class FactNotes:
    """Notes the facts of a running bot's candles for the writer that asks about them.

    Parameters
    ----------
    facts : FactStore
    hours : int
        Closes that are multiples of this are asked about [h].
    """

    def __init__(self, facts: FactStore, hours: int) -> None:
        self._facts = facts
        self._step = hours * HOUR_MS
        self._noted: dict[str, int] = {}

    def note(self, result: Evaluation) -> None:
        """Note the newest candle where questions are asked at its close; never raises."""
        market = result.market
        candle = int(market.close_time[-1]) if len(market) else 1
        if candle % self._step or self._noted.get(market.pair) == candle:
            return
        self._noted[market.pair] = candle
        if not market.tradable[-1]:
            return
        try:
            self._facts.put(facts_at(result, -1))
        except (QuorumError, ArithmeticError, LookupError, ValueError) as error:
            report_fault("facts for the advisors", market.pair, error)


def fact_notes(config: dict[str, Any], settings: Settings) -> FactNotes | None:
    """Return what notes the facts of a running bot, None where advisors are off."""
    if not settings.advisors.enabled or not is_running(config):
        return None
    store = ledger_of(config, settings, readonly=False).store
    return FactNotes(FactStore(store), least_hours(settings.advisors))


class WriterProcess:
    """``quorum advise`` as a child of the bot: started once, ended with it, never waited for.

    Parameters
    ----------
    config : dict
        The host's configuration.
    settings : Settings
    """

    def __init__(self, config: dict[str, Any], settings: Settings) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        wanted = settings.advisors.enabled and settings.advisors.writer and is_running(config)
        # The host keeps the newest file first, a command line names it last.
        files = [str(path) for path in reversed(config.get("config_files") or [])]
        if not wanted:
            return
        if not files:
            logger.warning(
                "quorum.advisors.writer has no effect: the configuration was not read from files"
            )
            return
        command = [sys.executable, "-m", "quorum", "advise"]
        for path in files:
            command += ["--config", path]
        log = Path(config.get("user_data_dir") or "user_data") / "logs" / "quorum-advise.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        logger.info("Advisors are asked by a process of their own, log: %s", log)
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        atexit.register(self.stop)

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Tell it to end after what is under way."""
        if self._process is not None and self.running:
            self._process.terminate()
