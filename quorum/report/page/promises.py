"""Promises against what came: of the meta-model, and stated beside measured (spec C12)."""

from __future__ import annotations

import numpy as np

from quorum.evidence.forecasts import (
    auc,
    brier,
    brier_skill,
    calibration_error,
    reliability,
    win_interval,
)
from quorum.report.page.blocks import (
    Block,
    Cell,
    Chart,
    Table,
    Text,
    counted,
    number,
    percent,
    span,
    tone,
    tone_of,
)
from quorum.report.page.figures import promise_figure
from quorum.report.page.ledger import Ledger, grouped
from quorum.report.page.outcomes import DECILES, outcome
from quorum.report.page.run import PageSettings
from quorum.typing import Bools, Floats, Ints


def promises_kept(ledger: Ledger, settings: PageSettings) -> list[Block]:
    """Show whether a meta-model's promises were kept; empty where it made none."""
    rows = np.flatnonzero(ledger.modelled)
    if len(rows) == 0:
        return []
    blocks: list[Block] = [Text(_summary(ledger, rows, settings))]
    if len(rows) >= DECILES:
        blocks += [_chart(ledger, rows, settings), _deciles(ledger, rows, settings)]
    return blocks


def stated_and_measured(ledger: Ledger, settings: PageSettings) -> list[Block]:
    """Show, by stated band, what was stated and what earlier signals had done; empty without."""
    stated = np.array(
        [t.signal.consensus_confidence if t.signal else np.nan for t in ledger.trades]
    )
    rate, expected = (
        np.array([np.nan if t.signal is None else getattr(t.signal, name) or np.nan
                  for t in ledger.trades])
        for name in ("measured_win_rate", "measured_r")
    )  # fmt: skip
    known = np.flatnonzero(np.isfinite(rate) & np.isfinite(stated))
    if len(known) == 0:
        return []
    rows: list[list[Cell | str]] = []
    for name, chosen in grouped(ledger, "stated band"):
        own = np.intersect1d(chosen, known)
        if len(own) == 0:
            continue
        won = win_interval(int(ledger.won[own].sum()), len(own), settings.level)
        r = outcome(ledger.multiple[own], settings)
        promised = float(rate[own].mean())
        held = won.holds(promised)
        rows.append(
            [
                name,
                f"{len(own):,}",
                number(float(stated[own].mean()), 3),
                percent(promised),
                Cell(percent(won.estimate), "" if held else tone(won.estimate, promised)),
                span(won, 1, share=True),
                number(float(expected[own].mean()), 3, sign=True),
                Cell(number(r.estimate, 3, sign=True), tone_of(r)),
                span(r, 2, sign=True),
            ]
        )
    headings = [
        ("stated band", ""), ("trades", ""), ("stated", ""), ("measured", ""), ("won", ""),
        ("interval", ""), ("measured", "R"), ("came", "R"), ("interval", "R"),
    ]  # fmt: skip
    winners = ledger.won[known]
    caption = (
        "What the heads stated beside what earlier signals like it had done, and what came. "
        f"Area under the curve of the stated confidence {_area(stated[known], winners, settings)}, "
        f"of the measured rate {_area(rate[known], winners, settings)}; 0.5 is a coin's."
    )
    return [Table(headings, rows, caption)]


def _area(scores: Floats, won: Bools, settings: PageSettings) -> str:
    found = auc(scores, won, settings.level)
    return f"{number(found.estimate, 3)} ({span(found, 3)})"


def _summary(ledger: Ledger, rows: Ints, settings: PageSettings) -> str:
    promised, won = ledger.promised[rows], ledger.won[rows]
    rate = win_interval(int(won.sum()), len(rows), settings.level)
    mean = float(promised.mean())
    kept = "the promise lies inside" if rate.holds(mean) else (
        "the promise was too high" if mean > rate.high else "the promise was too low"
    )  # fmt: skip
    r = outcome(ledger.multiple[rows], settings)
    expected = float(ledger.expected[rows].mean())
    text = (
        f"On {counted(len(rows), 'trade')} the meta-model promised {percent(mean)} wins and "
        f"{percent(rate.estimate)} won ({span(rate, 1, share=True)}): {kept}. It expected "
        f"{number(expected, 3, sign=True)} R a trade after costs; "
        f"{number(r.estimate, 3, sign=True)} R came ({span(r, 2, sign=True)})."
    )
    found = auc(promised, won, settings.level)
    if not np.isnan(found.low):
        says = (
            "cannot be told from a coin's"
            if found.holds(0.5)
            else f"is {'better' if found.estimate > 0.5 else 'worse'} than a coin's"
        )
        text += (
            f" Its ranking of trades {says}: area under the curve {number(found.estimate, 3)} "
            f"({span(found, 3)})."
        )
    skill = brier_skill(promised, won)
    if not np.isnan(skill):
        text += (
            f" Brier score {number(brier(promised, won), 3)}, "
            f"{'better' if skill > 0 else 'worse'} than always promising the realised rate; on "
            f"average it misses by {percent(calibration_error(promised, won))}."
        )
    return text


def _chart(ledger: Ledger, rows: Ints, settings: PageSettings) -> Chart:
    curve = reliability(ledger.promised[rows], ledger.won[rows], DECILES, settings.level)
    inside = int(np.sum((curve.low <= curve.promised) & (curve.promised <= curve.high)))
    sentence = (
        f"Promises of the meta-model against what was won, by groups of similar promises: {inside} "
        f"of {len(curve.count)} groups lie on the dotted line within their interval."
    )
    return Chart("promises", promise_figure(curve, "promised by the meta-model"), sentence)


def _deciles(ledger: Ledger, rows: Ints, settings: PageSettings) -> Table:
    curve = reliability(ledger.promised[rows], ledger.won[rows], DECILES, settings.level)
    table: list[list[Cell | str]] = []
    for lower, upper, count in zip(curve.lower, curve.upper, curve.count, strict=True):
        chosen = rows[(ledger.promised[rows] >= lower) & (ledger.promised[rows] <= upper)]
        promised = float(ledger.promised[chosen].mean())
        won = win_interval(int(ledger.won[chosen].sum()), len(chosen), settings.level)
        r = outcome(ledger.multiple[chosen], settings)
        held = won.holds(promised)
        table.append(
            [
                f"{percent(lower)} to {percent(upper)}",
                f"{count:,}",
                percent(promised),
                Cell(percent(won.estimate), "" if held else tone(won.estimate, promised)),
                span(won, 1, share=True),
                number(float(ledger.expected[chosen].mean()), 3, sign=True),
                Cell(number(r.estimate, 3, sign=True), tone_of(r)),
                span(r, 2, sign=True),
            ]
        )
    headings = [
        ("promise", ""), ("trades", ""), ("promised", ""), ("won", ""), ("interval", ""),
        ("expected", "R"), ("came", "R"), ("interval", "R"),
    ]  # fmt: skip
    caption = (
        "The same groups, from the least promising to the most; coloured where the interval does "
        "not hold the promise."
    )
    return Table(headings, table, caption)
