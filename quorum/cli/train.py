"""``quorum train``: walk-forward models from the candles of all pairs."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from quorum.bot.host import load_config, load_files, load_market, read_settings, whitelist
from quorum.bot.source import HIGHER
from quorum.candles import timeframe_ms
from quorum.cli.app import (
    DEFAULT_CONFIG,
    ConfigOption,
    DatadirOption,
    TimeframeOption,
    command,
    console,
    error_console,
)
from quorum.cli.models import ModelsDirOption, models_folder
from quorum.errors import DataError, QuorumError
from quorum.extras import extra

logger = logging.getLogger(__name__)

#: What the stages of a training are called on the progress bar.
STAGES = {
    "rows": "features and labels",
    "models": "market models",
    "signals": "signals they would have given",
    "meta": "meta-models",
}


@command("train")
def train_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    timeframe: TimeframeOption = None,
    pair: Annotated[
        list[str] | None, typer.Option("--pair", "-p", help="may be repeated; default: whitelist")
    ] = None,
    models_dir: ModelsDirOption = None,
    backend: Annotated[
        Literal["joblib", "dask"], typer.Option(help="where folds are fitted")
    ] = "joblib",
    scheduler: Annotated[
        str | None, typer.Option(help="dask: address, for example tcp://host:8786")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="processes; -1: one per core")] = -1,
    download: Annotated[
        bool, typer.Option("--download", help="first bring the candles up to date (host)")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="train again whenever a refit is due, until stopped")
    ] = False,
    every: Annotated[float, typer.Option(help="with --watch: hours between two looks")] = 6.0,
) -> None:
    """Train the models walk-forward; what was fitted before is not fitted again.

    Every refit date gets models that know only what was known an embargo before it. A backtest
    predicts each candle by the models that were live then; a running bot picks up new ones by
    itself.
    """
    options = (config, datadir, timeframe, pair, models_dir, backend, scheduler, jobs)

    def once() -> None:
        if download:
            download_candles(config, datadir, timeframe, pair)
        train_once(*options)

    if not watch:
        once()
        return
    while True:
        try:
            once()
        except QuorumError as error:
            # The chain in use stays in use; the next look may find what was missing.
            error_console.print(f"[bold red]not trained[/] {error}")
            logger.warning("not trained: %s", error)
        console.print(f"next look in {every:g} h (Ctrl-C ends)")
        try:
            time.sleep(every * 3600)
        except KeyboardInterrupt:
            console.print("stopped")
            return


def download_candles(
    config: list[Path], datadir: Path | None, timeframe: str | None, pairs: list[str] | None
) -> None:
    """Let the host bring every series of the pairs up to date.

    Raises
    ------
    DataError
        If it fails; what is on disk stays as it was.
    """
    loaded = load_files(config)
    base = timeframe or loaded.get("timeframe", "1h")
    wanted = [base, *(tf for tf in HIGHER if timeframe_ms(tf) > timeframe_ms(base))]
    call = [sys.executable, "-m", "freqtrade", "download-data", "--timeframes", *wanted]
    call += ["--pairs", *(pairs or whitelist(loaded))]
    call += ["--datadir", str(datadir)] if datadir is not None else []
    for path in config:
        call += ["--config", str(path)]
    done = subprocess.run(call, check=False, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).splitlines()[-5:])
        raise DataError(f"the candles could not be brought up to date:\n{last}")


def train_once(
    config: list[Path],
    datadir: Path | None,
    timeframe: str | None = None,
    pairs: list[str] | None = None,
    models_dir: Path | None = None,
    backend: Literal["joblib", "dask"] = "joblib",
    scheduler: str | None = None,
    jobs: int = -1,
) -> None:
    """Train, publish, and print what came of it."""
    with extra("learning"):
        from quorum.learning.backends import BackendSettings
        from quorum.learning.store import ModelStore
        from quorum.learning.training import Plan, train
    loaded = load_config(config, datadir=datadir, timeframe=timeframe)
    settings = read_settings(loaded, loaded["timeframe"])
    plan = Plan(
        pairs=tuple(pairs or _with_candles(loaded, settings)),
        load=partial(load_market, loaded, settings),
        settings=settings,
        timeframe=loaded["timeframe"],
        step=timeframe_ms(loaded["timeframe"]),
        backend=BackendSettings.given("backend", kind=backend, scheduler=scheduler, n_jobs=jobs),
    )
    store = ModelStore(models_folder(config, models_dir))
    with Progress(
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        bars: dict[str, Any] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = bar.add_task(STAGES[stage], total=total)
            bar.update(bars[stage], completed=done)

        trained = train(plan, store, progress)
    console.print(summary(trained))
    for reason in trained.skipped:
        error_console.print(f"[yellow]{reason}[/]")
    console.print(f"chain {trained.chain.id} is in use ({store.root})", soft_wrap=True)
    _judge(trained, store, plan)


def _judge(trained: Any, store: Any, plan: Any) -> None:
    """Save and print what the chain is worth on candles its models had not seen."""
    from quorum.cli.evidence import print_evidence
    from quorum.learning.evaluation import evaluate_chain
    from quorum.learning.evidence_document import save_evidence

    try:
        evidence = evaluate_chain(trained, store, plan.settings.learning, plan.step)
    except DataError as error:  # the chain is published; there is nothing to judge it on yet
        error_console.print(f"[yellow]not judged[/]: {error}")
        return
    save_evidence(store.root, evidence)
    print_evidence(evidence, features=0)


def _with_candles(config: dict[str, Any], settings: Any) -> list[str]:
    """Return the pairs of the whitelist that have candles, telling which do not."""
    found = []
    for pair in whitelist(config):
        try:
            load_market(config, settings, pair)
        except DataError as error:
            error_console.print(f"[yellow]{pair} is left out[/]: {error}")
        else:
            found.append(pair)
    if not found:
        raise DataError(f"{config['datadir']}: no pair of the whitelist has candles")
    return found


def summary(trained: Any) -> Table:
    """Return one row per vintage: what it learned from, and what it is worth out of fold."""
    table = Table(title=f"{len(trained.vintages)} vintages, {trained.reused} fitted before")
    for name in ("valid from", "cut-off", "rows", "signal", "regime", "meta", "wins", "mean R"):
        table.add_column(name, justify="left" if name == "valid from" else "right")
    for vintage in trained.vintages:
        meta = vintage.metrics.get("meta") or {}
        table.add_row(
            _day(vintage.valid_from),
            _day(vintage.cut_off),
            f"{vintage.rows:,}",
            *(_skill(vintage.metrics.get(part)) for part in ("signal", "regime", "meta")),
            f"{meta['win_rate']:.1%}" if "win_rate" in meta else "",
            f"{meta['mean_r']:+.3f}" if "mean_r" in meta else "",
        )
    table.caption = (
        "signal, regime, meta: log loss out of fold less that of the base rates [nats]; "
        "below 0 is skill"
    )
    return table


def _skill(metrics: Any) -> str:
    from quorum.learning.promotion import excess_loss

    excess = excess_loss(metrics)
    return "" if excess is None else f"{excess:+.4f}"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d")
