"""Does confidence mean anything? Promised against realised, by band and by decile."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quorum.evidence.bootstrap import Interval
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
    Section,
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
from quorum.report.page.measures import Measures
from quorum.report.page.outcomes import DECILES, outcome
from quorum.report.page.promises import promises_kept, stated_and_measured
from quorum.report.page.run import PageSettings
from quorum.signals import BAND_RULE, MEASURED, META_MODEL
from quorum.typing import Floats, Ints

#: Who promises win rates, and what a reader calls them.
PROMISERS = {
    META_MODEL: "the meta-model",
    MEASURED: "what earlier signals did",
    BAND_RULE: "the rule of the band",
}
BANDS = ("very high", "high", "medium", "insufficient")


def confidence_section(m: Measures, settings: PageSettings) -> Section:
    """Show whether bands and confidence tell winners from losers."""
    known = np.flatnonzero(np.isfinite(m.ledger.confidence))
    blocks: list[Block] = []
    if len(known) == 0:
        blocks.append(Text("No signals are stored with the trades of this run.", "note"))
    else:
        blocks.append(Text(_summary(m.ledger, known, settings)))
        blocks.append(_bands(m.ledger, settings))
        blocks += stated_and_measured(m.ledger, settings)
        blocks += promises_kept(m.ledger, settings)
        blocks.append(_reliability(m.ledger, known, settings))
        blocks.append(_deciles(m.ledger, known, settings))
    return Section("confidence", "Does confidence mean anything?", blocks)


def _summary(ledger: Ledger, known: Ints, settings: PageSettings) -> str:
    promised, won = ledger.promised[known], ledger.won[known]
    found = auc(ledger.confidence[known], won, settings.level)
    skill = brier_skill(promised, won)
    says = "cannot be told from a coin's" if found.holds(0.5) else (
        "is better than a coin's" if found.estimate > 0.5 else "is worse than a coin's"
    )  # fmt: skip
    text = (
        f"Ranking trades by confidence {says}: area under the curve {number(found.estimate, 3)} "
        f"({span(found, 3)}). {_promiser(ledger, known)} The promised win rates "
        f"have a Brier score of {number(brier(promised, won), 3)} and miss the realised ones by "
        f"{percent(calibration_error(promised, won))} on average"
    )
    if not math.isnan(skill):
        better = "better" if skill > 0 else "worse"
        text += (
            f"; always promising the realised rate would score "
            f"{number(float(np.var(won)), 3)}, so they are {better} than no opinion"
        )
    return text + "."


def _promiser(ledger: Ledger, known: Ints) -> str:
    """Say who promised the win rates."""
    counts = {who: int(ledger.promised_by(who)[known].sum()) for who in PROMISERS}
    spoke = [who for who, count in counts.items() if count]
    if spoke == [BAND_RULE]:
        return "Win rates are promised by the rule of the band; no meta-model spoke."
    if len(spoke) == 1:
        return f"Win rates are promised by {PROMISERS[spoke[0]]}."
    told = [f"by {PROMISERS[who]} for {counted(counts[who], 'trade')}" for who in spoke[:-1]]
    last = f"by {PROMISERS[spoke[-1]]} for the other {counts[spoke[-1]]:,}"
    return f"Win rates are promised {', '.join(told)}, and {last}."


def needed_rate(multiple: Floats) -> float:
    """Return the win rate at which trades of these sizes break even."""
    won, lost = multiple[multiple > 0], multiple[multiple < 0]
    if len(won) == 0 or len(lost) == 0:
        return math.nan
    return float(-lost.mean() / (won.mean() - lost.mean()))


def _bands(ledger: Ledger, settings: PageSettings) -> Table:
    found = dict(grouped(ledger, "band"))
    rows: list[Sequence[Cell | str]] = []
    for name in BANDS:
        if name not in found:
            continue
        chosen = found[name]
        won = win_interval(int(ledger.won[chosen].sum()), len(chosen), settings.level)
        promised = float(np.mean(ledger.promised[chosen]))
        r = outcome(ledger.multiple[chosen], settings)
        risk = float(np.nansum(ledger.risk[chosen]))
        profit = float(ledger.profit[chosen].sum())
        rows.append(
            [
                name,
                f"{len(chosen):,}",
                percent(promised, 0),
                _author(ledger, chosen),
                Cell(
                    percent(won.estimate),
                    "" if won.holds(promised) else tone(won.estimate, promised),
                ),
                span(won, 1, share=True),
                percent(needed_rate(ledger.multiple[chosen])),
                Cell(number(r.estimate, 3, sign=True), tone_of(r)),
                span(r, 2, sign=True),
                number(profit / risk if risk > 0 else math.nan, 3, sign=True),
                Cell(number(profit, sign=True), tone(profit)),
            ]
        )
    headings = [
        ("band", ""), ("trades", ""), ("promised", ""), ("by", ""), ("won", ""), ("interval", ""),
        ("needed", ""), ("mean", "R"), ("interval", "R"), ("profit per risk", ""), ("profit", ""),
    ]  # fmt: skip
    return Table(headings, rows, _band_caption(ledger, found, settings), frozenset({0, 3}))


def _author(ledger: Ledger, chosen: Ints) -> str:
    """Say who promised the win rate of some trades."""
    names = {META_MODEL: "meta-model", MEASURED: "measured", BAND_RULE: "the band"}
    counts = {who: int(ledger.promised_by(who)[chosen].sum()) for who in names}
    spoke = [who for who, count in counts.items() if count]
    told = [f"{names[who]} for {counts[who]:,}" for who in spoke[:-1]]
    return ", ".join([*told, *(names[who] for who in spoke[-1:])])


def _band_caption(ledger: Ledger, found: dict[str, Ints], settings: PageSettings) -> str:
    kept = []
    for chosen in found.values():
        won = win_interval(int(ledger.won[chosen].sum()), len(chosen), settings.level)
        kept.append(won.high >= float(np.mean(ledger.promised[chosen])))
    if all(kept):
        says = "Every band keeps its promise."
    elif any(kept):
        says = "Some bands keep their promise."
    else:
        says = "No band keeps its promise."
    return (
        f"{says} Needed is the win rate at which wins and losses of these sizes break even; "
        "profit per risk is what came back per unit put at risk."
    )


def _reliability(ledger: Ledger, known: Ints, settings: PageSettings) -> Chart:
    curve = reliability(ledger.probability[known], ledger.won[known], DECILES, settings.level)
    inside = (curve.low <= curve.promised) & (curve.promised <= curve.high)
    return Chart(
        "reliability",
        promise_figure(curve, "consensus probability"),
        f"On the dotted line the probability of the consensus would be the share of trades won; "
        f"{int(inside.sum())} of {len(inside)} groups of trades lie on it within their interval.",
    )  # fmt: skip


def _deciles(ledger: Ledger, known: Ints, settings: PageSettings) -> Table:
    curve = reliability(ledger.confidence[known], ledger.won[known], DECILES, settings.level)
    rows: list[Sequence[Cell | str]] = []
    means = []
    for lower, upper, count, realised, low, high in zip(
        curve.lower, curve.upper, curve.count, curve.realised, curve.low, curve.high, strict=True
    ):
        chosen = known[(ledger.confidence[known] >= lower) & (ledger.confidence[known] <= upper)]
        r = outcome(ledger.multiple[chosen], settings)
        means.append(r.estimate)
        risk = float(np.nansum(ledger.risk[chosen]))
        profit = float(ledger.profit[chosen].sum())
        rows.append(
            [
                f"{number(lower, 3)} to {number(upper, 3)}",
                f"{count:,}",
                percent(float(np.mean(ledger.promised[chosen])), 0),
                percent(realised),
                span(Interval(realised, low, high), 1, share=True),
                Cell(number(r.estimate, 3, sign=True), tone_of(r)),
                span(r, 2, sign=True),
                number(profit / risk if risk > 0 else math.nan, 3, sign=True),
            ]
        )
    headings = [
        ("confidence", ""), ("trades", ""), ("promised", ""), ("won", ""), ("interval", ""),
        ("mean", "R"), ("interval", "R"), ("profit per risk", ""),
    ]  # fmt: skip
    return Table(headings, rows, _decile_caption(curve.realised, np.array(means), known))


def _decile_caption(realised: Floats, means: Floats, known: Ints) -> str:
    if len(realised) < 2:
        return f"{counted(len(known), 'trade')} in a single group of equal confidence."
    half = len(realised) // 2
    upper, lower = realised[-half:].mean(), realised[:half].mean()
    gain = means[-half:].mean() - means[:half].mean()
    return (
        f"The more confident half of the groups won {percent(upper)} of its trades, the less "
        f"confident half {percent(lower)}; per trade that is {number(gain, 3, sign=True)} R."
    )
