"""Orders and executions of the test account, and what Binance says of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from quorum.replay.server import HTTPError

#: Orders that wait for a price before they are orders at all.
STOPS = ("STOP", "STOP_MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT")
TARGETS = ("TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TAKE_PROFIT_LIMIT")
CONDITIONAL = (*STOPS, *TARGETS)
#: Of these, the ones that are market orders once triggered.
TO_MARKET = ("STOP_MARKET", "STOP_LOSS", "TAKE_PROFIT_MARKET")
OPEN = ("NEW", "PARTIALLY_FILLED")

#: Decimals quantities and amounts are kept to.
DECIMALS = 10


#: ccxt knows these codes of futures at Binance's own addresses only. Here they go under a code or
#: a message it knows anywhere, for the same kind of error.
_INVALID_ORDER = -2010
_KNOWN_ELSEWHERE = (-2022, -4116, -4120, -4164, -5022)
_KNOWN_MESSAGES = {
    -2019: "Account has insufficient balance for requested action.",
    -2021: "Order would trigger immediately.",
}


def refuse(code: int, message: str, status: int = 400) -> NoReturn:
    """Answer with one of Binance's errors."""
    if code in _KNOWN_ELSEWHERE:
        code, message = _INVALID_ORDER, f"{message} ({code})"
    raise HTTPError(status, {"code": code, "msg": _KNOWN_MESSAGES.get(code, message)})


def plain(value: float) -> str:
    """Write a number without an exponent; it reads back as the same number."""
    text = repr(float(value))
    return f"{value:.15f}".rstrip("0").rstrip(".") if "e" in text else text


@dataclass(frozen=True)
class Execution:
    """One fill, from the side of the account."""

    id: int
    order_id: int
    symbol: str
    side: str
    price: float
    quantity: float
    commission: float
    commission_asset: str
    realized: float
    time: int
    maker: bool
    reduce_only: bool


@dataclass
class Order:
    """One order, from its arrival to its end.

    ``algo`` orders are those of the algo endpoints of futures: they never fill themselves, but
    place another order (``placed``) when they trigger.
    """

    id: int
    symbol: str
    side: str
    kind: str
    quantity: float
    price: float
    stop_price: float
    client_id: str
    created: int
    time_in_force: str = "GTC"
    reduce_only: bool = False
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    algo: bool = False
    status: str = "NEW"
    filled: float = 0.0
    quote: float = 0.0
    updated: int = 0
    triggered: bool = False
    placed: int = 0
    #: What is left after a fault's partial fill waits until then.
    held_until: int = 0
    executions: list[int] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether it can still fill or trigger."""
        return self.status in OPEN

    @property
    def waiting(self) -> bool:
        """Whether it still waits for its trigger price."""
        return self.open and self.kind in CONDITIONAL and not self.triggered

    @property
    def left(self) -> float:
        """Quantity not yet filled."""
        return round(self.quantity - self.filled, DECIMALS)

    @property
    def average(self) -> float:
        """Mean price of what was filled."""
        return self.quote / self.filled if self.filled else 0.0

    @property
    def sign(self) -> int:
        """1 for a purchase, -1 for a sale."""
        return 1 if self.side == "BUY" else -1

    def record(self) -> dict[str, Any]:
        """Return everything there is to know, for the control endpoint."""
        return {**asdict(self), "left": self.left, "average": self.average}

    def end(self, status: str, now: int) -> None:
        """Close the order with a final status."""
        self.status, self.updated = status, now


def futures_order(order: Order) -> dict[str, Any]:
    """Describe an order as the futures endpoints do."""
    return {
        "orderId": order.id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": plain(order.price),
        "avgPrice": plain(order.average),
        "origQty": plain(order.quantity),
        "executedQty": plain(order.filled),
        "cumQty": plain(order.filled),
        "cumQuote": plain(order.quote),
        "timeInForce": order.time_in_force,
        "type": order.kind,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side,
        "positionSide": "BOTH",
        "stopPrice": plain(order.stop_price),
        "workingType": order.working_type,
        "priceProtect": False,
        "origType": order.kind,
        "time": order.created,
        "updateTime": order.updated,
    }


def algo_order(order: Order) -> dict[str, Any]:
    """Describe a conditional order as the algo endpoints of futures do."""
    return {
        "algoId": order.id,
        "clientAlgoId": order.client_id,
        "algoType": "CONDITIONAL",
        "orderType": order.kind,
        "symbol": order.symbol,
        "side": order.side,
        "positionSide": "BOTH",
        "timeInForce": order.time_in_force,
        "quantity": plain(order.quantity),
        "algoStatus": order.status,
        "actualOrderId": str(order.placed) if order.placed else "",
        "triggerPrice": plain(order.stop_price),
        "price": plain(order.price),
        "workingType": order.working_type,
        "closePosition": order.close_position,
        "priceProtect": False,
        "reduceOnly": order.reduce_only,
        "createTime": order.created,
        "updateTime": order.updated,
        "triggerTime": order.updated if order.placed else 0,
        "goodTillDate": 0,
    }


def spot_order(order: Order) -> dict[str, Any]:
    """Describe an order as the spot endpoints do."""
    return {
        "symbol": order.symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "price": plain(order.price),
        "origQty": plain(order.quantity),
        "executedQty": plain(order.filled),
        "cummulativeQuoteQty": plain(order.quote),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.kind,
        "side": order.side,
        "stopPrice": plain(order.stop_price),
        "time": order.created,
        "transactTime": order.created,
        "updateTime": order.updated,
        "isWorking": not order.waiting,
        "workingTime": order.created,
    }


def futures_execution(execution: Execution) -> dict[str, Any]:
    """Describe a fill as ``GET /fapi/v1/userTrades`` does."""
    return {
        "symbol": execution.symbol,
        "id": execution.id,
        "orderId": execution.order_id,
        "side": execution.side,
        "price": plain(execution.price),
        "qty": plain(execution.quantity),
        "realizedPnl": plain(execution.realized),
        "quoteQty": plain(execution.price * execution.quantity),
        "commission": plain(execution.commission),
        "commissionAsset": execution.commission_asset,
        "time": execution.time,
        "positionSide": "BOTH",
        "buyer": execution.side == "BUY",
        "maker": execution.maker,
    }


def spot_execution(execution: Execution) -> dict[str, Any]:
    """Describe a fill as ``GET /api/v3/myTrades`` does."""
    return {
        "symbol": execution.symbol,
        "id": execution.id,
        "orderId": execution.order_id,
        "orderListId": -1,
        "price": plain(execution.price),
        "qty": plain(execution.quantity),
        "quoteQty": plain(execution.price * execution.quantity),
        "commission": plain(execution.commission),
        "commissionAsset": execution.commission_asset,
        "time": execution.time,
        "isBuyer": execution.side == "BUY",
        "isMaker": execution.maker,
        "isBestMatch": True,
    }
