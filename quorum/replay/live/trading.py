"""Order endpoints, spot and USDT futures: what a request asks for, checked, done, answered."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from quorum.replay.binance import BAD_SYMBOL
from quorum.replay.datadir import TradingMode
from quorum.replay.live.exchange import Exchange
from quorum.replay.live.orders import (
    CONDITIONAL,
    TO_MARKET,
    Order,
    algo_order,
    futures_execution,
    futures_order,
    refuse,
    spot_execution,
    spot_order,
)
from quorum.replay.live.venue import Venue
from quorum.replay.server import Handler, Request
from quorum.replay.symbols import SymbolRules

#: Numbers of Binance's errors.
NO_SUCH_ORDER = -2013
CANCEL_REJECTED = -2011
FILTER_FAILURE = -1013
PRECISION = -1111
MIN_NOTIONAL = -4164
MANDATORY = -1102
BAD_TYPE = -1116
USE_ALGO = -4120

Signed = Callable[[Request, int], object]


def order_routes(exchange: Exchange) -> dict[tuple[str, str], Handler]:
    """Return the order endpoints."""
    routes: dict[tuple[str, str], Handler] = {}
    modes: tuple[tuple[str, TradingMode], ...] = (("/fapi/v1", "futures"), ("/api/v3", "spot"))
    for prefix, mode in modes:
        desk = Desk(exchange, mode)
        handlers: dict[tuple[str, str], Signed] = {
            ("POST", "order"): desk.create,
            ("GET", "order"): desk.query,
            ("DELETE", "order"): desk.cancel,
            ("GET", "openOrders"): desk.open_orders,
            ("GET", "allOrders"): desk.all_orders,
            ("GET", "userTrades" if mode == "futures" else "myTrades"): desk.executions,
        }
        if mode == "futures":
            algo = Desk(exchange, mode, algo=True)
            handlers |= {
                ("DELETE", "allOpenOrders"): desk.cancel_all,
                ("POST", "algoOrder"): algo.create,
                ("GET", "algoOrder"): algo.query,
                ("DELETE", "algoOrder"): algo.cancel,
                ("GET", "openAlgoOrders"): algo.open_orders,
                ("GET", "allAlgoOrders"): algo.all_orders,
            }
        else:
            handlers["DELETE", "openOrders"] = desk.cancel_all
        routes |= {
            (method, f"{prefix}/{name}"): exchange.signed(handler, mode)
            for (method, name), handler in handlers.items()
        }
    return routes


class Desk:
    """Handlers of one kind of orders.

    Parameters
    ----------
    exchange : Exchange
    mode : {"spot", "futures"}
    algo : bool, default=False
        The conditional orders of futures, which have endpoints of their own.
    """

    def __init__(self, exchange: Exchange, mode: TradingMode, *, algo: bool = False) -> None:
        self.exchange = exchange
        self.mode: TradingMode = mode
        self.algo = algo
        self._id = "algoId" if algo else "orderId"
        self._client_id = "clientAlgoId" if algo else "origClientOrderId"

    @property
    def venue(self) -> Venue:
        """The venue the orders are for."""
        return self.exchange.venue(self.mode)

    def describe(self, order: Order) -> dict[str, Any]:
        """Describe an order as the endpoint does."""
        if self.algo:
            return algo_order(order)
        return futures_order(order) if self.mode == "futures" else spot_order(order)

    def create(self, request: Request, now: int) -> object:
        """Place an order."""
        order = self._order(request, now)
        self.venue.place(order, now)
        told = self.describe(order)
        if self.mode == "spot":
            mine = [e for e in self.venue.executions if e.order_id == order.id]
            told["fills"] = [
                {**spot_execution(execution), "tradeId": execution.id} for execution in mine
            ]
        return told

    def query(self, request: Request, _now: int) -> object:
        """Answer with one order."""
        return self.describe(self._find(request, NO_SUCH_ORDER, "Order does not exist."))

    def cancel(self, request: Request, now: int) -> object:
        """Cancel one open order."""
        order = self._find(request, CANCEL_REJECTED, "Unknown order sent.")
        if not order.open:
            refuse(CANCEL_REJECTED, "Unknown order sent.")
        self.venue.cancel(order, now)
        if self.algo:
            told = {"algoId": order.id, "clientAlgoId": order.client_id}
            return {**told, "code": "200", "msg": "success"}
        return self.describe(order)

    def cancel_all(self, request: Request, now: int) -> object:
        """Cancel every open order of a symbol."""
        mine = self._mine(request, open_only=True)
        for order in mine:
            self.venue.cancel(order, now)
        if self.mode == "spot":
            return [self.describe(order) for order in mine]
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def open_orders(self, request: Request, _now: int) -> object:
        """Answer with the open orders of a symbol, or of all."""
        return [self.describe(order) for order in self._mine(request, open_only=True)]

    def all_orders(self, request: Request, _now: int) -> object:
        """Answer with the orders of a symbol, open or not."""
        mine = self._mine(request, open_only=False)
        return [self.describe(order) for order in _window(mine, request, lambda o: o.created)]

    def executions(self, request: Request, _now: int) -> object:
        """Answer with the fills of a symbol."""
        symbol = request.parameters.get("symbol", "")
        order = request.parameters.get("orderId")
        mine = [
            execution
            for execution in self.venue.executions
            if execution.symbol == symbol and order in (None, str(execution.order_id))
        ]
        describe = futures_execution if self.mode == "futures" else spot_execution
        return [describe(execution) for execution in _window(mine, request, lambda e: e.time)]

    def _mine(self, request: Request, *, open_only: bool) -> list[Order]:
        orders = self.venue.open_orders if open_only else list(self.venue.orders.values())
        symbol = request.parameters.get("symbol")
        return [o for o in orders if o.algo == self.algo and symbol in (None, o.symbol)]

    def _find(self, request: Request, code: int, message: str) -> Order:
        """Return the order a request names by its id or by the client's own."""
        number = request.parameters.get(self._id)
        name = request.parameters.get(self._client_id)
        for order in reversed(self.venue.orders.values()):
            if order.algo != self.algo:
                continue
            if number == str(order.id) or (number is None and name == order.client_id):
                return order
        refuse(code, message)

    def _order(self, request: Request, now: int) -> Order:
        """Read an order from a request; refuse what breaks the symbol's rules."""
        given = request.parameters
        listing = self.venue.listings.get(given.get("symbol", ""))
        if listing is None:
            refuse(BAD_SYMBOL, "Invalid symbol.")
        kind, side = given.get("type", ""), given.get("side", "")
        if side not in ("BUY", "SELL"):
            refuse(MANDATORY, "Mandatory parameter 'side' was not sent, or is malformed.")
        self._check_kind(kind)
        symbol, closing = listing.rules.symbol, given.get("closePosition") == "true"
        price = self._multiple(given, "price", listing.rules.tick_size, "PRICE_FILTER")
        if not price and kind not in ("MARKET", *TO_MARKET):
            refuse(MANDATORY, "Mandatory parameter 'price' was not sent.")
        stop_name = "triggerPrice" if self.algo else "stopPrice"
        stop_price = self._multiple(given, stop_name, listing.rules.tick_size, "PRICE_FILTER")
        if not stop_price and kind in CONDITIONAL:
            refuse(MANDATORY, f"Mandatory parameter '{stop_name}' was not sent.")
        quantity = self._multiple(given, "quantity", listing.rules.step_size, "LOT_SIZE")
        market = self.venue.quote(symbol, now)
        if not quantity and "quoteOrderQty" in given:
            step = listing.rules.step_size
            quantity = round(int(float(given["quoteOrderQty"]) / market / step) * step, 10)
        reduce_only = given.get("reduceOnly", "").lower() == "true"
        if not closing:
            exempt = reduce_only and self.mode == "futures"
            self._check_size(quantity, price or stop_price or market, listing.rules, exempt)
        number = self.venue.next_id()
        name = given.get("clientAlgoId" if self.algo else "newClientOrderId")
        return Order(
            id=number,
            symbol=symbol,
            side=side,
            kind=kind,
            quantity=quantity,
            price=price,
            stop_price=stop_price,
            client_id=name or f"local-{number}",
            created=now,
            time_in_force=given.get("timeInForce", "GTC"),
            reduce_only=reduce_only,
            close_position=closing,
            working_type=given.get("workingType", "CONTRACT_PRICE"),
            algo=self.algo,
        )

    def _check_kind(self, kind: str) -> None:
        """Refuse what is no order type, or belongs to another endpoint."""
        spot_only = ("LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
        futures_only = ("STOP", "STOP_MARKET", "TAKE_PROFIT_MARKET")
        foreign = futures_only if self.mode == "spot" else spot_only
        if kind in foreign or kind not in ("LIMIT", "MARKET", "LIMIT_MAKER", *CONDITIONAL):
            refuse(BAD_TYPE, "Invalid orderType.")
        if self.mode == "futures" and self.algo != (kind in CONDITIONAL):
            refuse(USE_ALGO, "Order type not supported for this endpoint.")

    def _multiple(self, given: dict[str, str], name: str, unit: float, rule: str) -> float:
        """Read a number that has to be a multiple of the symbol's unit; 0 where it is missing."""
        if name not in given:
            return 0.0
        try:
            value = Decimal(given[name])
        except InvalidOperation:
            refuse(MANDATORY, f"Illegal characters found in parameter '{name}'.")
        if value < 0 or value % Decimal(repr(unit)):
            if self.mode == "futures":
                refuse(PRECISION, "Precision is over the maximum defined for this asset.")
            refuse(FILTER_FAILURE, f"Filter failure: {rule}")
        return float(value)

    def _check_size(self, quantity: float, price: float, rules: SymbolRules, exempt: bool) -> None:
        """Refuse what is nothing, or less than the smallest order."""
        if quantity <= 0:
            refuse(MANDATORY, "Mandatory parameter 'quantity' was not sent, or is malformed.")
        if not exempt and quantity * price < rules.min_notional:
            if self.mode == "spot":
                refuse(FILTER_FAILURE, "Filter failure: NOTIONAL")
            refuse(
                MIN_NOTIONAL,
                f"Order's notional must be no smaller than {rules.min_notional:g} "
                "(unless you choose reduce only).",
            )


def _window(rows: list[Any], request: Request, time: Callable[[Any], int]) -> list[Any]:
    """Return the rows of the span a request names, at most ``limit`` of them."""
    given = request.parameters
    start, end = int(given.get("startTime", 0)), int(given.get("endTime", 2**62))
    inside = [row for row in rows if start <= time(row) <= end]
    limit = int(given.get("limit", 500))
    return inside[:limit] if "startTime" in given else inside[-limit:]
