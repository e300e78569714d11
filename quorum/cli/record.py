"""``quorum record``: the exchange's streams to files and database, around the clock."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from quorum.bot.host import is_futures, load_files, whitelist
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, command, console
from quorum.errors import DataError
from quorum.recorder.settings import FOLDER, RecorderSettings


@command("record")
def record_command(
    config: ConfigOption = DEFAULT_CONFIG,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="end after so long, by default never")
    ] = None,
    pair: Annotated[
        list[str] | None, typer.Option("--pair", "-p", help="pair, by default the whitelist")
    ] = None,
    folder: Annotated[
        str, typer.Option(help="folder of the files in the user directory; empty: no files")
    ] = FOLDER,
    database: Annotated[
        str | None,
        typer.Option(envvar="QUORUM_FLOW_DATABASE", help="PostgreSQL to write to as well"),
    ] = None,
    book_seconds: Annotated[float, typer.Option(help="time between two books of a pair")] = 5.0,
    poll_seconds: Annotated[float, typer.Option(help="between two looks at open interest")] = 60.0,
    keep_days: Annotated[int, typer.Option(help="age of the oldest raw rows kept")] = 30,
) -> None:
    """Record books, trades, liquidations, marks and open interest of the whitelist.

    Ends cleanly on Ctrl-C or SIGTERM, and with a message where rows can no longer be kept.
    """
    from quorum.recorder.session import open_exchange, open_sinks, record

    logging.getLogger("quorum").setLevel(logging.INFO)
    loaded = load_files(config)
    settings = RecorderSettings.given(
        "quorum record",
        folder=folder or None,
        database=database,
        book_seconds=book_seconds,
        poll_seconds=poll_seconds,
        keep_days=keep_days,
    )
    pairs = pair or list(whitelist(loaded))
    if not pairs:
        raise DataError("exchange.pair_whitelist is empty: nothing to record; name --pair")
    exchange = open_exchange(loaded, futures=is_futures(loaded))
    sinks = open_sinks(settings, Path(loaded.get("user_data_dir") or "user_data"))

    async def run() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        return await record(exchange, pairs, sinks, settings, stop)

    console.print(f"recording {len(pairs)} pairs of {loaded['exchange']['name']}")
    written = asyncio.run(run())
    console.print(f"{written:,} rows written")
