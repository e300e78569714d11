"""The trades of a bot, read from its database without touching it.

The host's own loader migrates and writes; a running bot's database must only be read. So its
tables are read as they are, through a connection that cannot write.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError
from sqlalchemy import Engine, MetaData, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from quorum.entry import Signal
from quorum.errors import DataError
from quorum.report.page.run import Run, ordered
from quorum.report.trades import STRATEGY, Fill, TradeRecord

#: Under which the strategy stores a signal with its trade.
SIGNAL_KEY = "quorum_signal"
#: Columns without which nothing can be said, by table.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "trades": (
        "id", "pair", "is_open", "is_short", "open_rate", "close_rate", "open_date",
        "close_date", "close_profit", "close_profit_abs", "realized_profit", "min_rate",
        "max_rate", "funding_fees", "exit_reason", "strategy", "timeframe", "stake_currency",
        "trading_mode",
    ),
    "orders": (
        "ft_trade_id", "ft_order_side", "order_id", "filled", "average", "price",
        "order_filled_date", "ft_order_tag",
    ),
}  # fmt: skip
OPTIONAL = ("trade_custom_data", "wallet_history")
#: Minutes of a timeframe, as the host files them, by name.
MINUTES = {1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 120: "2h", 240: "4h", 1440: "1d"}


def database_run(url: str, capital: float | None = None) -> Run:
    """Read the run of a bot from its database; the bot may be running.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, for example ``sqlite:///tradesv3.dryrun.sqlite``.
    capital : float, optional
        At the beginning; by default the wallet history's first reading.

    Raises
    ------
    DataError
        If the database is missing, cannot be read, or holds another strategy's trades only.
    """
    engine = _read_only(url)
    shown = engine.url.render_as_string(hide_password=True)
    try:
        tables = _rows(engine, shown)
    except (SQLAlchemyError, sqlite3.Error, ValueError) as error:
        raise DataError(f"{shown}: cannot be read ({_cause(error)})") from error
    finally:
        engine.dispose()
    orders = defaultdict(list)
    for order in tables["orders"]:
        orders[order["ft_trade_id"]].append(order)
    signals = {
        row["ft_trade_id"]: row["cd_value"]
        for row in tables["trade_custom_data"]
        if row["cd_key"] == SIGNAL_KEY
    }
    ours, notes = _ours(tables["trades"], signals, shown)
    trades = tuple(_trade(row, orders[row["id"]], signals.get(row["id"]), shown) for row in ours)
    first = min((t.opened for t in trades), default=datetime.now(UTC))
    known = capital if capital is not None else _first_balance(tables["wallet_history"])
    if known is None:
        notes.append(
            "The capital at the beginning is not known (give --capital): shares are of the "
            "largest position value times ten."
        )
        known = _stand_in(trades)
    latest = ours[-1] if ours else {}
    return Run(
        name=shown.rsplit("/", 1)[-1],
        kind=_kind(tables["orders"]),
        trades=ordered(trades),
        refused=None,
        first=_ms(first),
        last=_ms(datetime.now(UTC)),
        timeframe=MINUTES.get(latest.get("timeframe") or 60, "1h"),
        currency=latest.get("stake_currency") or "USDT",
        capital=known,
        pairs=tuple(dict.fromkeys(t.pair for t in trades)),
        futures=str(latest.get("trading_mode") or "FUTURES").upper().endswith("FUTURES"),
        section={},
        notes=tuple(notes),
    )


def _read_only(url: str) -> Engine:
    """Open a database so that it cannot be written."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if not parsed.database or not Path(parsed.database).is_file():
                raise DataError(f"{url}: there is no such database file")
            file = f"file:{quote(str(Path(parsed.database).absolute()))}?mode=ro"
            return create_engine(
                parsed, creator=lambda: sqlite3.connect(file, uri=True, check_same_thread=False)
            )
        engine = create_engine(parsed)
    except (ArgumentError, SQLAlchemyError, ImportError) as error:
        raise DataError(f"{url}: no usable database URL ({_cause(error)})") from error

    @event.listens_for(engine, "connect")
    def _forbid_writing(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        cursor.close()
        connection.commit()

    return engine


def _cause(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _rows(engine: Engine, shown: str) -> dict[str, list[dict[str, Any]]]:
    """Read the tables in one transaction: what is seen belongs together."""
    metadata = MetaData()
    with engine.connect() as connection:
        metadata.reflect(connection, only=lambda name, _: name in {*NEEDED, *OPTIONAL})
        for name, columns in NEEDED.items():
            table = metadata.tables.get(name)
            missing = set(columns) - set(table.columns.keys() if table is not None else ())
            if table is None or missing:
                lacking = f"table {name}" if table is None else f"{name}.{', '.join(missing)}"
                raise DataError(f"{shown}: no database of this version of freqtrade: no {lacking}")
        return {
            name: [
                dict(row._mapping)
                for row in connection.execute(select(table).order_by(table.columns["id"]))
            ]
            if (table := metadata.tables.get(name)) is not None
            else []
            for name in (*NEEDED, *OPTIONAL)
        }


def _ours(
    rows: Sequence[dict[str, Any]], signals: Mapping[int, Any], shown: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the trades of Quorum and of what is derived from it: they keep its signals."""
    names = {STRATEGY, None} | {row["strategy"] for row in rows if row["id"] in signals}
    ours = [row for row in rows if row["strategy"] in names]
    if rows and not ours:
        found = ", ".join(sorted({str(row["strategy"]) for row in rows}))
        raise DataError(f"{shown}: no trades of {STRATEGY}, only of {found}")
    notes = []
    if len(ours) < len(rows):
        notes.append(f"{len(rows) - len(ours)} trades of other strategies are left out.")
    return ours, notes


def _first_balance(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the first recorded value of the wallet in the quote currency."""
    known = [row for row in rows if row.get("total_quote") and row.get("bot_managed", True)]
    if not known:
        return None
    first = min(row["timestamp"] for row in known)
    return float(sum(row["total_quote"] for row in known if row["timestamp"] == first))


def _stand_in(trades: Sequence[TradeRecord]) -> float:
    largest = (sum(f.price * f.amount for f in trade.fills if f.entry) for trade in trades)
    return 10.0 * max(largest, default=0.0) or 1.0


def _kind(orders: Sequence[Mapping[str, Any]]) -> str:
    dry = any(str(order["order_id"]).startswith("dry_run_") for order in orders)
    return "dry run" if dry else "live run"


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


def _signal(stored: str | None, shown: str) -> Signal | None:
    if stored is None:
        return None
    try:
        return Signal.model_validate(json.loads(stored))
    except (ValueError, ValidationError) as error:
        raise DataError(f"{shown}: a stored signal cannot be read: {error}") from error


def _trade(
    row: Mapping[str, Any], orders: Sequence[Mapping[str, Any]], stored: str | None, shown: str
) -> TradeRecord:
    short = bool(row["is_short"])
    opened = _utc(row["open_date"]) or datetime.now(UTC)
    entry_side = "sell" if short else "buy"
    low, high = row["min_rate"] or row["open_rate"], row["max_rate"] or row["open_rate"]
    # The close profit of an open trade is that of its last partial exit.
    profit = row["realized_profit"] if row["is_open"] else row["close_profit_abs"]
    return TradeRecord(
        pair=row["pair"],
        direction=-1 if short else 1,
        opened=opened,
        closed=None if row["is_open"] else _utc(row["close_date"]),
        open_rate=row["open_rate"],
        close_rate=row["close_rate"],
        profit=profit or 0.0,
        profit_ratio=row["close_profit"] or 0.0,
        funding=row["funding_fees"] or 0.0,
        best=low if short else high,
        worst=high if short else low,
        exit_reason=row["exit_reason"] or "",
        fills=tuple(
            Fill(
                _utc(order["order_filled_date"]) or opened,
                order["average"] or order["price"] or 0.0,
                order["filled"],
                order["ft_order_side"] == entry_side,
                order["ft_order_tag"] or "",
                str(order["order_id"] or ""),
            )
            for order in orders
            if order["filled"]
        ),
        signal=_signal(stored, shown),
        stop=row.get("stop_loss"),
    )
