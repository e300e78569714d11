"""Playbooks in the host: entries, additions and ends of their trades, as its callbacks ask.

All of it follows from published columns, the account, and the orders of the trade: nothing here
must survive a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeGuard

import numpy as np
from freqtrade.persistence import Order, Trade

from quorum.bot.desk import Desk
from quorum.bot.lots import lots_of
from quorum.bot.watch import Watch
from quorum.context.liquidation import Liquidation, safe_leverage
from quorum.playbooks import NAMES, NOTHING, Lot, Place, Playbook, Wish, playbook_of
from quorum.playbooks.allocation import derisked

#: The stop of every trade, as a share under the price of its cheapest lot: no rule of a playbook,
#: but what keeps isolated margin from liquidation.
CATASTROPHE = 0.30
#: Share of the margin that may be lost at the stop.
MARGIN_AT_STOP = 0.9
#: What the host adds at most to the exchange's minimum so that it can be sold at a loss.
STOP_RESERVE = 1.5
#: How far the price of an order found at the exchange may be from the bid it was placed at.
SAME_BID = 1e-3
#: How far its amount may be from the lot it was to sell.
SAME_AMOUNT = 0.01
#: What rounding to the exchange's prices may move a stop by, as a share of it.
ROUNDED_PRICE = 0.01
#: The host cuts amounts to whole lots; more than a part must not become one lot less.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Moment:
    """What the playbooks may hold in one round of the host's loop."""

    equity: float
    weights: Mapping[tuple[str, str], float] = field(default_factory=dict)


class PlaybookTrades:
    """Enters for the playbooks and manages what they hold.

    Parameters
    ----------
    desk : Desk
        For its signal tables and settings.
    watch : Watch
        For the account, and what the guards allow.

    Attributes
    ----------
    accepted : Counter
        Entries and additions ordered, by playbook.
    """

    def __init__(self, desk: Desk, watch: Watch) -> None:
        self._desk = desk
        self._watch = watch
        self._playbooks: dict[str, Playbook[Any]] = {
            playbook.name: playbook for playbook in desk.settings.enabled_playbooks()
        }
        self._moment: Moment | None = None
        self._whole: dict[int, str] = {}
        self.accepted: Counter[str] = Counter()

    # What they want -----------------------------------------------------------------------

    def _now(self, at: datetime) -> Moment:
        """Return what the playbooks may hold, the same all through a moment."""
        if self._moment is None:
            account = self._watch.account_at(at)
            equity = float("nan") if account is None else account.equity
            self._moment = Moment(equity, self._weights(at, equity))
        return self._moment

    def begin(self) -> None:
        """Begin a round of the host's loop: account and market are looked at anew."""
        self._moment = None

    def _weights(self, at: datetime, equity: float) -> dict[tuple[str, str], float]:
        closes = self._watch.closes
        rows = {}
        for pair in self._desk.tables:
            found = closes.row(pair, at)
            if found is not None and closes.age(pair, at) < 1.0:
                rows[pair] = found
        held = {trade.pair: trade for trade in Trade.get_trades_proxy(is_open=True)}
        lots = {
            pair: lots_of(held[pair], closes.step)
            for pair in rows
            if pair in held and playbook_of(held[pair].enter_tag)
        }
        left = derisked(self._watch.drawdown, self._desk.settings.playbooks.allocation)
        weights: dict[tuple[str, str], float] = {}
        for name, playbook in self._playbooks.items():
            columns = [_row(playbook, table.columns, row) for table, row in rows.values()]
            values = np.array(
                [lots.get(p, {}).get(name, NOTHING).units * closes(p, at) for p in rows]
            )
            shares = playbook.weights(columns, values / equity, playbook.settings.budget * left)
            weights.update({(name, p): float(w) for p, w in zip(rows, shares, strict=True)})
        return weights

    def _wish(self, name: str, pair: str, at: datetime, lot: Lot) -> Wish | None:
        """Return the order a playbook wants in a pair now."""
        playbook, found = self._playbooks.get(name), self._watch.closes.row(pair, at)
        if playbook is None or found is None:
            return None
        table, row = found
        now = self._now(at)
        step = self._desk.step
        return playbook.wish(
            Place(
                _row(playbook, table.columns, row),
                float(table.columns["close"][row]),
                int(at.timestamp() * 1000) // step * step,
                now.weights.get((name, pair), 0.0),
                now.equity,
                lot,
            )
        )

    # Orders found at the exchange ---------------------------------------------------------

    def tag_of_entry(self, pair: str, placed: datetime, price: float) -> str | None:
        """Return the playbook that placed an entry order, None where none enters.

        A bot that was killed before the answer to its order came has not written it down. An
        order at the price of a bid is that bid; another follows the market.
        """
        found = self._watch.closes.row(pair, placed)
        if found is None:
            return None
        table, row = found
        close, step = float(table.columns["close"][row]), self._desk.step
        candle = int(placed.timestamp() * 1000) // step * step
        follows = None
        for name, playbook in self._playbooks.items():
            columns = _row(playbook, table.columns, row)
            wish = playbook.wish(Place(columns, close, candle, weight=1.0, equity=1.0))
            if wish is not None and wish.price is not None:
                if abs(price / wish.price - 1.0) < SAME_BID:
                    return name
            elif wish is not None and follows is None:
                follows = name
        return follows

    def tag_of_exit(self, trade: Trade, amount: float) -> str | None:
        """Return the tag of an exit order by what it was to sell, None for all of the trade."""
        lots = lots_of(trade, self._desk.step)
        if len(lots) < 2 and amount >= (1.0 - SAME_AMOUNT) * trade.amount:
            return None
        for name, lot in lots.items():
            if abs(amount / lot.units - 1.0) < SAME_AMOUNT:
                return f"{name}_over"
        return f"{playbook_of(trade.enter_tag)}_trimmed"

    # Entries ------------------------------------------------------------------------------

    @staticmethod
    def owns(tag: str | None) -> TypeGuard[str]:
        """Whether a trade that was entered with a tag is a playbook's."""
        return tag in NAMES

    def limit_price(self, pair: str, at: datetime, price: float, tag: str) -> float:
        """Return the price of an entry order: the bid of a playbook that bids, else ``price``."""
        self._desk.rates[pair] = price
        wish = self._wish(tag, pair, at, NOTHING)
        return price if wish is None or wish.price is None else wish.price

    def leverage(self, price: float) -> float:
        """Return the leverage from the settings, cut until the stop lies before liquidation."""
        stop = price * (1.0 - CATASTROPHE)
        liquidation = self._desk.settings.context_of(Liquidation)
        return safe_leverage(price, stop, self._desk.settings.leverage, liquidation)

    def stake(
        self, pair: str, at: datetime, rate: float, tag: str, least: float, leverage: float
    ) -> float:
        """Return the stake of an entry, 0 for none."""
        found = self._watch.closes.row(pair, at)
        candle = None if found is None else int(found[0].time[found[1]])
        if self._desk.vetoes.holds(pair, candle):
            return 0.0
        self._desk.vetoes.lift(pair)
        wish = self._wish(tag, pair, at, NOTHING)
        stake = 0.0 if wish is None else wish.units * rate / leverage
        return stake if stake >= least else 0.0

    def confirm(self, pair: str, at: datetime, amount: float, rate: float, tag: str) -> bool:
        """Accept or refuse an entry by the guards (spec G)."""
        answer = self._watch.permit(
            pair,
            "long",
            at,
            notional=amount * rate,
            price=rate,
            stop=rate * (1.0 - CATASTROPHE),
            target=None,
            unguarded=self._playbooks[tag].unguarded,
        )
        if answer.reason is not None:
            self._desk.refused[answer.reason.value] += 1
            found = self._watch.closes.row(pair, at)
            if found is not None:
                self._desk.vetoes.put(pair, int(found[0].time[found[1]]))
            return False
        self.accepted[tag] += 1
        self._desk.accepted[tag] += 1
        return True

    def withdraws(self, trade: Trade, order: Order, at: datetime) -> bool:
        """Whether an entry order is to be cancelled: its candle is over, or a guard ends it."""
        playbook = self._playbooks.get(playbook_of(order.ft_order_tag) or "")
        if self._watch.withdraws(trade, order, playbook.unguarded if playbook else frozenset()):
            return True
        step = self._desk.step
        placed = int(order.order_date_utc.timestamp() * 1000) // step * step
        return at.timestamp() * 1000 - placed >= step

    # Trades -------------------------------------------------------------------------------

    def stop(self, trade: Trade, at: datetime, rate: float, *, after_fill: bool) -> float | None:
        """Return the stop price to put in force now, None to leave it where it is.

        It lies under the cheapest lot, and before the liquidation of all of them. Right after a
        fill at ``rate`` the host lays the fraction that is told here off from the average price
        of the trade too, and keeps the higher of both: what is told allows for that.
        """
        if not after_fill and self._watch.simulated:
            return None
        lots = lots_of(trade, self._desk.step)
        if not lots:
            return None
        cheapest = min(lot.price for lot in lots.values())
        margin = 1.0 - MARGIN_AT_STOP / (trade.leverage or 1.0)
        stop = max(cheapest * (1.0 - CATASTROPHE), trade.open_rate * margin)
        if after_fill:
            return stop * min(1.0, rate / trade.open_rate)
        return stop if trade.stop_loss < stop * (1.0 - ROUNDED_PRICE) else None

    def target(self, trade: Trade) -> float | None:
        """Return None: what a playbook holds has no target."""
        return None

    def exit_price(self, trade: Trade, proposed: float, tag: str | None) -> float:
        """Return the proposed price: what a playbook sells goes at the market."""
        return proposed

    def _wishes(self, trade: Trade, at: datetime) -> tuple[dict[str, Lot], list[Wish]]:
        """Return the lots of a trade and what their playbooks want, sales of whole lots first."""
        lots = lots_of(trade, self._desk.step)
        wishes = [
            wish
            for name in self._playbooks
            if (wish := self._wish(name, trade.pair, at, lots.get(name, NOTHING))) is not None
        ]
        return lots, sorted(wishes, key=lambda wish: (wish.units > 0.0, not _all(wish, lots)))

    def exit_reason(self, trade: Trade, at: datetime, rate: float) -> str | None:
        """Return why all of a trade must go now, None to keep it or a part of it."""
        if trade.id in self._whole:
            return self._whole.pop(trade.id)
        lots, wishes = self._wishes(trade, at)
        leaving = [wish for wish in wishes if playbook_of(wish.tag) in lots and _all(wish, lots)]
        return leaving[0].tag if lots and len(leaving) == len(lots) else None

    def adjust(
        self, trade: Trade, at: datetime, rate: float, least: float
    ) -> tuple[float, str] | None:
        """Return the stake to add, or negative to take out, and the order's tag; None for nothing.

        Nothing while an order of the trade rests. Where a part could not be kept for its
        smallness, all of the trade goes.
        """
        if trade.has_open_orders or self._desk.unsettled:
            return None
        lots, wishes = self._wishes(trade, at)
        for wish in wishes:
            if wish.units < 0.0:
                order = self._part(trade, wish, rate, least, whole=_all(wish, lots))
            else:
                order = self._addition(trade, wish, at, rate, least)
            if order is not None:
                return order
        return None

    def _part(
        self, trade: Trade, wish: Wish, rate: float, least: float, *, whole: bool
    ) -> tuple[float, str] | None:
        """Return the stake to take out, None where all goes or what would be left is too little.

        The host does not take out what would leave less than it could sell again.
        """
        left = trade.amount + wish.units
        smallest = least if self._watch.simulated else least * trade.leverage * STOP_RESERVE
        if left <= ROUNDING * trade.amount:
            return None
        if left * rate < smallest:
            if whole:
                self._whole[trade.id] = wish.tag
            return None
        return wish.units * trade.stake_amount / trade.amount * (1.0 + ROUNDING), wish.tag

    def _addition(
        self, trade: Trade, wish: Wish, at: datetime, rate: float, least: float
    ) -> tuple[float, str] | None:
        """Return the stake to add, None where the guards or its smallness forbid it."""
        playbook = self._playbooks[playbook_of(wish.tag) or ""]
        stake = wish.units * (wish.price or rate) / trade.leverage
        if stake < least and not self._watch.simulated:
            return None
        if not self._watch.adds(trade.pair, at, playbook.unguarded):
            return None
        self.accepted[playbook.name] += 1
        return stake, wish.tag


def _row(
    playbook: Playbook[Any], columns: Mapping[str, np.ndarray[Any, Any]], row: int
) -> dict[str, float]:
    return {name: float(columns[name][row]) for name in playbook.published}


def _all(wish: Wish, lots: Mapping[str, Lot]) -> bool:
    """Whether a wish sells all of its playbook's lot."""
    lot = lots.get(playbook_of(wish.tag) or "", NOTHING)
    return wish.units < 0.0 and -wish.units >= lot.units * (1.0 - ROUNDING)
