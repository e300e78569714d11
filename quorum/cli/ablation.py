"""``ablation``: what each head, adjuster and guard is worth, and what random entries make."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from quorum.bot.host import is_futures, load_market
from quorum.bot.models import BotModels, fitting_models
from quorum.bot.results import load_backtest
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.cli.inspect import PairsOption, chosen_pairs, open_config
from quorum.cli.spans import Span, read_timerange
from quorum.errors import DataError
from quorum.measured import OutcomePool
from quorum.pipeline import Evaluation, evaluate
from quorum.replay.datadir import DataDirectory
from quorum.replay.symbols import SymbolSettings, symbol_rules
from quorum.settings import Settings
from quorum.signals import publish
from quorum.simulation import (
    Agreement,
    HostTrade,
    Material,
    PortfolioSettings,
    RandomEntries,
    RandomSettings,
    Row,
    Venue,
    ablate,
    books_of,
    compare_runs,
    funding_paid,
    material_of,
    random_entries,
    run_portfolio,
    to_json,
)
from quorum.simulation.ablation import TIERS
from quorum.simulation.agreement import EXITS, MATCHED, MATCHED_WITH_GUARDS

#: Candles of history the strategy starts with.
STARTUP = 1400
#: Loss to the stop that the host adds to the smallest order, beside its reserve of 5 %.
HOST_STOP_RESERVE = 1.05 / (1 - 0.05)


@command("ablation")
def ablation_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    pair: PairsOption = None,
    timerange: Annotated[str | None, typer.Option(help="for example 20230101-20250430")] = None,
    result: Annotated[
        Path | None,
        typer.Option("--result", "-r", help="backtest of the same settings to be held against"),
    ] = None,
    runs: Annotated[int, typer.Option(help="runs of random entries, 0 for none", min=0)] = 1000,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="also write the rows to this file")
    ] = None,
) -> None:
    """Print what the strategy makes without each of its parts, and with entries at random.

    Trades are simulated from one evaluation of every pair. With a backtest result the span is
    the result's, and the simulation is first held against the host's trades; name the
    configuration files it was made with, and its pairs if they were not those of the whitelist.
    """
    loaded, settings = open_config(config, datadir, None)
    span = _result_span(result) if result else read_timerange(timerange)
    pairs = chosen_pairs(loaded, pair)
    materials = load_materials(loaded, settings, pairs, span)
    account = account_of(loaded)
    if result is not None:
        guards = any(getattr(settings.guards, tier).enabled for tier in TIERS)
        _print_agreement(agreement(materials, settings, account, result, guards), guards)
    with console.status("") as status:
        rows = ablate(materials, settings, account, status.update)
    _print_rows(rows)
    if runs:
        books = books_of(materials, settings)
        run = run_portfolio(books, settings, account)
        if run.trades:
            found = random_entries(materials, books, run, RandomSettings(runs=runs))
            _print_random(found)
    if json_file is not None:
        json_file.write_text(to_json(rows), encoding="utf-8")
        console.print(f"rows in {json_file}")


def _result_span(result: Path) -> Span:
    """Read the span of a backtest from the file beside its result."""
    path = result.parent / (result.name.removesuffix(result.suffix) + ".meta.json")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))[load_backtest(result).strategy]
        return Span(1000 * int(meta["backtest_start_ts"]), 1000 * int(meta["backtest_end_ts"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: does not tell the span of the backtest ({error})") from error


def load_materials(
    config: dict[str, Any], settings: Settings, pairs: Sequence[str], span: Span
) -> list[Material]:
    """Evaluate every pair once, with the trained models where there are any.

    Confidence is measured as a backtest over the span measures it: from the signals of all pairs
    within the span and the history before it (spec C12).

    Raises
    ------
    DataError
        If a pair has no candles, or none has enough.
    """
    rules, symbols = DataDirectory(Path(config["datadir"])), SymbolSettings()
    mode = "futures" if is_futures(config) else "spot"
    fee = float(config.get("fee", symbols.fees(mode)[1]))  # type: ignore[arg-type]
    models = fitting_models(config, settings, config["timeframe"], pairs)
    if models.outcomes is not None:
        models.outcomes = OutcomePool()
    materials = []
    with console.status("") as status:
        for name in pairs:
            status.update(f"evaluating {name}")
            market = load_market(config, settings, name)
            known = symbol_rules(rules, name, mode, symbols)  # type: ignore[arg-type]
            venue = Venue(
                fee=fee,
                tick=known.tick_size,
                lot=known.step_size,
                min_order=known.min_notional * HOST_STOP_RESERVE,
                funding=funding_paid(market),
            )
            evaluation = evaluate(market, settings, models)
            _observe(models, evaluation, span)
            material = material_of(
                evaluation,
                settings,
                venue,
                models=models,
                measured=models.outcomes is not None,
                start=span.start,
                end=span.end,
                startup=STARTUP,
            )
            if len(material.candles) > 1:
                materials.append(material)
            else:
                console.print(
                    f"[yellow]{name} is left out[/]: no candles after {STARTUP} of history"
                )
    if not materials:
        raise DataError(f"{config['datadir']}: no pair has candles in this span")
    # Only now the outcomes of every pair are known.
    return [replace(m, table=m.decide()) for m in materials] if models.outcomes else materials


def _observe(models: BotModels, evaluation: Evaluation, span: Span) -> None:
    """Take note of the outcomes that a backtest over the span would see."""
    time = evaluation.market.candles.time
    begin = 0 if span.start is None else int(np.searchsorted(time, span.start))
    end = len(time) if span.end is None else int(np.searchsorted(time, span.end, side="right"))
    rows = slice(max(begin - STARTUP, 0), end)
    columns = {name: values[rows] for name, values in publish(evaluation).items()}
    models.observe(evaluation.market.head(rows.stop).since(rows.start), columns)


def account_of(config: dict[str, Any]) -> PortfolioSettings:
    """Read the account of a configuration."""
    most = config.get("max_open_trades", -1)
    wallet = config.get("dry_run_wallet", 1000)
    if isinstance(wallet, dict):
        wallet = wallet.get(config.get("stake_currency", "USDT"), 1000)
    return PortfolioSettings(
        wallet=float(wallet),
        tradable=float(config.get("tradable_balance_ratio", 0.99)),
        max_open_trades=1000 if most < 0 or math.isinf(most) else int(most),
    )


def agreement(
    materials: Sequence[Material],
    settings: Settings,
    account: PortfolioSettings,
    result: Path,
    guards: bool,
) -> Agreement:
    """Hold the simulation against a backtest of the same settings."""
    purse = account.model_copy(update={"guards": guards})
    run = run_portfolio(books_of(materials, settings), settings, purse)
    host = [
        HostTrade(
            t.pair,
            t.direction,
            int(t.opened.timestamp() * 1000),
            int(t.closed.timestamp() * 1000),
            t.profit,
            t.profit_ratio,
            t.exit_reason,
        )
        for t in load_backtest(result).trades
        if t.closed is not None
    ]
    return compare_runs(run, host, materials[0].candles.step)


def _print_agreement(a: Agreement, guards: bool) -> None:
    table = Table(title=f"simulation beside the backtest, guards {'on' if guards else 'off'}")
    for heading in ("", "trades", "profit"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    table.add_row("backtest", str(a.host), f"{a.host_profit:+.2f}")
    table.add_row("simulation", str(a.simulated), f"{a.simulated_profit:+.2f}")
    console.print(table)
    needed = MATCHED_WITH_GUARDS if guards else MATCHED
    console.print(
        f"{100 * a.share_matched:.1f} % of the backtest's trades found again "
        f"(tolerance {100 * needed:.0f} %), {100 * a.share_exits:.1f} % of these end within one "
        f"candle ({100 * EXITS:.0f} %), {a.same_reason} of {a.matched} for the same reason, "
        f"profits differ by {100 * a.ratio_difference:.4f} % of the position on average"
    )
    if a.agrees(guards=guards):
        console.print("[bold green]agrees[/]")
    else:
        console.print("[bold red]does not agree[/]: is it a backtest of these settings?")


def _print_rows(rows: Sequence[Row]) -> None:
    table = Table(title="what the strategy makes without each part (simulated)")
    for heading in (
        "variant",
        "part",
        "trades",
        "profit",
        "% of wallet",
        "against full",
        "profit factor",
        "win rate",
        "mean R",
        "95 %",
        "drawdown",
    ):
        table.add_column(heading, justify="left" if heading in ("variant", "part") else "right")
    base = rows[0]
    kind = base.kind
    for row in rows:
        if row.kind != kind:
            table.add_section()
            kind = row.kind
        base = row if row.kind in ("full", "guards") else base
        table.add_row(
            row.kind,
            row.name,
            str(row.trades),
            f"{row.profit:+.0f}",
            f"{row.profit_percent:+.2f}",
            "" if row is base else f"{row.profit - base.profit:+.0f}",
            f"{row.profit_factor:.2f}",
            f"{100 * row.win_rate:.1f} %",
            f"{row.mean_r:+.3f}",
            f"{row.mean_r_low:+.3f} .. {row.mean_r_high:+.3f}",
            f"{row.max_drawdown:.2f} %",
        )
    console.print(table)


def _print_random(found: RandomEntries) -> None:
    n = len(found.profit)
    console.print(
        f"random entries: {found.beaten_by} of {n} runs with {found.trades} trades at random times "
        f"and the same exits made more than the run's {found.actual_profit:+.0f} "
        f"(percentile {found.percentile_profit:.0f} by profit, {found.percentile_r:.0f} by R; "
        f"their median {float(sorted(found.profit)[n // 2]):+.0f})"
    )
    if found.left_out:
        console.print(f"  [yellow]{found.left_out} trades[/] had no random counterpart")
