"""Lots: what each playbook holds of a trade, read from the orders of the trade.

The host keeps one trade a pair, so one playbook may add to the trade of another. Every order
carries the name of its playbook in its tag, and the host stores orders before it sends them: a
bot that is killed between an order and its fill finds out at the next look what was filled.
"""

from __future__ import annotations

from collections.abc import Iterable

from freqtrade.persistence import Order, Trade

from quorum.playbooks import NOTHING, Lot, playbook_of

#: Share of an order by which rounding may let a lot differ from nothing.
DUST = 1e-9


def lots_of(trade: Trade, step: int) -> dict[str, Lot]:
    """Return what every playbook holds of a trade, by name; those that hold nothing are left out.

    Parameters
    ----------
    step : int
        Length of a candle, milliseconds.
    """
    lots: dict[str, Lot] = {}
    for order in _filled(trade.orders):
        name = playbook_of(order.ft_order_tag) or playbook_of(trade.enter_tag)
        if name is None:
            continue
        lot = lots.get(name, NOTHING)
        if order.ft_order_side == trade.entry_side:
            lots[name] = _added(lot, order, step)
        else:
            left = lot.units - order.safe_filled
            lots[name] = Lot(left, lot.price, lot.candle) if left > DUST * lot.units else NOTHING
    return {name: lot for name, lot in lots.items() if lot.units > 0.0}


def _filled(orders: Iterable[Order]) -> list[Order]:
    return [order for order in orders if order.safe_filled > 0.0]


def _added(lot: Lot, order: Order, step: int) -> Lot:
    bought = order.safe_amount_after_fee
    units = lot.units + bought
    ordered = int(order.order_date_utc.timestamp() * 1000) // step * step
    return Lot(units, (lot.units * lot.price + bought * order.safe_price) / units, ordered)
