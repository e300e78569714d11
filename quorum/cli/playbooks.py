"""``quorum playbooks``: what each playbook earned in a run, beside what research measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from quorum.bot.results import latest_result, load_backtest
from quorum.candles import Candles, candles_from_frame
from quorum.cli.app import DatadirOption, command, console
from quorum.cli.run import RECORDED
from quorum.cli.trades import DEFAULT_USER_DATA, ResultOption, UserDataOption
from quorum.errors import DataError
from quorum.evidence.performance import performance, profit_factor, win_rate
from quorum.replay.datadir import DataDirectory
from quorum.report.page.backtest_file import backtest_run
from quorum.report.page.run import Run
from quorum.report.peers import crossed, held
from quorum.report.sleeves import TOGETHER, RoundTrip, Sleeve, round_trips, sleeves
from quorum.report.washout_fills import WASHOUT, filled_through, taken_late
from quorum.typing import Floats

#: Sharpe ratio, growth a year and drawdown that research measured with washout at full size on 19
#: perpetuals: 2020-06 to 2022-12, 2023-01 to 2025-04 (docs/rules.md, T-2, W-3).
RESEARCH: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "trend": ((1.85, 0.106, 0.058), (1.24, 0.069, 0.047)),
    "washout": ((2.85, 0.157, 0.023), (2.65, 0.172, 0.020)),
    TOGETHER: ((3.53, 0.280, 0.048), (3.23, 0.253, 0.053)),
}
#: How far price must go through a bid for an unlucky fill, the middle one of those measured.
THROUGH = 0.005
HEADINGS = (
    "", "lots", "won", "profit factor", "hours", "Sharpe", "a year", "drawdown", "held", "profit"
)  # fmt: skip


@command("playbooks")
def playbooks_command(
    result: ResultOption = None,
    user_data: UserDataOption = DEFAULT_USER_DATA,
    datadir: DatadirOption = None,
    fine: Annotated[
        str, typer.Option(help="short candles that late fills of bids are read from")
    ] = "5m",
) -> None:
    """Print what each playbook earned, by year, under three kinds of fills, and what peers did."""
    path = result or latest_result(user_data)
    run = backtest_run(path, load_backtest(path))
    data = DataDirectory(datadir or RECORDED)
    candles = _candles(data, run, "1h")
    trips = [trip for trade in run.trades for trip in round_trips(trade)]
    parts = sleeves(trips, candles, run.first, run.last, run.capital)
    console.print(f"{run.name}: {len(run.pairs)} pairs, {len(run.trades)} trades of the host")
    console.print(playbook_table(parts))
    console.print(year_table(parts))
    console.print(fills_table(trips, candles, _candles(data, run, fine, needed=False), run))
    day = parts[TOGETHER].day
    console.print(peer_table({"held": held(candles, day), "EMA cross": crossed(candles, day)}))
    console.print(research_table())


def _candles(
    data: DataDirectory, run: Run, timeframe: str, *, needed: bool = True
) -> dict[str, Candles]:
    """Return the candles of every pair of a run.

    Raises
    ------
    DataError
        If a pair with trades has none and they are ``needed``.
    """
    found = {}
    for pair in run.pairs:
        series = data.find(pair, timeframe, "futures" if run.futures else "spot")
        if series is not None:
            found[pair] = candles_from_frame(series.read(), timeframe)
    missing = {trade.pair for trade in run.trades} - found.keys()
    if needed and missing:
        raise DataError(
            f"{data.path}: no {timeframe} candles of {', '.join(sorted(missing))}; give the folder "
            "of the backtest as --datadir"
        )
    return found


def _table(title: str, headings: Sequence[str], caption: str = "") -> Table:
    table = Table(title=title, caption=caption, caption_justify="left", title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def _figures(returns: Floats) -> tuple[str, str, str]:
    p = performance(returns)
    return f"{p.sharpe:.2f}", f"{p.cagr:+.1%}", f"{p.max_drawdown:.1%}"


def _row(sleeve: Sleeve) -> tuple[str, ...]:
    profits = np.array([trip.profit for trip in sleeve.trips])
    hours = np.mean([trip.hours for trip in sleeve.trips]) if sleeve.trips else 0.0
    return (
        f"{len(profits):,}",
        f"{float(win_rate(profits)):.0%}",
        f"{float(profit_factor(profits)):.2f}",
        f"{hours:,.0f}",
        *_figures(sleeve.returns),
        f"{sleeve.exposure.mean():.1%}",
        f"{profits.sum():+,.0f}",
    )


def playbook_table(parts: Mapping[str, Sleeve]) -> Table:
    """Return one row per playbook."""
    caption = (
        "lots from the first unit to the last; days of the whole account's equity, 365 a year; "
        "trend wins seldom: a few long trends pay for many short ones"
    )
    table = _table("what each playbook earned", HEADINGS, caption)
    for name, sleeve in parts.items():
        table.add_row(name, *_row(sleeve))
    return table


def year_table(parts: Mapping[str, Sleeve]) -> Table:
    """Return the growth and the Sharpe ratio of every playbook by year."""
    day = parts[TOGETHER].day.astype("datetime64[ms]").astype("datetime64[Y]")
    years = np.unique(day)
    table = _table("by year: growth, Sharpe", ("", *map(str, years)))
    for name, sleeve in parts.items():
        cells = []
        for year in years:
            p = performance(sleeve.returns[day == year])
            cells.append(f"{p.total:+.1%} {p.sharpe:.1f}")
        table.add_row(name, *cells)
    return table


def fills_table(
    trips: Sequence[RoundTrip],
    candles: Mapping[str, Candles],
    fine: Mapping[str, Candles],
    run: Run,
) -> Table:
    """Return the run once more with bids filled at the touch, unluckily, and late."""
    cases = {
        "at the touch": trips,
        f"only {THROUGH:.1%} through": filled_through(trips, candles, THROUGH),
    }
    late = taken_late(trips, fine)
    moved = sum(a is not b for a, b in zip(late, trips, strict=True))
    if moved:
        cases[f"{moved} late, at the first short close under the bid"] = late
    headings = ("bids filled", "fills", "won", "Sharpe", "a year", "drawdown", "together", "a year")
    table = _table("washout under three kinds of fills", headings)
    for name, case in cases.items():
        parts = sleeves(case, candles, run.first, run.last, run.capital)
        if WASHOUT not in parts:
            continue
        own = parts[WASHOUT]
        won = float(win_rate(np.array([trip.profit for trip in own.trips])))
        both = _figures(parts[TOGETHER].returns)
        table.add_row(name, f"{len(own.trips)}", f"{won:.0%}", *_figures(own.returns), *both[:2])
    return table


def peer_table(peers: Mapping[str, Floats]) -> Table:
    """Return what the same candles give without playbooks."""
    table = _table("the same pairs, equal parts", ("", "Sharpe", "a year", "drawdown"))
    for name, returns in peers.items():
        table.add_row(name, *_figures(returns))
    return table


def research_table() -> Table:
    """Return what research measured, to hold the figures above against."""
    headings = ("research", "Sharpe", "a year", "drawdown", "Sharpe", "a year", "drawdown")
    table = _table("19 pairs, washout at full size: 2020-06..2022-12, 2023-01..2025-04", headings)
    for name, spans in RESEARCH.items():
        cells = [f"{s:.2f} {g:.1%} {d:.1%}".split() for s, g, d in spans]
        table.add_row(name, *cells[0], *cells[1])
    return table
