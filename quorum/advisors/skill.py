"""Skill: what came of what advisors said, and what that is worth (spec A9).

An answer is settled when the market has closed at its horizon. Only live answers count: what was
asked afterwards proves nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from quorum.advisors.ledger import Ledger, Row
from quorum.advisors.record import ANSWERED, Record, digest, stated
from quorum.answers import HOUR_MS, TIMEFRAMES, TOGETHER
from quorum.typing import Floats, Ints

#: Horizons at which answers are settled [h]; weights and calibration follow from one of them.
HORIZONS = (4, 24, 168)
HORIZON = 24
#: Settled answers from which a record counts.
SETTLED = 200
#: Prior of the calibration: weight of no slope at all [answers].
PRIOR = 20.0


@dataclass(frozen=True)
class Opinions:
    """Directional answers of one advisor, or of all together.

    Attributes
    ----------
    pair : tuple of str
    candle : ndarray of shape (n,), int64
    score : ndarray of shape (n,), float64
        Timeframe weight x confidence x direction, -1 to 1.
    moved : mapping of horizon [h] to ndarray of shape (n,), float64
        Return from the candle to the horizon, NaN where it is not over.
    """

    pair: tuple[str, ...]
    candle: Ints
    score: Floats
    moved: Mapping[int, Floats]


class Measured(NamedTuple):
    """How often an advisor was right at one horizon.

    Attributes
    ----------
    settled : int
        Answers with a side whose horizon is over.
    hits : float
        Share of them that were right, NaN without any.
    expected : float
        Share that would have been right by the base rate of each side.
    brier, base : float
        Mean squared error of its probability of a rise, and of the base rate.
    error : float
        Standard error of ``hits``; overlapping answers count as one per horizon and pair.
    """

    settled: int
    hits: float
    expected: float
    brier: float
    base: float
    error: float


def score_of(numbers: Sequence[float | None]) -> float:
    """Return the score of one answer about timeframes."""
    n = len(TIMEFRAMES)
    direction, confidence = numbers[:n], numbers[n:]
    return sum(
        weight * (c or 0.0) * (d or 0.0)
        for weight, d, c in zip(TIMEFRAMES.values(), direction, confidence, strict=True)
    )


def opinions(
    rows: Iterable[Row], closes: Mapping[str, Mapping[int, float]], window: int = HOUR_MS
) -> dict[str, Opinions]:
    """Return the live directional opinions of every advisor and of all together, by name.

    Parameters
    ----------
    rows : iterable of Row
    closes : mapping of pair to mapping of close time to price
    window : int
        Time after its candle within which a live answer was asked [ms].
    """
    told: dict[str, dict[tuple[str, int], float]] = {}
    for row in rows:
        live = int(row.asked_at) - int(row.candle) <= window
        if row.kind != "timeframes" or row.status != ANSWERED or not live:
            continue
        numbers = json.loads(row.numbers).get(row.pair)
        if numbers is not None:
            name = f"{row.provider} {row.model} {row.role}"
            told.setdefault(name, {})[row.pair, int(row.candle)] = score_of(numbers)
    together: dict[tuple[str, int], list[float]] = {}
    for of in told.values():
        for key, score in of.items():
            together.setdefault(key, []).append(score)
    told[TOGETHER] = {k: float(np.mean(v)) for k, v in together.items() if len(v) >= 2}
    return {name: _opinions(of, closes) for name, of in told.items() if of}


def _opinions(
    told: Mapping[tuple[str, int], float], closes: Mapping[str, Mapping[int, float]]
) -> Opinions:
    keys = sorted(told, key=lambda key: key[1])
    moved = {}
    for hours in HORIZONS:
        moves = []
        for pair, candle in keys:
            prices = closes.get(pair, {})
            now, then = prices.get(candle), prices.get(candle + hours * HOUR_MS)
            moves.append(math.nan if now is None or then is None else then / now - 1.0)
        moved[hours] = np.array(moves, dtype=np.float64)
    return Opinions(
        tuple(pair for pair, _ in keys),
        np.array([candle for _, candle in keys], dtype=np.int64),
        np.array([told[key] for key in keys], dtype=np.float64),
        moved,
    )


def measure(of: Opinions, hours: int) -> Measured:
    """Measure opinions at one horizon."""
    moved = of.moved[hours]
    known = np.isfinite(moved)
    sided = known & (of.score != 0.0)
    if not sided.any():
        return Measured(0, math.nan, math.nan, math.nan, math.nan, math.nan)
    rose = moved > 0
    rate = float(rose[known].mean())
    right = rose[sided] == (of.score[sided] > 0)
    expected = np.where(of.score[sided] > 0, rate, 1.0 - rate)
    probability = 0.5 + 0.5 * of.score[known]
    hits = float(right.mean())
    spans = {
        (pair, int(candle) // (hours * HOUR_MS))
        for pair, candle, counts in zip(of.pair, of.candle, sided, strict=True)
        if counts
    }
    error = math.sqrt(max(hits * (1.0 - hits), 1e-9) / len(spans))
    return Measured(
        int(sided.sum()),
        hits,
        float(expected.mean()),
        float(((probability - rose[known]) ** 2).mean()),
        rate * (1.0 - rate),
        error,
    )


def calibration(of: Opinions, hours: int = HORIZON) -> tuple[float, float]:
    """Return intercept and slope of the log-odds that the side of a score is right.

    A logistic fit by Newton's method with a prior against a slope, which is never negative: a
    higher score is not less likely to be right for having been unlucky so far.
    """
    sided = np.isfinite(of.moved[hours]) & (of.score != 0.0)
    if not sided.any():
        return 0.0, 0.0
    size = np.abs(of.score[sided])
    right = ((of.moved[hours][sided] > 0) == (of.score[sided] > 0)).astype(np.float64)
    rate = float(np.clip(right.mean(), 0.01, 0.99))
    flat = (math.log(rate / (1.0 - rate)), 0.0)
    x = np.column_stack((np.ones(len(size)), size))
    beta = np.array(flat)
    prior = np.diag([1e-6, PRIOR * 0.05])
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-(x @ beta)))
        gradient = x.T @ (right - p) - prior @ beta
        curvature = (x * (p * (1.0 - p))[:, None]).T @ x + prior
        step = np.linalg.solve(curvature, gradient)
        beta += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return (float(beta[0]), float(beta[1])) if beta[1] > 0 else flat


def weight_of(measured: Measured) -> float:
    """Return an advisor's weight: none once its record is worse than the base rate."""
    proven = measured.settled >= SETTLED
    return 0.0 if proven and measured.hits < measured.expected else 1.0


def settle(ledger: Ledger, closes: Mapping[str, Mapping[int, float]], at: int) -> int:
    """Write down how advisors have done up to a moment; return how many were measured."""
    written = 0
    known = [row for row in ledger.rows() if int(row.known_at) <= at]
    until = {pair: {t: p for t, p in of.items() if t <= at} for pair, of in closes.items()}
    for name, of in opinions(known, until).items():
        measured = measure(of, HORIZON)
        if not measured.settled:
            continue
        intercept, slope = calibration(of)
        numbers = (float(measured.settled), weight_of(measured), intercept, slope)
        key = digest("skill", name, str(at))
        told = {
            "hits": measured.hits,
            "expected": measured.expected,
            "brier": measured.brier,
            "base": measured.base,
        }
        record = Record(
            id=key,
            question=key,
            kind="skill",
            version=1,
            provider="quorum",
            model=name,
            model_asked=name,
            role="skill",
            pair="",
            candle=at,
            asked_at=at,
            known_at=at,
            status=ANSWERED,
            numbers={"": stated(numbers)},
            system="",
            user=f"how has {name} done?",
            parsed=told,
        )
        written += ledger.append(record) is not None
    return written
