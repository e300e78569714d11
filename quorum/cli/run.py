"""Commands that run freqtrade offline: ``market``, ``replay``, ``demo``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.errors import DataError
from quorum.replay.datadir import TradingMode
from quorum.replay.exchange import ExchangeServer, ExchangeSettings
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
    try:
        wanted = SyntheticSettings(**settings)
    except ValueError as error:
        raise DataError(str(error)) from error
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
) -> None:
    """Serve candles on disk as a local exchange, for stock freqtrade to run offline.

    With a freqtrade command behind ``--`` the exchange lives as long as the command; without
    one it serves until it is interrupted.
    """
    folder = datadir or SYNTHETIC
    with ExchangeServer(folder, ExchangeSettings(port=port)) as exchange:
        if arguments:
            raise typer.Exit(run_freqtrade(arguments, config, folder, exchange, mode))
        with tempfile.TemporaryDirectory() as temporary:
            overlay = write_overlay(Path(temporary), exchange.config_overlay(mode))
            console.print(
                f"serving {folder} at {exchange.url} until interrupted (Ctrl-C)\n"
                f"freqtrade ... --config {config[0]} --config {overlay} --datadir {folder}",
                soft_wrap=True,
            )
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                console.print("stopped")


def write_overlay(folder: Path, overlay: dict[str, Any]) -> Path:
    """Write a configuration overlay and return its path."""
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
    extra: dict[str, Any] | None = None,
    log: Path | None = None,
) -> int:
    """Run a stock freqtrade command against the local exchange and return its status.

    Parameters
    ----------
    arguments : sequence of str
        A freqtrade command and its options.
    configs : sequence of Path
        Configuration files, over which the exchange's overlay and ``extra`` are laid.
    log : Path, optional
        File for the host's log; by default it goes to the terminal.
    """
    with tempfile.TemporaryDirectory() as temporary:
        overlay = write_overlay(Path(temporary), exchange.config_overlay(mode))
        layers = [*configs, overlay]
        if extra:
            layers.append(Path(temporary) / "extra.json")
            layers[-1].write_text(json.dumps(extra), encoding="utf-8")
        command, *options = arguments
        call = [sys.executable, "-m", "freqtrade", command, *options, "--datadir", str(datadir)]
        for layer in layers:
            call += ["--config", str(layer)]
        if log is None:
            return subprocess.run(call, check=False).returncode
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as stream:
            return subprocess.run(call, check=False, stderr=stream).returncode
