"""Desk: between the columns of the market and the trades of the account.

It holds the signal table of every pair (arrays, replaced at each new candle) and finds the
signal that belongs to a moment or to a trade. Nothing here must survive a restart: the signal
of an open trade is stored with the trade.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from freqtrade.persistence import Trade

from quorum.bot.source import FrameSource
from quorum.candles import epoch_ms, timeframe_ms
from quorum.consensus import Band, ConsensusSettings
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.signals import Account, Signal, SignalTable, decide, entry_tag, make_signal, publish

logger = logging.getLogger(__name__)

#: Key under which a trade keeps its signal.
SIGNAL_KEY = "quorum_signal"
#: Exit reason of a trade that a quorum on the other side ends.
OPPOSITE_QUORUM = "opposite_quorum"
#: Exit reason of a trade that has lasted too long.
TIME_STOP = "time_stop"


class Desk:
    """Analyses pairs, decides entries, and remembers why each trade was opened.

    Parameters
    ----------
    settings : Settings
    timeframe : str
        Base timeframe.
    """

    def __init__(self, settings: Settings, timeframe: str) -> None:
        self.settings = settings
        self.step = timeframe_ms(timeframe)
        self.heads = tuple(head.name for head in settings.enabled_heads())
        self.tables: dict[str, SignalTable] = {}
        self._pending: dict[str, Signal] = {}
        self._signals: dict[tuple[str, datetime], Signal] = {}

    def analyse(self, source: FrameSource, pair: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``frame`` with the published columns of its market beside the candles."""
        result = evaluate(source.market(pair, frame), self.settings)
        columns = publish(result.market, result.features, result.votes)
        return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)

    def enter(
        self,
        pair: str,
        frame: pd.DataFrame,
        weights: dict[str, float],
        consensus: ConsensusSettings,
    ) -> pd.DataFrame:
        """Decide the pair's signals, keep its table, and write the host's entry columns."""
        table = decide(frame, epoch_ms(frame["date"]), self.heads, weights, consensus)
        self.tables[pair] = table
        frame["enter_long"] = (table.entry > 0).astype(np.int8)
        frame["enter_short"] = (table.entry < 0).astype(np.int8)
        frame["enter_tag"] = _tags(table)
        frame["consensus_confidence"] = table.consensus.confidence * table.consensus.direction
        frame["confluence_score"] = table.consensus.confluence
        return frame

    def leave(self, pair: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Write the host's exit columns: a trade ends when a quorum forms on the other side."""
        if self.settings.exits.reversal:
            side = self.tables[pair].entry
            frame["exit_long"] = (side < 0).astype(np.int8)
            frame["exit_short"] = (side > 0).astype(np.int8)
            frame["exit_tag"] = np.where(side != 0, OPPOSITE_QUORUM, "").astype(object)
        return frame

    def quote(self, pair: str, at: datetime, entry: float, account: Account) -> Signal | None:
        """Return the signal for an entry now at price ``entry``, None where there is none.

        The signal is that of the last candle that has closed; it is kept until the order fills.
        """
        table = self.tables.get(pair)
        opened = (int(at.timestamp() * 1000) // self.step - 1) * self.step
        row = table.row_at(opened) if table is not None else None
        if table is None or row is None or table.entry[row] == 0:
            return None
        signal = make_signal(table, row, pair, entry, account, self.settings)
        self._pending[pair] = signal
        return signal

    def filled(self, trade: Trade) -> None:
        """Store the signal of a trade whose entry has filled with the trade."""
        key = (trade.pair, trade.open_date_utc)
        signal = self._pending.pop(trade.pair, None)
        if signal is None or key in self._signals:
            return
        self._signals[key] = signal
        trade.set_custom_data(SIGNAL_KEY, signal.model_dump(mode="json"))

    def exit_reason(self, trade: Trade, at: datetime) -> str | None:
        """Return why a trade must end now at the market, None to keep it."""
        age = (at - trade.open_date_utc).total_seconds() / 3600
        return TIME_STOP if age >= self.settings.exits.time_stop else None

    def signal_of(self, trade: Trade) -> Signal | None:
        """Return the signal a trade was opened on, None for a trade that is not ours."""
        key = (trade.pair, trade.open_date_utc)
        signal = self._signals.get(key)
        if signal is None:
            stored: dict[str, Any] | None = trade.get_custom_data(SIGNAL_KEY)
            if stored is None:
                return self._pending.get(trade.pair)
            signal = self._signals[key] = Signal.model_validate(stored)
        return signal


def _tags(table: SignalTable) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Return the entry tag per candle, None without an entry."""
    tags = np.full(len(table.entry), None, dtype=object)
    for row in np.flatnonzero(table.entry):
        tags[row] = entry_tag(
            int(table.consensus.agreeing[row]),
            int(table.consensus.available[row]),
            Band(int(table.band[row])).name.lower(),
        )
    return tags
