"""Trades: the list, and one trade on its candles with stop, levels, zones and every event."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from quorum.dashboard.events import TradeAlert, trade_alerts
from quorum.dashboard.render import page, snapshot_of, when, words
from quorum.dashboard.snapshot import Snapshot
from quorum.report.page.blocks import number
from quorum.report.page.run import Run
from quorum.report.trades import TradeRecord

router = APIRouter(tags=["trades"])
Now = Annotated[Snapshot, Depends(snapshot_of)]
#: Trades on one page of the list, and candles drawn around a trade.
LISTED = 100
BEFORE, AFTER, LONGEST = 72, 24, 1500


@router.get("/trades", response_class=HTMLResponse, include_in_schema=False)
def trades(
    request: Request, snapshot: Now, before: Annotated[int | None, Query(ge=1)] = None
) -> HTMLResponse:
    """List the trades, newest first."""
    run = snapshot.run
    last = min(len(run.trades), (before or len(run.trades) + 1) - 1)
    first = max(0, last - LISTED)
    rows = [(n + 1, run.trades[n]) for n in range(last - 1, first - 1, -1)]
    return page(request, "trades.html", snapshot, rows=rows, first=first, last=last)


@router.get("/trades/{n}", response_class=HTMLResponse, include_in_schema=False)
def trade(request: Request, snapshot: Now, n: int) -> HTMLResponse:
    """Show one trade."""
    found = _found(snapshot, n)
    signal = found.signal
    votes = [] if signal is None else list(signal.votes.items())
    return page(
        request, "trade.html", snapshot, n=n, trade=found, votes=votes, events=trade_alerts(found),
        chart=trade_chart(snapshot.run, found), facts=_facts(found),
    )  # fmt: skip


@router.get("/pairs/{pair:path}", response_class=HTMLResponse, include_in_schema=False)
def pair(request: Request, snapshot: Now, pair: str) -> HTMLResponse:
    """Show the candles of a pair with its latest decisions and its trades."""
    if pair not in snapshot.run.candles and pair not in snapshot.decisions:
        raise HTTPException(404, "no candles of such a pair are known")
    decisions = list(snapshot.decisions.get(pair, ()))
    return page(
        request, "pair.html", snapshot, pair=pair, decision=decisions[-1] if decisions else None,
        earlier=decisions[:-1][::-1][:40], chart=pair_chart(snapshot.run, pair),
        trades=[(n, t) for n, t in enumerate(snapshot.run.trades, 1) if t.pair == pair][-10:][::-1],
    )  # fmt: skip


def _found(snapshot: Snapshot, n: int) -> TradeRecord:
    if not 1 <= n <= len(snapshot.run.trades):
        raise HTTPException(404, f"there are trades 1 to {len(snapshot.run.trades)}")
    return snapshot.run.trades[n - 1]


def _facts(trade: TradeRecord) -> list[tuple[str, str]]:
    """Return what came of a trade, and what its consensus was."""
    signal, facts = trade.signal, [("opened", f"{when(trade.opened)} UTC")]
    if trade.closed is None:
        facts.append(("closed", "still open"))
    else:
        facts += [("closed", f"{when(trade.closed)} UTC"), ("ended by", words(trade.exit_reason))]
        if trade.r_multiple is not None:
            facts.append(("in units of its risk", f"{number(trade.r_multiple, 2, sign=True)} R"))
    facts.append(("result", number(trade.profit, 2, sign=True)))
    if signal is not None:
        facts.append(
            (
                "consensus",
                f"{signal.agreeing_heads} of {signal.total_heads} heads, confidence "
                f"{number(signal.consensus_confidence)} ({words(signal.confidence_band)})",
            )
        )
    return facts


def trade_chart(run: Run, trade: TradeRecord) -> dict[str, Any]:
    """Return candles around a trade with its marks and lines."""
    end = run.last if trade.closed is None else int(trade.closed.timestamp() * 1000)
    chart = _candles(run, trade.pair, int(trade.opened.timestamp() * 1000), end)
    signal = trade.signal
    lines = [{"price": trade.open_rate, "label": "entry", "tone": "ink"}]
    if signal is not None:
        lines.append({"price": signal.stop_loss, "label": "stop", "tone": "bad"})
        lines += [
            {"price": level, "label": f"level {n}", "tone": "good"}
            for n, level in enumerate(signal.ladder, 1)
        ]
    moved = signal is None or not math.isclose(trade.stop or 0.0, signal.stop_loss, rel_tol=1e-4)
    if trade.stop is not None and moved:
        lines.append({"price": trade.stop, "label": "stop now", "tone": "bad"})
    chart["lines"] = lines
    chart["marks"] = _marks(run, trade)
    return chart


def pair_chart(run: Run, pair: str) -> dict[str, Any]:
    """Return the latest candles of a pair with the fills of its trades."""
    chart = _candles(run, pair, run.last - 500 * 3_600_000, run.last, longest=600)
    chart["lines"] = [
        {"price": price, "label": label, "tone": tone}
        for trade in run.trades if trade.pair == pair and trade.closed is None
        for price, label, tone in (
            (trade.open_rate, "entry", "ink"),
            (trade.stop or 0.0, "stop", "bad"),
        ) if price
    ]  # fmt: skip
    chart["marks"] = [m for trade in run.trades if trade.pair == pair for m in _marks(run, trade)]
    return chart


def _candles(run: Run, pair: str, start: int, end: int, longest: int = LONGEST) -> dict[str, Any]:
    series = run.candles.get(pair)
    if series is None or len(series) == 0:
        return {"candles": []}
    first = max(0, int(np.searchsorted(series.time, start)) - BEFORE)
    last = min(len(series), int(np.searchsorted(series.time, end)) + AFTER)
    first = max(first, last - longest)
    columns = (series.time // 1000, series.open, series.high, series.low, series.close)
    rows = zip(*(column[first:last].tolist() for column in columns), strict=True)
    return {"candles": [list(row) for row in rows]}


def _marks(run: Run, trade: TradeRecord) -> list[dict[str, Any]]:
    """Return a mark per fill, at the candle it happened in."""
    series = run.candles.get(trade.pair)
    step = series.step if series is not None else 3_600_000
    return [
        {
            "time": int(fill.at.timestamp() * 1000) // step * step // 1000,
            "entry": fill.entry,
            "up": (trade.direction > 0) == fill.entry,
            "text": "" if fill.entry else fill.tag.replace("_", " "),
            "price": fill.price,
        }
        for fill in trade.fills
    ]


@router.get("/api/v1/trades")
def listed(
    snapshot: Now,
    pair: str | None = None,
    open: Annotated[bool | None, Query(description="open or closed only")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[TradeRecord]:
    """Return trades with their signals, newest first."""
    found = [
        trade for trade in reversed(snapshot.run.trades)
        if (pair is None or trade.pair == pair)
        and (open is None or open == (trade.closed is None))
    ]  # fmt: skip
    return found[:limit]


@router.get("/api/v1/trades/{n}/alerts")
def alerts(snapshot: Now, n: int) -> list[TradeAlert]:
    """Return every filled order of one trade, as the stream told it."""
    return trade_alerts(_found(snapshot, n))
