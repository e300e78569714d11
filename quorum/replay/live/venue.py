"""Where orders meet prices: one venue per trading mode.

Orders fill along the price's path. Nothing runs in the background: whoever asks first makes the
venue catch up, from where it stood to the time of the question, order by order in the order in
which the path reaches them. The outcome does not depend on how often it is asked (but for the
time at which the rest of a fault's partial fill follows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count, pairwise
from threading import RLock

import numpy as np

from quorum.replay.live.account import Account, FuturesAccount, Position
from quorum.replay.live.faults import Faults
from quorum.replay.live.market import Listing
from quorum.replay.live.orders import (
    DECIMALS,
    STOPS,
    TO_MARKET,
    Execution,
    Order,
    refuse,
)
from quorum.replay.live.path import Waypoint, between
from quorum.replay.server import Request

#: Path of the requests by which a fault of a fill is looked up.
FILL = "/quorum/fill"
#: Client id of the orders by which the exchange closes a position, as on Binance.
LIQUIDATION = "autoclose-"
#: Numbers of Binance's errors.
WOULD_TRIGGER = -2021
POST_ONLY = -5022
DUPLICATE = -4116


@dataclass(frozen=True)
class Terms:
    """Fees, slippage of market orders and maintenance margin, all shares."""

    maker: float
    taker: float
    slippage: float
    maintenance: float


@dataclass(frozen=True)
class _Event:
    """Where on a stretch of the path an order (or a liquidation) is reached."""

    price: float
    order: Order | None

    def distance(self, start: float) -> tuple[float, int]:
        """Order of events: the nearer first, then the older."""
        return abs(self.price - start), self.order.id if self.order else 0


class Venue:
    """Orders, executions and the account of one trading mode.

    Parameters
    ----------
    listings : dict of Listing
        By symbol.
    account : Account
    terms : Terms
    faults : Faults
    lock : RLock
        Held by whoever calls.
    """

    def __init__(
        self,
        listings: dict[str, Listing],
        account: Account,
        terms: Terms,
        faults: Faults,
        lock: RLock,
    ) -> None:
        self.listings = listings
        self.account = account
        self.terms = terms
        self.faults = faults
        self.lock = lock
        self.orders: dict[int, Order] = {}
        self.executions: list[Execution] = []
        self._open: dict[int, Order] = {}
        self._stand: dict[str, int] = {}
        self._ids = count(1_000_001)

    @property
    def open_orders(self) -> list[Order]:
        """Orders that can still fill or trigger, oldest first."""
        return list(self._open.values())

    def next_id(self) -> int:
        """Return a number no order has yet."""
        return next(self._ids)

    def quote(self, symbol: str, now: int) -> float:
        """Return the price orders are filled at, spikes included, on the tick."""
        listing = self.listings[symbol]
        factor = self.faults.spike(symbol, now)
        price = listing.price(now)
        if factor == 1.0:
            return price
        tick = listing.rules.tick_size
        return round(round(price * factor / tick) * tick, 10)

    def place(self, order: Order, now: int) -> None:
        """Take an order in: refuse it, fill it at once, or let it rest."""
        price = self.quote(order.symbol, now)
        if any(o.client_id == order.client_id for o in self._open.values()):
            refuse(DUPLICATE, "ClientOrderId is duplicated.")
        if order.waiting and self._reached(order, price, price) is not None:
            refuse(WOULD_TRIGGER, "Order would immediately trigger.")
        if not order.algo:
            self.account.check(order, order.price or price, self.open_orders)
        takes = order.kind == "MARKET" or (
            not order.waiting and self._reached(order, price, price) is not None
        )
        if takes and (order.time_in_force == "GTX" or order.kind == "LIMIT_MAKER"):
            refuse(POST_ONLY, "Due to the order could not be executed as maker, it is rejected.")
        order.updated = now
        if order.kind == "MARKET":
            order.quantity = self.account.fillable(order)
        self._register(order, now)
        if takes:
            self._fill(order, price, now, maker=False)
        if order.open and order.time_in_force in ("IOC", "FOK"):
            self._end(order, "EXPIRED", now)

    def cancel(self, order: Order, now: int) -> None:
        """Take an open order out."""
        self._end(order, "CANCELED", now)

    def catch_up(self, now: int) -> None:
        """Let everything happen that happened by ``now``."""
        positions = self._positions()
        symbols = {order.symbol for order in self._open.values()} | set(positions)
        for symbol in list(self._stand):
            if symbol not in symbols:
                del self._stand[symbol]
        for symbol in sorted(symbols):
            start = self._stand.get(symbol, now)
            self._stand[symbol] = max(start, now)
            if now > start:
                self._walk(symbol, start, now)

    def _positions(self) -> dict[str, Position]:
        if not isinstance(self.account, FuturesAccount):
            return {}
        return {s: p for s, p in self.account.positions.items() if p.amount}

    def _walk(self, symbol: str, start: int, end: int) -> None:
        """Follow a symbol's path, with funding where it is due."""
        listing = self.listings[symbol]
        if isinstance(self.account, FuturesAccount):
            times, rates = listing.funding
            first, last = np.searchsorted(times, (start, end), side="right")
            for time, rate in zip(times[first:last].tolist(), rates[first:last], strict=True):
                self._follow(symbol, start, time)
                mark = listing.mark.price(time)
                self.account.fund(symbol, float(rate), mark, time)
                start = time
        self._follow(symbol, start, end)

    def _follow(self, symbol: str, start: int, end: int) -> None:
        """Fill what the path reaches in (start, end]."""
        route = self._route(symbol, start, end)
        for before, after in pairwise(route):
            at = before
            while (event := self._first(symbol, at, after)) is not None:
                when = at.time
                if event.price != at.price and after.price != before.price:
                    share = (event.price - before.price) / (after.price - before.price)
                    when = before.time + round(share * (after.time - before.time))
                jumped = after.time - before.time <= 1
                at = Waypoint(max(at.time, when), event.price)
                self._happen(symbol, event, after.price if jumped else event.price, at.time)

    def _route(self, symbol: str, start: int, end: int) -> list[Waypoint]:
        """Return the corners of the path, spikes and the ends of holds included."""
        tape = self.listings[symbol].trades
        corners = [Waypoint(start, tape.price(start)), *tape.corners(start, end)]
        if corners[-1].time < end:
            corners.append(Waypoint(end, tape.price(end)))
        holds = [o.held_until for o in self._open.values() if o.symbol == symbol]
        edges = self.faults.spike_edges(symbol, start, end)
        edges += [hold for hold in holds if start < hold <= end]
        for edge in sorted(edges):
            row = next((i for i, c in enumerate(corners) if c.time >= edge), len(corners))
            if row == 0:
                continue
            last = corners[row] if row < len(corners) else corners[-1]
            corners.insert(row, Waypoint(edge, between(corners[row - 1], last, edge)))
            corners.insert(row, Waypoint(edge - 1, corners[row].price))
        spike = self.faults.spike
        return [c._replace(price=c.price * spike(symbol, c.time)) for c in corners]

    def _first(self, symbol: str, at: Waypoint, after: Waypoint) -> _Event | None:
        """Return what the stretch from ``at`` to ``after`` reaches first."""
        events = [
            _Event(price, order)
            for order in self._open.values()
            if order.symbol == symbol and order.held_until <= at.time
            if (price := self._reached(order, at.price, after.price)) is not None
        ]
        position = self._positions().get(symbol)
        if position is not None:
            limit = position.liquidation(self.terms.maintenance)
            crossed = _crossed(limit, at.price, after.price, falling=position.amount > 0)
            if limit and crossed is not None:
                events.append(_Event(crossed, None))
        return min(events, key=lambda event: event.distance(at.price)) if events else None

    @staticmethod
    def _reached(order: Order, start: float, end: float) -> float | None:
        """Return the price at which a stretch of the path reaches an order, or None."""
        if order.waiting:
            falling = (order.kind in STOPS) == (order.side == "SELL")
            return _crossed(order.stop_price, start, end, falling=falling)
        if order.kind in ("MARKET", *TO_MARKET):
            return start
        return _crossed(order.price, start, end, falling=order.side == "BUY")

    def _happen(self, symbol: str, event: _Event, price: float, now: int) -> None:
        """Let an order fill or trigger, or a position be liquidated."""
        order = event.order
        if order is None:
            self._liquidate(symbol, price, now)
        elif order.waiting:
            self._trigger(order, price, now)
        else:
            market = order.kind in ("MARKET", *TO_MARKET)
            self._fill(order, price if market else event.price, now, maker=not market)

    def _trigger(self, order: Order, price: float, now: int) -> None:
        """Turn a waiting order into one that trades."""
        market = order.kind in TO_MARKET
        active = order
        order.triggered, order.updated = True, now
        if order.algo:
            quantity = order.quantity
            reduces = order.reduce_only or order.close_position
            if reduces and isinstance(self.account, FuturesAccount):
                # An order that only reduces is cut to what there is to reduce.
                held = abs(self.account.position(order.symbol).amount)
                quantity = held if order.close_position else min(quantity, held)
            active = replace(
                order,
                id=self.next_id(),
                kind="MARKET" if market else "LIMIT",
                quantity=quantity,
                algo=False,
                created=now,
                reduce_only=reduces,
                executions=[],
            )
            if active.reduce_only and not self.account.fillable(active):
                self._end(order, "EXPIRED", now)
                return
            order.placed = active.id
            self._end(order, "FINISHED", now)
            self._register(active, now)
        if market:
            self._fill(active, price, now, maker=False)

    def _liquidate(self, symbol: str, price: float, now: int) -> None:
        """Close a position whose margin is used up."""
        amount = self._positions()[symbol].amount
        order = Order(
            id=self.next_id(),
            symbol=symbol,
            side="SELL" if amount > 0 else "BUY",
            kind="MARKET",
            quantity=abs(amount),
            price=0.0,
            stop_price=0.0,
            client_id=f"{LIQUIDATION}{now}",
            created=now,
            reduce_only=True,
        )
        self._register(order, now)
        self._fill(order, price, now, maker=False)

    def _fill(self, order: Order, price: float, now: int, *, maker: bool) -> None:
        """Fill an order, or a part of it where a fault wants so."""
        quantity = self.account.fillable(order)
        if quantity <= 0:
            self._end(order, "EXPIRED", now)
            return
        if not order.held_until:
            request = Request("POST", FILL, {"symbol": order.symbol})
            fault = self.faults.strike("partial_fill", now, request)
            step = self.listings[order.symbol].rules.step_size
            part = round(int(quantity * fault.share / step) * step, DECIMALS) if fault else 0.0
            if fault and part > 0:
                quantity = part
                order.held_until = now + round(fault.seconds * 1000)
        if not maker:
            price *= 1.0 + order.sign * self.terms.slippage
        fee = self.terms.maker if maker else self.terms.taker
        settled = self.account.settle(order, quantity, price, fee)
        order.filled = round(order.filled + quantity, DECIMALS)
        order.quote += quantity * price
        execution = Execution(
            id=len(self.executions) + 1,
            order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            commission=settled.commission,
            commission_asset=settled.commission_asset,
            realized=settled.realized,
            time=now,
            maker=maker,
            reduce_only=order.reduce_only,
        )
        self.executions.append(execution)
        order.executions.append(execution.id)
        order.status, order.updated = "PARTIALLY_FILLED", now
        if order.left <= 0:
            self._end(order, "FILLED", now)
        if order.symbol not in self._positions():
            self._expire_reducing(order.symbol, now)

    def _expire_reducing(self, symbol: str, now: int) -> None:
        """End the orders that could only have reduced a position that is gone.

        As on Binance, conditional ones stay: they find out when they trigger.
        """
        for order in self.open_orders:
            if order.symbol == symbol and order.reduce_only and not order.algo:
                self._end(order, "EXPIRED", now)

    def _register(self, order: Order, now: int) -> None:
        self.orders[order.id] = self._open[order.id] = order
        self._stand.setdefault(order.symbol, now)

    def _end(self, order: Order, status: str, now: int) -> None:
        order.end(status, now)
        self._open.pop(order.id, None)


def _crossed(price: float, start: float, end: float, *, falling: bool) -> float | None:
    """Return where a stretch of the path comes to a price, from above or from below."""
    if falling:
        return min(start, price) if min(start, end) <= price else None
    return max(start, price) if max(start, end) >= price else None
