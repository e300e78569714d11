"""Standing: what advisors answered, cost, and were worth (spec A9, A10)."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from quorum.advisors.facts import Facts
from quorum.advisors.ledger import Ledger, Row
from quorum.advisors.prompts import render
from quorum.advisors.questions import QUESTIONS
from quorum.advisors.record import ANSWERED
from quorum.advisors.skill import HORIZONS, Measured, Opinions, measure, opinions, score_of
from quorum.advisors.writer import Due, Writer
from quorum.answers import KINDS, TOGETHER
from quorum.typing import Floats

#: Edges of the bins of the calibration curve: the probability of a rise.
BINS = np.array([0.0, 0.2, 0.35, 0.45, 0.55, 0.65, 0.8, 1.0])
#: Facts that have no direction, and keep their sign when a market is mirrored.
UNSIGNED = {
    "adx", "volume_ratio", "ratio", "atr_pct", "atr_expansion", "band_width", "squeeze",
    "yang_zhang", "atr_pct_4h", "atr_pct_1d", "two_days_over_usual", "open_interest_z",
    "candles_since_break", "btc_correlation", "zscore", "alts_ahead_of_bitcoin",
    "long_short_ratio",
}  # fmt: skip
#: Facts on a scale whose middle is neither up nor down, with the sum of a value and its mirror.
SCALES = {
    "rsi": 100.0, "mfi": 100.0, "bands": 1.0, "in_range": 1.0, "range_position": 1.0,
    "retracement": 1.0, "taker_share": 1.0,
}  # fmt: skip
#: Facts that are each other's mirror.
TWINS = {
    "bullish_divergence": "bearish_divergence",
    "selling_climax": "buying_climax",
    "sweep_high": "sweep_low",
}


@dataclass
class Standing:
    """One advisor.

    Attributes
    ----------
    statuses : Counter
        Records by status.
    by_kind : Counter
        Answers by question.
    tokens : int
    cost : float
        US dollars.
    latency : float
        Mean of the calls that were answered [s].
    measured : mapping of horizon [h] to Measured
    curve : list of (share that rose, mean probability, answers)
        At 24 hours, one for each bin with answers.
    """

    name: str
    statuses: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    cost: float = 0.0
    latency: float = math.nan
    measured: dict[int, Measured] = field(default_factory=dict)
    curve: list[tuple[float, float, int]] = field(default_factory=list)

    @property
    def cost_of_skill(self) -> float:
        """US dollars for each point of hit rate over the base rate at 24 hours; NaN for none."""
        told = self.measured.get(24)
        gain = 100.0 * (told.hits - told.expected) if told else math.nan
        return self.cost / gain if gain > 0 else math.nan


class Agreement(NamedTuple):
    """How alike advisors are.

    Attributes
    ----------
    names : tuple of str
    same : ndarray of shape (n, n)
        Share of common questions answered with the same side.
    correlation : ndarray of shape (n, n)
        Of the scores.
    effective : float
        How many independent advisors they are worth.
    """

    names: tuple[str, ...]
    same: Floats
    correlation: Floats
    effective: float


def standings(
    ledger: Ledger, closes: Mapping[str, Mapping[int, float]]
) -> tuple[list[Standing], Agreement]:
    """Return how each advisor stands, and how alike they are.

    Parameters
    ----------
    ledger : Ledger
    closes : mapping of pair to mapping of close time to price
    """
    rows = [row for row in ledger.rows() if row.kind != "skill"]
    found: dict[str, Standing] = {}
    waited: dict[str, list[float]] = {}
    for row, record in zip(rows, ledger.records(rows), strict=True):
        name = _name(row)
        standing = found.setdefault(name, Standing(name))
        standing.statuses[row.status] += 1
        standing.tokens += record.tokens
        standing.cost += record.cost
        if row.status == ANSWERED:
            standing.by_kind[row.kind] += 1
            waited.setdefault(name, []).append(record.latency)
    said = opinions(rows, closes)
    for name, of in said.items():
        standing = found.setdefault(name, Standing(name))
        standing.measured = {hours: measure(of, hours) for hours in HORIZONS}
        standing.curve = calibration_curve(of)
    for name, seconds in waited.items():
        found[name].latency = float(np.mean(seconds))
    alone = {name: of for name, of in said.items() if name != TOGETHER}
    return list(found.values()), agreement(alone)


def _name(row: Row) -> str:
    return f"{row.provider} {row.model} {row.role}"


def calibration_curve(of: Opinions, hours: int = 24) -> list[tuple[float, float, int]]:
    """Return share that rose, mean probability and count for each bin of probability."""
    moved = of.moved[hours]
    known = np.isfinite(moved)
    probability, rose = 0.5 + 0.5 * of.score[known], moved[known] > 0
    which = np.clip(np.searchsorted(BINS, probability, side="right") - 1, 0, len(BINS) - 2)
    return [
        (float(rose[which == b].mean()), float(probability[which == b].mean()), int(n))
        for b, n in enumerate(np.bincount(which, minlength=len(BINS) - 1))
        if n
    ]


def agreement(said: Mapping[str, Opinions]) -> Agreement:
    """Return how alike advisors answer the same questions.

    The effective number is n^2 over the sum of the correlations, negative ones counted as none:
    three that always agree are one.
    """
    names = tuple(said)
    n = len(names)
    same, correlation = np.full((n, n), np.nan), np.eye(n)
    scores = [
        dict(zip(zip(of.pair, of.candle.tolist(), strict=True), of.score.tolist(), strict=True))
        for of in said.values()
    ]
    for i, j in itertools.product(range(n), repeat=2):
        common = sorted(set(scores[i]) & set(scores[j]))
        if not common:
            continue
        one = np.array([scores[i][key] for key in common])
        other = np.array([scores[j][key] for key in common])
        same[i, j] = float((np.sign(one) == np.sign(other)).mean())
        if i != j and one.std() > 0 and other.std() > 0:
            correlation[i, j] = float(np.corrcoef(one, other)[0, 1])
    total = float(np.maximum(correlation, 0.0).sum())
    return Agreement(names, same, correlation, n * n / total if total else 0.0)


def said(ledger: Ledger, pair: str, at: int) -> list[str]:
    """Return in words what each advisor last said of a pair by a moment, newest first."""
    newest: dict[tuple[str, str], Row] = {}
    for row in ledger.rows():
        fits = row.pair in ("", pair) and row.kind in QUESTIONS and row.status == ANSWERED
        if fits and int(row.known_at) <= at <= int(row.candle) + KINDS[row.kind].max_age:
            newest[_name(row), row.kind] = row
    rows = sorted(newest.values(), key=lambda row: -int(row.known_at))
    return [
        f"{_name(row)} on {row.kind}: {_told(record.parsed or {})}"
        for row, record in zip(rows, ledger.records(rows), strict=True)
    ]


def _told(answer: Mapping[str, Any]) -> str:
    """Return the words and directions of an answer."""
    parts = []
    for name, value in answer.items():
        if isinstance(value, Mapping) and "direction" in value:
            patterns = ", ".join(value["patterns"])
            reason = "; ".join(filter(None, (patterns, value["reasoning"])))
            parts.append(f"{name} {value['direction']} {value['confidence']:.2f} ({reason})")
        elif isinstance(value, str) and value:
            parts.append(f"{name} {value}")
        elif isinstance(value, list) and value and isinstance(value[0], str):
            parts.append(f"{name} {', '.join(value)}")
    return "; ".join(parts)


# The probe --------------------------------------------------------------------------------


class Probed(NamedTuple):
    """How answers follow the facts when the same question is asked another way.

    Attributes
    ----------
    name : str
    asked : int
        Pairs of answers that could be compared.
    mirrored : float
        Share whose side turned when every fact was mirrored.
    renamed : float
        Share whose side stayed when only name and date were taken away.
    """

    name: str
    asked: int
    mirrored: float
    renamed: float


def mirrored(facts: Facts) -> Facts:
    """Return facts of the same market upside down: what rose has fallen."""
    plain = {
        section: {TWINS_BOTH.get(name, name): _turned(name, value) for name, value in told.items()}
        for section, told in facts.plain.items()
    }
    prices = {
        section: {_other_side(name): facts.close**2 / value for name, value in told.items()}
        for section, told in facts.prices.items()
    }
    return replace(facts, plain=plain, prices=prices, quotes=())


TWINS_BOTH = {**TWINS, **{other: name for name, other in TWINS.items()}}


def _turned(name: str, value: float) -> float:
    if name in UNSIGNED or name in TWINS_BOTH:
        return value
    if name.endswith("_pct"):
        return round(100.0 * (100.0 / (100.0 + value) - 1.0), 3)
    return SCALES[name] - value if name in SCALES else -value


def _other_side(name: str) -> str:
    if "high" in name:
        return name.replace("high", "low")
    return name.replace("low", "high") if "low" in name else name


def probe(writer: Writer, facts: Sequence[Facts]) -> list[Probed]:
    """Ask the same questions named, undated and mirrored (spec A10).

    Parameters
    ----------
    writer : Writer
    facts : sequence of Facts
    """
    question = QUESTIONS["timeframes"]
    ways = {
        "named": ([replace(f, quotes=()) for f in facts], False),
        "renamed": ([replace(f, quotes=()) for f in facts], True),
        "mirrored": ([mirrored(f) for f in facts], True),
    }
    due: dict[tuple[str, str, int], Due] = {}
    for (way, (told, anonymous)), member in itertools.product(
        ways.items(), writer.settings.members
    ):
        for i, one in enumerate(told):
            rendered = render(
                question,
                member.role,
                [one],
                anonymous=anonymous,
            )
            due[member.name, way, i] = Due(member, question, rendered)
    writer.ask(due.values())
    keys = {writer.identity(d): key for key, d in due.items()}
    scores: dict[tuple[str, str, int], float] = {}
    rows = [row for row in writer.ledger.rows() if row.question in keys]
    for row, record in zip(rows, writer.ledger.records(rows), strict=True):
        if row.status == ANSWERED:
            scores[keys[row.question]] = score_of(record.numbers[record.pair])
    return [_probed(member.name, scores, len(facts)) for member in writer.settings.members]


def _probed(name: str, scores: Mapping[tuple[str, str, int], float], n: int) -> Probed:
    turned, stayed = [], []
    for i in range(n):
        plain = scores.get((name, "renamed", i))
        if plain is None or plain == 0.0:
            continue
        if (other := scores.get((name, "mirrored", i))) is not None:
            turned.append(other * plain < 0)
        if (other := scores.get((name, "named", i))) is not None:
            stayed.append(other * plain > 0)
    return Probed(
        name,
        len(turned),
        float(np.mean(turned)) if turned else math.nan,
        float(np.mean(stayed)) if stayed else math.nan,
    )
