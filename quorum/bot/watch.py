"""Watch: connects the guards to the host's callbacks (spec G).

The host lets an entry pass when the callback that confirms it raises; so nothing here raises:
what fails refuses.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from datetime import datetime

import numpy as np
from freqtrade.enums import RunMode
from freqtrade.persistence import Order, Trade
from freqtrade.strategy import IStrategy

from quorum.account import AccountState, OpenPosition
from quorum.bot.account import AccountReader
from quorum.bot.desk import Desk
from quorum.bot.host import compares_trades
from quorum.bot.keeper import anchor_stops
from quorum.bot.marks import Marks
from quorum.bot.notices import say
from quorum.bot.state_store import guard_ledger
from quorum.bot.strays import Strays
from quorum.bot.troubles import ErrorTally, listen
from quorum.entry import Account, Signal
from quorum.exits.management import LADDER_TAG
from quorum.guards import (
    EntryRequest,
    Guards,
    GuardSettings,
    LedgerStore,
    MarketFlags,
    MemoryStore,
    Permission,
    Reason,
    Transition,
)
from quorum.guards.base import loss_percent
from quorum.guards.book import LEVELS, book_refusal
from quorum.risk import MarketView, RiskEngine
from quorum.guards.position import signed_correlation
from quorum.guards.system import ReferenceMarket, crossed_candles, reference_candles
from quorum.sizing.risk_measures import correlation, recent_returns

logger = logging.getLogger(__name__)


class Watch:
    """Observes the account once per call of the host's loop, answers entries, ends trades.

    Parameters
    ----------
    strategy : IStrategy
        For its wallets, its data provider and its configuration.
    desk : Desk
        For its signal tables.

    Attributes
    ----------
    guards : Guards
    refused : Counter
        Refusals by reason.
    transitions : list of Transition
        Of this run.
    """

    def __init__(self, strategy: IStrategy, desk: Desk) -> None:
        self._strategy = strategy
        self._desk = desk
        self.settings: GuardSettings = desk.settings.guards
        self.simulated = strategy.dp.runmode not in (RunMode.LIVE, RunMode.DRY_RUN)
        self.market = MarketView(desk.tables, desk.step, self.settings, lambda: desk.reference)
        self.closes = self.market.closes
        self.marks = Marks(self.closes)
        worst = self.marks.worst if self.simulated else None
        self.account = AccountReader(lambda: strategy.wallets, self.marks, strategy.config, worst)
        # Only for a bot: an optimiser sends the strategy to its workers.
        self.errors: ErrorTally | None = None
        self.strays: Strays | None = None
        self._told: tuple[Reason, str] | None = None
        store: LedgerStore = MemoryStore()
        if not self.simulated:
            self.errors = ErrorTally(self.settings.system.error_window)
            listen(strategy.dp._exchange, self.errors.hear)
            store = guard_ledger(strategy.config, desk.settings)
            desk.vetoes.durable = True
        self._begin(store)
        if not self.simulated and not strategy.config.get("dry_run", True):
            self.strays = Strays(strategy, desk, self.guards.last_seen())

    def _begin(self, store: LedgerStore) -> None:
        self.engine = RiskEngine(self.settings, store, self.market)
        self.refused: Counter[str] = Counter()
        self.transitions: list[Transition] = []
        self._last: datetime | None = None
        self._failed = False
        # A plot draws what was traded: it has no account to look at.
        plots = self._strategy.dp.runmode == RunMode.PLOT
        self._off = plots or (self.simulated and not self.guards.guards)

    @property
    def guards(self) -> Guards:
        """The guards of this run."""
        return self.engine.guards

    # The loop -----------------------------------------------------------------------------

    def on_candle(self, at: datetime) -> None:
        """Observe account and market; call this from ``bot_loop_start``, before anything else."""
        if self.strays is not None:
            for text in self.strays.look(at):
                say(self._strategy.dp, f"Quorum found at the exchange: {text}")
        if self._off:
            return
        try:
            if self.simulated and self._is_new_run(at):
                self._begin(MemoryStore())
            if not self.simulated:
                anchor_stops(Trade.get_open_trades())
            self._observe(at, self.account.read(at))
        except Exception as error:
            self._fail(error)

    def _is_new_run(self, at: datetime) -> bool:
        """Whether another backtest has begun: an optimiser runs one strategy many times."""
        return self.account.begins_anew() or (self._last is not None and at < self._last)

    def _observe(self, at: datetime, account: AccountState) -> None:
        self._last = at
        changes = self.engine.observe(account, 0 if self.errors is None else self.errors.count())
        self._failed = False
        for change in changes:
            self.transitions.append(change)
            self._tell(
                f"Quorum guards: {change.before} -> {change.after}"
                f"{f' ({change.reason})' if change.reason else ''}. {change.detail}"
            )
        fault = self.guards.fault
        if fault != self._told and not self.simulated:
            self._told = fault
            if fault is not None and fault[0] is not Reason.EQUITY_UNKNOWN:
                self._tell(f"Quorum guards refuse entries ({fault[0]}): {fault[1]}")

    def _tell(self, text: str) -> None:
        if not self.simulated:
            logger.warning(text)
            say(self._strategy.dp, text)

    def _fail(self, error: Exception) -> None:
        """Refuse entries until an observation succeeds; log the first failure of a row."""
        if not self._failed:
            logger.error("The guards failed and refuse all entries", exc_info=error)
        self._failed, self.engine.seen = True, None

    def _book_refusal(self, request: EntryRequest) -> Permission | None:
        """Return why the order book refuses an entry; the exchange is asked for it then."""
        if self.errors is None or not self.settings.system.enabled:
            return None
        try:
            book = self._strategy.dp.orderbook(request.pair, LEVELS)
            found = book_refusal(book, request.direction, request.notional)
        except Exception as error:
            self.errors.add(error)
            logger.info("No order book of %s: %s", request.pair, error)
            return None
        return None if found is None else Permission(False, found[0], f"{request.pair}: {found[1]}")

    # Entries ------------------------------------------------------------------------------

    def permit(
        self,
        pair: str,
        side: str,
        at: datetime,
        *,
        notional: float,
        price: float,
        stop: float | None,
        target: float | None,
        unguarded: frozenset[str] = frozenset(),
    ) -> Permission:
        """Answer one entry; call this from ``confirm_trade_entry``.

        Parameters
        ----------
        side : {"long", "short"}
        notional : float
            Position value, quote currency.
        price, stop, target : float
        unguarded : frozenset of str
            Reasons the entry is not refused for.
        """
        if self._off:
            return Permission(True)
        try:
            answer = self._unsettled() or self._answer(
                pair, -1 if side == "short" else 1, at, notional, price, stop, target, unguarded
            )
        except Exception as error:
            self._fail(error)
            answer = Permission(False, Reason.GUARD_FAILED, f"{type(error).__name__}: {error}")
        if answer.reason is not None:
            self.refused[answer.reason.value] += 1
            if not self.simulated:
                logger.info("Entry of %s refused (%s): %s", pair, answer.reason, answer.detail)
        return answer

    def _unsettled(self) -> Permission | None:
        """Refuse while the exchange may hold orders the host does not know of."""
        if self.strays is None or self.strays.unsettled is None:
            return None
        return Permission(False, Reason.UNKNOWN_ORDERS, self.strays.unsettled)

    def refusal(self, signal: Signal, at: datetime, notional: float) -> str | None:
        """Return the reason code with which a signal's entry is refused, None to let it pass."""
        answer = self.permit(
            signal.symbol,
            "short" if signal.direction < 0 else "long",
            at,
            notional=notional,
            price=signal.entry_price,
            stop=signal.stop_loss,
            target=signal.take_profit,
        )
        return None if answer.reason is None else answer.reason.value

    def _answer(
        self,
        pair: str,
        direction: int,
        at: datetime,
        notional: float,
        price: float,
        stop: float | None,
        target: float | None,
        unguarded: frozenset[str],
    ) -> Permission:
        account = self.account.read(at)
        self._observe(at, account)
        request = EntryRequest(
            pair,
            direction,
            at,
            notional,
            price,
            stop,
            target,
            unguarded=unguarded,
        )
        answer = self.engine.permit(request, account, self._desk.rates.get(pair))
        return (self._book_refusal(request) if answer.allowed else None) or answer

    def account_at(self, at: datetime) -> AccountState | None:
        """Return the account as the guards last saw it, None where it cannot be read."""
        if self.engine.seen is not None or self._failed:
            return self.engine.seen
        try:
            return self.account.read(at)
        except Exception as error:
            self._fail(error)
            return None

    @property
    def drawdown(self) -> float:
        """Drawdown of the account from its peak as the guards know it, percent; 0 without them."""
        if self._off:
            return 0.0
        ledger = self.guards.ledger
        return loss_percent(ledger.peak, ledger.equity) or 0.0

    def adds(self, pair: str, at: datetime, unguarded: frozenset[str]) -> bool:
        """Whether the guards let an open trade be added to now."""
        if self._off:
            return True
        if self._failed or self._unsettled():
            return False
        return self.engine.adds(pair, at, unguarded, self._desk.rates.get(pair))

    @property
    def size_factor(self) -> float:
        """Factor on every size from the drawdown rules, 0-1 (spec G4)."""
        return self.guards.size_factor

    @property
    def headroom(self) -> float:
        """What may still be lost before a drawdown rule is broken, quote currency (spec G4)."""
        return self.guards.headroom

    # Trades -------------------------------------------------------------------------------

    def account_of(self, pair: str, at: datetime, capital: float, min_order: float) -> Account:
        """Return what the signal of a pair needs to know of the account (spec S, G4).

        An account that cannot be read has no capital: the entry is refused. Trades that are
        compared one by one know of no others.
        """
        if compares_trades(self._strategy.config):
            return Account(capital, min_order)
        try:
            state = self.account.read(at)
            lookback = self._desk.settings.sizing.elite.lookback
            peers = self.market.returns(pair, at, state.open, lookback)
            return Account(
                capital,
                min_order,
                state,
                peers.get(pair),
                peers,
                headroom=self.headroom,
                guard_factor=self.size_factor,
            )
        except Exception as error:
            self._fail(error)
            return Account(math.nan, min_order)

    def saw(self, pair: str, at: datetime, rate: float) -> None:
        """Take note of the rate of an open trade, as the host hands it over (spec G5)."""
        if not self.simulated:
            self.marks.saw(pair, at, rate)

    def must_close(self, trade: Trade) -> str | None:
        """Return why a trade must be closed now, None to keep it; for ``custom_exit``.

        A halt closes trades only once it is on disk.
        """
        return self.engine.closing

    def withdraws(
        self, trade: Trade, order: Order, unguarded: frozenset[str] = frozenset()
    ) -> bool:
        """Whether a resting order must be cancelled; for the ``check_*_timeout`` callbacks.

        Entries that have not filled when entries end, and rungs of the ladder when everything
        is to be closed.
        """
        if order.ft_order_side == trade.entry_side:
            return not self.guards.lets_enter(unguarded) or self.engine.closing is not None
        return self.engine.closing is not None and (order.ft_order_tag or "").startswith(LADDER_TAG)
