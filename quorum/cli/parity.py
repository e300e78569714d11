"""``quorum parity``: the decisions of a bot against the backtest of the same candles."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any

import pandas as pd
import typer
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from quorum import __version__
from quorum.bot.candle_journal import live_vintage
from quorum.bot.host import load_market
from quorum.bot.models import fitting_models
from quorum.bot.state_store import bot_name, kept_state, state_url
from quorum.cli.app import (
    DEFAULT_CONFIG,
    ConfigOption,
    DatadirOption,
    command,
    console,
)
from quorum.cli.inspect import PairsOption, open_config
from quorum.errors import DataError
from quorum.journal.causes import Replay, utc
from quorum.journal.reading import Journal, Run, journaling_bots, read_journal
from quorum.parity import Difference, PairParity, compare_pair, first_difference
from quorum.pipeline import evaluate
from quorum.settings import Settings, load_settings
from quorum.signals import publish
from quorum.state import Store, shown

#: Candles replayed before the first that is compared: more than anything remembers.
HISTORY = 3000
#: Columns and causes listed of each pair.
LISTED = 12

BotOption = Annotated[
    str | None, typer.Option("--bot", help="bot_name of the journal, if not the configured one")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="first candle, for example 2024-03-01 or ...T12:00")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="moment before which the last candle opened")
]
ToleranceOption = Annotated[
    float,
    typer.Option("--tolerance", min=0.0, max=1.0, help="share by which fractions may differ"),
]
AsRunOption = Annotated[
    bool,
    typer.Option("--as-run", help="replay with the settings the bot had, not the configuration's"),
]


@command("parity")
def parity_command(
    bot: BotOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    pair: PairsOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    tolerance: ToleranceOption = 0.0,
    as_run: AsRunOption = False,
) -> None:
    """Replay what a bot journaled; name the first column that differs, and the likely cause.

    Ends with status 1 where anything differs.
    """
    loaded, settings = open_config(config, datadir, None)
    store, name = _journal(loaded, settings, bot)
    begin = 0 if since is None else _moment("--since", since)
    end = None if until is None else _moment("--until", until)
    wanted = set(pair) if pair else None
    found = read_journal(store, name, since=begin, until=end, pairs=wanted)
    if not found.candles:
        raise DataError(f"{store}: no candle of these pairs and days was journaled")
    parities = list(_compare(found, loaded, settings, tolerance, as_run=as_run))
    _print_runs(f"{store} {name}", found)
    _print_pairs(parities)
    _print_entries(found)
    first = first_difference(parities)
    compared = sum(parity.candles for parity in parities)
    if compared == 0:
        raise DataError(f"{loaded['datadir']}: has none of the {len(found.candles)} candles")
    if first is None:
        console.print(f"[green]no difference[/] in {compared} candles")
        return
    _print_counts(parities)
    _print_first(first)
    raise typer.Exit(1)


def _journal(config: dict[str, Any], settings: Settings, bot: str | None) -> tuple[Store, str]:
    """Return where the journal is and whose it is: the only one there, where none is named."""
    store, named = kept_state(config, settings), bot or bot_name(config)
    bots = [] if store is None else journaling_bots(store)
    if store is None or (bot is not None and bot not in bots) or not bots:
        where = shown(state_url(config, settings) or "sqlite://")
        whose = "" if bot is None else f" of {bot!r}"
        raise DataError(f"{where}: no journal{whose}; a bot in dry-run or live trading writes it")
    if named not in bots and len(bots) > 1:
        raise DataError(f"{store}: no journal of {named!r}; there is {', '.join(bots)}: name --bot")
    return store, named if named in bots else bots[0]


def _moment(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"{option} {text!r}: give a moment like 2024-03-01T12:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def _compare(
    journal: Journal,
    config: dict[str, Any],
    settings: Settings,
    tolerance: float,
    *,
    as_run: bool,
) -> list[PairParity]:
    for run in journal.runs:
        if run.timeframe != config["timeframe"]:
            raise DataError(
                f"timeframe = {config['timeframe']!r}: the bot of {utc(run.at)} ran on "
                f"{run.timeframe}"
            )
    parts = [(settings, journal)]
    if as_run:
        parts = [(load_settings(one.settings), part) for one, part in _by_settings(journal)]
    work = [
        (own, part, pair)
        for own, part in parts
        for pair in sorted({candle.pair for candle in part.candles})
    ]
    return [
        compare_pair(pair, part, _replay(config, own, pair, part), tolerance)
        for own, part, pair in track(work, "replaying", console=console, transient=True)
    ]


def _by_settings(journal: Journal) -> list[tuple[Run, Journal]]:
    """Split a journal into parts with the same settings."""
    parts: dict[str, tuple[Run, Journal]] = {}
    for candle in journal.candles:
        _, part = parts.setdefault(candle.run.digest, (candle.run, Journal()))
        part.candles.append(candle)
    for run, part in parts.values():
        part.entries = [e for e in journal.entries if e.run.digest == run.digest]
        part.faults = [f for f in journal.faults if f.run.digest == run.digest]
    return list(parts.values())


def _replay(config: dict[str, Any], settings: Settings, pair: str, journal: Journal) -> Replay:
    """Compute a pair by the backtest path, from long before its first journaled candle."""
    times = [candle.time for candle in journal.candles if candle.pair == pair]
    market = load_market(config, settings, pair)
    opened = market.candles.time
    market = market.head(int(opened.searchsorted(max(times), side="right")))
    market = market.since(max(0, int(opened.searchsorted(min(times))) - HISTORY))
    models = fitting_models(config, settings, config["timeframe"], [pair])
    result = evaluate(market, settings, models)
    table = models.decide(
        pd.DataFrame(publish(result)),
        market.candles.time,
        tuple(result.votes),
        settings.head_weights(),
        settings.consensus,
    )
    return Replay(market, table, settings, __version__, lambda at: live_vintage(models, at))


def _print_runs(where: str, journal: Journal) -> None:
    times = [candle.time for candle in journal.candles]
    console.print(
        f"{where}: {len(times)} candles from {utc(min(times))} to {utc(max(times))}, "
        f"{len({c.run.id for c in journal.candles})} runs of the bot",
        highlight=False,
    )
    for where in journal.damaged:
        console.print(f"[yellow]{escape(where)} cannot be read and is left out[/]")


def _print_pairs(parities: list[PairParity]) -> None:
    table = Table(title="candles: bot against backtest path")
    for heading in ("pair", "compared", "differ", "entries", "not in the data"):
        table.add_column(heading, justify="left" if heading == "pair" else "right")
    for parity in parities:
        counts = (parity.candles, len(parity.differences), parity.entries, parity.absent)
        table.add_row(parity.pair, *map(str, counts))
    console.print(table)
    absent = sum(parity.absent for parity in parities)
    if absent:
        console.print(f"[yellow]{absent} candles are not compared[/]: download newer data")


def _print_entries(journal: Journal) -> None:
    """Print what became of entries: the account decides too, so this is not compared."""
    answers = Counter(entry.refusal for entry in journal.entries)
    if answers:
        refused = [f"{reason} {n}" for reason, n in answers.most_common() if reason is not None]
        console.print(
            f"entries: {answers.pop(None, 0)} accepted, refused: {', '.join(refused) or 'none'}"
        )


def _print_counts(parities: list[PairParity]) -> None:
    table = Table(title="differences")
    for heading in ("pair", "likely cause", "candles"):
        table.add_column(heading, justify="right" if heading == "candles" else "left")
    columns = Table(title="columns that differ")
    for heading in ("pair", "column", "candles"):
        columns.add_column(heading, justify="right" if heading == "candles" else "left")
    for parity in parities:
        for cause, count in parity.causes().most_common():
            table.add_row(parity.pair, cause.value, str(count))
        counted = parity.columns()
        for name, count in list(counted.items())[:LISTED]:
            columns.add_row(parity.pair, name, str(count))
        if len(counted) > LISTED:
            columns.add_row(parity.pair, f"and {len(counted) - LISTED} more", "")
    console.print(table)
    console.print(columns)


def _print_first(first: Difference) -> None:
    console.print(
        f"[bold red]first difference[/] {first.pair} {utc(first.time)} UTC  "
        f"[bold]{escape(first.column)}[/]: {escape(first.live)} live, "
        f"{escape(first.replayed)} replayed",
        highlight=False,
        soft_wrap=True,
    )
    for number, reason in enumerate(first.reasons):
        label = "likely cause" if number == 0 else "also"
        if reason.usual:
            label = f"{label}, as where candles agree"
        console.print(
            f"  {label}: [bold]{reason.cause.value}[/]: {escape(reason.text)}",
            highlight=False,
            soft_wrap=True,
        )
