"""From the entries of many pairs to the trades an account would have taken.

One trade per pair and a number of trades at once, sizes by the strategy's own sizing method,
entries answered by the strategy's own guards; pairs are asked in the order of the host's
backtest. What is simplified: the capital counts closed trades only, and what a guard closes early
is valued at the close before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from quorum.exits.rules import EXPIRED, REASONS
from quorum.section import Section
from quorum.settings import Settings
from quorum.simulation.book import Book
from quorum.simulation.warden import Warden
from quorum.sizing import sizing_method
from quorum.typing import Floats, Ints

#: Reason codes of entries that are refused here.
NO_SLOT = "no_free_slot"


class PortfolioSettings(Section):
    """The account of a simulated run."""

    wallet: float = Field(100_000.0, gt=0, description="balance to begin with [quote units]")
    tradable: float = Field(
        0.99, gt=0, le=1, description="share of the balance that may be staked [fraction]"
    )
    max_open_trades: int = Field(10, ge=1, le=1000, description="open trades at most [trades]")
    guards: bool = Field(False, description="whether the guards of the settings act")


@dataclass(frozen=True)
class Trade:
    """One trade that was taken.

    Attributes
    ----------
    pair : str
    entry : int
        Place among the entries of the pair's book.
    direction : int
    ordered, filled, closed : int
        Opening times of the candles, milliseconds since the epoch.
    price, exit_price : float
    notional, profit : float
        Position value; profit after all costs, quote currency.
    profit_ratio, r : float
        Of the position value; as a multiple of the distance of the stop.
    reason : str
        The host's exit reason.
    """

    pair: str
    entry: int
    direction: int
    ordered: int
    filled: int
    closed: int
    price: float
    exit_price: float
    notional: float
    profit: float
    profit_ratio: float
    r: float
    reason: str


@dataclass(frozen=True)
class Run:
    """What an account would have done.

    Attributes
    ----------
    trades : tuple of Trade
        Closed ones, in order of closing.
    refused : Counter
        Entries by reason code; also orders that expired.
    left_open : int
        Trades that the candles end before.
    """

    trades: tuple[Trade, ...]
    refused: Counter[str]
    left_open: int


@dataclass
class Held:
    """A trade or an entry order that is held.

    ``until`` is when the pair is free again, ``filled`` when the order fills; milliseconds since
    the epoch, infinite where the candles do not tell.
    """

    book: Book
    entry: int
    ordered: int
    filled: float
    until: float
    notional: float
    trade: Trade | None
    expires: bool
    worth: Floats | None = field(default=None)


def run_portfolio(
    books: Sequence[Book],
    settings: Settings,
    account: PortfolioSettings | None = None,
    *,
    start: int | None = None,
    end: int | None = None,
) -> Run:
    """Take the entries of all pairs one after the other, as the host's backtest would.

    Parameters
    ----------
    books : sequence of Book
        In the order in which the host asks the pairs.
    settings : Settings
    account : PortfolioSettings, default the defaults
    start, end : int, optional
        Opening time of the first candle that may be entered in, and of the last one there is;
        milliseconds since the epoch.
    """
    return _Portfolio(books, settings, account or PortfolioSettings(), end).run(start)


class _Portfolio:
    """One run; its state between candles."""

    def __init__(
        self,
        books: Sequence[Book],
        settings: Settings,
        account: PortfolioSettings,
        end: int | None,
    ) -> None:
        self.books = {book.pair: book for book in books}
        self.account = account
        last = max((int(b.candles.time[-1]) for b in books if len(b.candles)), default=0)
        self.end = float(last if end is None else min(end, last))
        self.sizing = sizing_method(settings.sizing)
        self.elite = settings.sizing.elite.lookback if settings.sizing.method == "elite" else 0
        self.warden = Warden(self.books, settings, account.wallet) if account.guards else None
        self.held: dict[str, Held] = {}
        self.done: list[Trade] = []
        self.profit = 0.0
        self.refused: Counter[str] = Counter()

    def run(self, start: int | None) -> Run:
        """Go through the candles at which a pair has an entry."""
        for at, entries in _calendar(self.books.values(), start, self.end):
            self._pass_until(at)
            if self.warden is not None:
                self._observe(at)
            self._candle(at, entries)
        self._pass_until(self.end + 1)
        left = sum(1 for held in self.held.values() if held.filled < np.inf)
        done = sorted(self.done, key=lambda trade: (trade.closed, trade.ordered))
        return Run(tuple(done), self.refused, left)

    def _pass_until(self, at: float) -> None:
        """End everything that ended before the candle ``at``; guards look at every candle."""
        while self.warden is not None and self.held and self.warden.next_look(at) is not None:
            look = self.warden.next_look(at)
            if look is None:
                break
            self._release(look)
            self._observe(look)
            self._release(look + 1)
        self._release(at)

    def _release(self, before: float) -> None:
        """Let go of what ended before a time."""
        ended = [held for held in self.held.values() if held.until < before]
        for held in sorted(ended, key=lambda h: h.until):
            self._end(held)

    def _end(self, held: Held) -> None:
        """Book one trade, or forget an order that expired."""
        del self.held[held.book.pair]
        if held.trade is None:
            self.refused[REASONS[EXPIRED]] += 1
            return
        self.profit += held.trade.profit
        self.done.append(held.trade)
        if self.warden is not None:
            self.warden.closed(held.trade)

    def _observe(self, at: int) -> None:
        """Let the guards look; do what they ask for."""
        assert self.warden is not None
        state = self.warden.account(at, self.held.values(), self.profit)
        closing = self.warden.observe(at, state)
        for held in list(self.held.values()):
            if closing is not None and held.filled < at:
                held.trade = self.warden.closed_early(held, at, closing)
                self._end(held)
            elif not self.warden.active and held.filled > at:
                held.trade = None
                self._end(held)

    def _candle(self, at: int, entries: Mapping[str, int]) -> None:
        """Ask every pair with an entry, those with an open trade first."""
        order = dict.fromkeys([*self.held, *entries])
        for pair in order:
            entry = entries.get(pair)
            held = self.held.get(pair)
            if held is None:
                if entry is not None:
                    self._try(pair, entry, at)
            elif held.until <= at:
                before = held.book.outcomes.direction[held.entry]
                self._end(held)
                again = entry is not None and (
                    held.expires or self.books[pair].outcomes.direction[entry] != before
                )
                if again and entry is not None:
                    self._try(pair, entry, at)

    def _try(self, pair: str, entry: int, at: int) -> None:
        """Take an entry, or count why not."""
        refusal = self._refusal(pair, entry, at)
        if refusal is not None:
            self.refused[refusal] += 1

    def _refusal(self, pair: str, entry: int, at: int) -> str | None:
        """Take an entry and return None, else return why not."""
        book = self.books[pair]
        if len(self.held) >= self.account.max_open_trades:
            return NO_SLOT
        veto: str | None = book.outcomes.vetoes[book.outcomes.veto[entry]]
        if veto:
            return veto
        capital = (self.account.wallet + self.profit) * self.account.tradable
        request = book.request(entry, capital)
        state = None
        if self.warden is not None:
            state = self.warden.account(at, self.held.values(), self.profit)
            request = self.warden.completed(request, state, self.elite)
        size = self.sizing.size(request)
        if size.fraction == 0:
            return size.reasons[-1]
        if self.warden is not None and state is not None:
            refusal = self.warden.refusal(book, entry, size.notional, state)
            if refusal is not None:
                return refusal
        self._hold(book, entry, at, size.notional)
        return None

    def _hold(self, book: Book, entry: int, at: int, notional: float) -> None:
        """Hold a trade until it has ended; one that ends within its first candle is over."""
        notional = book.cut(entry, notional)
        o, time = book.with_lots(entry, notional), book.candles.time
        filled = float(time[o.entry_row[0]]) if o.entry_row[0] >= 0 else np.inf
        expires = bool(o.reason[0] == EXPIRED)
        if expires:
            until = float(time[o.known_row[0]]) + book.candles.step
        else:
            until = float(time[o.exit_row[0]]) if o.exit_row[0] >= 0 else np.inf
        until = until if until <= self.end else np.inf
        trade = None
        if not expires and until < np.inf:
            invested = notional * (1 + int(o.direction[0]) * book.venue.fee)
            trade = Trade(
                book.pair,
                entry,
                int(o.direction[0]),
                at,
                int(filled),
                int(until),
                float(o.entry_price[0]),
                float(o.exit_price[0]),
                notional,
                float(o.profit_ratio[0]) * invested,
                float(o.profit_ratio[0]),
                float(o.r[0]),
                REASONS[o.reason[0]],
            )
        filled = filled if filled <= self.end else np.inf
        held = Held(book, entry, at, filled, until, notional, trade, expires)
        self.held[book.pair] = held
        if self.warden is not None:
            self.warden.opened(held)
        if until <= at:
            self._end(held)


def _calendar(
    books: Iterable[Book], start: int | None, end: float
) -> list[tuple[int, dict[str, int]]]:
    """Return, by opening time of the candle entered in, the entry of every pair that has one."""
    by_time: dict[int, dict[str, int]] = {}
    for book in books:
        rows: Ints = book.outcomes.row
        inside = rows + 1 < len(book.candles)
        times = book.candles.time[np.minimum(rows + 1, len(book.candles) - 1)]
        # The host enters nothing in the last candle.
        inside &= (times >= (start if start is not None else -np.inf)) & (times < end)
        for entry in np.flatnonzero(inside).tolist():
            by_time.setdefault(int(times[entry]), {})[book.pair] = entry
    return sorted(by_time.items())
