"""Findings: what the figures of a chain mean, in sentences that claim no more than they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from quorum.learning.evidence_document import TOTAL, Figures, ModelEvidence, Range, Trades
from quorum.learning.manifest import Vintage
from quorum.learning.parts import ENSEMBLE

#: Probability of the side an AUC of chance finds first.
CHANCE = 0.5


def findings(name: str, periods: Mapping[str, Figures], threshold: float) -> tuple[str, ...]:
    """Return what one model's figures mean."""
    total = periods[TOTAL]
    found = [
        _skill("AUC", total.auc),
        _gain("the base rates", total.gain_on_majority),
        _gain("momentum", total.gain_on_momentum),
    ]
    if total.direction_auc is not None:
        found.append(_skill("AUC of up against down", total.direction_auc))
    years = [figures for period, figures in periods.items() if period != TOTAL]
    better = sum(1 for figures in years if (figures.gain_on_majority.estimate or 0.0) > 0)
    found.append(f"better than the base rates in {better} of {len(years)} calendar years")
    found.append(_calibration(total))
    found.append(_precision(total, threshold))
    if total.trades is not None:
        found.append(_profit("its signals", total.trades))
    if total.leaning is not None:
        what = "all signals it judged" if name == "meta" else "always on its likelier side"
        found.append(_profit(what, total.leaning))
    return tuple(found)


def conclusions(models: Mapping[str, ModelEvidence], level: float) -> tuple[str, ...]:
    """Return what follows of all models together."""
    totals = {name: model.periods[TOTAL] for name, model in models.items()}
    ranking = [name for name, figures in totals.items() if figures.auc.above(CHANCE)]
    skilled = [name for name in ranking if totals[name].gain_on_majority.above(0.0)]
    none = [name for name in totals if name not in ranking]
    sided = [
        name
        for name, figures in totals.items()
        if figures.direction_auc is not None and figures.direction_auc.above(CHANCE)
    ]
    paid = [n for n, f in totals.items() if f.trades is not None and f.trades.mean_r.above(0.0)]
    found = []
    if skilled:
        found.append(
            f"skill beyond chance, and probabilities better than the base rates: "
            f"{', '.join(skilled)}"
        )
    if only := [name for name in ranking if name not in skilled]:
        found.append(
            f"ranks rows better than chance, but its probabilities are not shown to be better than "
            f"the base rates: {', '.join(only)}"
        )
    if none:
        found.append(
            "no skill beyond chance, the interval of AUC is not above 0.5: " + ", ".join(none)
        )
    if any(figures.direction_auc is not None for figures in totals.values()):
        found.append(
            f"which side comes first is told better than by chance: {', '.join(sided)}"
            if sided
            else "which side comes first is told no better than by chance, whatever the models "
            "know of how soon a barrier comes"
        )
    if any(figures.trades is not None for figures in totals.values()):
        found.append(
            f"signals pay after costs: {', '.join(paid)}"
            if paid
            else "no model's signals are shown to pay after costs"
        )
    count = sum(_compared(figures) for figures in totals.values())
    found.append(
        f"{count} figures were compared with chance: at a confidence of {level:.4g} some "
        f"{count * (1 - level) / 2:.1f} of them are above it by luck alone"
    )
    return tuple(found)


def joined(vintages: Sequence[Vintage]) -> tuple[str, ...]:
    """Return what the members that had to add something did, in how many of the vintages."""
    gains: dict[str, list[float]] = {}
    times: Counter[str] = Counter()
    for vintage in vintages:
        ensemble = vintage.metrics.get(ENSEMBLE)
        for kind in ("added", "left_out"):
            told = ensemble.get(kind) if isinstance(ensemble, dict) else None
            for name, found in told.items() if isinstance(told, dict) else ():
                gain = found.get("estimate") if isinstance(found, dict) else None
                gains.setdefault(name, []).extend([gain] if isinstance(gain, float) else [])
                times[name] += kind == "added"
    return tuple(_joined(name, times[name], len(vintages), found) for name, found in gains.items())


def _joined(name: str, times: int, vintages: int, gains: Sequence[float]) -> str:
    told = f"{name} joined the ensemble of {times} of {vintages} vintages"
    if not gains:
        return f"{told}: it had too few windows to learn from"
    return (
        f"{told}: with it the log loss out of fold was {-sum(gains) / len(gains):+.4f} nats on "
        "average, and it joins only where that is beyond chance"
    )


def _compared(figures: Figures) -> int:
    """Return how many figures of a model have an interval that is compared with chance."""
    found = [figures.auc, figures.direction_auc, figures.gain_on_majority, figures.gain_on_momentum]
    found += [trades.mean_r for trades in (figures.trades, figures.leaning) if trades is not None]
    return sum(1 for one in found if one is not None and one.low is not None)


def _between(found: Range, digits: int = 3) -> str:
    if found.low is None or found.high is None:
        return "interval unknown"
    return f"{found.low:.{digits}f} to {found.high:.{digits}f}"


def _skill(what: str, area: Range) -> str:
    if area.estimate is None:
        return f"{what}: not defined, one outcome only"
    told = f"{what} {area.estimate:.3f} ({_between(area)})"
    if area.above(CHANCE):
        return f"{told}: better than chance"
    if area.below(CHANCE):
        return f"{told}: worse than chance"
    return f"{told}: no skill beyond chance, the interval includes 0.5"


def _gain(over: str, gain: Range) -> str:
    if gain.estimate is None:
        return f"log loss against {over}: not defined"
    told = f"log loss {gain.estimate:+.4f} nats under that of {over} ({_between(gain, 4)})"
    if gain.above(0.0):
        return f"{told}: knows more"
    if gain.below(0.0):
        return f"{told}: worse than without a model"
    return f"{told}: no more is shown than {over} know{'' if over.endswith('s') else 's'}"


def _calibration(total: Figures) -> str:
    if total.ece_before is None or total.ece_after is None:
        return "calibration error: not known"
    verb = "lowers" if total.ece_after < total.ece_before else "does not lower"
    return (
        f"calibration {verb} the error of its probabilities: {total.ece_before:.3f} before, "
        f"{total.ece_after:.3f} after"
    )


def _precision(total: Figures, threshold: float) -> str:
    if total.precision.estimate is None:
        return f"no row reaches a probability of {threshold:.2f}"
    held = total.precision.estimate >= threshold
    return (
        f"from {threshold:.2f} (on {total.coverage:.1%} of the rows) "
        f"{total.precision.estimate:.1%} come true ({_between(total.precision)}): "
        f"the promise {'holds' if held else 'does not hold'}"
    )


def _profit(what: str, trades: Trades) -> str:
    if not trades.count:
        return f"{what}: no trade"
    told = (
        f"{what}: {trades.count} trades, {trades.mean_r.estimate:+.3f} R after costs on average "
        f"({_between(trades.mean_r)})"
    )
    if trades.mean_r.above(0.0):
        return f"{told}: pays"
    if trades.mean_r.below(0.0):
        return f"{told}: loses"
    return f"{told}: neither profit nor loss is shown"
