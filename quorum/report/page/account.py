"""The account over time: equity, drawdown, months, exposure, correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quorum.candles import DAY_MS
from quorum.evidence import performance as perf
from quorum.report.page.blocks import (
    Block,
    Chart,
    Months,
    Section,
    Text,
    date,
    duration,
    number,
    percent,
)
from quorum.report.page.figures import BAD, FOURTH, RUN, equity_figure, lines_figure
from quorum.report.page.measures import Measures
from quorum.report.page.run import Run
from quorum.typing import Floats, Ints

#: Days over which the correlation of pairs is measured.
WINDOW = 30


def account_section(run: Run, m: Measures) -> Section:
    """Show the account over time."""
    blocks: list[Block] = [_equity(run, m), _months(run, m)]
    if m.history.marked < 1.0:
        blocks.insert(
            1,
            Text(
                f"Only {percent(m.history.marked, 0)} of the trades could be marked to the market; "
                "the others count when they close, which hides open losses.",
                "note",
            ),
        )
    blocks += _exposure(m)
    blocks += _correlation(run)
    return Section("account", "How did the account fare?", blocks)


def _equity(run: Run, m: Measures) -> Chart:
    equity = m.history.equity
    fall = perf.deepest_drawdown(np.concatenate([[run.capital], equity]))
    time = np.concatenate([[run.first], m.history.time])
    calm, name = None, ""
    if m.held is not None and m.holding is not None and m.holding.volatility > 0:
        share = m.run.volatility / m.holding.volatility
        daily = np.concatenate([[0.0], 100 * (np.cumprod(1 + share * m.held) - 1)])
        at = np.concatenate([[run.first], m.day + DAY_MS])
        calm = np.interp(m.history.time, at, daily)
        name = f"buy and hold, {percent(share, 1)} of it"
    sentence = (
        f"The deepest fall was {percent(fall.depth, 2)}, from {date(time[fall.peak])} to "
        f"{date(time[fall.trough])}, "
    )
    if fall.depth == 0:
        sentence = "The account never fell"
    elif fall.recovered is None:
        sentence += "and has not been made good"
    else:
        hours = (time[fall.recovered] - time[fall.peak]) / 3_600_000
        sentence += f"made good {duration(hours)} after the peak"
    if calm is not None:
        sentence += "; buying and holding is drawn at the volatility of this run"
    figure = equity_figure(
        m.history.time, 100 * (equity / run.capital - 1),
        100 * perf.drawdown(np.maximum(equity, 0)), calm, name,
    )  # fmt: skip
    return Chart("equity", figure, sentence + ".", 420)


def _months(run: Run, m: Measures) -> Months:
    month, value = perf.monthly_returns(m.day, m.close, run.capital)
    years = []
    for year in range(int(month[0]) // 100, int(month[-1]) // 100 + 1):
        cells = [math.nan] * 12
        for at, part in zip(month, value, strict=True):
            if at // 100 == year:
                cells[int(at) % 100 - 1] = float(part)
        whole = float(np.prod(1 + value[month // 100 == year]) - 1)
        years.append((year, cells, whole))
    good, best, worst = int((value > 0).sum()), int(np.argmax(value)), int(np.argmin(value))
    caption = (
        f"{good} of {len(value)} months ended higher; best {_month(month[best])} with "
        f"{percent(value[best], 2, sign=True)}, worst {_month(month[worst])} with "
        f"{percent(value[worst], 2, sign=True)}."
    )
    return Months(years, float(np.max(np.abs(value), initial=1e-9)), caption)


def _month(code: int) -> str:
    return f"{code // 100}-{code % 100:02d}"


def _exposure(m: Measures) -> list[Block]:
    h = m.history
    if not np.any(h.long + h.short):
        return []
    sentence = (
        f"On average {percent(m.exposure, 2)} of the equity was at work, at most "
        f"{percent(float(h.gross.max()), 1)}; up to {int(h.open.max())} positions were open at "
        f"once, and the account leaned {'long' if h.net.mean() > 0 else 'short'} by "
        f"{percent(abs(float(h.net.mean())), 2)}."
    )
    day, long = h.daily(h.long / h.equity)
    series: Sequence[tuple[str, Floats, str]] = (
        ("long", 100 * long, RUN),
        ("short", -100 * h.daily(h.short / h.equity)[1], BAD),
    )
    figure = lines_figure(day, series, " %", "share of equity", filled=True)
    return [Chart("exposure", figure, sentence, 260)]


def pair_correlation(run: Run) -> tuple[Ints, Floats]:
    """Return the mean correlation of the pairs' daily returns over the days before each day."""
    closes = []
    days = np.arange(run.first // DAY_MS, run.last // DAY_MS, dtype=np.int64)
    ends = (days + 1) * DAY_MS
    for pair in run.pairs:
        series = run.candles.get(pair)
        if series is None or len(series) == 0:
            continue
        row = np.searchsorted(series.close_time, ends, side="right") - 1
        closes.append(np.where(row >= 0, series.close[np.maximum(row, 0)], np.nan))
    if len(closes) < 2 or len(days) <= WINDOW:
        return np.empty(0, np.int64), np.empty(0)
    returns = np.diff(np.log(np.array(closes)), axis=1)
    out = np.full(len(days), np.nan)
    for t in range(WINDOW, len(days)):
        window = returns[:, t - WINDOW : t]
        window = window[np.isfinite(window).all(axis=1) & (np.ptp(window, axis=1) > 0)]
        if len(window) > 1:
            matrix = np.corrcoef(window)
            out[t] = matrix[np.triu_indices(len(matrix), 1)].mean()
    known = np.isfinite(out)
    return days[known] * DAY_MS, out[known]


def _correlation(run: Run) -> list[Block]:
    day, mean = pair_correlation(run)
    if len(day) == 0:
        return []
    n = sum(pair in run.candles for pair in run.pairs)
    typical = float(np.mean(mean))
    independent = n / (1 + (n - 1) * max(typical, 0.0))
    sentence = (
        f"The pairs' daily returns correlate by {number(typical)} on average: {n} pairs spread "
        f"risk like {number(independent, 1)} independent ones."
    )
    series = (("mean correlation", mean, FOURTH),)
    figure = lines_figure(day, series, "", f"over {WINDOW} days")
    figure.update_layout(yaxis={"range": [min(0.0, float(mean.min())), 1.0]})
    return [Chart("correlation", figure, sentence, 220)]
