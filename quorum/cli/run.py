"""Commands that run freqtrade offline: ``market``, ``replay``, ``demo``."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from quorum.cli.app import (
    DEFAULT_CONFIG,
    ConfigOption,
    DatadirOption,
    command,
    console,
)
from quorum.cli.ending import run_child
from quorum.cli.live import LiveOptions, serve_live
from quorum.errors import DataError
from quorum.replay.datadir import TradingMode
from quorum.replay.exchange import ExchangeServer, ExchangeSettings
from quorum.replay.link import records_files
from quorum.replay.synthetic import SyntheticSettings, make_market

#: Where the commands below keep markets, inside the user directory.
USER_DATA = Path("user_data")
SYNTHETIC = USER_DATA / "data" / "synthetic"
RECORDED = USER_DATA / "data" / "recorded"


@command("market")
def market_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="folder to write")] = SYNTHETIC,
    mode: Annotated[
        Literal["regimes", "random_walk"], typer.Option(help="known regimes, or no structure")
    ] = "regimes",
    seed: Annotated[int, typer.Option(help="seed of all random numbers")] = 7,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])] = datetime(
        2022, 1, 1, tzinfo=UTC
    ),
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])] = datetime(2025, 1, 1, tzinfo=UTC),
    base: Annotated[
        list[str] | None, typer.Option("--base", "-b", help="base currency; may be repeated")
    ] = None,
    timeframe: Annotated[
        list[str] | None, typer.Option("--timeframe", "-i", help="timeframe; may be repeated")
    ] = None,
) -> None:
    """Write a synthetic market with known regimes in freqtrade's layout."""
    options: dict[str, Any] = {"bases": base, "timeframes": timeframe}
    write_market(
        output,
        mode=mode,
        seed=seed,
        start=start.date(),
        end=end.date(),
        **{name: tuple(value) for name, value in options.items() if value},
    )
    console.print(f"market in {output}")


def write_market(output: Path, **settings: Any) -> None:
    """Make a synthetic market, telling which pair is being made."""
    wanted = SyntheticSettings.given("market", **settings)
    with console.status("making the synthetic market") as status:
        make_market(wanted, output, lambda pair: status.update(f"making {pair}"))


@command("replay")
def replay_command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="after --: a freqtrade command and its options, run to its end"),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    mode: Annotated[TradingMode, typer.Option(help="market served")] = "futures",
    port: Annotated[int, typer.Option(help="port on 127.0.0.1, 0: any free one")] = 0,
    live: Annotated[
        bool, typer.Option("--live", help="replay against a clock, with a test account")
    ] = False,
    start: Annotated[
        str | None, typer.Option("--from", help="with --live: where to begin, like 20240301")
    ] = None,
    speed: Annotated[
        float,
        typer.Option(min=0.0, help="with --live: exchange seconds per second"),
    ] = 1.0,
    jump: Annotated[
        bool, typer.Option("--jump", help="with --live: jump over the bot's sleeps")
    ] = False,
    orders: Annotated[
        bool, typer.Option("--orders", help="with --live: orders on the test account, no dry run")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(help="with --live: keep trades and journal in this folder, emptied first"),
    ] = None,
) -> None:
    """Serve candles on disk as a local exchange, for stock freqtrade to run offline.

    With a freqtrade command behind ``--`` the exchange lives as long as the command; without
    one it serves until it is interrupted. With ``--live`` it is complete enough to trade on:
    ``quorum replay --live --from 20240301 --speed 600 -- trade``.
    """
    folder = datadir or SYNTHETIC
    if live:
        if start is None:
            raise DataError("--live needs --from, the day of the candles to begin at")
        options = LiveOptions(start, speed, jump, orders, keep)
        raise typer.Exit(serve_live(arguments or (), config, folder, mode, port, options))
    if start is not None or speed != 1.0 or jump or orders or keep is not None:
        raise DataError("--from, --speed, --jump, --orders and --keep need --live")
    with ExchangeServer(folder, ExchangeSettings(port=port)) as exchange:
        if arguments:
            raise typer.Exit(run_freqtrade(arguments, config, folder, exchange, mode))
        with tempfile.TemporaryDirectory() as temporary:
            overlay = write_overlay(Path(temporary), exchange, folder, mode)
            console.print(
                f"serving {folder} at {exchange.url} until interrupted (Ctrl-C)\n"
                f"freqtrade ... --config {config[0]} --config {overlay} --datadir {folder}",
                soft_wrap=True,
            )
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                console.print("stopped")


def write_overlay(
    folder: Path,
    exchange: ExchangeServer,
    datadir: Path,
    mode: TradingMode,
    pairs: Sequence[str] | None = None,
) -> Path:
    """Write the configuration that leads stock freqtrade to the local exchange.

    Records files that lie beside the candles are named in it.
    """
    overlay = exchange.config_overlay(mode, pairs)
    records = records_files(datadir.absolute())
    if records:
        overlay["quorum"] = {"market": {"records": records}}
    path = folder / "local-exchange.json"
    path.write_text(json.dumps(overlay, indent=1), encoding="utf-8")
    return path


def run_freqtrade(
    arguments: Sequence[str],
    configs: Sequence[Path],
    datadir: Path,
    exchange: ExchangeServer,
    mode: TradingMode,
    *,
    pairs: Sequence[str] | None = None,
    log: Path | None = None,
    shown: bool = True,
) -> int:
    """Run a stock freqtrade command against the local exchange and return its status.

    Parameters
    ----------
    arguments : sequence of str
        A freqtrade command and its options.
    configs : sequence of Path
        Configuration files, over which the exchange's overlay is laid.
    pairs : sequence of str, optional
        Whitelist; by default the configuration's own.
    log : Path, optional
        File for the host's log; by default it goes to the terminal.
    shown : bool, default True
        Whether the host's tables go to the terminal, or to the log too.
    """
    with tempfile.TemporaryDirectory() as temporary:
        overlay = write_overlay(Path(temporary), exchange, datadir, mode, pairs)
        call = [sys.executable, "-m", "freqtrade", *arguments, "--datadir", str(datadir)]
        for layer in (*configs, overlay):
            call += ["--config", str(layer)]
        if log is None:
            return run_child(call)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as stream:
            return run_child(call, stdout=None if shown else stream, stderr=stream)
