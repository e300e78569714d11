"""The command line's root, its shared options, and how errors end a command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from quorum.cli.ending import orderly_ending
from quorum.errors import QuorumError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Quorum: a freqtrade strategy that trades only on a quorum of independent heads.",
)
console = Console(width=None if sys.stdout.isatty() else 160)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigOption = Annotated[
    list[Path],
    typer.Option("--config", "-c", help="freqtrade configuration file; may be given repeatedly"),
]
DatadirOption = Annotated[
    Path | None, typer.Option("--datadir", "-d", help="folder with freqtrade candle files")
]
TimeframeOption = Annotated[
    str | None, typer.Option("--timeframe", "-i", help="base timeframe, 5m to 4h")
]
DEFAULT_CONFIG = [Path("config.json")]


def command(
    name: str, group: typer.Typer = app
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command whose expected errors end it with one clear message and status 1."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @group.command(name)
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
            try:
                with orderly_ending():
                    return function(*args, **kwargs)
            except (QuorumError, OSError) as error:
                error_console.print(f"[bold red]error[/] {escape(str(error))}")
                raise typer.Exit(1) from error

        return run

    return register
