"""Commands of the guards: ``guards`` shows where they stand, ``rearm`` ends a halt."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from quorum.bot.host import load_files, read_settings
from quorum.bot.state_store import bot_name, kept_state, state_url
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, command, console
from quorum.errors import DataError
from quorum.guards import Guards, GuardSettings, Ledger, SqlStore, State, rearm
from quorum.settings import Settings
from quorum.state import shown

DatabaseOption = Annotated[
    str | None, typer.Option("--db", help="URL of the bot's trades database, if not configured")
]
_COLORS = {State.ACTIVE: "green", State.REDUCING: "yellow", State.HALTED: "bold red"}


def _opened(config: list[Path], db: str | None) -> tuple[SqlStore | None, Settings, str | None]:
    """Return what is kept of the guards of a configured bot, its settings, and where it is."""
    content: dict[str, Any] = load_files(config)
    settings = read_settings(content, content.get("timeframe", "1h"))
    if db is not None:
        content["db_url"] = db
    store = kept_state(content, settings)
    where = state_url(content, settings)
    ledger = None if store is None else SqlStore(store, bot_name(content))
    return ledger, settings, None if where is None else shown(where)


@command("guards")
def guards_command(config: ConfigOption = DEFAULT_CONFIG, db: DatabaseOption = None) -> None:
    """Print the state of the guards, what is used of every limit and what is left."""
    store, whole, where = _opened(config, db)
    settings = whole.guards
    if store is None:
        console.print(f"{where}: no state yet, the bot has not run")
        return
    guards = Guards(settings, store)
    ledger = store.load()
    if ledger is None:
        console.print(f"{store}: no state yet of bot {store.bot!r}")
        return
    guards.ledger = ledger
    _print_state(ledger, settings)
    _print_limits(guards)
    for event in store.events():
        reason = f" ({event.reason})" if event.reason else ""
        console.print(
            f"{event.at:%Y-%m-%d %H:%M}  {event.before} -> {event.after}{reason}  "
            f"{escape(event.detail)}",
            highlight=False,
        )


def _when(at: float | None) -> str:
    return "?" if at is None else f"{datetime.fromtimestamp(at, tz=UTC):%Y-%m-%d %H:%M} UTC"


def _print_state(ledger: Ledger, settings: GuardSettings) -> None:
    reason = f" ({ledger.reason})" if ledger.reason else ""
    color = _COLORS[ledger.state]
    console.print(
        f"[{color}]{ledger.state.upper()}[/]{reason} since {_when(ledger.since)}, "
        f"preset {settings.preset}"
    )
    if ledger.state is State.HALTED:
        console.print('end it with: quorum rearm --reason "..."')
    console.print(f"last observed {_when(ledger.last_at)}: equity {_amount(ledger.equity)}")
    console.print(
        f"peak {_amount(ledger.peak)}, day opened with {_amount(ledger.day_open)}, "
        f"began with {_amount(ledger.initial)}"
    )
    last = ledger.last_at or 0.0
    for what, end in (("losses", ledger.paused_until), ("black swan", ledger.swan_until)):
        if end > last:
            console.print(f"pause after {what} until {_when(end)}")


def _amount(value: float | None) -> str:
    return "?" if value is None else f"{value:,.2f}"


def _print_limits(guards: Guards) -> None:
    table = Table(title="limits")
    for heading in ("guard", "limit", "used", "of", "left", "unit"):
        table.add_column(heading, justify="right" if heading in ("used", "of", "left") else "left")
    for row in guards.limits():
        used = "?" if row.used is None else f"{row.used:.2f}"
        left = "?" if row.used is None else f"{max(0.0, row.limit - row.used):.2f}"
        table.add_row(row.guard, row.name, used, f"{row.limit:g}", left, row.unit)
    console.print(table)


@command("rearm")
def rearm_command(
    reason: Annotated[str, typer.Option("--reason", help="why trading may go on; is kept")],
    config: ConfigOption = DEFAULT_CONFIG,
    db: DatabaseOption = None,
) -> None:
    """End a halt: the bot may enter again, and its drawdown is measured anew."""
    store, _, where = _opened(config, db)
    if store is None:
        raise DataError(f"nothing to re-arm: {where} does not exist")
    change = rearm(store, reason)
    console.print(f"re-armed at {change.at:%Y-%m-%d %H:%M} UTC: {escape(change.detail)}")
