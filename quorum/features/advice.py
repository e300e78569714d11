"""Advice: what advisors agree on, as columns like all others (spec A7, A8).

Row *t* uses answers that were known by the close of candle *t* and are not too old. Where fewer
than two advisors speak, everything is NaN, and what reads these columns goes without. Models do
not learn from them: no column here is called free of scale.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from quorum.answers import KINDS, LEVELS, TIMEFRAMES, TOGETHER, AnswerKind, Answers, AnswerTable
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Bools, Floats, Ints

#: Confidence before that: under what makes a vote valid.
UNPROVEN = 0.69
DIRECTION, CONFIDENCE = "advisor_direction", "advisor_confidence"
AGREEMENT, PROBABILITY = "advisor_agreement", "advisor_probability"
ALIGNMENT, SCORE = "advisor_alignment", "advisor_score"
SPEAKING, PROVEN = "advisor_count", "advisor_proven"
#: Prefix of the probability of each regime, by its code.
REGIME = "advisor_regime_"
#: Prefix of the number of advisors who see each market phase, by its code.
PHASE = "advisor_phase_"
PHASES = 4
#: Prefix of the levels: price, and its strength.
LEVEL, STRENGTH = "advisor_level_", "advisor_strength_"


class AdviceConstants(NamedTuple):
    """When advisors count (spec A7)."""

    least: int = 2  #: advisors that must speak for there to be a consensus
    settled: int = 200  #: settled answers from which a hit rate is known
    cap: float = 0.60  #: largest probability before that


def add_advice(market: Market, out: Features, constants: AdviceConstants) -> None:
    """Add the columns of what advisors said; none where there is no ledger; lag 0."""
    answers = market.answers
    if answers is None:
        return
    consensus = partial(_consensus, constants)
    for kind, add in (("timeframes", consensus), ("regime", _regimes), ("market", _phases)):
        table = answers.tables.get(kind)
        if table is not None and len(table):
            rows = table.newest(market.close_time, len(answers.advisors), KINDS[kind].max_age)
            for name, values in _spread(add, answers, table, rows, market.close_time).items():
                out.add(name, values, scale_free=False)
    table = answers.tables.get("levels")
    if table is not None and len(table):
        _levels(out, market, answers, table, KINDS["levels"])


def _spread(
    columns: Callable[[Answers, AnswerTable, Ints, Ints], dict[str, Floats]],
    answers: Answers,
    table: AnswerTable,
    rows: Ints,
    at: Ints,
) -> dict[str, Floats]:
    """Compute columns where something became known or too old, and hold them in between."""
    skill = answers.tables.get("skill")
    learned = np.searchsorted(skill.known_at, at, side="right") if skill else np.zeros_like(at)
    state = np.column_stack((rows, learned))
    changed = np.ones(len(at), dtype=np.bool_)
    changed[1:] = (state[1:] != state[:-1]).any(axis=1)
    held = np.cumsum(changed) - 1
    found = columns(answers, table, rows[changed], at[changed])
    return {name: values[held] for name, values in found.items()}


def _told(table: AnswerTable, rows: Ints) -> tuple[Floats, Bools]:
    """Return the newest values of each advisor, and who speaks; (n, advisors, fields)."""
    speaks = rows >= 0
    values = np.where(speaks[:, :, None], table.values[np.maximum(rows, 0)], np.nan)
    return values, speaks


def _skill(answers: Answers, at: Ints) -> tuple[Floats, Floats]:
    """Return each advisor's weight, and settled count, intercept and slope of all together.

    An advisor whose record is worse than the base rate has lost its weight (spec A9).
    """
    weights = np.ones((len(at), len(answers.advisors)))
    fit = np.full((len(at), 3), np.nan)
    table = answers.tables.get("skill")
    if table is None or not len(table):
        return weights, fit
    rows = table.newest(at, len(answers.advisors), 1 << 62)
    values, known = _told(table, rows)
    weights = np.where(known, values[:, :, 1], 1.0)
    if TOGETHER in answers.advisors:
        fit = values[:, answers.advisors.index(TOGETHER)][:, [0, 2, 3]]
    return weights, fit


def _consensus(
    constants: AdviceConstants, answers: Answers, table: AnswerTable, rows: Ints, at: Ints
) -> dict[str, Floats]:
    """Return direction, confidence, agreement, alignment and probability (spec A7).

    1. Score: mean over the advisors, by their weights, of timeframe weight x confidence x
       direction.
    2. Agreement: share of the speaking advisors whose own score is on that side.
    3. Confidence: mean confidence of those in the timeframes of that side, x agreement.
    4. Alignment: share of the timeframes, by weight, that point to the larger side.
    """
    values, speaks = _told(table, rows)
    weights, fit = _skill(answers, at)
    speaks &= weights > 0
    weights = np.where(speaks, weights, 0.0)
    shares = np.array(list(TIMEFRAMES.values()))
    n = len(TIMEFRAMES)
    direction, sure = np.nan_to_num(values[:, :, :n]), np.nan_to_num(values[:, :, n:])
    own = (direction * sure * shares).sum(axis=2)
    count = speaks.sum(axis=1)
    enough = count >= constants.least
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.round((own * weights).sum(axis=1) / weights.sum(axis=1), 9)
        side = np.sign(np.nan_to_num(score))
        with_it = speaks & (np.sign(own) == side[:, None]) & (side != 0)[:, None]
        agreement = with_it.sum(axis=1) / count
        on_side = (direction == side[:, None, None]) * shares
        each = (on_side * sure).sum(axis=2) / on_side.sum(axis=2)
        stated = np.nansum(np.where(with_it, each, 0.0), axis=1) / with_it.sum(axis=1)
        confidence = np.round(np.nan_to_num(stated) * agreement, 9)
    pointed = np.sign(np.round((direction * sure * weights[:, :, None]).sum(axis=1), 9))
    up, down = ((pointed > 0) * shares).sum(axis=1), ((pointed < 0) * shares).sum(axis=1)
    proven = fit[:, 0] >= constants.settled
    measured = 1.0 / (1.0 + np.exp(-(fit[:, 1] + fit[:, 2] * np.abs(score))))
    probability = np.where(proven, measured, 0.5 + 0.5 * np.abs(score))
    if not answers.trusted:
        probability = np.where(proven, probability, np.minimum(probability, constants.cap))
    columns = {
        SCORE: score,
        DIRECTION: side,
        CONFIDENCE: confidence,
        AGREEMENT: np.where(side == 0, 0.0, agreement),
        ALIGNMENT: np.round(np.maximum(up, down), 9),
        PROBABILITY: probability,
        PROVEN: (proven | answers.trusted).astype(np.float64),
    }
    told = {name: np.where(enough, column, np.nan) for name, column in columns.items()}
    return {SPEAKING: count.astype(np.float64), **told}


def _regimes(answers: Answers, table: AnswerTable, rows: Ints, at: Ints) -> dict[str, Floats]:
    """Return the mean probability of each regime over the advisors that speak."""
    values, speaks = _told(table, rows)
    count = speaks.sum(axis=1)
    total = np.nansum(values, axis=1)
    mean = np.round(total / np.maximum(count, 1)[:, None], 6)
    mean[count == 0] = np.nan
    return {f"{REGIME}{code}": mean[:, code] for code in range(mean.shape[1])}


def _phases(answers: Answers, table: AnswerTable, rows: Ints, at: Ints) -> dict[str, Floats]:
    """Return how many advisors see each phase of the market."""
    values, speaks = _told(table, rows)
    return {
        f"{PHASE}{code}": (speaks & (values[:, :, 0] == code)).sum(axis=1).astype(np.float64)
        for code in range(PHASES)
    }


def _levels(
    out: Features, market: Market, answers: Answers, table: AnswerTable, kind: AnswerKind
) -> None:
    """Add the newest levels: of the advisor whose answer is newest, strongest first.

    Prices are multiples of the close of the answer's own candle.
    """
    anyone = AnswerTable(table.known_at, table.candle, np.zeros_like(table.advisor), table.values)
    rows = anyone.newest(market.close_time, 1, kind.max_age)[:, 0]
    values = np.where((rows >= 0)[:, None], table.values[np.maximum(rows, 0)], np.nan)
    step = market.candles.step
    closes = market.candles.close_on(table.candle - step)
    close = np.where(rows >= 0, closes[np.maximum(rows, 0)], np.nan)
    for i in range(LEVELS):
        out.add(f"{LEVEL}{i + 1}", close * values[:, i], scale_free=False)
        out.add(f"{STRENGTH}{i + 1}", np.nan_to_num(values[:, LEVELS + i]), scale_free=False)


def advised_levels(features: Features) -> list[tuple[float, Floats]]:
    """Return the advisors' levels for the level map: strength in quarters, and prices (A8)."""
    marks = []
    for i in range(1, LEVELS + 1):
        price = features.get(f"{LEVEL}{i}")
        if price is None:
            continue
        quarter: Floats = np.round(4.0 * features[f"{STRENGTH}{i}"]) / 4.0
        marks += [
            (share, np.where(np.equal(quarter, share), price, np.nan))
            for share in (0.25, 0.5, 0.75, 1.0)
            if np.equal(quarter, share).any()
        ]
    return marks


def with_regimes(probabilities: Floats, features: Features) -> Floats:
    """Return regime probabilities joined with the advisors', each with half the weight (A8).

    Parameters
    ----------
    probabilities : ndarray of shape (n_candles, 8)
    features : Features
    """
    columns = [features.get(f"{REGIME}{code}") for code in range(probabilities.shape[1])]
    told = [values for values in columns if values is not None]
    if len(told) < len(columns):
        return probabilities
    advised = np.column_stack(told)
    both = np.isfinite((advised + probabilities).sum(axis=1))
    return np.where(both[:, None], 0.5 * (probabilities + advised), probabilities)


def with_phases(phase: Floats, features: Features) -> Floats:
    """Return the phase that most see: the rules, with one voice, and each advisor (A8).

    A tie is the rules'; where they know no phase, there is none.
    """
    columns = [features.get(f"{PHASE}{code}") for code in range(PHASES)]
    told = [values for values in columns if values is not None]
    if len(told) < PHASES:
        return phase
    votes = np.column_stack(told)
    known = np.isfinite(phase)
    row, code = np.flatnonzero(known), phase[known].astype(np.int64)
    # Half a voice more for the rules: they win a tie.
    votes[row, code] += 1.5
    return np.where(known, votes.argmax(axis=1).astype(np.float64), phase)
