"""What the test account owns: a futures account with positions, a spot account with coins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from quorum.replay.live.orders import DECIMALS, Order, refuse
from quorum.replay.symbols import SymbolRules

#: Numbers of Binance's errors.
MARGIN_IS_INSUFFICIENT = -2019
REDUCE_ONLY_REJECTED = -2022
INSUFFICIENT_BALANCE = -2010


@dataclass(frozen=True)
class Settled:
    """What a fill did to the account: fee and realised profit, in the assets they are in."""

    commission: float
    commission_asset: str
    realized: float = 0.0


class Account(ABC):
    """What orders are paid from and paid to."""

    @abstractmethod
    def check(self, order: Order, price: float, open_orders: list[Order]) -> None:
        """Refuse an order there is no money (or nothing to reduce) for."""

    @abstractmethod
    def settle(self, order: Order, quantity: float, price: float, fee: float) -> Settled:
        """Book a fill; ``fee`` is a share of its value."""

    @abstractmethod
    def fillable(self, order: Order) -> float:
        """Return how much of what is left of an order can fill."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Return everything there is to know, for the control endpoint."""


@dataclass
class Position:
    """One position, one-way mode; ``amount`` is negative for a short."""

    symbol: str
    amount: float = 0.0
    entry: float = 0.0
    leverage: int = 20
    isolated: bool = False
    updated: int = 0

    @property
    def margin(self) -> float:
        """Initial margin of the position."""
        return abs(self.amount) * self.entry / self.leverage

    def profit(self, price: float) -> float:
        """Return the profit not yet realised."""
        return self.amount * (price - self.entry)

    def liquidation(self, maintenance: float) -> float:
        """Return the price of liquidation of an isolated position, 0 where there is none."""
        if not self.amount or not self.isolated:
            return 0.0
        side = 1.0 if self.amount > 0 else -1.0
        price = self.entry * (1.0 - side / self.leverage) / (1.0 - side * maintenance)
        return max(price, 0.0)


class FuturesAccount(Account):
    """A one-way account in one asset; every position has its own margin.

    Parameters
    ----------
    asset : str
    wallet : float
        What is paid in.
    """

    def __init__(self, asset: str, wallet: float) -> None:
        self.asset = asset
        self.wallet = wallet
        self.positions: dict[str, Position] = {}
        self.income: list[dict[str, Any]] = []

    def position(self, symbol: str) -> Position:
        """Return the position of a symbol, flat at first."""
        return self.positions.setdefault(symbol, Position(symbol))

    def order_margin(self, orders: list[Order]) -> float:
        """Return what open orders that may open a position hold back."""
        return sum(
            order.left * order.price / self.position(order.symbol).leverage
            for order in orders
            if order.open and not order.reduce_only and not order.algo
        )

    def available(self, orders: list[Order]) -> float:
        """Return what is free for new orders."""
        held = sum(position.margin for position in self.positions.values())
        return self.wallet - held - self.order_margin(orders)

    def check(self, order: Order, price: float, open_orders: list[Order]) -> None:
        """Refuse an order that has nothing to reduce, or whose margin is not there."""
        position = self.position(order.symbol)
        opposite = position.amount * order.sign < 0
        if order.reduce_only and not opposite:
            refuse(REDUCE_ONLY_REJECTED, "ReduceOnly Order is rejected.")
        opening = order.quantity - (abs(position.amount) if opposite else 0.0)
        if order.reduce_only or order.algo or opening <= 0:
            return
        if opening * price / position.leverage > self.available(open_orders):
            refuse(MARGIN_IS_INSUFFICIENT, "Margin is insufficient.")

    def fillable(self, order: Order) -> float:
        """Return what is left, at most the position where an order may only reduce it."""
        amount = self.position(order.symbol).amount
        if not order.reduce_only:
            return order.left
        return min(order.left, abs(amount)) if amount * order.sign < 0 else 0.0

    def settle(self, order: Order, quantity: float, price: float, fee: float) -> Settled:
        """Book a fill: close against the position first, open with the rest."""
        position = self.position(order.symbol)
        signed = order.sign * quantity
        realized = 0.0
        if position.amount * signed < 0:
            closed = min(quantity, abs(position.amount))
            realized = closed * (price - position.entry) * (1 if position.amount > 0 else -1)
            rest = quantity - closed
            if rest > 0:
                position.entry = price
        else:
            held = abs(position.amount)
            position.entry = (held * position.entry + quantity * price) / (held + quantity)
        position.amount = round(position.amount + signed, DECIMALS)
        if not position.amount:
            position.entry = 0.0
        commission = quantity * price * fee
        self.wallet += realized - commission
        return Settled(commission, self.asset, realized)

    def fund(self, symbol: str, rate: float, mark: float, now: int) -> None:
        """Pay or receive funding on a position: longs pay a positive rate."""
        position = self.position(symbol)
        if position.amount:
            self.book("FUNDING_FEE", symbol, -position.amount * mark * rate, now)

    def book(self, kind: str, symbol: str, amount: float, now: int) -> None:
        """Book money that comes from no fill."""
        self.wallet += amount
        self.income.append(
            {
                "symbol": symbol,
                "incomeType": kind,
                "income": amount,
                "asset": self.asset,
                "time": now,
                "tranId": len(self.income) + 1,
            }
        )

    def record(self) -> dict[str, Any]:
        """Return wallet, positions and income."""
        held = {s: asdict(p) for s, p in self.positions.items() if p.amount}
        return {"wallet": self.wallet, "positions": held, "income": list(self.income)}


class SpotAccount(Account):
    """Coins, free or locked by open orders; the fee is taken from what is received.

    Parameters
    ----------
    rules : dict of SymbolRules
        By symbol.
    asset : str
    wallet : float
        What is paid in.
    """

    def __init__(self, rules: dict[str, SymbolRules], asset: str, wallet: float) -> None:
        self.rules = rules
        self.total: defaultdict[str, float] = defaultdict(float, {asset: wallet})

    def locked(self, orders: list[Order]) -> dict[str, float]:
        """Return what open orders hold, by asset."""
        held: defaultdict[str, float] = defaultdict(float)
        for order in orders:
            if order.open:
                asset, amount = self._price_of(order, order.price, order.left)
                held[asset] += amount
        return held

    def _price_of(self, order: Order, price: float, quantity: float) -> tuple[str, float]:
        rules = self.rules[order.symbol]
        return (rules.quote, quantity * price) if order.side == "BUY" else (rules.base, quantity)

    def check(self, order: Order, price: float, open_orders: list[Order]) -> None:
        """Refuse an order whose coins are not there or not free."""
        asset, amount = self._price_of(order, order.price or price, order.quantity)
        free = self.total[asset] - self.locked(open_orders).get(asset, 0.0)
        if amount > free + 1e-9:
            refuse(INSUFFICIENT_BALANCE, "Account has insufficient balance for requested action.")

    def fillable(self, order: Order) -> float:
        """Return what is left: its coins are locked."""
        return order.left

    def settle(self, order: Order, quantity: float, price: float, fee: float) -> Settled:
        """Book a fill: one coin out, the other in, less the fee."""
        rules = self.rules[order.symbol]
        value = quantity * price
        if order.side == "BUY":
            asset, received, paid = rules.base, quantity, (rules.quote, value)
        else:
            asset, received, paid = rules.quote, value, (rules.base, quantity)
        commission = received * fee
        self.total[paid[0]] = round(self.total[paid[0]] - paid[1], DECIMALS)
        self.total[asset] = round(self.total[asset] + received - commission, DECIMALS)
        return Settled(commission, asset)

    def record(self) -> dict[str, Any]:
        """Return the coins."""
        return {"coins": {asset: total for asset, total in self.total.items() if total}}
