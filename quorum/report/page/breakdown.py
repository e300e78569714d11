"""Where profit and loss came from: groups of trades, what they went through, what was refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quorum.evidence import performance as perf
from quorum.evidence.forecasts import win_interval
from quorum.report.page.blocks import (
    Block,
    Cell,
    Chart,
    Choice,
    Section,
    Table,
    Text,
    counted,
    duration,
    number,
    percent,
    span,
    tone,
    tone_of,
)
from quorum.report.page.figures import histogram_figure, scatter_figure
from quorum.report.page.ledger import Ledger, grouped, plain
from quorum.report.page.measures import Measures
from quorum.report.page.outcomes import outcome
from quorum.report.page.run import PageSettings, Run
from quorum.typing import Ints

#: Groupings offered, with what a reader calls them.
CHOICES = (
    ("pair", "pair"),
    ("side", "side"),
    ("regime", "regime"),
    ("band", "band"),
    ("quality", "quality"),
    ("entry", "entry reason"),
    ("exit", "exit reason"),
    ("stop", "stop"),
    ("hour", "hour (UTC)"),
    ("weekday", "weekday"),
    ("year", "year"),
)
#: Drawn are favourable moves up to here; further ones lie on the edge [R].
FURTHEST = 6.0


def breakdown_section(run: Run, m: Measures, settings: PageSettings) -> Section:
    """Show where profit and loss came from."""
    blocks: list[Block] = []
    if len(m.ledger):
        options = []
        for by, label in CHOICES:
            table = _groups(m.ledger, by, label, settings)
            if table is not None:
                options.append((label, (table,)))
        blocks.append(Choice("groups", options))
    blocks += _multiples(m.ledger)
    blocks += _moves(m.ledger)
    blocks.append(_refusals(run))
    return Section("sources", "Where did profit and loss come from?", blocks)


def _groups(ledger: Ledger, by: str, label: str, settings: PageSettings) -> Table | None:
    groups = grouped(ledger, by)
    if len(groups) < 2 and by not in ("pair", "exit"):
        return None
    profits = [float(ledger.profit[rows].sum()) for _, rows in groups]
    largest = max(abs(p) for p in profits) or 1.0
    rows_: list[Sequence[Cell | str]] = [
        _group(ledger, name, rows, profit / largest, settings)
        for (name, rows), profit in zip(groups, profits, strict=True)
    ]
    headings = [
        (label, ""), ("trades", ""), ("won", ""), ("interval", ""), ("mean", "R"),
        ("interval", "R"), ("profit factor", ""), ("held, median", ""), ("profit", ""),
    ]  # fmt: skip
    order = np.argsort(profits)
    best, worst = groups[order[-1]][0], groups[order[0]][0]
    clear = sum(
        not outcome(ledger.multiple[rows], settings).holds(0.0)
        for _, rows in groups
        if len(rows) > 1
    )
    caption = (
        f"Most came from {best} ({number(max(profits), sign=True)}), least from {worst} "
        f"({number(min(profits), sign=True)}); the mean of {clear} of {len(groups)} groups differs "
        f"from zero by more than luck explains"
        + (
            f", and of {len(groups)} worthless ones {number(0.05 * len(groups), 1)} would."
            if len(groups) > 2
            else "."
        )
    )
    return Table(headings, rows_, caption)


def _group(
    ledger: Ledger, name: str, rows: Ints, bar: float, settings: PageSettings
) -> list[Cell | str]:
    won = win_interval(int(ledger.won[rows].sum()), len(rows), settings.level)
    r = outcome(ledger.multiple[rows], settings)
    profit = float(ledger.profit[rows].sum())
    return [
        name,
        f"{len(rows):,}",
        percent(won.estimate, 0),
        span(won, 0, share=True),
        Cell(number(r.estimate, 2, sign=True), tone_of(r)),
        span(r, 2, sign=True),
        number(float(perf.profit_factor(ledger.profit[rows]))),
        duration(float(np.median(ledger.hours[rows]))),
        Cell(number(profit, sign=True), tone(profit), bar=bar),
    ]


def _multiples(ledger: Ledger) -> list[Block]:
    known = ledger.multiple[np.isfinite(ledger.multiple)]
    if len(known) < 2:
        return []
    low, high = (float(q) for q in np.quantile(known, (0.002, 0.998)))
    width = 0.25
    low, high = np.floor(max(low, -4) / width) * width, np.ceil(min(high, 8) / width) * width
    edges = np.arange(low, max(high, low + width) + width / 2, width)
    counts = np.histogram(np.clip(known, edges[0], edges[-1]), edges)[0]
    total = float(np.sort(known)[-max(1, len(known) // 10) :].sum())
    mean, median = float(known.mean()), float(np.median(known))
    sentence = (
        f"The median trade made {number(median, 2, sign=True)} R, the mean "
        f"{number(mean, 3, sign=True)} R; the best tenth of the trades made "
        f"{number(total, 1, sign=True)} R together, all others "
        f"{number(float(known.sum()) - total, 1, sign=True)} R."
    )
    figure = histogram_figure(
        edges, counts, [(mean, f"mean {number(mean, 2, sign=True)}")], "result [R]", "trades"
    )
    return [Chart("multiples", figure, sentence)]


def _moves(ledger: Ledger) -> list[Block]:
    known = np.isfinite(ledger.adverse) & np.isfinite(ledger.favourable)
    if known.sum() < 2:
        return []
    adverse, favourable, won = ledger.adverse, ledger.favourable, ledger.won
    lost = known & ~won
    ahead = float(np.mean(favourable[lost] >= 1.0)) if lost.any() else float("nan")
    deep = float(np.mean(adverse[known & won] >= 0.5)) if (known & won).any() else float("nan")
    sentence = (
        f"{percent(ahead, 0)} of the losers had been ahead by their risk or more; "
        f"{percent(deep, 0)} of the winners had gone half way to the stop first."
    )
    figure = scatter_figure(
        np.where(known, adverse, np.nan), np.where(known, favourable, np.nan), won,
        min(FURTHEST, float(np.nanmax(favourable)) + 0.3),
    )  # fmt: skip
    return [Chart("moves", figure, sentence, 380)]


def _refusals(run: Run) -> Block:
    if run.refused is None:
        where = "of a bot" if run.kind != "backtest" else "without a journal"
        return Text(f"What was refused is not known {where}.", "note")
    refused = sum(run.refused.values())
    if refused == 0:
        return Text("No entry was refused.")
    asked = refused + len(run.trades)
    largest = max(run.refused.values())
    rows: list[Sequence[Cell | str]] = [
        [plain(code), Cell(f"{count:,}", bar=count / largest), percent(count / asked)]
        for code, count in sorted(run.refused.items(), key=lambda item: -item[1])
    ]
    first = max(run.refused, key=lambda code: run.refused[code] if run.refused else 0)
    caption = (
        f"Of {counted(asked, 'entry')} asked for ".replace("entrys", "entries")
        + f"{percent(refused / asked, 0)} were refused, most of them for {plain(first)}."
    )
    return Table([("refused for", ""), ("entries", ""), ("of those asked for", "")], rows, caption)
