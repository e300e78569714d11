"""The verdict on a walk-forward: whether what tuning chose beats what was configured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quorum.evidence.overfitting import deflated_sharpe, period_sharpe, probabilistic_sharpe
from quorum.evidence.performance import DAYS_PER_YEAR, max_drawdown
from quorum.tuning.loss import RUIN
from quorum.tuning.walk import Judged, WindowResult
from quorum.typing import Floats

#: What the evidence must reach for the chosen parameters to count as better.
CONFIDENCE = 0.95
EVEN = 0.5


@dataclass(frozen=True)
class Record:
    """One way of choosing parameters over all judged spans.

    Attributes
    ----------
    growth : float
        Logarithmic, per year.
    drawdown : float
        Of the spans one after the other, share of the peak.
    sharpe : float
        Per year.
    loss : float
        Mean over the windows.
    trades, wins : int
    positive : float or None
        Probability that the true Sharpe ratio is positive; None where nothing was traded.
    """

    growth: float
    drawdown: float
    sharpe: float
    loss: float
    trades: int
    wins: int
    positive: float | None


@dataclass(frozen=True)
class Stability:
    """How much the choice of one parameter moves from window to window.

    Attributes
    ----------
    name : str
    values : tuple
        By window.
    spread : float or None
        Highest less lowest, as a share of the range it could be chosen from; None for a
        parameter that is no number.
    """

    name: str
    values: tuple[Any, ...]
    spread: float | None


@dataclass(frozen=True)
class Verdict:
    """What a walk-forward proves.

    Attributes
    ----------
    tuned, configured : Record
        On the judged spans.
    windows, won : int
        Windows, and those in which the tuned parameters had the smaller loss.
    trials : int
        Every trial of every window.
    deflated : float or None
        Deflated Sharpe ratio of the tuned record over all trials.
    overfitting : float or None
        Mean probability of backtest overfitting of the windows.
    stability : tuple of Stability
    better : bool
        Whether the evidence is for the tuned parameters.
    sentence : str
        The verdict in plain words.
    reasons : tuple of str
        What speaks against the tuned parameters; empty where they are better.
    """

    tuned: Record
    configured: Record
    windows: int
    won: int
    trials: int
    deflated: float | None
    overfitting: float | None
    stability: tuple[Stability, ...]
    better: bool
    sentence: str
    reasons: tuple[str, ...]


def judge(results: Sequence[WindowResult]) -> Verdict:
    """Draw the verdict from finished windows, in order."""
    tuned = _record([r.tuned for r in results])
    configured = _record([r.configured for r in results])
    sharpes = np.array([ratio for r in results for ratio in r.trials.sharpes])
    deflated = _known(deflated_sharpe(_daily([r.tuned for r in results]), sharpes))
    known = [r.trials.overfitting for r in results if r.trials.overfitting is not None]
    overfitting = float(np.mean(known)) if known else None
    won = sum(r.tuned.loss < r.configured.loss for r in results)
    reasons = _doubts(tuned, configured, won / len(results), deflated, overfitting)
    return Verdict(
        tuned=tuned,
        configured=configured,
        windows=len(results),
        won=won,
        trials=len(sharpes),
        deflated=deflated,
        overfitting=overfitting,
        stability=_stability(results),
        better=not reasons,
        sentence=_sentence(tuned, configured, reasons),
        reasons=reasons,
    )


def _daily(spans: Sequence[Judged]) -> Floats:
    return np.concatenate([np.array(span.daily, dtype=np.float64) for span in spans])


def _record(spans: Sequence[Judged]) -> Record:
    daily = _daily(spans)
    left = float(np.prod(np.maximum(1 + daily, RUIN)))
    return Record(
        growth=math.log(left) * DAYS_PER_YEAR / len(daily),
        drawdown=float(max_drawdown(daily)),
        sharpe=float(period_sharpe(daily)) * math.sqrt(DAYS_PER_YEAR),
        loss=float(np.mean([span.loss for span in spans])),
        trades=sum(sum(span.trades.values()) for span in spans),
        wins=sum(sum(span.wins.values()) for span in spans),
        positive=_known(probabilistic_sharpe(daily)),
    )


def _doubts(
    tuned: Record,
    configured: Record,
    won: float,
    deflated: float | None,
    overfitting: float | None,
) -> tuple[str, ...]:
    doubts = []
    if tuned.loss >= configured.loss:
        doubts.append(
            f"out of sample their loss is {tuned.loss:.3f}, "
            f"that of the default parameters {configured.loss:.3f}"
        )
    if won <= EVEN:
        doubts.append(f"they win in {won:.0%} of the windows")
    if overfitting is None or overfitting >= EVEN:
        known = "unknown" if overfitting is None else f"{overfitting:.0%}"
        doubts.append(f"the probability of backtest overfitting is {known}")
    if deflated is None or deflated < CONFIDENCE:
        known = "unknown" if deflated is None else f"{deflated:.3f}"
        doubts.append(f"the deflated Sharpe ratio is {known}, under {CONFIDENCE}")
    return tuple(doubts)


def _sentence(tuned: Record, configured: Record, reasons: tuple[str, ...]) -> str:
    if not reasons:
        return "The tuned parameters are better than the default ones, beyond what luck explains."
    if tuned.loss > configured.loss:
        return "The default parameters are better: do not use the tuned ones."
    if tuned.loss == configured.loss:
        return "Tuning found nothing better than the default parameters."
    return "Keep the default parameters: the tuned ones look better, but it is not proven."


def _stability(results: Sequence[WindowResult]) -> tuple[Stability, ...]:
    found = []
    for space in results[-1].parameters:
        for name in results[-1].parameters[space]:
            values = tuple(r.parameters.get(space, {}).get(name) for r in results)
            low, high = results[-1].ranges.get(name, (0.0, 0.0))
            numbers = [v for v in values if isinstance(v, int | float)]
            spread = (max(numbers) - min(numbers)) / (high - low) if high > low else None
            found.append(Stability(f"{space}.{name}", values, spread))
    return tuple(found)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
