"""What the models learned: skill out of sample, calibration, and what they read."""

from __future__ import annotations

import math
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
    Block,
    Cell,
    Chart,
    Choice,
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

#: Features of a model named at most.
FEATURES = 15
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
        f"Chain {e.chain} of {vintages}, each trained on what was known before it was used. Judged "
        f"on {date(e.first)} to {date(e.last)}, always on candles that the model had not seen: "
        f"{'; '.join(e.conclusions)}."
    )
    tabs = [(name, _model(model, e, i)) for i, (name, model) in enumerate(e.models.items())]
    found: list[Block] = [Text(intro)]
    if e.models:
        found += [_skill(e), Choice("models", tabs)]
    return found


def _interval(found: Range | None, level: float) -> Interval:
    if found is None:
        return Interval(math.nan, math.nan, math.nan, level)
    estimate, low, high = (
        math.nan if v is None else v for v in (found.estimate, found.low, found.high)
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
    area = [_interval(row.auc, e.level) for row in rows]
    saved = [_interval(row.gain_on_majority, e.level) for row in rows]
    panels = [
        (
            title,
            np.array([i.estimate for i in found]) - chance,
            np.array([i.low for i in found]) - chance,
            np.array([i.high for i in found]) - chance,
        )
        for title, found, chance in (
            ("AUC above 0.5", area, 0.5), ("log loss saved, nats", saved, 0.0)
        )
    ]  # fmt: skip
    sentence = (
        "Left, how much better than chance each model ranks what comes (AUC above 0.5); right, "
        "what its probabilities save against always promising the base rates. Grey intervals "
        "include nothing."
    )
    figure = points_figure(panels, names, shared=False)
    return Chart("model-skill", figure, sentence, 70 + 24 * len(names))


def _model(model: ModelEvidence, e: Evidence, place: int) -> list[Block]:
    blocks: list[Block] = []
    says = SAYS.get(model.name)
    opening = f"It says {says}. " if says else ""
    blocks.append(Text(f"{opening}{_sentences(model.findings)}"))
    if model.periods:
        blocks.append(_periods(model, e))
    if model.reliability:
        blocks.append(_reliability(model, place))
    total = model.periods.get(TOTAL)
    if total is not None and total.baselines:
        blocks.append(_baselines(model.name, total, e))
    if model.importance.features:
        blocks.append(_importance(model))
    return blocks


def _sentences(findings: Sequence[str]) -> str:
    """Write findings one after the other as sentences."""
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in findings)


def _periods(model: ModelEvidence, e: Evidence) -> Table:
    """Tabulate a model's figures by year and in total."""
    directed = any(f.direction_auc is not None for f in model.periods.values())
    traded = any(f.trades is not None for f in model.periods.values())
    headings = [("", ""), ("rows", ""), ("AUC", ""), ("interval", "")]
    headings += [("up/down AUC", "")] if directed else []
    headings += [("log loss", ""), ("saved", "nats"), ("Brier", "")]
    headings += [("calibration error", "before"), ("", "after")]
    headings += [(f"from {percent(e.threshold, 0)}", "of rows"), ("came true", "")]
    headings += [("trades", ""), ("mean", "R"), ("interval", "R")] if traded else []
    rows: list[Sequence[Cell | str]] = []
    for period, f in model.periods.items():
        auc, gain = _interval(f.auc, e.level), _interval(f.gain_on_majority, e.level)
        row: list[Cell | str] = [period, f"{f.rows:,}", _told(auc, 3, 0.5), span(auc, 3)]
        row += [_told(_interval(f.direction_auc, e.level), 3, 0.5)] if directed else []
        row += [_plain(f.log_loss.estimate), _told(gain, 4, sign=True), _plain(f.brier.estimate)]
        row += [_plain(f.ece_before), _plain(f.ece_after), percent(f.coverage)]
        row.append(percent(_interval(f.precision, e.level).estimate))
        if traded:
            r = _interval(f.trades.mean_r if f.trades else None, e.level)
            count = f.trades.count if f.trades else 0
            row += [f"{count:,}", _told(r, 3, sign=True), span(r, 2, sign=True)]
        rows.append(row)
    caption = (
        f"It spoke on {percent(model.covered, 0)} of the candles since its first vintage. Grey "
        "numbers cannot be told from chance."
    )
    return Table(headings, rows, caption)


def _told(interval: Interval, digits: int, neutral: float = 0.0, *, sign: bool = False) -> Cell:
    return Cell(number(interval.estimate, digits, sign=sign), tone_of(interval, neutral))


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
        area = _interval(auc, e.level)
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
