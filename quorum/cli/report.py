"""``report``: one page that tells the truth about a run, and a summary in the terminal."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from quorum.bot.host import data_format, load_candles, load_files
from quorum.bot.results import latest_result, load_backtest
from quorum.bot.source import Series
from quorum.candles import Candles, cleaned_candles
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.cli.trades import DEFAULT_USER_DATA, UserDataOption
from quorum.errors import DataError
from quorum.extras import require
from quorum.records import STATE
from quorum.settings import load_settings

if TYPE_CHECKING:
    from quorum.report.page.compose import Page
    from quorum.report.page.inputs import Inputs
    from quorum.report.page.run import PageSettings, Run

MARKS = {
    "yes": "[blue]yes[/]",
    "no": "[red]no[/]",
    "unclear": "unclear",
    "unknown": "[dim]unknown[/]",
}


@command("report")
def report_command(
    result: Annotated[
        Path | None, typer.Argument(help="backtest result file; default: the latest")
    ] = None,
    db: Annotated[
        str | None,
        typer.Option("--db", help="database of a bot (only read), sqlite:///trades.sqlite"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="page; default: beside the result")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="open the page in a browser")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    user_data: UserDataOption = DEFAULT_USER_DATA,
    capital: Annotated[
        float | None, typer.Option(min=0.01, help="of a bot at its beginning [quote units]")
    ] = None,
    tuning: Annotated[
        Path | None, typer.Option(help="folder of the quorum tune run the settings came from")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="no heads on every candle, no simulation")
    ] = False,
) -> None:
    """Write one self-contained page on what a run is worth, and why to trust it or not."""
    require("report", "plotly", "jinja2", "sklearn")
    # Imported here: the page's packages are of use to no other command.
    from quorum.report.page.compose import lay_out, render, write_page
    from quorum.report.page.inputs import Inputs
    from quorum.report.page.run import PageSettings

    settings = PageSettings()
    run, path = _read(result, db, user_data, capital)
    loaded = host_config(config, user_data)
    with console.status("reading candles") as status:
        run, folder = with_candles(run, loaded, datadir, user_data, settings)
        inputs = Inputs()
        if folder is not None and not quick:
            run, inputs = _evaluated(run, loaded, folder, settings, status.update)
        run, inputs = _collected(run, inputs, loaded, tuning, settings)
        status.update("laying out the page")
        page = lay_out(run, inputs, settings)
        target = output or path.with_name(path.name.removesuffix(path.suffix) + ".html")
        write_page(target, render(page, settings))
    _summarise(page)
    console.print(f"page: {target}", soft_wrap=True)
    if show:
        webbrowser.open(target.absolute().as_uri())


def _read(
    result: Path | None, db: str | None, user_data: Path, capital: float | None
) -> tuple[Run, Path]:
    """Read the run, and where a page of it belongs."""
    from quorum.report.page.backtest_file import backtest_run
    from quorum.report.page.database import database_run

    if db is not None:
        if result is not None:
            raise DataError(f"report: give {result} or --db, not both")
        run = database_run(db, capital)
        return run, user_data / "backtest_results" / run.name
    path = result or latest_result(user_data)
    return backtest_run(path, load_backtest(path)), path


def host_config(config: list[Path], user_data: Path) -> dict[str, Any]:
    """Load the configuration; the default one may be missing, formats and folders have defaults."""
    if config == DEFAULT_CONFIG and not config[0].is_file():
        return {"user_data_dir": user_data}
    loaded = load_files(config)
    if user_data != DEFAULT_USER_DATA or not loaded.get("user_data_dir"):
        loaded["user_data_dir"] = user_data
    return loaded


def with_candles(
    run: Run,
    config: Mapping[str, Any],
    datadir: Path | None,
    user_data: Path,
    settings: PageSettings,
) -> tuple[Run, Path | None]:
    """Find the candles of a run: a folder whose candles hold the prices it traded at.

    Raises
    ------
    DataError
        If ``datadir`` is given and its candles are of another market.
    """
    from quorum.report.page.run import entries_inside

    file_format = data_format(dict(config))
    best: tuple[float, Path, dict[str, Candles]] | None = None
    for folder in [datadir] if datadir else _folders(config, user_data):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such data directory")
        candles = dict(read_candles(run, folder, file_format))
        inside, known = entries_inside(run, candles)
        share = inside / known if known else float(bool(candles) and not run.trades)
        if datadir and candles and known and share < settings.fits:
            raise DataError(
                f"{folder}: not the candles of this run: {known - inside} of {known} entries lie "
                "outside the candle they happened in"
            )
        if candles and (best is None or (share, len(candles)) > (best[0], len(best[2]))):
            best = (share, folder, candles)
    if best is None or best[0] < settings.fits:
        note = (
            "No candles of this run were found (give --datadir): open positions are not marked to "
            "the market, drawdowns are of closed trades only, and trades have no chart."
        )
        return run.noting(note), None
    _, folder, candles = best
    return replace(run, candles=candles).noting(*_gaps(run, candles)), folder


def _folders(config: Mapping[str, Any], user_data: Path) -> list[Path]:
    """Return where candles may lie: as configured, then all of the user directory's."""
    named = [Path(config["datadir"])] if config.get("datadir") else []
    data = user_data / "data"
    return [*named, *(sorted(p for p in data.iterdir() if p.is_dir()) if data.is_dir() else [])]


def read_candles(run: Run, folder: Path, file_format: str) -> Iterator[tuple[str, Candles]]:
    """Yield the candles of every pair that has some up to the end of the run."""
    kind = "futures" if run.futures else "spot"
    for pair in run.pairs:
        frame = load_candles(folder, Series(pair, run.timeframe, kind), file_format)
        if not frame.empty:
            candles = cleaned_candles(frame, run.timeframe, name=pair)
            yield pair, candles


def _gaps(run: Run, candles: Mapping[str, Candles]) -> Iterator[str]:
    """Yield what is missing in the candles."""
    absent = [pair for pair in run.pairs if pair not in candles]
    if absent:
        yield (
            f"No candles of {', '.join(absent)} were found: trades there count when they close, "
            "and have no chart."
        )
    for pair, series in candles.items():
        inside = (series.time >= run.first) & (series.time <= run.last)
        wanted = (run.last - run.first) // series.step + 1
        traded = int((series.volume[inside] > 0).sum())
        # A bot has traded past the end of the candles on disk, or some are missing in between.
        if traded < 0.995 * wanted:
            yield (
                f"{wanted - traded:,} of {wanted:,} candles of {pair} are missing or without "
                "volume; the last known price stands in for them."
            )


def _section(run: Run, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``quorum`` section of a run; a database does not tell, the configuration does."""
    return dict(run.section or config.get("quorum") or {})


def _collected(
    run: Run,
    inputs: Inputs,
    config: Mapping[str, Any],
    tuning: Path | None,
    settings: PageSettings,
) -> tuple[Run, Inputs]:
    """Read what training and tuning left on disk."""
    from quorum.report.page.collected import learned, tuning_walk, votes_changed

    store = load_settings(_section(run, config)).learning.store(config["user_data_dir"])
    models, chain = learned(store, run, settings)
    walks = [] if chain is None else [chain]
    trials = None
    if tuning is not None:
        walk, trials = tuning_walk(tuning)
        walks.append(walk)
    changed, known = votes_changed(run)
    if changed:
        named = ", ".join(f"{head} on {count:,}" for head, count in changed.items())
        run = run.noting(
            f"Of {known:,} trades heads vote otherwise today than they did in this run ({named}): "
            "its models, records or candles were others. What is said of heads, random entries and "
            "ablation is of those of today."
        )
    return run, replace(inputs, walks=walks, models=models, trials=trials)


def _without_missing_records(section: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a section without the records files that are gone, and those by kind."""
    own = deepcopy(dict(section))
    market = own.get("market")
    named = market.get("records") if isinstance(market, dict) else None
    named = named if isinstance(named, dict) else {}
    gone = {
        kind: path
        for kind, path in named.items()
        if isinstance(path, str) and path != STATE and not Path(path).is_file()
    }
    for name in gone:
        del named[name]
    return own, gone


def as_it_ran(run: Run, config: Mapping[str, Any], folder: Path) -> tuple[Run, dict[str, Any]]:
    """Return the configuration a run was made with over its candles, and what is missing of it."""
    from quorum.cli.inspect import name_records

    section, gone = _without_missing_records(_section(run, config))
    own = {**config, "quorum": section, "datadir": folder, "timeframe": run.timeframe}
    own["trading_mode"] = "futures" if run.futures else "spot"
    name_records(own)
    for name, path in gone.items():
        instead = own["quorum"]["market"].get(name)
        used = f"{instead} stands in for it" if instead else "what it held is not known"
        run = run.noting(f"{name} of this run, {path}, is not there any more: {used}.")
    return run, own


def _evaluated(
    run: Run,
    config: Mapping[str, Any],
    folder: Path,
    settings: PageSettings,
    tell: Any,
) -> tuple[Run, Inputs]:
    """Evaluate every pair again as the run did, and simulate what it did not do."""
    from quorum.cli.ablation import STARTUP, account_of, load_materials
    from quorum.cli.spans import Span
    from quorum.report.page.inputs import Inputs
    from quorum.report.page.simulated import ablations, against_random
    from quorum.simulation.hybrid_evidence import hybrid_evidence

    run, own = as_it_ran(run, config, folder)
    chosen = load_settings(own["quorum"])
    pairs = [pair for pair in run.pairs if len(run.candles.get(pair, ())) > STARTUP]
    if not pairs:
        note = f"The votes of the heads need {STARTUP:,} candles before the run: not shown."
        return run.noting(note), Inputs()
    tell("evaluating")
    materials = load_materials(own, chosen, pairs, Span(run.first, run.last))
    run = replace(run, tables={m.pair: m.table for m in materials}, settings=chosen)
    if len(run.closed) == 0:
        return run, Inputs()
    account = account_of(own).model_copy(update={"wallet": run.capital})
    tell("entering at random")
    guarded = account.model_copy(update={"guards": True})
    random = against_random(materials, chosen, guarded, run, settings.runs)
    parts = ablations(materials, chosen, account, lambda part: tell(f"leaving out: {part}"))
    made = hybrid_evidence(materials) if chosen.advisors.enabled else []
    return run, Inputs(random=random, ablations=parts, hybrid=made)


def _summarise(page: Page) -> None:
    """Print the verdict: headline, numbers, reasons."""
    console.print(f"[bold]{page.verdict.headline}[/]", highlight=False)
    for sentence in page.verdict.sentences:
        console.print(sentence, highlight=False, soft_wrap=False)
    numbers = Table(box=None, pad_edge=False)
    for i, (heading, _) in enumerate(page.verdict.table.headings):
        numbers.add_column(heading, justify="left" if i == 0 else "right")
    for row in page.verdict.table.cells():
        numbers.add_row(*(cell.text for cell in row))
    console.print(numbers)
    reasons = Table(box=None, pad_edge=False, show_header=False)
    for check in page.verdict.checks:
        reasons.add_row(MARKS[check.verdict], check.question, check.answer)
    console.print(reasons)
    for note in page.run.notes:
        console.print(f"[yellow]note[/] {note}", highlight=False)
