"""Book: the entries of one pair with everything a run over many pairs asks of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from quorum.candles import Candles
from quorum.consensus import Band
from quorum.settings import Settings
from quorum.signals import SignalTable
from quorum.simulation import follow
from quorum.simulation.context import Context, read_context
from quorum.simulation.inputs import market_matrix, terms_of
from quorum.simulation.rungs import merge_small
from quorum.simulation.trades import Asked, Outcomes, ask, outcomes
from quorum.simulation.venue import Venue
from quorum.sizing import SizeRequest
from quorum.typing import Floats, Ints


@dataclass(frozen=True)
class Book:
    """The entries of one pair, settled and followed.

    Attributes
    ----------
    pair : str
    table : SignalTable
    candles : Candles
    venue : Venue
    settings : Settings
    context : Context
        Of the entries.
    asked : Asked
    outcomes : Outcomes
        Without regard to what the venue makes of small orders.
    confidence : ndarray of shape (n_entries,), float64
        What sizing sees.
    reference : Candles or None
        Of the coin that the guards look at.
    """

    pair: str
    table: SignalTable
    candles: Candles
    venue: Venue
    settings: Settings
    context: Context
    asked: Asked
    outcomes: Outcomes
    confidence: Floats
    market: Floats
    reference: Candles | None = None

    @cached_property
    def factors(self) -> list[list[float]]:
        """Factors on the size by entry and adjuster."""
        by_entry: list[list[float]] = self.context.factor.T.tolist()
        return by_entry

    @cached_property
    def _terms(self) -> follow.Terms:
        return terms_of(self.settings, self.candles, self.venue)

    def request(self, entry: int, capital: float) -> SizeRequest:
        """Return what sizing is asked for one entry, without what only the account knows."""
        o, c = self.outcomes, self.table.consensus
        row = int(o.row[entry])
        named = dict(zip(self.context.adjusters, self.factors[entry], strict=True))
        sizing = self.settings.sizing
        very_high, high, medium = sizing.win_rate
        band = Band(int(self.table.band[row]))
        expectation = self.table.expectation(row)
        promised = {Band.VERY_HIGH: very_high, Band.HIGH: high}.get(band, medium)
        return SizeRequest(
            float(self.confidence[entry]),
            float(o.entry_price[entry]),
            float(o.stop[entry]),
            capital,
            float(self.venue.smallest(o.entry_price[entry])),
            {name: factor for name, factor in named.items() if factor != 1.0},
            pair=self.pair,
            direction=int(o.direction[entry]),
            confluence=float(c.confluence[row]),
            reliability=float(c.confidence[row]),
            risk_reward=float(o.risk_reward[entry]),
            win_rate=promised if expectation is None else expectation.win_rate,
            regime_factor=named.get("regime", 1.0),
        )

    def cut(self, entry: int, notional: float) -> float:
        """Return what whole lots leave of a position value."""
        price, lot = float(self.asked.prices[entry]), self.venue.lot
        return notional if lot == 0 else math.floor(notional / price / lot + 1e-6) * lot * price

    def with_lots(self, entry: int, notional: float) -> Outcomes:
        """Return what becomes of one entry of a position value, in whole lots."""
        one = np.array([entry])
        if self.venue.lot == 0 and self.venue.min_order == 0:
            return self.outcomes.take(one)
        asked = self._in_lots(entry, notional)
        found = follow.follow_all(self.market, asked.matrix(), self._terms)
        return outcomes(asked, found, self.venue, self.context.take(one))

    def worth(self, entry: int, notional: float) -> Floats:
        """Return what one trade is worth at every close and at its worst price in every candle.

        Shape (2, n_candles), fraction of its position value; NaN before it began and after it
        ended (``follow_worth``).
        """
        asked = self._in_lots(entry, notional)
        worth = follow.follow_worth(self.market, asked.matrix()[0], self._terms)
        return worth / float(asked.prices[0])

    def _in_lots(self, entry: int, notional: float) -> Asked:
        """Return one entry with its rungs in whole lots."""
        asked, value = _taken(self.asked, np.array([entry])), np.array([notional])
        plans = merge_small(asked.plans, asked.prices, value, self.venue)
        return replace(asked, plans=plans, lots=self.venue.lots(value, asked.prices))


def _taken(asked: Asked, entries: Ints) -> Asked:
    """Return some of what is asked."""
    return replace(
        asked,
        rows=asked.rows[entries],
        directions=asked.directions[entries],
        prices=asked.prices[entries],
        waits=asked.waits[entries],
        lots=asked.lots[entries],
        plans=asked.plans.take(entries),
    )


def open_book(
    pair: str,
    table: SignalTable,
    candles: Candles,
    settings: Settings,
    venue: Venue,
    context: Context | None = None,
    reference: Candles | None = None,
) -> Book:
    """Follow every entry of a pair.

    Parameters
    ----------
    context : Context, default read from the table
        Effects of the adjusters on the table's entries.
    reference : Candles, optional
        Of the coin that the guards look at.
    """
    rows = np.flatnonzero(table.entry)
    directions = table.entry[rows]
    if context is None:
        context = read_context(table, rows, directions, settings)
    asked = ask(table, candles, settings, rows, directions, venue=venue, context=context)
    market = market_matrix(table, candles, venue)
    found = follow.follow_all(market, asked.matrix(), terms_of(settings, candles, venue))
    return Book(
        pair,
        table,
        candles,
        venue,
        settings,
        context,
        asked,
        outcomes(asked, found, venue, context),
        context.boosted(table.confidence[rows]),
        market,
        reference,
    )
