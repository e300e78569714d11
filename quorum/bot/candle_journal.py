"""The candle journal: what a running bot saw and decided at each close, for ``quorum parity``.

It only watches. What goes wrong here is reported, and costs lines of the journal, never a trade.
"""

from __future__ import annotations

import atexit
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from freqtrade.enums import RunMode

from quorum import __version__
from quorum.bot.models import BotModels
from quorum.bot.state_store import bot_name, open_state
from quorum.consensus import ConsensusSettings
from quorum.entry import Signal
from quorum.faults import report_fault
from quorum.journal.record import (
    Input,
    column_names,
    column_values,
    inputs_known,
    settings_digest,
    settings_record,
)
from quorum.journal.settings import JournalSettings
from quorum.journal.writing import FORMAT, JournalWriter
from quorum.market import Market
from quorum.settings import Settings
from quorum.signals import SignalTable
from quorum.state import StateError, Store

logger = logging.getLogger(__name__)

#: Where parts that fail are reported.
FAULT_LOGGER = "quorum.faults"
#: Settings, weights and consensus.
InForce = tuple[Settings, dict[str, float], ConsensusSettings]
_PART = "candle journal"


class CandleJournal:
    """Journals every closed candle of every pair a running bot analyses.

    Parameters
    ----------
    store : Store
        What it is written to.
    settings : JournalSettings
    bot, timeframe : str
    startup : int
        Candles of history the strategy asks for.
    models : BotModels, optional
    """

    def __init__(
        self,
        store: Store,
        settings: JournalSettings,
        *,
        bot: str = "freqtrade",
        timeframe: str = "1h",
        startup: int = 0,
        models: BotModels | None = None,
    ) -> None:
        self._facts = {"bot": bot, "timeframe": timeframe, "startup": startup}
        self._models = models
        self.writer = JournalWriter(store, bot, settings)
        self._run: dict[str, Any] = {}
        self._in_force: InForce | None = None
        self._markets: dict[str, Market] = {}
        self._last: dict[str, int] = {}
        self._told: dict[str, tuple[int, str | None]] = {}
        self._described: dict[str, tuple[object, int, Input]] = {}
        self._waiting: list[dict[str, Any]] = []
        self._broken = False
        self._listener = _FaultListener(self.fault)

    def listen(self) -> None:
        """Hear of parts that fail, in place of an earlier journal of this process."""
        source = logging.getLogger(FAULT_LOGGER)
        for handler in [h for h in source.handlers if isinstance(h, _FaultListener)]:
            source.removeHandler(handler)
        source.addHandler(self._listener)

    def close(self) -> None:
        """Write what still waits, and stop listening."""
        logging.getLogger(FAULT_LOGGER).removeHandler(self._listener)
        self._attempt("", self.writer.close)

    # What is journaled --------------------------------------------------------------------

    def saw(self, market: Market) -> None:
        """Take note of what a pair's columns are computed from; call this before ``candle``."""
        self._markets[market.pair] = market

    def candle(
        self,
        pair: str,
        table: SignalTable,
        settings: Settings,
        weights: Mapping[str, float],
        consensus: ConsensusSettings,
    ) -> None:
        """Journal the last closed candle of a pair, once.

        Parameters
        ----------
        pair : str
        table : SignalTable
        settings : Settings
        weights, consensus
            Those in force, which parameters of the strategy may have moved.
        """
        market = self._markets.pop(pair, None)
        if market is not None and len(market) and len(market) == len(table.time):
            in_force = (settings, dict(weights), consensus)
            self._attempt(pair, lambda: self._candle(market, table, in_force))

    def entry(self, pair: str, signal: Signal | None, refusal: str | None) -> None:
        """Journal an entry that was accepted or refused, once per candle and answer."""
        self._attempt(pair, lambda: self._entry(pair, signal, refusal))

    def fault(self, part: str, pair: str, error: str) -> None:
        """Journal that a part has failed and abstains."""
        line = {"kind": "fault", "pair": pair, "at": _now(), "part": part, "error": error}
        if part != _PART:
            # It fails before the candle is journaled, maybe before any has been.
            self._waiting.append(line)

    # How ----------------------------------------------------------------------------------

    def _candle(self, market: Market, table: SignalTable, in_force: InForce) -> None:
        pair, row = market.pair, len(market) - 1
        opened = int(market.candles.time[row])
        if self._last.get(pair) == opened:
            return
        self._begin(opened, table, in_force)
        for waiting in self._waiting:
            self._append(waiting)
        self._waiting.clear()
        self._append(
            {
                "kind": "candle",
                "pair": pair,
                "time": opened,
                "at": _now(),
                "values": column_values(market, table, row),
                "inputs": self._inputs(pair, market, row),
                "vintage": live_vintage(self._models, int(market.close_time[row])),
            }
        )
        self._last[pair] = opened

    def _inputs(self, pair: str, market: Market, row: int) -> dict[str, Input]:
        """Describe every series; one that several pairs share is described once per candle."""
        end = int(market.close_time[row])
        found = {}
        for role, known, source in inputs_known(market, row):
            shared = role.startswith(("context", "universe"))
            key = role if shared else f"{pair} {role}"
            cached = self._described.get(key)
            if cached is None or cached[0] is not source or cached[1] != end:
                cached = (source, end, known.describe())
                if shared:
                    self._described[key] = cached
            found[role] = cached[2]
        return found

    def _begin(self, opened: int, table: SignalTable, in_force: InForce) -> None:
        """Begin the day of a candle; say what the bot runs with where that is not yet said."""
        fresh = self.writer.begin(opened)
        columns = column_names(table)
        if self._in_force != in_force or self._run["columns"] != columns:
            settings, weights, consensus = self._in_force = in_force
            weighed = settings.weights.model_copy(update=weights)
            settings = settings.model_copy(update={"consensus": consensus, "weights": weighed})
            self._run = {
                "kind": "run",
                "format": FORMAT,
                "run": uuid.uuid4().hex[:12],
                "at": _now(),
                "version": __version__,
                **self._facts,
                "columns": columns,
                "settings": settings_record(settings),
                "digest": settings_digest(settings),
            }
            fresh = True
        if fresh:
            self.writer.append(self._run)

    def _entry(self, pair: str, signal: Signal | None, refusal: str | None) -> None:
        if not self._run:
            return
        step_back = self._last.get(pair, 0)
        opened = step_back if signal is None else int(signal.timestamp.timestamp() * 1000)
        if self._told.get(pair) == (opened, refusal):
            return
        self._told[pair] = (opened, refusal)
        self._append(
            {
                "kind": "entry",
                "pair": pair,
                "time": opened,
                "at": _now(),
                "refusal": refusal,
                "price": None if signal is None else signal.entry_price,
                "stop": None if signal is None else signal.stop_loss,
                "target": None if signal is None else signal.take_profit,
            }
        )

    def _append(self, line: dict[str, Any]) -> None:
        self.writer.append({**line, "run": self._run["run"]})

    def _attempt(self, pair: str, act: Callable[[], None]) -> None:
        """Do something of the journal; a bot trades on without one."""
        try:
            act()
            self._broken = self.writer.is_behind
        except StateError as error:
            if not self._broken:
                logger.error("The candle journal cannot be written: %s", error)
            self._broken = True
        except Exception as error:
            report_fault(_PART, pair, error)


class _FaultListener(logging.Handler):
    """Hears which parts :func:`quorum.faults.report_fault` reports."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a reported fault on: part, pair, kind of error."""
        if isinstance(record.args, tuple) and len(record.args) == 2:
            part, pair = record.args
            kind = record.exc_info[0] if record.exc_info else None
            self._tell(str(part), str(pair), kind.__name__ if kind else "")


def journal_settings(settings: Settings) -> JournalSettings:
    """Return the journal's section of the settings."""
    section = settings.journal
    return section


def live_vintage(models: BotModels | None, at: int) -> str | None:
    """Return the key of the models that are live at a moment (ms), None without any."""
    loaded = None if models is None else models.loaded()
    if loaded is None or not loaded.vintages:
        return None
    place = int(loaded.live(np.array([at], dtype=np.int64))[0])
    return None if place < 0 else loaded.vintages[place].manifest.key


def candle_journal(
    config: Mapping[str, Any], settings: Settings, startup: int, models: BotModels | None
) -> CandleJournal | None:
    """Return the journal of a bot in dry-run or live trading, None for anything else."""
    running = config.get("runmode") in (RunMode.LIVE, RunMode.DRY_RUN)
    if not running or not journal_settings(settings).enabled:
        return None
    store = open_state(config, settings)
    if store is None:
        return None  # As the trades, of which nothing is kept either; the guards say so.
    journal = CandleJournal(
        store,
        journal_settings(settings),
        bot=bot_name(config),
        timeframe=str(config["timeframe"]),
        startup=startup,
        models=models,
    )
    journal.listen()
    atexit.register(journal.close)
    return journal


def _now() -> int:
    return time.time_ns() // 1_000_000
