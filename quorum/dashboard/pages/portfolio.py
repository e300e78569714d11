"""Portfolio: equity with floating profit, exposure, allocation, correlation, risk used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from quorum.candles import DAY_MS
from quorum.dashboard.positions import Position, open_positions
from quorum.dashboard.render import sections_page, snapshot_of
from quorum.dashboard.snapshot import Snapshot
from quorum.evidence.performance import drawdown
from quorum.report.page.blocks import (
    Block,
    Cell,
    Lines,
    Section,
    Table,
    Text,
    number,
    percent,
    tone,
)
from quorum.report.page.history import History, account_history
from quorum.report.page.run import Run

N = TypeVar("N", bound=np.generic)

router = APIRouter(tags=["portfolio"])
Now = Annotated[Snapshot, Depends(snapshot_of)]
#: Points of a line at most, and days that correlations are measured on.
POINTS, WINDOW = 1200, 30


class Portfolio(BaseModel):
    """The account now; amounts in the quote currency, shares of the equity."""

    model_config = ConfigDict(frozen=True)

    currency: str
    capital: float
    equity: float
    floating: float
    drawdown: float
    gross_exposure: float
    net_exposure: float
    allocation: dict[str, float]
    positions: tuple[Position, ...]


@router.get("/portfolio", response_class=HTMLResponse, include_in_schema=False)
def portfolio(request: Request, snapshot: Now) -> HTMLResponse:
    """Show the account."""
    run = snapshot.run
    history = account_history(run)
    now = portfolio_of(run, history)
    sections = (
        Section("equity", _headline(now), list(_equity(run, history, now))),
        Section("positions", "Open trades", [positions_table(now.positions)]),
        Section("allocation", "What the capital is in", list(_allocation(now, history))),
        Section("correlation", "How alike the pairs move", [correlation_block(run)]),
        Section("risk", "How much of every limit is used", [limits_block(snapshot)]),
    )
    return sections_page(request, snapshot, "Portfolio", sections)


@router.get("/api/v1/portfolio")
def portfolio_now(snapshot: Now) -> Portfolio:
    """Return the account as it is now."""
    return portfolio_of(snapshot.run, account_history(snapshot.run))


def portfolio_of(run: Run, history: History) -> Portfolio:
    """Return the account at the last candle of a run."""
    positions = tuple(open_positions(run))
    equity = float(history.equity[-1])
    allocation: dict[str, float] = defaultdict(float)
    for position in positions:
        allocation[position.playbook] += position.value / equity
    return Portfolio(
        currency=run.currency,
        capital=run.capital,
        equity=equity,
        floating=sum(position.floating for position in positions),
        drawdown=float(drawdown(np.maximum(history.equity, 0))[-1]),
        gross_exposure=sum(p.value for p in positions) / equity,
        net_exposure=sum(p.value * (1 if p.side == "long" else -1) for p in positions) / equity,
        allocation=dict(allocation),
        positions=positions,
    )


def _headline(now: Portfolio) -> str:
    change = percent(now.equity / now.capital - 1, 2, sign=True)
    return f"{number(now.equity)} {now.currency}, {change}"


def thinned(values: NDArray[N], points: int = POINTS) -> NDArray[N]:
    """Return the last of every few values, at most ``points`` of them, the newest included."""
    step = max(1, -(-len(values) // points))
    return values[::-1][::step][::-1]


def _equity(run: Run, history: History, now: Portfolio) -> Iterator[Block]:
    time = thinned(history.time) // 1000
    equity = np.round(thinned(100 * (history.equity / run.capital - 1)), 4)
    lost = np.round(-100 * drawdown(np.maximum(history.equity, 0)), 4)
    sentence = (
        f"Open positions counted at the last close: {number(now.floating, 2, sign=True)} "
        f"{now.currency} of it is not realised; {percent(now.drawdown, 2)} under the highest."
    )
    yield Lines("equity", sentence, time.tolist(), [("profit", "good", equity.tolist())], " %")
    yield Lines(
        "drawdown", "Drawdown from the highest equity so far.", time.tolist(),
        [("drawdown", "bad", thinned(lost).tolist())], " %", height=160,
    )  # fmt: skip
    if history.marked < 1:
        yield Text(
            f"Only {percent(history.marked, 0)} of the trades could be marked to the market; the "
            "others count when they close.",
            "note",
        )


def positions_table(positions: tuple[Position, ...]) -> Block:
    """Return the open trades as a table."""
    if not positions:
        return Text("Nothing is open.")
    rows: list[list[Cell | str]] = [
        [
            p.pair,
            p.side,
            number(p.value),
            Cell(number(p.floating, 2, sign=True), tone(p.floating)),
            "" if p.r_multiple is None else f"{number(p.r_multiple, 2, sign=True)} R",
            "" if p.stop is None else f"{abs(p.stop / p.price - 1):.2%}",
            f"{p.opened:%m-%d %H:%M}",
        ]
        for p in positions
    ]
    headings = [
        ("pair", ""), ("side", ""), ("value", ""), ("floating", ""), ("", "R"), ("to its stop", ""),
        ("opened", "UTC"),
    ]  # fmt: skip
    return Table(headings, rows, words=frozenset({0, 1}))


def _allocation(now: Portfolio, history: History) -> Iterator[Block]:
    sentence = (
        f"Positions worth {percent(now.gross_exposure)} of the equity are open, "
        f"{percent(now.net_exposure, sign=True)} net."
    )
    rows: list[list[Cell | str]] = [
        [name, Cell(percent(share), "", min(1.0, share))] for name, share in now.allocation.items()
    ]
    if rows:
        yield Table([("playbook", ""), ("of the equity", "")], rows, sentence)
    else:
        yield Text(sentence)
    time = (thinned(history.time) // 1000).tolist()
    long, short = (
        np.round(100 * thinned(side / history.equity), 3).tolist()
        for side in (history.long, history.short)
    )
    yield Lines(
        "exposure", "Value of long and short positions, percent of the equity.", time,
        [("long", "good", long), ("short", "bad", short)], " %", height=200,
    )  # fmt: skip


def correlation_block(run: Run) -> Block:
    """Return the correlation of the pairs' daily returns over the last days."""
    last = run.last // DAY_MS
    days = np.arange(last - WINDOW, last + 1, dtype=np.int64) * DAY_MS
    names, returns = [], []
    for pair, series in run.candles.items():
        row = np.searchsorted(series.close_time, days, side="right") - 1
        if row[0] >= 0 and np.ptp(series.close[row]) > 0:
            names.append(pair)
            returns.append(np.diff(np.log(series.close[row])))
    if len(names) < 2:
        return Text(f"Two pairs with {WINDOW} days of candles are needed.")
    matrix = np.corrcoef(np.array(returns))
    rows: list[list[Cell | str]] = [
        [name, *(Cell(f"{r:.2f}", "weak" if abs(r) < 0.3 else "") for r in matrix[i])]
        for i, name in enumerate(names)
    ]
    mean = float(matrix[np.triu_indices(len(names), 1)].mean())
    worth = len(names) / (1 + (len(names) - 1) * max(mean, 0.0))
    sentence = (
        f"Daily returns of the last {WINDOW} days correlate by {number(mean)} on average: "
        f"{len(names)} pairs spread risk like {number(worth, 1)} independent ones."
    )
    headings = [("", ""), *((name.split("/")[0], "") for name in names)]
    return Table(headings, rows, sentence)


def limits_block(snapshot: Snapshot) -> Block:
    """Return every limit of the guards with what is used of it."""
    stand = snapshot.guards
    if stand.problem or not stand.limits:
        return Text(stand.problem or "No guard is on.")
    rows: list[list[Cell | str]] = []
    for limit in stand.limits:
        if limit.used is None:
            rows.append(
                [limit.name, "", f"{limit.limit:g} {limit.unit}", Cell("not known", "weak")]
            )
            continue
        share = limit.used / limit.limit if limit.limit else 0.0
        tone = "bad" if share >= 0.8 else ""
        bar = max(0.0, min(1.0, share))
        rows.append(
            [
                limit.name,
                f"{limit.used:.2f}",
                f"{limit.limit:g} {limit.unit}",
                Cell(percent(share, 0), tone, -bar if tone else bar),
            ]
        )
    headings = [("limit", ""), ("used", ""), ("of", ""), ("share", "")]
    return Table(headings, rows)
