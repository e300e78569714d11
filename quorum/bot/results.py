"""Trades read back from the host's result files and databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.data.btanalysis import (
    get_latest_backtest_filename,
    load_backtest_data,
    load_backtest_stats,
)
from pydantic import ValidationError

from quorum.bot.journal import journal_path
from quorum.entry import Signal
from quorum.errors import DataError
from quorum.funnel import Funnel, funnel_from
from quorum.report.page.database import database_run
from quorum.report.trades import STRATEGY, Fill, Results, TradeRecord


def latest_result(user_data: Path) -> Path:
    """Return the latest backtest result of a user directory.

    Raises
    ------
    DataError
        If there is none.
    """
    folder = user_data / "backtest_results"
    try:
        return folder / get_latest_backtest_filename(folder)
    except ValueError as error:
        raise DataError(f"{folder}: no backtest result ({error})") from error


def load_backtest(path: Path) -> Results:
    """Read a backtest result and its journal.

    Raises
    ------
    DataError
        If the file is missing or is no result of Quorum.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such result file")
    journal = _journal(journal_path(path))
    try:
        strategy = _strategy(list(load_backtest_stats(path)["strategy"]), journal)
        frame = load_backtest_data(path, strategy)
    except Exception as error:
        raise DataError(f"{path}: no backtest result of Quorum ({error})") from error
    signals = {(s["pair"], pd.Timestamp(s["opened"])): s for s in journal.get("signals", ())}
    trades = tuple(
        _from_row(row, signals.get((row["pair"], row["open_date"])))
        for row in frame.to_dict("records")
    )
    refused, funnel = journal.get("refused"), _funnel(path, journal)
    return Results(path.name, trades, refused, strategy, funnel)


def load_database(url: str) -> Results:
    """Read the trades of a bot's database, which is not written: the bot may be running.

    Raises
    ------
    DataError
        If the database cannot be read, or holds only another strategy's trades.
    """
    run = database_run(url)
    return Results(run.name, run.trades, None)


def _strategy(names: list[str], journal: dict[str, Any]) -> str:
    """Return which strategy of a result is Quorum or derived from it: it kept the journal."""
    if STRATEGY in names:
        return STRATEGY
    kept = journal.get("strategy") or (names[0] if journal and len(names) == 1 else None)
    if kept not in names:
        raise ValueError(f"it holds {', '.join(names)} and no journal of one derived from it")
    return str(kept)


def _journal(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: is no journal ({error})") from error
    return content


def _funnel(path: Path, journal: dict[str, Any]) -> Funnel | None:
    try:
        return funnel_from(journal.get("funnel"))
    except ValueError as error:
        raise DataError(f"{journal_path(path)}: the funnel cannot be read: {error}") from error


def _signal(stored: dict[str, Any] | None) -> Signal | None:
    try:
        return None if stored is None else Signal.model_validate(stored)
    except ValidationError as error:
        raise DataError(f"a stored signal cannot be read: {error}") from error


def _from_row(row: dict[str, Any], stored: dict[str, Any] | None) -> TradeRecord:
    short = bool(row["is_short"])
    return TradeRecord(
        pair=row["pair"],
        direction=-1 if short else 1,
        opened=row["open_date"].to_pydatetime(),
        closed=row["close_date"].to_pydatetime(),
        open_rate=row["open_rate"],
        close_rate=row["close_rate"],
        profit=row["profit_abs"],
        profit_ratio=row["profit_ratio"],
        funding=row["funding_fees"] or 0.0,
        best=row["min_rate"] if short else row["max_rate"],
        worst=row["max_rate"] if short else row["min_rate"],
        exit_reason=row["exit_reason"],
        fills=tuple(
            Fill(
                datetime.fromtimestamp(o["order_filled_timestamp"] / 1000, tz=UTC),
                o["safe_price"],
                o["amount"],
                bool(o["ft_is_entry"]),
                o.get("ft_order_tag") or "",
            )
            for o in row["orders"]
            if o["order_filled_timestamp"]
        ),
        signal=_signal(stored),
    )
