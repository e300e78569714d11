"""Annotations: what FreqUI draws over the candles.

Order blocks are boxes from the candle that made them known to the last on which they were the
nearest fresh one; of dealing ranges only the latest is drawn, with discount and premium shaded.
A trade shows the stop and the rungs it was opened with, and the stop in force where it has moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from freqtrade.ft_types import AnnotationType
from freqtrade.persistence import Trade

from quorum.bot.desk import Desk
from quorum.context.zones import EntryZoneSettings, Zones
from quorum.signals import SignalTable

#: Order blocks drawn per side, the latest: a chart of years would drown in them.
BLOCKS = 40
GREEN, RED = "rgba(39, 174, 96, {})", "rgba(192, 57, 43, {})"
GREY = "rgba(127, 140, 141, 0.8)"


def draw_annotations(
    desk: Desk, trades: Iterable[Trade], pair: str, start: datetime, end: datetime
) -> list[AnnotationType]:
    """Return what to draw over one pair's candles.

    Parameters
    ----------
    desk : Desk
        With the pair's signal table; what the table does not hold is not drawn.
    trades : iterable of Trade
        Trades of the pair; those outside the chart are left out.
    pair : str
    start, end : datetime
        Opening times of the first and the last candle of the chart.

    Returns
    -------
    list of AnnotationType
    """
    drawn: list[AnnotationType] = []
    step = timedelta(milliseconds=desk.step)
    table = desk.tables.get(pair)
    if table is not None:
        first, last = np.searchsorted(table.time, [_ms(start), _ms(end) + 1])
        rows = slice(int(first), int(last))
        drawn += _blocks(table, rows, step)
        drawn += _range(table, rows, step, desk.settings.context_of(Zones))
    for trade in trades:
        closed = trade.close_date_utc if trade.close_date else end + step
        if trade.pair == pair and trade.open_date_utc <= end + step and closed >= start:
            drawn += _trade(desk, trade, max(trade.open_date_utc, start), min(closed, end + step))
    return drawn


def trades_drawn(pair: str) -> list[Trade]:
    """Return the trades of a pair; none in a process without trades, as a web server's."""
    if Trade.use_db and not hasattr(Trade, "session"):
        return []
    return list(Trade.get_trades_proxy(pair=pair))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, tz=UTC)


def _blocks(table: SignalTable, rows: slice, step: timedelta) -> Iterator[AnnotationType]:
    """Yield a box for each of the latest order blocks of either side."""
    time = table.time[rows]
    for side, colour in (("bull", GREEN), ("bear", RED)):
        edges = [table.columns.get(f"{side}_ob_{edge}") for edge in ("top", "bottom")]
        if edges[0] is None or edges[1] is None:
            continue
        top, bottom = edges[0][rows], edges[1][rows]
        # A block that a nearer one hid for a while is still the same block.
        life: dict[tuple[float, float], list[int]] = {}
        for row in np.flatnonzero(np.isfinite(top) & np.isfinite(bottom)):
            life.setdefault((float(top[row]), float(bottom[row])), []).append(int(row))
        for (high, low), seen in list(life.items())[-BLOCKS:]:
            yield {
                "type": "area",
                "label": f"{side}ish order block",
                "color": colour.format(0.18),
                "start": _date(time[seen[0]]),
                "end": _date(time[seen[-1]]) + step,
                "y_start": low,
                "y_end": high,
            }


def _range(
    table: SignalTable, rows: slice, step: timedelta, zones: EntryZoneSettings
) -> Iterator[AnnotationType]:
    """Yield the latest dealing range: discount, premium, and the middle between them."""
    edges = [table.columns.get(f"zone_{edge}_edge") for edge in ("discount", "premium")]
    if edges[0] is None or edges[1] is None or rows.start >= rows.stop:
        return
    discount, premium = edges[0][rows], edges[1][rows]
    share = zones.premium - zones.discount
    # The columns hold the edges of the zones; the range is what they are so much of.
    if not np.isfinite(discount[-1] + premium[-1]) or share <= 0:
        return
    width = float(premium[-1] - discount[-1]) / share
    low = float(discount[-1]) - zones.discount * width
    other = np.flatnonzero((discount != discount[-1]) | (premium != premium[-1]))
    began = 0 if len(other) == 0 else int(other[-1]) + 1
    time = table.time[rows]
    start, end = _date(time[began]), _date(time[-1]) + step
    for label, colour, bottom, top in (
        ("discount", GREEN, low, float(discount[-1])),
        ("premium", RED, float(premium[-1]), low + width),
    ):
        yield {
            "type": "area",
            "label": label,
            "color": colour.format(0.08),
            "start": start,
            "end": end,
            "y_start": bottom,
            "y_end": top,
        }
    yield _line("dealing range, middle", GREY, low + width / 2, start, end, dotted=True)


def _trade(desk: Desk, trade: Trade, start: datetime, end: datetime) -> Iterator[AnnotationType]:
    """Yield the entry, the stop and the ladder of one trade."""
    signal = desk.signal_of(trade)
    if signal is None:
        return
    entry = (
        f"entry: {signal.signal_quality}, confluence {signal.confluence_score:.0f}, "
        f"{signal.reward_amount:.2f} to win at {signal.risk_reward_ratio:.1f} R"
    )
    yield _line(entry, GREY, trade.open_rate, start, end)
    yield _line(f"stop ({signal.stop_kind})", RED.format(0.9), signal.stop_loss, start, end)
    # The host rounds a stop to the exchange's tick.
    if not np.isclose(trade.stop_loss, signal.stop_loss, rtol=1e-4, atol=0.0):
        yield _line("stop, moved", RED.format(0.9), trade.stop_loss, start, end, dotted=True)
    rungs = zip(signal.ladder, signal.ladder_shares, strict=True)
    for number, (price, share) in enumerate(rungs, 1):
        label = f"ladder {number}: {share:.0%}"
        yield _line(label, GREEN.format(0.9), price, start, end, dotted=True)


def _line(
    label: str, colour: str, price: float, start: datetime, end: datetime, *, dotted: bool = False
) -> AnnotationType:
    return {
        "type": "line",
        "label": label,
        "color": colour,
        "start": start,
        "end": end,
        "y_start": price,
        "y_end": price,
        "width": 1,
        "line_style": "dotted" if dotted else "solid",
    }
