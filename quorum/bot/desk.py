"""Desk: between the columns of the market and the trades of the account.

It holds the signal table of every pair (arrays, replaced at each new candle) and finds the
signal that belongs to a moment or to a trade. Nothing here must survive a restart: the signal
of an open trade is stored with the trade, and what has been taken out of it with its orders.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from freqtrade.exchange import amount_to_contract_precision
from freqtrade.persistence import Order, Trade

from quorum.account import AccountState
from quorum.bot.advice import FactNotes
from quorum.bot.candle_journal import CandleJournal
from quorum.bot.models import BotModels
from quorum.bot.source import FrameSource
from quorum.bot.vetoes import Vetoes
from quorum.candles import Candles, epoch_ms, timeframe_ms
from quorum.consensus import ConsensusSettings
from quorum.context.liquidation import Liquidation, safe_leverage
from quorum.context.zones import IMMEDIATE, Zones, entry_price
from quorum.entry import Account, Signal, adjust, draw_up
from quorum.exits.management import merge_rungs
from quorum.exits.rules import order_expired
from quorum.pipeline import evaluate
from quorum.playbooks.entries import entering
from quorum.settings import Settings
from quorum.signals import SignalTable, decide, publish
from quorum.sizing.risk_measures import recent_returns
from quorum.typing import Floats, Ints

logger = logging.getLogger(__name__)

#: Key under which a trade keeps its signal.
SIGNAL_KEY = "quorum_signal"
#: Refusal of an entry for which no signal stands any more.
NO_SIGNAL = "no_signal"


class Desk:
    """Analyses pairs, decides entries, and remembers why each trade was opened.

    Parameters
    ----------
    settings : Settings
    timeframe : str
        Base timeframe.
    models : BotModels, optional
        Trained models that join the vote.

    Attributes
    ----------
    tables : dict of SignalTable
        By pair.
    accepted, refused : Counter
        Entries by tag, refusals by reason code.
    signals : dict of Signal
        By pair and opening time of the trade, as far as this process knows them.
    rates : dict of float
        By pair the market's price when an entry was last considered.
    vetoes : Vetoes
        Refused signals: what has been refused is not asked again within its candle.
    unsettled : bool
        Whether the exchange may hold orders that the host does not know of.
    reference : Candles or None
        Of the coin that the guards look at, as the market of the last pair saw it.
    """

    def __init__(self, settings: Settings, timeframe: str, models: BotModels | None = None) -> None:
        self.settings = settings
        self.models = models
        self.journal: CandleJournal | None = None
        self.facts: FactNotes | None = None
        self.step = timeframe_ms(timeframe)
        self.heads = tuple(head.name for head in settings.enabled_heads())
        self.tables: dict[str, SignalTable] = {}
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._pending: dict[str, Signal] = {}
        self.vetoes = Vetoes()
        self._min_order: dict[str, float] = {}
        self.signals: dict[tuple[str, datetime], Signal] = {}
        self.rates: dict[str, float] = {}
        self.unsettled = False
        self.reference: Candles | None = None

    # Columns ------------------------------------------------------------------------------

    def analyse(self, source: FrameSource, pair: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``frame`` with the published columns of its market beside the candles."""
        market = source.market(pair, frame)
        self.reference = market.context.get(self.settings.guards.system.reference)
        if self.journal is not None:
            self.journal.saw(market)
        result = evaluate(market, self.settings, self.models)
        if self.facts is not None:
            self.facts.note(result)
        columns = publish(result)
        if self.models is not None:
            self.models.observe(market, columns)
        return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)

    def enter(
        self,
        pair: str,
        frame: pd.DataFrame,
        weights: dict[str, float],
        consensus: ConsensusSettings,
    ) -> pd.DataFrame:
        """Decide the pair's signals, keep its table, and write the host's entry columns."""
        time = epoch_ms(frame["date"])
        table = self._with_playbooks(frame, self._decided(frame, time, weights, consensus))
        self.tables[pair] = table
        if self.journal is not None:
            self.journal.candle(pair, table, self.settings, weights, consensus)
        # An optimiser runs the same candles again: what an earlier run stored is not this one's.
        self.signals = {key: s for key, s in self.signals.items() if key[0] != pair}
        frame["consensus_confidence"] = table.consensus.confidence * table.consensus.direction
        frame["confluence_score"] = table.consensus.confluence
        return frame

    def _with_playbooks(self, frame: pd.DataFrame, table: SignalTable) -> SignalTable:
        """Write the host's entry columns: playbooks first, the consensus where none enters."""
        playbooks = self.settings.enabled_playbooks()
        tradable = frame["tradable"].to_numpy(dtype=np.bool_)
        by = entering(playbooks, table.columns, table.entry, tradable)
        side = np.where(by < 0, table.entry, 1)
        tags = table.tags()
        if not self.settings.playbooks.consensus.enabled:
            side[by < 0], tags[:] = 0, None
        for place, playbook in enumerate(playbooks):
            tags[by == place] = playbook.name
        frame["enter_long"] = (side > 0).astype(np.int8)
        frame["enter_short"] = (side < 0).astype(np.int8)
        frame["enter_tag"] = tags
        return replace(table, playbook=by)

    def _decided(
        self,
        frame: pd.DataFrame,
        time: Ints,
        weights: dict[str, float],
        consensus: ConsensusSettings,
    ) -> SignalTable:
        """Return the signals of a frame, with what trained models add to them."""
        if self.models is None:
            return decide(frame, time, self.heads, weights, consensus)
        return self.models.decide(frame, time, self.heads, weights, consensus)

    # Entries ------------------------------------------------------------------------------

    def closed_row(self, pair: str, at: datetime) -> tuple[SignalTable, int] | None:
        """Return the table of a pair and the row of the last candle that had closed ``at``."""
        table = self.tables.get(pair)
        opened = (int(at.timestamp() * 1000) // self.step - 1) * self.step
        row = table.row_at(opened) if table is not None else None
        return None if table is None or row is None else (table, row)

    def signal_row(self, pair: str, at: datetime) -> tuple[SignalTable, int] | None:
        """Return the same as :meth:`closed_row` where that candle gives a signal."""
        found = self.closed_row(pair, at)
        return found if found is not None and found[0].entry[found[1]] != 0 else None

    def limit_price(self, pair: str, at: datetime, price: float) -> float:
        """Return the price to enter at (spec Z2), ``price`` for an immediate entry."""
        self.rates[pair] = price
        found = self.signal_row(pair, at)
        if found is None:
            return price
        table, row = found
        facts = adjust(table, row, self.settings).facts
        strategy = facts.get("entry_strategy", IMMEDIATE)
        zones = self.settings.context_of(Zones)
        return entry_price(strategy, int(table.entry[row]), price, table.row(row), zones)

    def leverage(self, pair: str, at: datetime, price: float) -> float:
        """Return the leverage from the settings, cut until the stop lies before liquidation."""
        wanted = self.settings.leverage
        found = self.signal_row(pair, at)
        if found is None or wanted == 1.0:
            return wanted
        signal = draw_up(*found, pair, price, Account(1.0), self.settings)
        return safe_leverage(price, signal.stop_loss, wanted, self.settings.context_of(Liquidation))

    def quote(self, pair: str, at: datetime, entry: float, account: Account) -> Signal | None:
        """Return the signal for an entry now at price ``entry``, None where there is none.

        The signal is that of the last candle that has closed; it is kept until the order fills.
        """
        # First of all: were this to fail, confirm must not find an older signal.
        self._pending.pop(pair, None)
        found = self.signal_row(pair, at)
        candle = None if found is None else int(found[0].time[found[1]])
        if found is None or self.vetoes.holds(pair, candle):
            return None
        # One decision per signal: a host that asks again within the candle, live or on shorter
        # candles, would else take what was refused as soon as the price has moved far enough.
        self.vetoes.lift(pair)
        self._min_order[pair] = account.min_order
        signal = self._pending[pair] = draw_up(*found, pair, entry, account, self.settings)
        return signal

    def confirm(self, pair: str, permit: Callable[[Signal], str | None] | None = None) -> bool:
        """Accept or refuse the pair's pending entry: the one place where a signal is refused.

        ``permit`` returns why the account does not allow the entry, None where it does (spec G).
        """
        signal = self._pending.get(pair)
        if signal is None:
            if pair not in self.vetoes:
                self.refused[NO_SIGNAL] += 1
                self._note(pair, None, NO_SIGNAL)
            return False
        refusal = signal.veto
        if refusal is None and permit is not None:
            refusal = permit(signal)
        self._note(pair, signal, refusal)
        if refusal is not None:
            self.refused[refusal] += 1
            self.vetoes.put(pair, int(signal.timestamp.timestamp() * 1000))
            del self._pending[pair]
            return False
        self.accepted[signal.tag] += 1
        if signal.sizing:
            logger.info("Entry of %s, size %s", pair, json.dumps(signal.sizing))
        return True

    def _note(self, pair: str, signal: Signal | None, refusal: str | None) -> None:
        if self.journal is not None:
            self.journal.entry(pair, signal, refusal)

    def expired(self, trade: Trade, order: Order, at: datetime) -> bool:
        """Whether an entry order has waited for its price long enough (spec Z2).

        An immediate entry is given one candle. Candles count from the one the order was placed
        in: the seconds a bot needs to decide would else keep it one look longer than a backtest.
        """
        signal = self.signal_of(trade)
        waits = signal is not None and signal.entry_strategy != IMMEDIATE
        placed = int(order.order_date_utc.timestamp() * 1000) // self.step
        age = int(at.timestamp() * 1000) // self.step - placed
        expiry = self.settings.context_of(Zones).expiry
        return order_expired(waits, age, expiry)

    def filled(self, trade: Trade) -> None:
        """Store the signal of a trade whose entry has filled with the trade."""
        signal = self._pending.pop(trade.pair, None)
        if trade.get_custom_data(SIGNAL_KEY) is not None:
            return
        signal = signal or self._redraw(trade)
        if signal is None:
            return
        signal = self._in_lots(trade, signal)
        self.signals[trade.pair, trade.open_date_utc] = signal
        trade.set_custom_data(SIGNAL_KEY, signal.model_dump(mode="json"))

    def _in_lots(self, trade: Trade, signal: Signal) -> Signal:
        """Merge the rungs once more for the amount that was filled, in whole lots.

        A rung whose order, or what it leaves, is under the exchange's minimum would never be
        placed, and the targets behind it with it.
        """

        def cut(value: float) -> float:
            amount = amount_to_contract_precision(
                value / trade.open_rate,
                trade.amount_precision,
                trade.precision_mode,
                trade.contract_size,
            )
            return amount * trade.open_rate

        ladder, shares = merge_rungs(
            signal.ladder,
            signal.ladder_shares,
            trade.amount * trade.open_rate,
            self._min_order.get(trade.pair, 0.0),
            cut,
        )
        return signal.model_copy(update={"ladder": ladder, "ladder_shares": shares})

    def signal_of(self, trade: Trade) -> Signal | None:
        """Return the signal a trade was opened on, None for a trade that is not ours."""
        key = (trade.pair, trade.open_date_utc)
        signal = self.signals.get(key)
        if signal is None:
            stored: dict[str, Any] | None = trade.get_custom_data(SIGNAL_KEY)
            if stored is None:
                if trade.amount and trade.pair not in self._pending:
                    # It filled while no bot ran, or before this one had looked at the market.
                    self.filled(trade)
                    return self.signals.get(key)
                return self._pending.get(trade.pair) or self._redraw(trade)
            signal = self.signals[key] = Signal.model_validate(stored)
        return signal

    def _redraw(self, trade: Trade) -> Signal | None:
        """Draw up again the signal of an order that was placed before a restart.

        Everything follows from the candle but the capital at that time; the position is the
        order's own. An entry with another tag than the candle's is not ours.
        """
        found = self.signal_row(trade.pair, trade.open_date_utc)
        if found is None or trade.enter_tag != found[0].tag(found[1]):
            return None
        notional = trade.stake_amount * trade.leverage
        signal = draw_up(*found, trade.pair, trade.open_rate, Account(notional), self.settings)
        risk = notional * abs(signal.entry_price - signal.stop_loss) / signal.entry_price
        changes = {
            "position_size_quote": notional,
            "risk_amount": risk,
            "reward_amount": risk * signal.risk_reward_ratio,
            "veto": None,
        }
        return signal.model_copy(update=changes)
