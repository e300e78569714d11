"""``quorum serve``: the dashboard of a bot, or of a finished backtest."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorum.bot.candles_beside import candles_on_disk
from quorum.bot.host import load_files, load_market, read_settings, whitelist
from quorum.bot.models import bot_models
from quorum.bot.results import latest_result, load_backtest
from quorum.bot.state_store import bot_name, open_state, trades_url
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.cli.inspect import HISTORY
from quorum.cli.report import as_it_ran, host_config, with_candles
from quorum.cli.trades import DEFAULT_USER_DATA, ResultOption, UserDataOption
from quorum.errors import DataError
from quorum.extras import require
from quorum.guards import SqlStore
from quorum.pipeline import evaluate
from quorum.settings import load_settings
from quorum.signals import signal_table

if TYPE_CHECKING:
    from quorum.dashboard.decision import Decision
    from quorum.dashboard.source import Places, Source
    from quorum.report.page.run import Run

logger = logging.getLogger(__name__)

#: Where the token is kept, in the user directory.
TOKEN = "quorum.token"


@command("serve")
def serve_command(
    config: ConfigOption = DEFAULT_CONFIG,
    db: Annotated[
        str | None, typer.Option("--db", help="URL of the bot's trades, if not configured")
    ] = None,
    result: ResultOption = None,
    demo: Annotated[bool, typer.Option("--demo", help="show the latest backtest")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="with --demo: a dry run on the local exchange")
    ] = False,
    datadir: DatadirOption = None,
    user_data: UserDataOption = DEFAULT_USER_DATA,
    host: Annotated[
        str, typer.Option(help="address to listen on; behind a proxy that adds https")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port, 0: any free one")] = 8787,
    token_file: Annotated[
        Path | None, typer.Option(help="token; default: quorum.token in the user directory")
    ] = None,
) -> None:
    """Serve pages, API and metrics of a bot; they read what it leaves on disk and never ask it."""
    require("report", "plotly", "jinja2", "sklearn")
    if live:
        if not demo:
            raise DataError(
                "--live needs --demo; without both the bot of the configuration is shown"
            )
        from quorum.cli.up import up_command

        up_command(
            config=config, user_data=user_data, demo=True, datadir=datadir, port=port, host=host
        )
        return
    from quorum.dashboard.access import Access, read_token
    from quorum.dashboard.app import create_app
    from quorum.dashboard.server import serve

    if demo or result is not None:
        source = _backtest(result or latest_result(user_data), config, datadir, user_data)
    else:
        source = bot_source(config, db, datadir, user_data)
    with console.status("reading"):
        # What cannot be read is said now, and the first page finds everything at hand.
        source.snapshot()
    file = token_file or user_data / TOKEN
    app = create_app(source, Access(read_token(file)))

    def told(url: str) -> None:
        console.print(f"[bold]{url}[/]  (token: {file})", soft_wrap=True)

    serve(app, host, port, told)


def bot_source(config: list[Path], db: str | None, datadir: Path | None, user_data: Path) -> Source:
    """Return what the bot of a configuration left behind."""
    from quorum.dashboard.source import BotSource

    loaded = load_files(config)
    if db is not None:
        loaded["db_url"] = db
    if datadir is not None:
        loaded["datadir"] = datadir
    return BotSource(bot_places(loaded, user_data))


def bot_places(config: dict[str, Any], user_data: Path) -> Places:
    """Return where the bot of a configuration leaves what it does."""
    from quorum.dashboard.source import Places

    timeframe = str(config.get("timeframe") or "1h")
    settings = read_settings(config, timeframe)
    store = open_state(config, settings, readonly=True)
    wallet = config.get("dry_run_wallet") if config.get("dry_run", True) else None
    return Places(
        database=trades_url(config),
        bot=bot_name(config),
        guards=None if store is None else SqlStore(store, bot_name(config)),
        settings=settings,
        timeframe=timeframe,
        pairs=whitelist(config),
        capital=float(wallet) if isinstance(wallet, int | float) else None,
        models=settings.learning.store(config.get("user_data_dir") or "user_data"),
        user_data=user_data,
        backtest=lambda: latest_backtest(user_data),
        history=lambda pair: candles_on_disk(config, pair, timeframe),
    )


def latest_backtest(user_data: Path) -> Run | None:
    """Return the latest backtest of a user directory, None without one that can be read."""
    from quorum.report.page.backtest_file import backtest_run

    try:
        path = latest_result(user_data)
        return backtest_run(path, load_backtest(path))
    except DataError as error:
        logger.info("nothing to hold the bot against: %s", error)
        return None


def _backtest(path: Path, config: list[Path], datadir: Path | None, user_data: Path) -> Source:
    from quorum.dashboard.finished import BacktestSource
    from quorum.report.page.backtest_file import backtest_run
    from quorum.report.page.run import PageSettings

    run = backtest_run(path, load_backtest(path))
    loaded = host_config(config, user_data)
    with console.status("reading candles"):
        run, folder = with_candles(run, loaded, datadir, user_data, PageSettings())
    if folder is None:
        return BacktestSource(run, dict)
    run, own = as_it_ran(run, loaded, folder)
    models = load_settings(own["quorum"]).learning.store(own["user_data_dir"])
    return BacktestSource(run, lambda: last_decisions(run, own), models)


def last_decisions(run: Run, config: dict[str, Any]) -> Mapping[str, Sequence[Decision]]:
    """Return what the heads said of the last candles of a run, by pair."""
    from quorum.dashboard.decision import decision_at
    from quorum.dashboard.finished import LAST

    settings = load_settings(config["quorum"])
    models = bot_models(config, settings, run.timeframe)
    found: dict[str, list[Decision]] = {}
    for pair in run.candles:
        try:
            market = load_market(config, settings, pair)
        except DataError:
            continue  # A note of the run says that its candles are missing.
        end = int((market.candles.time <= run.last).sum())
        market = market.head(end).since(max(0, end - HISTORY))
        table = signal_table(evaluate(market, settings, models), settings, models)
        found[pair] = [
            decision_at(
                table, row, pair, run.timeframe, settings, close=float(market.candles.close[row]),
                tradable=bool(market.tradable[row]), capital=run.capital,
            )
            for row in range(max(0, len(market) - LAST), len(market))
        ]  # fmt: skip
    return found
