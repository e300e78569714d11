"""What must hold at any moment: the bot's database against the exchange's own books."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from live_exchange import Drill

from quorum.guards import Ledger, SqlStore, State
from quorum.replay.live.orders import OPEN

#: Rounding of amounts, and of prices on their tick.
GRACE = 1e-9
#: How often, and how far apart, a check is repeated before a difference counts as a loss: the
#: bot learns of what happened when it looks.
TRIES, PAUSE = 5, pd.Timedelta("6min")
REFUSED = re.compile(r"^(\S+ \S+) - .*Entry of (\S+) refused \((\w+)\)", re.MULTILINE)


def symbol(pair: str) -> str:
    """Return a pair as the exchange writes it."""
    return pair.split(":")[0].replace("/", "")


def entry_side(trade: Mapping[str, Any]) -> str:
    """Return the side of the orders that open a trade."""
    return "sell" if trade["is_short"] else "buy"


def entered(trade: Mapping[str, Any]) -> float:
    """Return the amount that entries of a trade have filled."""
    side = entry_side(trade)
    return sum(o["filled"] or 0.0 for o in trade["orders"] if o["ft_order_side"] == side)


def left(trade: Mapping[str, Any]) -> float:
    """Return the amount a trade holds by its orders."""
    side = entry_side(trade)
    out = sum(o["filled"] or 0.0 for o in trade["orders"] if o["ft_order_side"] != side)
    return entered(trade) - out


def book_problems(trades: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is wrong in the bot's database by itself."""
    found = []
    numbers = Counter(o["order_id"] for trade in trades for o in trade["orders"])
    found += [f"order {number} stands {n} times" for number, n in numbers.items() if n > 1]
    pairs = Counter(trade["pair"] for trade in trades if trade["is_open"])
    found += [f"{pair}: {n} open trades" for pair, n in pairs.items() if n > 1]
    for trade in trades:
        found += [f"trade {trade['id']} {trade['pair']}: {text}" for text in _of_trade(trade)]
    return found


def _of_trade(trade: Mapping[str, Any]) -> Iterable[str]:
    held, amount = left(trade), trade["amount"] if trade["is_open"] else 0.0
    if abs(held - amount) > GRACE + 1e-6 * entered(trade):
        yield f"orders hold {held:g}, the trade {amount:g}"
    full = Counter(
        o["ft_order_tag"]
        for o in trade["orders"]
        if (o["ft_order_tag"] or "").startswith("ladder_") and o["status"] == "closed"
    )
    yield from (f"{tag} filled {n} times" for tag, n in full.items() if n > 1)
    exits = [
        o
        for o in trade["orders"]
        if o["ft_is_open"] and o["ft_order_side"] not in (entry_side(trade), "stoploss")
    ]
    if len(exits) > 1:
        yield f"{len(exits)} exit orders at once"
    if not entered(trade):
        return
    signal = trade["custom"].get("quorum_signal")
    if signal is None:
        yield "no signal"
    elif trade["is_open"]:
        direction = -1 if trade["is_short"] else 1
        gap = direction * (trade["stop_loss"] - signal["stop_loss"])
        if gap < -1e-4 * signal["stop_loss"]:
            yield f"stop at {trade['stop_loss']}, the signal's at {signal['stop_loss']}"


def account_problems(
    trades: Sequence[dict[str, Any]], account: Mapping[str, Any], *, stops: bool
) -> list[str]:
    """Return where the bot's database and the exchange's books differ.

    Parameters
    ----------
    trades : sequence of dict
        Of the database, with orders.
    account : mapping
        Every order, execution and position of the exchange.
    stops : bool
        Whether a stop has to rest on the exchange for every position.
    """
    found = []
    held = {
        symbol(t["pair"]): (-1 if t["is_short"] else 1) * t["amount"]
        for t in trades
        if t["is_open"] and t["amount"]
    }
    positions = {name: p["amount"] for name, p in account["positions"].items()}
    for name in sorted(held.keys() | positions.keys()):
        bot, truth = held.get(name, 0.0), positions.get(name, 0.0)
        if abs(bot - truth) > GRACE + 1e-6 * abs(truth):
            found.append(f"{name}: position {truth:g}, the bot believes {bot:g}")
    found += _order_problems(trades, account)
    if stops:
        resting = Counter(
            o["symbol"] for o in account["orders"] if o["algo"] and o["status"] == "NEW"
        )
        for name in sorted(positions.keys() | resting.keys()):
            wanted = 1 if name in positions else 0
            if resting[name] != wanted:
                found.append(f"{name}: {resting[name]} stops on the exchange, not {wanted}")
    return found


def _order_problems(trades: Sequence[dict[str, Any]], account: Mapping[str, Any]) -> Iterable[str]:
    """Compare orders by number: every one known to both, with the same fills."""
    known = {o["order_id"]: o for trade in trades for o in trade["orders"]}
    over = {o["order_id"] for trade in trades if not trade["is_open"] for o in trade["orders"]}
    placed = {o["placed"]: str(o["id"]) for o in account["orders"] if o["placed"]}
    filled: defaultdict[str, float] = defaultdict(float)
    for execution in account["executions"]:
        number = placed.get(execution["order_id"], str(execution["order_id"]))
        filled[number] += execution["quantity"]
    for number, quantity in filled.items():
        if number not in known:
            yield f"fill of {quantity:g} of order {number}, which the bot does not know"
        elif abs((known[number]["filled"] or 0.0) - quantity) > GRACE + 1e-6 * quantity:
            yield f"order {number} filled {quantity:g}, by the bot {known[number]['filled']}"
    for order in account["orders"]:
        number, name = str(order["id"]), order["symbol"]
        if order["status"] not in OPEN:
            continue
        if order["id"] in placed:
            continue
        if number not in known:
            yield f"{name}: order {number} ({order['kind']} {order['side']}) rests unknown"
        elif not known[number]["ft_is_open"]:
            yield f"{name}: order {number} rests, the bot holds it for done"
        elif number in over:
            yield f"{name}: order {number} rests, its trade is closed"
    resting = {
        str(o["id"]) for o in account["orders"] if o["status"] in ("NEW", "PARTIALLY_FILLED")
    }
    for number, order in known.items():
        # The host asks no more of what a closed trade has left behind.
        if order["ft_is_open"] and number not in resting and number not in over:
            yield f"order {number} is done, the bot holds it for open"


def loosened(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[str]:
    """Return trades that are gone, have lost fills, or whose stop has moved away."""
    found, now = [], {trade["id"]: trade for trade in after}
    for old in before:
        new = now.get(old["id"])
        if new is None:
            if entered(old):
                found.append(f"trade {old['id']} {old['pair']} is gone")
            continue
        if entered(new) < entered(old) - GRACE:
            found.append(f"trade {old['id']} {old['pair']}: fills are gone")
        direction = -1 if old["is_short"] else 1
        if entered(old) and direction * (new["stop_loss"] - old["stop_loss"]) < -GRACE:
            found.append(
                f"trade {old['id']} {old['pair']}: stop {old['stop_loss']} -> {new['stop_loss']}"
            )
    return found


def ledger(drill: Drill) -> Ledger | None:
    """Return what the guards of a drill's bot have on disk."""
    path = drill.database.with_name(f"{drill.database.stem}.quorum.sqlite")
    return SqlStore(f"sqlite:///{path}", "quorum").load() if path.is_file() else None


def forgotten(before: Ledger | None, after: Ledger | None) -> list[str]:
    """Return what guards have forgotten over a restart."""
    if before is None:
        return []
    if after is None:
        return ["the guards' state is gone"]
    found = []
    if before.state is State.HALTED and after.state is not State.HALTED:
        found.append("the guards are no longer halted")
    grows: dict[str, Callable[[Ledger], float]] = {
        "peak": lambda g: g.peak or 0.0,
        "swan_until": lambda g: g.swan_until,
        "paused_until": lambda g: g.paused_until,
        "seen": lambda g: g.seen,
        "last_at": lambda g: g.last_at or 0.0,
    }
    if before.day_start == after.day_start:
        grows["day_stopped"] = lambda g: g.day_stopped
        if before.day_open != after.day_open:
            found.append(f"guards: the day opened at {before.day_open}, now {after.day_open}")
    if before.week_start == after.week_start:
        grows["week_peak"] = lambda g: g.week_peak or 0.0
        grows["week_stopped"] = lambda g: g.week_stopped
    found += [
        f"guards: {name} fell from {get(before)} to {get(after)}"
        for name, get in grows.items()
        if get(after) < get(before)
    ]
    return found


def asked_again(logs: Iterable[str], trades: Sequence[dict[str, Any]]) -> list[str]:
    """Return entries that were taken although the same candle's had been refused."""
    found = []
    for at, pair, reason in (m for log in logs for m in REFUSED.findall(log)):
        refused = pd.Timestamp(at.replace(",", "."))
        until = refused.floor("1h") + pd.Timedelta("1h")
        for trade in trades:
            opened = pd.Timestamp(trade["open_date"])
            if trade["pair"] == pair and refused < opened < until:
                found.append(f"{pair}: refused at {refused} ({reason}), entered at {opened}")
    return found


def problems(drill: Drill, *, stops: bool = False) -> list[str]:
    """Return what is wrong now."""
    trades = drill.trades()
    found = book_problems(trades)
    if drill.orders:
        found += account_problems(trades, drill.account(), stops=stops)
    return found


def settled(drill: Drill, *, stops: bool = False, tries: int = TRIES) -> list[str]:
    """Return what is wrong and stays wrong while the bot has time to see to it."""
    lasting: list[str] | None = None
    for _ in range(tries):
        now = problems(drill, stops=stops)
        lasting = now if lasting is None else [text for text in lasting if text in now]
        if not lasting:
            return []
        drill.run_until(drill.now + PAUSE, timeout=600)
    return lasting or []
