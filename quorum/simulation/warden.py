"""Warden: the strategy's own guards over a simulated account (spec G)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quorum.account import AccountState, ClosedPosition, OpenPosition
from quorum.guards import EntryRequest, MemoryStore, State
from quorum.market import HOUR_MS
from quorum.risk import MarketView, RiskEngine
from quorum.settings import Settings
from quorum.simulation.book import Book
from quorum.simulation.matrices import AT_CLOSE, AT_WORST
from quorum.sizing import SizeRequest

if TYPE_CHECKING:
    from quorum.simulation.portfolio import Held, Trade


class Warden:
    """Shows the guards an account and asks them.

    Parameters
    ----------
    books : mapping of pair to Book
    settings : Settings
    wallet : float
        Balance to begin with.
    """

    def __init__(self, books: Mapping[str, Book], settings: Settings, wallet: float) -> None:
        self.books = books
        self.wallet = wallet
        self._closed: list[ClosedPosition] = []
        self._step = next(iter(books.values())).candles.step if books else HOUR_MS
        self._last: int | None = None
        tables = {pair: book.table for pair, book in books.items()}
        reference = next((book.reference for book in books.values() if book.reference), None)
        market = MarketView(tables, self._step, settings.guards, lambda: reference)
        self.engine = RiskEngine(settings.guards, MemoryStore(), market)

    @property
    def active(self) -> bool:
        """Whether entries are allowed at all."""
        return self.engine.guards.state is State.ACTIVE

    def next_look(self, before: float) -> int | None:
        """Return the next candle the guards have not looked at, None if it is not before."""
        if self._last is None:
            return None
        look = self._last + self._step
        return look if look < before else None

    def account(self, at: int, held: Iterable[Held], profit: float) -> AccountState:
        """Return the account when a candle opens."""
        moment, held = _moment(at), tuple(held)
        positions = tuple([self._position(h, at) for h in held])
        balance, closed = self.wallet + profit, tuple(self._closed)
        equity = balance + sum([p.floating for p in positions])
        worst = balance + sum([self._floating(h, at, AT_WORST) for h in held])
        return AccountState(moment, self.wallet, balance, equity, positions, closed, worst)

    def _position(self, held: Held, at: int) -> OpenPosition:
        book, o = held.book, held.book.outcomes
        row = book.table.row_at(at - self._step)
        price = float(book.candles.close[row]) if row is not None else float("nan")
        return OpenPosition(
            book.pair,
            int(o.direction[held.entry]),
            _moment(held.ordered),
            float(o.entry_price[held.entry]),
            price,
            held.notional,
            self._floating(held, at, AT_CLOSE),
        )

    def _floating(self, held: Held, at: int, price: int) -> float:
        """Return what a position floats at the last close, or the worst price of its candle."""
        row = held.book.table.row_at(at - self._step)
        if held.filled >= at or row is None or held.worth is None:
            return 0.0
        worth = float(held.worth[price, row])
        return 0.0 if math.isnan(worth) else worth * held.notional

    def opened(self, held: Held) -> None:
        """Take note of a trade or an order."""
        held.worth = held.book.worth(held.entry, held.notional)

    def closed(self, trade: Trade) -> None:
        """Take note of the end of a trade."""
        self._closed.append(
            ClosedPosition(
                trade.pair,
                trade.direction,
                _moment(trade.ordered),
                _moment(trade.closed),
                trade.profit,
                trade.profit_ratio,
                trade.reason,
            )
        )

    def closed_early(self, held: Held, at: int, reason: str) -> Trade:
        """Return a trade as it ends when everything is closed at the opening of a candle."""
        from quorum.simulation.portfolio import Trade

        book, o, entry = held.book, held.book.outcomes, held.entry
        row = book.table.row_at(at - self._step)
        worth = self._floating(held, at, AT_CLOSE) / held.notional
        price, stop = float(o.entry_price[entry]), float(o.stop[entry])
        side = int(o.direction[entry])
        invested = 1 + side * book.venue.fee
        return Trade(
            book.pair,
            entry,
            side,
            held.ordered,
            int(held.filled),
            at,
            price,
            float("nan") if row is None else float(book.candles.close[row]),
            held.notional,
            worth * held.notional,
            worth / invested,
            worth * price / abs(price - stop),
            reason,
        )

    def observe(self, at: int, state: AccountState) -> str | None:
        """Let the guards look at the account; return why everything must be closed."""
        self._last = at
        self.engine.observe(state)
        return self.engine.closing

    def completed(self, request: SizeRequest, state: AccountState, lookback: int) -> SizeRequest:
        """Return a sizing request with what the account knows."""
        known, pair = {}, request.pair
        if lookback:
            known = self.engine.market.returns(pair, state.at, state.open, lookback)
        return replace(
            request,
            account=state,
            returns=known.get(pair),
            peers=known,
            headroom=self.engine.guards.headroom,
            guard_factor=self.engine.guards.size_factor,
        )

    def refusal(self, book: Book, entry: int, notional: float, state: AccountState) -> str | None:
        """Return why the guards refuse an entry, None to let it pass."""
        self.engine.observe(state)
        o = book.outcomes
        request = EntryRequest(
            book.pair,
            int(o.direction[entry]),
            state.at,
            notional,
            float(o.entry_price[entry]),
            float(o.stop[entry]),
            float(o.target[entry]),
        )
        # The host quotes the opening of the candle that is entered in.
        quoted = float(book.candles.open[int(o.row[entry]) + 1])
        answer = self.engine.permit(request, state, quoted)
        return None if answer.reason is None else answer.reason.value


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at / 1000, tz=UTC)
