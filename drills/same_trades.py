"""A dry run takes the trades of a real backtest of the same candles, trade by trade.

Both see the same prices inside a candle: the backtest is given five-minute candles made of the
exchange's own path (``--timeframe-detail 5m``). What may differ is what polling costs: a bot
that looks now and then acts at the price of the moment, a backtest at the price of the order.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from backtests import backtesting
from freqtrade.misc import deep_merge_dicts
from live_exchange import Drill, ms

from drills.ground import Report
from quorum.candles import candles_from_frame
from quorum.exits.rules import REASONS, STOP_PASSED
from quorum.replay.datadir import DataDirectory
from quorum.replay.live.market import Listing, Tape
from quorum.replay.live.path import Bar, corners_between, price_at

MINUTE_MS = 60_000
#: The bot looks at 0, 14, 28, 42, 56 minutes past the hour: at both extremes of the path.
THROTTLE = 840
#: Candles a bot begins with: three calls of 499. Levels are stronger the longer they are known,
#: so the backtest is given as many.
HISTORY = 1497
#: How much later than planned a look may come [min].
LATE = 4
#: Market seconds that a second of the bot's work takes. On a busy machine at full pace the price
#: has moved on when an exit is placed: it waits a look, and so does the entry after it.
PACE = 0.1


@dataclass(frozen=True)
class Done:
    """One trade, from either side."""

    pair: str
    short: bool
    opened: pd.Timestamp
    entry: float
    closed: pd.Timestamp | None
    exit: float
    reason: str
    rungs: int
    amount: float

    @property
    def key(self) -> tuple[str, bool, pd.Timestamp]:
        """Pair, side and the candle of the entry."""
        return self.pair, self.short, self.opened.floor("1h")

    def __str__(self) -> str:
        side = "short" if self.short else "long"
        return f"{self.pair} {side} {self.opened:%Y-%m-%d %H:%M}"


def with_path(datadir: Path, target: Path, pairs: Sequence[str], begin: str, end: str) -> Path:
    """Copy a market and add the five-minute candles of the path its hours run along."""
    shutil.copytree(datadir, target)
    directory = DataDirectory(datadir)
    for pair in pairs:
        series = directory.find(pair, "1h", "futures")
        if series is None:
            raise ValueError(f"{datadir}: no hourly candles of {pair}")
        frame = _on_path(series.read(), ms(begin), ms(end))
        name = series.path.name.replace("-1h-", "-5m-")
        frame.to_feather(target / "futures" / name)
    return target


def _on_path(hours: pd.DataFrame, begin: int, end: int) -> pd.DataFrame:
    """Return the path inside hourly candles as candles of five minutes."""
    rows = []
    candles = candles_from_frame(hours, "1h", name="hours")
    length, part = candles.step, 5 * MINUTE_MS
    for i in np.flatnonzero((candles.time >= begin) & (candles.time < end)):
        columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
        bar = Bar(int(candles.time[i]), length, *(float(c[i]) for c in columns))
        for start in range(bar.time, bar.time + length, part):
            corners = [c.price for c in corners_between(bar, start, start + part)]
            first, last = price_at(bar, start), price_at(bar, start + part)
            seen = (first, last, *corners)
            rows.append((start, first, max(seen), min(seen), last, bar.volume / 12))
    frame = pd.DataFrame(rows, columns=["date", "open", "high", "low", "close", "volume"])
    frame["date"] = pd.to_datetime(frame["date"], unit="ms", utc=True)
    return frame


def backtest(
    datadir: Path, listed: Path, folder: Path, begin: str, end: str, changes: Any
) -> list[Done]:
    """Run a real backtest; return its trades. Lots and ticks are those of the listed market."""
    (folder / "user_data").mkdir(parents=True, exist_ok=True)
    span = f"{ms(begin) // 1000}-{ms(end) // 1000}"
    with backtesting(
        datadir,
        folder / "user_data",
        listed=listed,
        export="none",
        timerange=span,
        timeframe_detail="5m",
        **changes,
    ) as bt:
        bt.required_startup = bt.config["startup_candle_count"] = HISTORY
        bt.start()
        frame = bt.all_bt_content["Quorum"]["results"]
    return [_from_backtest(row) for row in frame.to_dict("records")]


def _from_backtest(row: dict[str, Any]) -> Done:
    exits = [o for o in row["orders"] if not o["ft_is_entry"] and o.get("filled", 1)]
    rungs = sum((o.get("ft_order_tag") or "").startswith("ladder_") for o in exits)
    entered = [o for o in row["orders"] if o["ft_is_entry"]]
    opened = pd.Timestamp(entered[0]["order_filled_timestamp"], unit="ms", tz="UTC")
    ended = row["exit_reason"] == "force_exit"
    return Done(
        row["pair"],
        bool(row["is_short"]),
        opened,
        row["open_rate"],
        None if ended else row["close_date"],
        row["close_rate"],
        row["exit_reason"],
        rungs,
        sum(o["amount"] for o in entered),
    )


def dry_run(trade: dict[str, Any]) -> Done | None:
    """Return one trade of a bot's database, None for one that never filled."""
    entries = [
        o
        for o in trade["orders"]
        if o["side"] == ("sell" if trade["is_short"] else "buy") and o["filled"]
    ]
    if not entries:
        return None
    exits = [o for o in trade["orders"] if o not in entries and o["filled"]]
    rungs = sum((o["ft_order_tag"] or "").startswith("ladder_") for o in exits)
    filled = pd.Timestamp(entries[0]["order_filled_date"], tz="UTC")
    closed = pd.Timestamp(trade["close_date"], tz="UTC") if not trade["is_open"] else None
    return Done(
        trade["pair"],
        bool(trade["is_short"]),
        filled,
        trade["open_rate"],
        closed,
        trade["close_rate"] or 0.0,
        trade["exit_reason"] or "",
        rungs,
        sum(o["filled"] for o in entries),
    )


def _until(trades: Sequence[Done], last: pd.Timestamp) -> list[Done]:
    """Leave out what happened in the last hour, which one side may not have seen the end of."""
    return [
        replace(trade, closed=None) if trade.closed is not None and trade.closed >= last else trade
        for trade in trades
        if trade.opened < last
    ]


def differences(
    expected: Sequence[Done], found: Sequence[Done], listings: Mapping[str, Listing]
) -> list[str]:
    """Return what differs between two lists of trades beyond what polling explains.

    Parameters
    ----------
    expected : sequence of Done
        Of the backtest.
    found : sequence of Done
        Of the dry run.
    listings : mapping of pair to Listing
        Where the price was, and the lots.
    """
    problems = []
    left = {trade.key: trade for trade in found}
    if len(left) != len(found):
        problems.append("two trades of one pair, side and candle")
    for trade in expected:
        mine = left.pop(trade.key, None)
        if mine is None:
            near = [f for f in left.values() if (f.pair, f.short) == (trade.pair, trade.short)]
            near = [f for f in near if abs(f.opened - trade.opened) <= timedelta(minutes=20)]
            mine = left.pop(near[0].key) if near else None
        if mine is None:
            problems.append(f"{trade}: only in the backtest")
        else:
            problems += [f"{trade}: {text}" for text in _differs(trade, mine, listings[trade.pair])]
    return problems + [f"{trade}: only in the dry run" for trade in left.values()]


def _differs(a: Done, b: Done, listing: Listing) -> list[str]:
    """Compare one trade of the backtest with that of the dry run."""
    problems, tape = [], listing.trades
    if not _same_price(a.entry, b.entry, b.opened, tape):
        problems.append(f"entry at {a.entry} or {b.entry}")
    # A backtest offline does not know the lots of the exchange.
    if abs(b.amount - a.amount) > 0.02 * a.amount + listing.rules.step_size:
        problems.append(f"amount {a.amount} or {b.amount}")
    if (a.closed is None) != (b.closed is None):
        problems.append(f"closed {a.closed} or {b.closed}")
    if a.closed is None or b.closed is None:
        return problems
    if _kind(a.reason) != _kind(b.reason):
        problems.append(f"exit by {a.reason} or {b.reason}")
    if a.rungs != b.rungs:
        problems.append(f"{a.rungs} or {b.rungs} rungs")
    if abs(a.closed - b.closed) > timedelta(minutes=THROTTLE / 60 + LATE + 5):
        problems.append(f"closed {a.closed} or {b.closed}")
    if not _same_price(a.exit, b.exit, b.closed, tape):
        problems.append(f"exit at {a.exit} or {b.exit}")
    return problems


def _kind(reason: str) -> str:
    """Return an exit reason; a stop is one whether it was moved before, or passed in one look."""
    return "stop_loss" if reason in ("trailing_stop_loss", REASONS[STOP_PASSED]) else reason


def _same_price(wanted: float, got: float, at: pd.Timestamp, tape: Tape) -> bool:
    """Whether a price is the wanted one, or one the market had since the look before."""
    if abs(got / wanted - 1) < 1e-4:
        return True
    now = int(at.timestamp() * 1000)
    since = now - (THROTTLE + LATE * 60) * 1000
    seen = [tape.price(since), tape.price(now), wanted]
    seen += [corner.price for corner in tape.corners(since, now)]
    return min(seen) * (1 - 1e-4) <= got <= max(seen) * (1 + 1e-4)


def run(
    folder: Path,
    datadir: Path,
    *,
    begin: str,
    end: str,
    pairs: Sequence[str],
    changes: Any,
    report: Report,
    pace: float = PACE,
) -> None:
    """Trade a span in a dry run and in a backtest and compare."""
    hour = timedelta(hours=1)
    history = str(pd.Timestamp(begin) - 5 * 24 * hour)
    detailed = with_path(datadir, folder / "path", pairs, history, end)
    live = folder / "live"
    live.mkdir(parents=True, exist_ok=True)
    # Both decide for the first time when the first candle has closed.
    start = pd.Timestamp(begin) + hour + timedelta(seconds=1)
    with Drill(
        live, datadir, start, pairs=pairs, throttle=THROTTLE, config=changes, speed=pace
    ) as drill:
        # Records lie beside the candles; the bot is given them, so the backtest is, too.
        records = {"quorum": {"market": {"records": drill.exchange.records_overlay(folder)}}}
        same = {**deep_merge_dicts(records, deepcopy(changes)), "pairs": list(pairs)}
        expected = backtest(detailed, datadir, folder, begin, end, same)
        bot = drill.start_bot(timeout=300)
        drill.run_until(end, timeout=3600)
        found = [done for trade in drill.trades() if (done := dry_run(trade)) is not None]
        listings = drill.exchange.exchange.market.listings("futures")
        by_pair = {listing.rules.pair: listing for listing in listings.values()}
        report.losses += [line for line in bot.log.splitlines() if " - ERROR - " in line]
    report.trades = len(found)
    last = pd.Timestamp(end, tz="UTC") - hour
    report.losses += differences(_until(expected, last), _until(found, last), by_pair)
