"""Commands that look at trades: ``trades`` (a whole run), ``card`` (one trade)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from quorum.bot.results import latest_result, load_backtest, load_database
from quorum.cli.app import command, console
from quorum.errors import DataError
from quorum.funnel import Funnel
from quorum.report.card import card_lines
from quorum.report.trades import Results, TradeRecord, filled_at_once

ResultOption = Annotated[
    Path | None, typer.Option("--result", "-r", help="backtest result file; default: the latest")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--db", help="database of a bot (only read), for example sqlite:///t.sqlite"),
]
DEFAULT_USER_DATA = Path("user_data")
UserDataOption = Annotated[Path, typer.Option("--user-data", help="freqtrade user directory")]


def _results(result: Path | None, db: str | None, user_data: Path) -> Results:
    if db is not None:
        return load_database(db)
    return load_backtest(result or latest_result(user_data))


@command("trades")
def trades_command(
    result: ResultOption = None,
    db: DatabaseOption = None,
    user_data: UserDataOption = DEFAULT_USER_DATA,
) -> None:
    """Print what came how far and what was refused, where stops stood, R:R, and exits by kind."""
    results = _results(result, db, user_data)
    console.print(f"{results.name}: {len(results.trades)} trades")
    if results.funnel is not None:
        _print_funnel(results.funnel, len(results.trades))
    _print_refusals(results)
    _print_stops(results.trades)
    _print_exits(results.trades)
    _print_at_once(results.trades)


def _print_funnel(funnel: Funnel, trades: int) -> None:
    table = Table(title="what came how far")
    for heading in ("step", "candles", "long", "short"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for name, *counts in (*funnel.steps(), ("trades", trades, None, None)):
        table.add_row(name, *("" if n is None else f"{n:,}" for n in counts))
    console.print(table)
    for sentence in funnel.shares():
        console.print(sentence)
    for sentence in funnel.silent:
        console.print(f"[yellow]{sentence}[/]")


def _print_refusals(results: Results) -> None:
    if results.refused is None:
        console.print("[yellow]no journal was kept: refusals and signals are not known[/]")
        return
    asked = sum(results.refused.values()) + len(results.trades)
    table = Table(title=f"entries refused, of {asked} asked for")
    table.add_column("reason")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")
    for reason, count in results.refused.items():
        table.add_row(reason, str(count), f"{100 * count / asked:.1f} %")
    console.print(table)


def _print_stops(trades: tuple[TradeRecord, ...]) -> None:
    table = Table(title="stop distance, % of the entry, and R:R at entry")
    for heading in ("stop", "trades", "5 %", "median", "95 %", "R:R 5 %", "median", "95 %"):
        table.add_column(heading, justify="left" if heading == "stop" else "right")
    signals = [t.signal for t in trades if t.signal is not None]
    for kind in sorted({s.stop_kind for s in signals}):
        chosen = [s for s in signals if s.stop_kind == kind]
        distance = [100 * abs(s.entry_price - s.stop_loss) / s.entry_price for s in chosen]
        ratio = [s.risk_reward_ratio for s in chosen]
        table.add_row(
            kind,
            str(len(chosen)),
            *(f"{x:.2f}" for x in np.percentile(distance, (5, 50, 95))),
            *(f"{x:.2f}" for x in np.percentile(ratio, (5, 50, 95))),
        )
    if signals:
        console.print(table)


def _print_exits(trades: tuple[TradeRecord, ...]) -> None:
    table = Table(title="fills that reduced a position, and how trades ended")
    for heading in ("kind", "partial fills", "trades ended", "profit", "mean R"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    # The last fill of a closed trade ends it; those before it took a part out.
    partial = [
        fill.tag
        for trade in trades
        for fill in [f for f in trade.fills if not f.entry][: -1 if trade.closed else None]
    ]
    kinds = sorted({*partial, *(t.exit_reason for t in trades if t.closed)})
    for kind in kinds:
        ended = [t for t in trades if t.closed and t.exit_reason == kind]
        multiples = [t.r_multiple for t in ended if t.r_multiple is not None]
        table.add_row(
            kind,
            str(partial.count(kind) or ""),
            str(len(ended) or ""),
            f"{sum(t.profit for t in ended):.2f}" if ended else "",
            f"{np.mean(multiples):+.2f}" if multiples else "",
        )
    console.print(table)


def _print_at_once(trades: tuple[TradeRecord, ...]) -> None:
    """Say what fills brought that a candle does not prove."""
    gains = [gain for gain in map(filled_at_once, trades) if gain]
    if not gains:
        return
    profit, gained = sum(t.profit for t in trades), sum(gains)
    console.print(
        f"profit {profit:+.2f}; without what {len(gains)} trades took at levels that filled in "
        f"the candle of the entry, where a candle does not tell which price came first: "
        f"[bold]{profit - gained:+.2f}[/]"
    )


@command("card")
def card_command(
    number: Annotated[int, typer.Argument(help="trade, counted from 1 in order of opening")],
    result: ResultOption = None,
    db: DatabaseOption = None,
    user_data: UserDataOption = DEFAULT_USER_DATA,
) -> None:
    """Print one trade in one screen: votes, context, size, stop, ladder, what happened."""
    results = _results(result, db, user_data)
    trades = sorted(results.trades, key=lambda t: (t.opened, t.pair))
    if not trades:
        raise DataError(f"{results.name}: has no trades")
    if not 1 <= number <= len(trades):
        raise DataError(f"card {number}: {results.name} has trades 1 to {len(trades)}")
    for line in card_lines(trades[number - 1]):
        console.print(line, highlight=False)
