"""Commands that look at columns: ``explain``, ``verify``, ``votes``."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import track
from rich.table import Table

from quorum.advisors.standing import said
from quorum.bot.advice import ledger_of
from quorum.bot.host import (
    is_futures,
    load_config,
    load_market,
    read_settings,
    series_on_disk,
    whitelist,
)
from quorum.bot.models import fitting_models
from quorum.bot.rebuild import rebuilding
from quorum.bot.source import Series
from quorum.cli.app import (
    DEFAULT_CONFIG,
    ConfigOption,
    DatadirOption,
    TimeframeOption,
    command,
    console,
)
from quorum.errors import DataError
from quorum.explain import Explanation, explain
from quorum.pipeline import evaluate
from quorum.rates import Rate, vote_rates
from quorum.replay.link import records_files
from quorum.settings import Settings
from quorum.verify import PLAYBOOK_TOLERANCE, STARTUP_TOLERANCE, Certificate, certify, summary

PairArgument = Annotated[str, typer.Argument(help="for example BTC/USDT:USDT")]
PairsOption = Annotated[
    list[str] | None, typer.Option("--pair", "-p", help="pair; may be given repeatedly")
]
#: Candles a command reads beside the one it asks about; beyond them nothing is remembered.
HISTORY = 2000


def open_config(
    config: list[Path], datadir: Path | None, timeframe: str | None
) -> tuple[dict[str, Any], Settings]:
    """Load a configuration with the records beside its candles, and its Quorum settings."""
    loaded = load_config(config, datadir=datadir, timeframe=timeframe)
    name_records(loaded)
    return loaded, read_settings(loaded, loaded["timeframe"])


def name_records(config: dict[str, Any]) -> None:
    """Name the records files that lie beside the candles, unless the configuration names others."""
    section = config.setdefault("quorum", {})
    if isinstance(section, dict) and isinstance(section.setdefault("market", {}), dict):
        found = records_files(Path(config["datadir"]).absolute())
        named = section["market"].get("records") or {}
        section["market"]["records"] = {**found, **named} if isinstance(named, dict) else named


def chosen_pairs(config: dict[str, Any], wanted: list[str] | None) -> list[str]:
    """Return the pairs asked for, else those of the whitelist that have candles."""
    if wanted:
        return wanted
    has = series_on_disk(config)
    kind = "futures" if is_futures(config) else "spot"
    listed = whitelist(config)
    pairs = [pair for pair in listed if has(Series(pair, config["timeframe"], kind))]
    if not pairs:
        raise DataError(
            f"{config['datadir']}: no {config['timeframe']} {kind} candles of the whitelist "
            f"({', '.join(map(str, listed))})"
        )
    return pairs


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"--at {text!r}: give a time like 2024-03-01T12:00") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@command("explain")
def explain_command(
    pair: PairArgument,
    at: Annotated[str, typer.Option(help="moment to explain, UTC: 2024-03-01T12:00")],
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    timeframe: TimeframeOption = None,
) -> None:
    """Print all votes of one candle, the readings behind them, and the consensus."""
    moment = _time(at)
    loaded, settings = open_config(config, datadir, timeframe)
    market = load_market(loaded, settings, pair)
    end = int((market.close_time <= moment.timestamp() * 1000).sum())
    if end == 0:
        raise DataError(f"{pair}: no candle had closed at {moment:%Y-%m-%d %H:%M}")
    last = datetime.fromtimestamp(int(market.close_time[-1]) / 1000, tz=UTC)
    if moment.timestamp() * 1000 >= market.close_time[-1] + market.candles.step:
        raise DataError(
            f"{pair}: the candles end at {last:%Y-%m-%d %H:%M}, "
            f"there is none to explain at {moment:%Y-%m-%d %H:%M}"
        )
    market = market.head(end).since(max(0, end - HISTORY))
    models = fitting_models(loaded, settings, loaded["timeframe"], [pair])
    _show(explain(evaluate(market, settings, models), settings, moment, models))
    if settings.advisors.enabled:
        ledger = ledger_of(loaded, settings, readonly=True)
        for line in said(ledger, pair, int(moment.timestamp() * 1000)):
            console.print(f"  {line}", highlight=False, markup=False)


def _show(e: Explanation) -> None:
    arrows = {1: "[green]long[/]", -1: "[red]short[/]", 0: "flat"}
    table = Table(title=f"{e.pair}  candle of {e.opened:%Y-%m-%d %H:%M} UTC, close {e.close:g}")
    for column in ("head", "weight", "vote", "probability", "confidence", "valid", "reason"):
        table.add_column(column)
    table.add_column("readings", overflow="fold", ratio=1)
    for v in e.votes:
        readings = "  ".join(f"{k} {x:.4g}" for k, x in v.readings.items() if math.isfinite(x))
        table.add_row(
            v.head,
            f"{v.weight:.2f}",
            arrows[v.direction] if v.available else "[dim]abstains[/]",
            f"{v.probability:.3f}" if v.available else "",
            f"{v.confidence:.3f}" if v.available else "",
            "yes" if v.valid else "",
            v.reason,
            readings,
        )
    console.print(table)
    console.print(
        f"agreeing {e.agreeing} of {e.available}   probability {e.probability:.3f}   "
        f"confidence {e.confidence:.3f} ({e.band.replace('_', ' ')})   "
        f"confluence {e.confluence:.1f}/100"
    )
    for line in (*e.context, e.exits):
        if line:
            console.print(f"  {line}", highlight=False)
    console.print(f"[bold]{e.verdict}[/]")


@command("verify")
def verify_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    timeframe: TimeframeOption = None,
    pair: PairsOption = None,
    stretch: Annotated[int, typer.Option(help="prefixes to recompute per pair", min=1)] = 200,
    startup: Annotated[int, typer.Option(help="candles a live bot has", min=1)] = 1400,
    columns: Annotated[bool, typer.Option(help="list every column, not groups")] = False,
) -> None:
    """Prove that no column rewrites itself, and print each one's confirmation lag."""
    loaded, settings = open_config(config, datadir, timeframe)
    dirty = 0
    pairs = chosen_pairs(loaded, pair)
    models = fitting_models(loaded, settings, loaded["timeframe"], pairs)
    for name in pairs:
        market = load_market(loaded, settings, name)
        with console.status(f"{name}: recomputing") as status:

            def tell(done: int, total: int, name: str = name, status: Any = status) -> None:
                status.update(f"{name}: recomputing {done} of {total}")

            with rebuilding(loaded, settings, name) as rebuild:
                result = certify(
                    market,
                    settings,
                    models,
                    rebuild=rebuild,
                    stretch=stretch,
                    startup=startup,
                    on_step=tell,
                )
        print_certificate(result, columns=columns, startup=startup, candles=len(market))
        dirty += not result.clean
    if dirty:
        console.print(
            f"[bold red]not clean[/]: {dirty} pair(s) (start-up tolerance {STARTUP_TOLERANCE:g} "
            f"for features and readings, {PLAYBOOK_TOLERANCE:g} for playbooks, 0 for votes and "
            "signals)"
        )
        raise typer.Exit(1)
    console.print("[bold green]clean[/]")


def print_certificate(result: Certificate, *, columns: bool, startup: int, candles: int) -> None:
    """Print what the recomputation of a pair's columns has found, by column or by group."""
    table = Table(
        title=f"{result.pair}: {result.prefixes} prefixes, {result.moments} moments, "
        f"{result.starts} starts of {startup} candles"
    )
    for heading in (
        "columns",
        "count",
        "largest lag",
        "rewritten",
        "read early",
        "start-up difference",
    ):
        table.add_column(heading, justify="left" if heading == "columns" else "right")
    rows = (
        [
            (key, 1, r.lag if r.lag is not None else "", r.rewritten, r.early, r.startup)
            for key, r in result.columns.items()
        ]
        if columns
        else summary(result)
    )
    for group, count, lag, rewritten, early, difference in rows:
        table.add_row(group, str(count), str(lag), str(rewritten), str(early), f"{difference:.1e}")
    console.print(table)
    compared = sum(r.compared for r in result.columns.values())
    console.print(
        f"{result.pair}: {result.rewritten} rewritten of {compared:,} compared values, "
        f"{result.early} read before they were published"
    )
    if not result.starts:
        console.print(f"  [yellow]start-up not tested[/]: {candles} candles, {startup + 1} needed")
    for key, difference in result.unsettled.items():
        console.print(f"  [yellow]{key}[/] still differs by {difference:.1e} after start-up")


@command("votes")
def votes_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    timeframe: TimeframeOption = None,
    pair: PairsOption = None,
    by_pair: Annotated[bool, typer.Option(help="a table per pair and year")] = True,
) -> None:
    """Print each head's valid-vote rate per pair and year: long / short, % of candles."""
    loaded, settings = open_config(config, datadir, timeframe)
    rates: list[Rate] = []
    pairs = chosen_pairs(loaded, pair)
    models = fitting_models(loaded, settings, loaded["timeframe"], pairs)
    for name in track(pairs, description="voting", console=console, transient=True):
        market = load_market(loaded, settings, name)
        found = vote_rates(evaluate(market, settings, models), settings.consensus)
        if not found:
            console.print(
                f"[yellow]{name} is left out[/]: {len(market)} candles, "
                f"{settings.market.min_history} needed"
            )
        rates += found
    if not rates:
        raise DataError(f"{loaded['datadir']}: no pair has enough candles")
    heads = list(dict.fromkeys(rate.head for rate in rates))
    table = Table(title="valid votes, % of candles: long/short (- where the head abstains)")
    table.add_column("pair")
    table.add_column("year")
    for head in heads:
        table.add_column(head, justify="right")
    cells: dict[tuple[str, int], dict[str, Rate]] = {}
    for rate in rates:
        cells.setdefault((rate.pair, rate.year), {})[rate.head] = rate
    if by_pair:
        for (name, year), row in cells.items():
            table.add_row(name, str(year), *(_cell([row[h]]) for h in heads))
        table.add_section()
    table.add_row("all", "", *(_cell([row[h] for row in cells.values()]) for h in heads))
    console.print(table)


def _cell(rates: list[Rate]) -> str:
    if not any(rate.available for rate in rates):
        return "-"
    candles = sum(rate.candles for rate in rates)
    long = sum(rate.long * rate.candles for rate in rates) / candles
    short = sum(rate.short * rate.candles for rate in rates) / candles
    return f"{100 * long:.1f}/{100 * short:.1f}"
