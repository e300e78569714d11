"""``quorum health``: whether a running bot is alive, as an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, command, console
from quorum.cli.serve import bot_source
from quorum.cli.trades import DEFAULT_USER_DATA
from quorum.extras import require


@command("health")
def health_command(
    config: ConfigOption = DEFAULT_CONFIG,
    db: Annotated[
        str | None, typer.Option("--db", help="URL of the bot's trades, if not configured")
    ] = None,
) -> None:
    """End with status 0 if candles come and databases answer, with 1 and the reason if not."""
    require("report", "jinja2")
    from quorum.dashboard.pages.health import LATE, health_of

    missing = next((path for path in config if not Path(path).is_file()), None)
    if missing is not None:
        console.print(f"{missing}: not written yet")
        raise typer.Exit(1)
    snapshot = bot_source(config, db, None, DEFAULT_USER_DATA).snapshot()
    found = health_of(snapshot)
    problems = [*found.notes]
    if found.age_seconds is None:
        problems.append("no candle has been journaled yet")
    elif not found.healthy:
        late = [p.pair for p in found.pairs if (p.behind_candles or 0) > LATE]
        about = f", behind: {', '.join(late)}" if late else ""
        problems.append(f"the newest candle closed {found.age_seconds:,.0f} s ago{about}")
    if snapshot.guards.ledger is None and snapshot.guards.problem:
        problems.append(snapshot.guards.problem)
    for problem in problems:
        console.print(escape(problem), soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    console.print(f"alive: newest candle {found.age_seconds:,.0f} s ago, {len(found.pairs)} pairs")
