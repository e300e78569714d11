"""What the models learned: skill out of sample, calibration, and what they read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from quorum.evidence.bootstrap import Interval
from quorum.evidence.forecasts import Reliability
from quorum.learning.evidence_document import (
    TOTAL,
    Baseline,
    Bin,
    Evidence,
    Figures,
    ModelEvidence,
    Range,
)
from quorum.report.page.blocks import (
    MINUS,
    Block,
    Cell,
    Chart,
    Choice,
    Points,
    Section,
    Table,
    Text,
    counted,
    date,
    number,
    percent,
    span,
    tone_of,
)
from quorum.report.page.figures import points_figure, promise_figure
from quorum.report.page.inputs import Learned
from quorum.typing import Floats

#: Features of a model named at most.
FEATURES = 15
#: AUC of a model that knows nothing.
CHANCE = 0.5
#: What a model of each kind says, for readers who meet its name here first.
SAYS = {
    "regime": "which of eight regimes the market is in",
    "signal": "which of two prices, as far above as below, is reached first",
    "ensemble": "the same as signal, by several models together",
    "meta": "whether a signal of the quorum wins",
}


def models_section(learned: Learned | None) -> Section | None:
    """Show what was measured of a chain of models; None without one."""
    if learned is None:
        return None
    blocks: list[Block] = []
    if learned.evidence is None:
        text = (
            f"Chain {learned.chain} of {counted(learned.vintages, 'vintage')} voted, but nothing "
            "measured of it was saved; `quorum train` does."
        )
        blocks.append(Text(text, "note"))
    else:
        blocks += _chain(learned, learned.evidence)
    return Section("models", "What did the models learn?", blocks)


def _chain(learned: Learned, e: Evidence) -> list[Block]:
    vintages = counted(learned.vintages, "vintage")
    intro = (
        f"Chain {e.chain} of {vintages}, each trained on what was known before it was used, and "
        f"judged on candles it had not seen, {date(e.first)} to {date(e.last)}. What follows:"
    )
    tabs = [(name, _model(model, e, i)) for i, (name, model) in enumerate(e.models.items())]
    follows = tuple(_sentence(text) for text in e.conclusions)
    found: list[Block] = [Text(intro), Points(follows)]
    if e.models:
        found += [_skill(e), Choice("models", tabs)]
    return found


def interval_of(found: Range | None, level: float, neutral: float = 0.0) -> Interval:
    """Return a range as an interval, less what is neutral; NaN where it is not known."""
    if found is None:
        return Interval(math.nan, math.nan, math.nan, level)
    estimate, low, high = (
        math.nan if v is None else v - neutral for v in (found.estimate, found.low, found.high)
    )
    return Interval(estimate, low, high, level)


def _skill(e: Evidence) -> Chart:
    """Draw the AUC above chance of every model, in total and by year."""
    names, rows = [], []
    for name, model in e.models.items():
        years = [period for period in model.periods if period != TOTAL]
        for period in (TOTAL, *years):
            names.append(name if period == TOTAL else f"{name}, {period}")
            rows.append(model.periods[period])
    area = [interval_of(row.auc, e.level, CHANCE) for row in rows]
    made = [interval_of(row.leaning.mean_r if row.leaning else None, e.level) for row in rows]
    panels = [_panel("AUC above 0.5", area), _panel("R a trade", made)]
    sentence = (
        "Left, how much better than chance each model ranks what comes (AUC above 0.5); right, "
        "what a trade after every one of its forecasts, whichever side is likelier, would have "
        "made after costs. Grey intervals include nothing."
    )
    figure = points_figure(panels, names, shared=False)
    return Chart("model-skill", figure, sentence, 70 + 22 * len(names))


def _panel(title: str, found: Sequence[Interval]) -> tuple[str, Floats, Floats, Floats]:
    estimate, low, high = (
        np.array([getattr(i, side) for i in found]) for side in ("estimate", "low", "high")
    )
    return title, estimate, low, high


def _model(model: ModelEvidence, e: Evidence, place: int) -> list[Block]:
    blocks: list[Block] = []
    says = SAYS.get(model.name)
    opening = f"It says {says}. " if says else ""
    spoke = (
        f"{opening}It spoke on {percent(model.covered, 0)} of the candles since its first vintage."
    )
    blocks += [Text(spoke), Points(tuple(_sentence(text) for text in model.findings))]
    if model.periods:
        blocks.append(_periods(model, e))
    if any(f.trades or f.leaning for f in model.periods.values()):
        blocks.append(_made(model, e))
    if model.reliability:
        blocks.append(_reliability(model, place))
    total = model.periods.get(TOTAL)
    if total is not None and total.baselines:
        blocks.append(_baselines(model.name, total, e))
    if model.importance.features:
        blocks.append(_importance(model))
    return blocks


def _sentence(finding: str) -> str:
    """Write a finding as a sentence, with real minus signs."""
    text = re.sub(r"(?<![\w.])-(?=\d)", MINUS, finding)
    return f"{text[:1].upper()}{text[1:]}."


def _periods(model: ModelEvidence, e: Evidence) -> Table:
    """Tabulate a model's forecasts by year and in total."""
    directed = any(f.direction_auc is not None for f in model.periods.values())
    headings = [("", ""), ("rows", ""), ("AUC", ""), ("interval", "")]
    headings += [("up/down", "AUC")] if directed else []
    headings += [("saved", "nats"), ("Brier", ""), ("misses by", "raw"), ("", "calibrated")]
    headings += [(f"≥ {percent(e.threshold, 0)}", "of rows"), ("came true", "")]
    rows: list[Sequence[Cell | str]] = []
    for period, f in model.periods.items():
        auc, gain = interval_of(f.auc, e.level), interval_of(f.gain_on_majority, e.level)
        row: list[Cell | str] = [period, f"{f.rows:,}", _told(auc, 3, CHANCE), span(auc, 3)]
        row += [_told(interval_of(f.direction_auc, e.level), 3, CHANCE)] if directed else []
        row += [_told(gain, 4, sign=True), _plain(f.brier.estimate)]
        row += [_share(f.ece_before), _share(f.ece_after)]
        row += [percent(f.coverage), _share(f.precision.estimate)]
        rows.append(row)
    caption = (
        "Its forecasts by year, on candles it had not seen; grey numbers cannot be told from "
        "chance. Up/down is its AUC where either came; saved is the log loss of the base rates "
        "less its own."
        if directed
        else "Its forecasts by year, on candles it had not seen; grey numbers cannot be told from "
        "chance. Saved is the log loss of the base rates less its own."
    )
    return Table(headings, rows, caption)


def _made(model: ModelEvidence, e: Evidence) -> Table:
    """Tabulate what trades on a model's word would have made."""
    headings = [("", ""), ("sure: trades", ""), ("mean", "R"), ("interval", "R"), ("sum", "R")]
    headings += [("any: trades", ""), ("mean", "R"), ("interval", "R"), ("sum", "R")]
    rows: list[Sequence[Cell | str]] = []
    for period, f in model.periods.items():
        row: list[Cell | str] = [period]
        for trades in (f.trades, f.leaning):
            r = interval_of(trades.mean_r if trades else None, e.level)
            row += [
                f"{trades.count:,}" if trades else "",
                _told(r, 3, sign=True),
                span(r, 2, sign=True),
                number(trades.total_r, 1, sign=True) if trades and trades.count else "",
            ]
        rows.append(row)
    caption = (
        "What trades on its word made after costs, one at a time per pair: where it was sure "
        f"({percent(e.threshold, 0)} or more), and on every forecast, on the likelier side."
    )
    return Table(headings, rows, caption)


def _told(interval: Interval, digits: int, neutral: float = 0.0, *, sign: bool = False) -> Cell:
    return Cell(number(interval.estimate, digits, sign=sign), tone_of(interval, neutral))


def _share(value: float | None) -> str:
    return percent(math.nan if value is None else value)


def _plain(value: float | None) -> str:
    return number(math.nan if value is None else value, 3)


def _curve(bins: Sequence[Bin]) -> Reliability:
    promised, realised, low, high = (
        np.array([getattr(one, name) for one in bins])
        for name in ("promised", "realised", "low", "high")
    )
    count = np.array([one.count for one in bins], dtype=np.int64)
    return Reliability(promised, realised, count, low, high, lower=promised, upper=promised)


def _reliability(model: ModelEvidence, place: int) -> Chart:
    curve = _curve(model.reliability)
    before = _curve(model.reliability_before) if model.reliability_before else None
    inside = int(np.sum((curve.low <= curve.promised) & (curve.promised <= curve.high)))
    sentence = (
        f"{inside} of {len(curve.count)} groups of predictions came true as often as promised, "
        "within their intervals"
    )
    if before is not None:
        off = [float(np.average(np.abs(c.promised - c.realised), weights=c.count))
               for c in (before, curve)]  # fmt: skip
        sentence += (
            f"; on average they miss by {percent(off[1])}, by {percent(off[0])} before calibration"
        )
    figure = promise_figure(curve, "probability", "came true", before)
    return Chart(f"model-{place}", figure, f"{sentence}.", 300)


def _baselines(name: str, total: Figures, e: Evidence) -> Table:
    """Set a model beside forecasters that know nothing."""

    def row(label: str, loss: float | None, brier: float | None, auc: Range) -> list[Cell | str]:
        area = interval_of(auc, e.level)
        return [label, _plain(loss), _plain(brier), number(area.estimate, 3), span(area, 3)]

    rows: list[Sequence[Cell | str]] = [
        row(name, total.log_loss.estimate, total.brier.estimate, total.auc)
    ]
    baselines: Mapping[str, Baseline] = total.baselines
    rows += [row(_BASELINES.get(n, n), b.log_loss, b.brier, b.auc) for n, b in baselines.items()]
    headings = [("", ""), ("log loss", "nats"), ("Brier", ""), ("AUC", ""), ("interval", "")]
    lowest = min(
        (b.log_loss for b in baselines.values() if b.log_loss is not None), default=math.nan
    )
    own = total.log_loss.estimate
    better = own is not None and own < lowest
    caption = (
        f"Beside forecasters without a model it has {'the lowest' if better else 'no lower'} log "
        "loss. Shuffled are its own forecasts held against another time."
    )
    return Table(headings, rows, caption)


_BASELINES = {"majority": "base rates", "momentum": "rates after momentum", "shuffled": "shuffled"}


def _importance(model: ModelEvidence) -> Table:
    found = model.importance
    top = found.features[:FEATURES]
    moved = any(f.shap is not None for f in top)
    share = [(f.shap or 0.0) if moved else f.gain for f in top]
    largest = max(share, default=0.0) or 1.0
    headings = [("feature", "")]
    headings += [("moves predictions", "SHAP")] if moved else []
    headings += [("gained in training", ""), ("among the first", "of vintages")]
    rows: list[Sequence[Cell | str]] = []
    for weight, value in zip(top, share, strict=True):
        row: list[Cell | str] = [weight.name]
        if moved:
            row.append(Cell(percent(value), bar=value / largest))
        row.append(Cell(percent(weight.gain), bar=None if moved else weight.gain / largest))
        rows.append([*row, percent(weight.top, 0)])
    caption = (
        f"{top[0].name} carries most; the {len(top)} features shown carry {percent(sum(share), 0)}."
    )
    if found.rank_correlation is not None:
        steady = "much the same" if found.rank_correlation > 0.6 else "not the same"
        caption += (
            f" From one of {counted(found.vintages, 'vintage')} to the next the weights are "
            f"{steady} (rank correlation {number(found.rank_correlation)})."
        )
    return Table(headings, rows, caption)
