"""``quorum advisors``: what the advisors answered, cost, and were worth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from quorum.advisors.fact_store import FactStore
from quorum.advisors.facts import FactReader, Facts
from quorum.advisors.ledger import Ledger
from quorum.advisors.models import SIMULATED
from quorum.advisors.record import ANSWERED
from quorum.advisors.schedule import close_prices
from quorum.advisors.skill import HORIZONS
from quorum.advisors.standing import Agreement, Standing, probe, standings
from quorum.advisors.writer import Clock
from quorum.bot.advice import ledger_of
from quorum.bot.host import load_config, load_files, load_market, read_settings, whitelist
from quorum.cli.advise import make_writer
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.errors import DataError
from quorum.pipeline import evaluate
from quorum.settings import Settings

#: Candles that a probe asks about, spread over the last weeks.
PROBED, PROBE_SPAN = 4, 500


@command("advisors")
def advisors_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    ask_probe: Annotated[
        bool, typer.Option("--probe", help="ask the same mirrored, renamed and undated")
    ] = False,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="with --probe: ask a scripted analyst")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="check every record of the ledger, and end")
    ] = False,
    export: Annotated[
        Path | None, typer.Option("--export", help="write the ledger as JSON lines, and end")
    ] = None,
    take_in: Annotated[
        Path | None, typer.Option("--import", help="add the records of an export, and end")
    ] = None,
) -> None:
    """Show answers, failures, cost and skill of each advisor, and how alike they are.

    Skill is measured on the candles of the data directory, or on those a bot has noted.
    """
    loaded = load_files(config)
    settings = read_settings(loaded, str(loaded.get("timeframe", "1h")))
    ledger = ledger_of(loaded, settings, readonly=take_in is None and not ask_probe)
    if check:
        console.print(f"{ledger.verify()} records, none changed")
    elif export is not None:
        console.print(f"{ledger.export(export)} records in {export}")
    elif take_in is not None:
        console.print(f"{ledger.take_in(take_in)} records added")
    elif ask_probe:
        show_probe(config, datadir, settings, simulated=simulated)
    else:
        closes = _closes(config, datadir, loaded, settings, ledger)
        found, alike = standings(ledger, closes)
        if not found:
            raise DataError(f"{ledger.store}: the ledger of the advisors is empty")
        show_standings(found)
        show_agreement(alike)


def _closes(
    config: list[Path],
    datadir: Path | None,
    loaded: dict[str, Any],
    settings: Settings,
    ledger: Ledger,
) -> dict[str, Any]:
    """Return the prices at which answers are settled."""
    noted: dict[str, Any] = dict(FactStore(ledger.store).closes())
    try:
        local = load_config(config, datadir=datadir)
        markets = [load_market(local, settings, pair) for pair in whitelist(loaded)]
    except DataError:
        if datadir is not None:
            raise
        return noted
    for pair, prices in close_prices(markets).items():
        noted[pair] = {**noted.get(pair, {}), **prices}
    return noted


def show_standings(found: list[Standing]) -> None:
    """Print answers and cost, then skill, then calibration."""
    table = Table("advisor", "answers", "silent", "latency", "tokens", "cost", title="answers")
    for s in found:
        if not s.statuses:
            continue
        silent = ", ".join(f"{n} {why}" for why, n in s.statuses.items() if why != ANSWERED)
        answers = ", ".join(f"{n} {kind}" for kind, n in s.by_kind.items())
        told = (answers or "0", silent or "0", f"{s.latency:.1f} s", f"{s.tokens:,}")
        table.add_row(s.name, *told, f"${s.cost:.2f}")
    console.print(table)
    columns = [
        text for h in HORIZONS for text in (f"right at {h} h", f"by chance {h} h", f"Brier {h} h")
    ]
    table = Table("advisor", *columns, "$ a point", title="skill of live answers (95 % intervals)")
    for s in found:
        if s.measured:
            cells = [cell for h in HORIZONS for cell in _skill(s, h)]
            table.add_row(s.name, *cells, _number(s.cost_of_skill, "{:.2f}"))
    console.print(table)
    table = Table("advisor", "said: came true at 24 h", title="calibration, probability of a rise")
    for s in found:
        if s.curve:
            bins = ", ".join(f"{p:.0%}: {rose:.0%} of {n}" for rose, p, n in s.curve)
            table.add_row(s.name, bins)
    console.print(table)
    if any(SIMULATED in s.name for s in found):
        console.print(f"Model ids that begin with {SIMULATED!r} are simulated: a scripted analyst.")


def _skill(standing: Standing, hours: int) -> tuple[str, str, str]:
    m = standing.measured[hours]
    if not m.settled:
        return "?", "?", "?"
    edge = 1.96 * m.error
    right = f"{m.hits:.0%} ± {edge:.0%} of {m.settled}"
    return right, f"{m.expected:.0%}", f"{m.brier:.3f} (base {m.base:.3f})"


def show_agreement(alike: Agreement) -> None:
    """Print how often two advisors are on the same side, and what they are worth together."""
    if len(alike.names) < 2:
        return
    table = Table("same side", *map(str, range(1, len(alike.names) + 1)), title="agreement")
    for i, name in enumerate(alike.names):
        cells = [_number(float(v), "{:.0%}") for v in alike.same[i]]
        table.add_row(f"{i + 1} {name}", *cells)
    console.print(table)
    console.print(
        f"{len(alike.names)} advisors are worth {alike.effective:.1f} independent ones",
        soft_wrap=True,
    )


def show_probe(
    config: list[Path], datadir: Path | None, settings: Settings, *, simulated: bool
) -> None:
    """Ask about a few candles on disk in three ways, and print how the answers follow."""
    loaded = load_config(config, datadir=datadir)
    facts: list[Facts] = []
    for pair in whitelist(loaded)[:2]:
        reader = FactReader(evaluate(load_market(loaded, settings, pair), settings))
        n = len(reader.market)
        rows = np.linspace(max(n - PROBE_SPAN, 0), n - 1, PROBED).astype(int)
        facts += [reader.at(int(row)) for row in rows if reader.market.tradable[row]]
    if not facts:
        raise DataError(f"{loaded['datadir']}: no candle that can be asked about")
    with make_writer(loaded, settings, Clock(), simulated=simulated) as writer:
        writer.who = "probe"
        found = probe(writer, facts)
    table = Table(
        "advisor", "questions", "turned when mirrored", "stayed when renamed", title="probe"
    )
    for p in found:
        turned, stayed = _number(p.mirrored, "{:.0%}"), _number(p.renamed, "{:.0%}")
        table.add_row(p.name, str(p.asked), turned, stayed)
    console.print(table)
    console.print("An answer that follows the facts turns with them; one from memory does not.")


def _number(value: float, form: str) -> str:
    return "?" if math.isnan(value) else form.format(value)
