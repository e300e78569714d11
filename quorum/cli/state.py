"""Commands of the state store: ``state show`` what is kept where, ``state move`` it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from quorum.bot.host import load_files, read_settings
from quorum.bot.state_store import kept_state
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, app, command, console
from quorum.errors import DataError
from quorum.state import Store
from quorum.state.moving import move
from quorum.state.summary import summary

state_app = typer.Typer(no_args_is_help=True, help="What is kept over restarts, and where.")
app.add_typer(state_app, name="state")

FromOption = Annotated[
    str | None, typer.Option("--from", help="database address, if not the configured one")
]


def _store(config: ConfigOption, address: str | None) -> Store:
    if address is not None:
        store: Store | None = Store(address)
    else:
        content = load_files(config)
        store = kept_state(content, read_settings(content, content.get("timeframe", "1h")))
    if store is None or not store.exists():
        raise DataError("no state has been kept yet: the bot has not run")
    return store


@command("show", state_app)
def show_command(config: ConfigOption = DEFAULT_CONFIG, address: FromOption = None) -> None:
    """Print which kinds of state are kept, of which version, and how much of each."""
    store = _store(config, address)
    table = Table(title=str(store))
    for heading in ("kind", "version", "table", "rows"):
        table.add_column(heading, justify="left" if heading in ("kind", "table") else "right")
    for row in summary(store):
        table.add_row(row.kind, str(row.version), row.table, f"{row.rows:,}")
    console.print(table)


@command("move", state_app)
def move_command(
    to: Annotated[str, typer.Option("--to", help="address of an empty database")],
    config: ConfigOption = DEFAULT_CONFIG,
    address: FromOption = None,
) -> None:
    """Copy all state to another database, compare, and close the old one for writing."""
    source, target = _store(config, address), Store(to)
    moved = move(source, target)
    for table, rows in moved:
        console.print(f"{table}: {rows:,} rows", highlight=False)
    console.print(f"[green]moved[/] to {target}; set quorum.state.url to it before the bot starts")
