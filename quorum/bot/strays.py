"""Strays: orders at the exchange that the host has lost, given back to it.

The host places an order and writes it down once it is answered. If it dies in between, or the
answer gets lost, the exchange holds an order the host knows nothing of: it would enter a second
time, leave a position without a stop, take a rung out twice, or leave a stop that outlives its
trade. So orders are compared with the database after every start, and after every order that
failed; what is unknown becomes an open order of its trade, and the host finds out itself what
became of it. Until the comparison has succeeded no entry and no rung is placed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from freqtrade.exchange import timeframe_to_minutes
from freqtrade.persistence import Order, Trade
from freqtrade.strategy import IStrategy

from quorum.bot.desk import Desk
from quorum.bot.troubles import OrderTrouble, listen
from quorum.exits.management import LADDER_TAG, REVERSAL_TAG

logger = logging.getLogger(__name__)

#: How long before its last sign of life a bot may have failed to find what it had lost.
LOOK_BACK = timedelta(hours=1)
#: After its last sign of life a bot may have placed orders for this long.
AFTER_LIFE = timedelta(minutes=15)
#: What the host keeps as the number of an order whose answer had none.
NUMBERLESS = ("None", "")
#: How exactly clocks agree.
SLACK = timedelta(minutes=1)
#: Exit reason of a trade whose last order was found at the exchange.
FOUND = "found_on_exchange"
#: Share of a position that counts as all of it.
ALL = 0.98
#: How exactly an order's price is that of its rung: more than a tick, less than a rung.
PRICE_GRACE = 1e-3
#: Client ids of orders by which the exchange itself ends positions.
EXCHANGE_ORDERS = ("autoclose-", "adl_", "settlement_autoclose-")


class Strays:
    """Finds orders that the host has lost and gives them back.

    Parameters
    ----------
    strategy : IStrategy
    desk : Desk
    alive : datetime or None
        Last sign of life of an earlier run, None where there was none.

    Attributes
    ----------
    unsettled : str or None
        Why it is not known whether there are any; while it says so, nothing is entered.
    """

    def __init__(self, strategy: IStrategy, desk: Desk, alive: datetime | None) -> None:
        self._strategy = strategy
        self._desk = desk
        self._trouble = OrderTrouble()
        listen(self._exchange, self._trouble.hear)
        self._since = None if alive is None else alive - LOOK_BACK
        self._until = None if alive is None else alive + AFTER_LIFE
        self.unsettled: str | None = None if alive is None else "not compared since the start"
        desk.unsettled = self.unsettled is not None

    @property
    def _exchange(self) -> Any:
        return self._strategy.dp._exchange

    def look(self, at: datetime) -> list[str]:
        """Compare orders with the database if there is reason to; return what was found."""
        self._since = self._since or at
        if self._trouble.seen:
            # What was placed while things went wrong is at most as old as the last look.
            self.unsettled, self._until = "an order has failed", None
        elif any(order.order_id in NUMBERLESS for order in Order.get_open_orders()):
            self.unsettled, self._until = "an order was answered without its number", None
        found: list[str] = []
        if self.unsettled is not None:
            self._trouble.seen = False
            try:
                _write_off_numberless()
                since = self._since - SLACK
                for pair in self._pairs():
                    found.extend(self._settle(pair, since))
                self._strategy.wallets.update()
                self.unsettled = None
            except Exception as error:
                # Whatever it was, orders may be unknown: refuse until it is known.
                logger.warning("Orders cannot be compared with the exchange: %s", error)
                self.unsettled = f"{type(error).__name__}: {error}"
        if self.unsettled is None:
            self._since, self._until = at - SLACK, None
        self._desk.unsettled = self.unsettled is not None
        for text in found:
            logger.warning("Found at the exchange: %s", text)
        return found

    def _pairs(self) -> list[str]:
        held = {trade.pair for trade in Trade.get_open_trades()}
        return sorted(held | set(self._strategy.dp.current_whitelist()))

    # What the exchange has ----------------------------------------------------------------

    def _settle(self, pair: str, since: datetime) -> Iterator[str]:
        """Give back the unknown orders of a pair; yield what was done."""
        orders = list(self._exchange.fetch_orders(pair, since))
        if self._exchange.get_option("stoploss_query_requires_stop_flag"):
            # The public call drops the parameters where the exchange limits the time span.
            stops = self._exchange._fetch_orders(pair, since, params={"stop": True})
            orders += [{**order, "conditional": True} for order in stops]
        triggered = self._triggered(pair, orders)
        for order in sorted(orders, key=lambda o: o.get("timestamp") or 0):
            if self._is_stray(order, pair, since) and str(order["id"]) not in triggered:
                text = self._give_back(pair, order)
                if text is not None:
                    yield f"{pair} order {order['id']} ({order['side']} {order['amount']}): {text}"

    def _triggered(self, pair: str, orders: list[dict[str, Any]]) -> set[str]:
        """Return the orders that stops have placed: they belong to their stop."""
        key = self._exchange.get_option("stoploss_algo_order_info_id")
        if not key:
            return set()
        found = {str((order.get("info") or {}).get(key)) for order in orders}
        for trade in Trade.get_open_trades():
            for stop in trade.open_sl_orders if trade.pair == pair else ():
                told = self._exchange.fetch_stoploss_order(stop.order_id, pair)
                found.add(str(told.get("id_stop")))
        return found

    def _is_stray(self, order: Mapping[str, Any], pair: str, since: datetime) -> bool:
        """Whether an order was placed by a bot that could not write it down."""
        at = datetime.fromtimestamp((order.get("timestamp") or 0) / 1000, tz=UTC)
        if at < since or (self._until is not None and at > self._until):
            return False
        if str(order.get("clientOrderId") or "").startswith(EXCHANGE_ORDERS):
            return False
        nothing = order["status"] != "open" and not order.get("filled")
        if nothing and not _is_stop(order):
            return False
        return Order.order_by_id(str(order["id"]), pair) is None

    # What the host gets back --------------------------------------------------------------

    def _give_back(self, pair: str, order: dict[str, Any]) -> str | None:
        """Make an order one of its trade, or end it where there is none; say what was done."""
        trade = next((t for t in Trade.get_open_trades() if t.pair == pair), None)
        if _is_stop(order):
            return self._stop(trade, pair, order)
        if trade is None:
            if order.get("reduceOnly") or (order["side"] == "sell" and not self._can_short):
                return self._cancel(pair, order)
            return self._adopt(pair, order)
        placed = datetime.fromtimestamp(order["timestamp"] / 1000, tz=UTC)
        if placed < trade.open_date_utc - SLACK:
            return None
        self._attach(trade, order, order["side"])
        return f"belongs to trade {trade.id}"

    @property
    def _can_short(self) -> bool:
        return bool(self._strategy.can_short)

    def _stop(self, trade: Trade | None, pair: str, order: dict[str, Any]) -> str | None:
        """Give a trade its stop back; a second one, or one of no trade, is cancelled."""
        if trade is None or order["side"] != trade.exit_side or trade.open_sl_orders:
            return self._cancel(pair, order)
        if order["status"] in ("canceled", "expired", "rejected"):
            return None
        self._attach(trade, order, "stoploss")
        return f"is the stop of trade {trade.id}"

    def _cancel(self, pair: str, order: dict[str, Any]) -> str | None:
        if order["status"] != "open":
            return None
        if _is_stop(order):
            self._exchange.cancel_stoploss_order(order["id"], pair)
        else:
            self._exchange.cancel_order(order["id"], pair)
        return "cancelled, no trade needs it"

    def _attach(self, trade: Trade, order: dict[str, Any], side: str) -> None:
        """Write an order down as the host would have on its answer."""
        row = Order.parse_from_ccxt_object(_unanswered(order), trade.pair, side)
        if side == "stoploss":
            row.ft_price = order.get("stopPrice")
        elif side == trade.entry_side:
            row.ft_order_tag = self._entry_tag(trade, order)
        else:
            row.ft_order_tag = self._exit_tag(trade, order)
            trade.exit_reason = row.ft_order_tag or FOUND
        trade.orders.append(row)
        Trade.commit()

    def _entry_tag(self, trade: Trade, order: Mapping[str, Any]) -> str | None:
        """Return the tag an addition was placed with: the name of its playbook."""
        books = self._strategy.playbooks
        if not books.owns(trade.enter_tag):
            return trade.enter_tag
        placed = datetime.fromtimestamp(order["timestamp"] / 1000, tz=UTC)
        price = float(order.get("price") or order.get("average") or 0.0)
        return books.tag_of_entry(trade.pair, placed, price) or trade.enter_tag

    def _exit_tag(self, trade: Trade, order: Mapping[str, Any]) -> str | None:
        """Return the tag an exit was placed with: a lot's, a rung's, a reversal's, or none."""
        books = self._strategy.playbooks
        if books.owns(trade.enter_tag):
            tag: str | None = books.tag_of_exit(trade, float(order["amount"]))
            return tag
        signal = self._desk.signal_of(trade)
        if signal is None or order["amount"] >= ALL * trade.amount:
            return None
        for rung, price in enumerate(signal.ladder[:-1]):
            if order.get("price") and abs(order["price"] / price - 1) < PRICE_GRACE:
                return f"{LADDER_TAG}{rung + 1}"
        return REVERSAL_TAG

    def _adopt(self, pair: str, order: dict[str, Any]) -> str:
        """Write down the trade that an entry order was to open."""
        strategy, exchange = self._strategy, self._exchange
        if pair not in self._desk.tables:
            strategy.analyze_pair(pair)
        placed = datetime.fromtimestamp(order["timestamp"] / 1000, tz=UTC)
        price = float(order.get("price") or order.get("average") or 0.0)
        short = order["side"] == "sell"
        found = self._desk.signal_row(pair, placed)
        ours = found is not None and (int(found[0].entry[found[1]]) < 0) == short
        tag = found[0].tag(found[1]) if found is not None and ours else None
        if not short:
            tag = self._strategy.playbooks.tag_of_entry(pair, placed, price) or tag
        leverage = self._leverage(pair, placed, price)
        fee = exchange.get_fee(symbol=pair, taker_or_maker="maker")
        trade = Trade(
            pair=pair,
            base_currency=exchange.get_pair_base_currency(pair),
            stake_currency=strategy.config["stake_currency"],
            stake_amount=order["amount"] * price / leverage,
            amount=0,
            is_open=True,
            amount_requested=order["amount"],
            fee_open=fee,
            fee_close=fee,
            open_rate=price,
            open_rate_requested=price,
            open_date=placed,
            exchange=exchange.id,
            strategy=strategy.get_strategy_name(),
            enter_tag=tag,
            timeframe=timeframe_to_minutes(strategy.timeframe),
            leverage=leverage,
            is_short=short,
            trading_mode=strategy.config["trading_mode"],
            funding_fees=0.0,
            amount_precision=exchange.get_precision_amount(pair),
            price_precision=exchange.get_precision_price(pair),
            precision_mode=exchange.precisionMode,
            precision_mode_price=exchange.precision_mode_price,
            contract_size=exchange.get_contract_size(pair),
        )
        trade.adjust_stop_loss(price, strategy.stoploss, initial=True)
        row = Order.parse_from_ccxt_object(_unanswered(order), pair, order["side"])
        row.ft_order_tag = tag
        trade.orders.append(row)
        trade.recalc_trade_from_orders()
        Trade.session.add(trade)
        Trade.commit()
        return f"now trade {trade.id}" + ("" if ours else "; no signal: only the widest stop holds")

    def _leverage(self, pair: str, at: datetime, price: float) -> float:
        """Return the leverage of the position, else what the settings gave the order."""
        position = self._strategy.wallets.get_all_positions().get(pair)
        if position is not None and position.leverage:
            return float(position.leverage)
        return self._desk.leverage(pair, at, price)


def _write_off_numberless() -> None:
    """Close the orders whose number the host never learnt; they are found as strays."""
    for row in Order.get_open_orders():
        if row.order_id in NUMBERLESS:
            row.order_id = f"unknown-{row.id}"
            row.ft_is_open, row.status, row.filled = False, "rejected", 0.0
    Trade.commit()


def _is_stop(order: Mapping[str, Any]) -> bool:
    """Whether an order waits, or has waited, for a price to be triggered."""
    return bool(order.get("conditional")) or bool(order.get("stopPrice"))


def _unanswered(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order as it was when it was placed: what became of it the host asks itself."""
    empty = {"filled": 0.0, "remaining": order["amount"], "average": None, "cost": 0.0}
    return {**order, **empty, "status": "open"}
