"""Warden: the strategy's own guards over a simulated account (spec G)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quorum.account import AccountState, ClosedPosition, OpenPosition
from quorum.guards import EntryRequest, Guards, MarketFlags, MemoryStore, State
from quorum.guards.base import QUIET
from quorum.guards.position import signed_correlation
from quorum.guards.system import ReferenceMarket, crossed_candles, reference_candles
from quorum.market import HOUR_MS
from quorum.settings import Settings
from quorum.simulation.book import Book
from quorum.simulation.matrices import AT_CLOSE, AT_WORST
from quorum.sizing import SizeRequest
from quorum.sizing.risk_measures import correlation, recent_returns

if TYPE_CHECKING:
    from quorum.simulation.portfolio import Held, Trade

#: Fewest common returns a correlation is measured on.
LEAST_RETURNS = 30


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
        self.limits = settings.guards
        self.guards = Guards(settings.guards, MemoryStore())
        self._closed: list[ClosedPosition] = []
        self._step = next(iter(books.values())).candles.step if books else HOUR_MS
        self._last: int | None = None
        self._reference = self._reference_market()

    def _reference_market(self) -> ReferenceMarket | None:
        """Return the reference coin's market: as traded, else as every pair's context has it."""
        limits = self.limits.system
        base = f"{limits.reference}/"
        traded = next((book for pair, book in self.books.items() if pair.startswith(base)), None)
        if traded is not None:
            c, atr = traded.candles, traded.table.columns["atr"]
            return ReferenceMarket(c.time, (c.high, c.low, c.close), atr, c.step, limits)
        seen = next((book.reference for book in self.books.values() if book.reference), None)
        return None if seen is None else reference_candles(seen, limits)

    @property
    def active(self) -> bool:
        """Whether entries are allowed at all."""
        return self.guards.state is State.ACTIVE

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

    def _flags(self, at: int) -> MarketFlags:
        """Return what is wrong with the reference market."""
        return QUIET if self._reference is None else self._reference.flags(at)

    def observe(self, at: int, state: AccountState) -> str | None:
        """Let the guards look at the account; return why everything must be closed."""
        self._last = at
        self.guards.observe(state, self._flags(at))
        closing = self.guards.closing
        return None if closing is None else closing.value

    def completed(
        self, request: SizeRequest, state: AccountState, entry: int, lookback: int
    ) -> SizeRequest:
        """Return a sizing request with what the account knows."""
        book = self.books[request.pair]
        row = int(book.outcomes.row[entry])
        known = {}
        if lookback:
            for pair in {request.pair, *(p.pair for p in state.open)}:
                other = self.books[pair]
                at = other.table.row_at(int(book.table.time[row]))
                if at is not None:
                    known[pair] = recent_returns(other.candles.close, at, lookback)
        return replace(
            request,
            account=state,
            returns=known.get(request.pair),
            peers=known,
            headroom=self.guards.headroom,
            guard_factor=self.guards.size_factor,
        )

    def refusal(
        self,
        book: Book,
        entry: int,
        at: int,
        notional: float,
        state: AccountState,
        held: Iterable[Held],
    ) -> str | None:
        """Return why the guards refuse an entry, None to let it pass."""
        self.guards.observe(state, self._flags(at))
        o, row = book.outcomes, int(book.outcomes.row[entry])
        request = EntryRequest(
            book.pair,
            int(o.direction[entry]),
            _moment(at),
            notional,
            float(o.entry_price[entry]),
            float(o.stop[entry]),
            float(o.target[entry]),
            self._correlation(book, row, int(o.direction[entry]), held),
        )
        crossed = crossed_candles(
            *(p[row : row + 1] for p in (book.candles.high, book.candles.low, book.candles.close))
        )
        answer = self.guards.permit(request, state, MarketFlags(crossed=bool(crossed[0])))
        return None if answer.reason is None else answer.reason.value

    def _correlation(
        self, book: Book, row: int, direction: int, held: Iterable[Held]
    ) -> float | None:
        """Return the mean correlation with the open trades, signed by direction."""
        limits = self.limits.position
        if limits.max_correlation >= 1 or not limits.enabled:
            return None
        window = limits.correlation_window
        returns, measured = None, []
        for other in held:
            theirs = other.book.table.row_at(int(book.table.time[row]))
            if theirs is None:
                continue
            if returns is None:
                returns = recent_returns(book.candles.close, row, window)
            peer = recent_returns(other.book.candles.close, theirs, window)
            rho = correlation(returns, peer, window, LEAST_RETURNS)
            measured.append((rho, int(other.book.outcomes.direction[other.entry])))
        return signed_correlation(measured, direction)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at / 1000, tz=UTC)
