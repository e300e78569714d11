"""Consensus: many votes, one opinion, per candle (spec C2-C7, C9, C10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import ClassVar, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field, model_validator

from quorum.confidence import MeasuredSettings
from quorum.errors import DataError
from quorum.heads.base import Votes
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints
from quorum.vote_correlation import effective_heads

#: Thresholds are written in decimals that binary numbers cannot hold; sums of votes are given
#: to nine decimals and compared with half a unit of grace, so that .65 means .65.
GRACE = 5e-10
DECIMALS = 9


class Band(IntEnum):
    """Confidence bands (spec C9), ordered."""

    INSUFFICIENT = 0
    MEDIUM = 1
    HIGH = 2
    VERY_HIGH = 3


class Quality(StrEnum):
    """Signal quality (spec C10)."""

    EXCELLENT = "excellent"
    GOOD = "good"
    ACCEPTABLE = "acceptable"


class ConsensusSettings(Section):
    """When votes make a consensus, and what it is worth."""

    min_probability: float = Field(
        0.60, ge=0.5, le=1, description="probability of a valid vote (C2)"
    )
    min_confidence: float = Field(0.70, ge=0, le=1, description="confidence of a valid vote (C2)")
    quorum: int = Field(4, ge=1, le=100, description="valid votes needed at least (C3) [heads]")
    quorum_share: float = Field(
        0.44, gt=0, le=1, description="share of the available heads needed at least (C3)"
    )
    effective: bool = Field(
        False,
        description="count the agreeing heads as how many independent ones they are worth: "
        "k agreeing heads whose votes correlate count k^2 / (sum of their correlations) (C3)",
    )
    # votes that correlation is measured on; candles that a bot's history needs on top of what the
    # heads need [candles]
    effective_window: ClassVar[int] = 500
    confidence: Literal["stated", "measured"] = Field(
        "measured",
        description="what gate, band, size and promise go by: what the heads state (C5), or what "
        "earlier signals like it did, where enough of them have ended (C12)",
    )
    measured: MeasuredSettings = Field(
        MeasuredSettings(), description="what a measured expectancy is worth"
    )
    weights: Literal["fixed", "outcomes"] = Field(
        "fixed",
        description="heads weigh what the settings say, or what their past votes were worth "
        "(C11; needs trained models)",
    )
    calibrated: bool = Field(
        False,
        description="read a head's confidence as the hit rate it had in training, so that 0.70 "
        "means 70 % (needs trained models; thresholds then mean hit rates too)",
    )
    agreement_step: ClassVar[float] = 0.03  # confidence bonus per agreeing head beyond four (C5)
    agreement_cap: ClassVar[float] = 0.15  # largest agreement bonus (C5)
    agreement_from: ClassVar[int] = 4  # agreeing heads that earn no bonus yet (C5) [heads]
    # (mean probability, confidence bonus), strongest first (C5)
    strength_bonus: ClassVar[tuple[tuple[float, float], ...]] = (
        (0.85, 0.08),
        (0.75, 0.05),
        (0.60, 0.02),
    )
    gate: float = Field(0.65, ge=0, le=1, description="consensus confidence needed to trade (C6)")
    medium: float = Field(0.65, ge=0, le=1, description="lower edge of the medium band (C9)")
    high: float = Field(0.75, ge=0, le=1, description="lower edge of the high band (C9)")
    very_high: float = Field(0.85, ge=0, le=1, description="lower edge of very high (C9)")
    excellent_heads: ClassVar[int] = 7  # agreeing heads of an excellent signal (C10) [heads]
    good_heads: ClassVar[int] = 5  # agreeing heads of a good signal (C10) [heads]

    @model_validator(mode="after")
    def _bands_in_order(self) -> ConsensusSettings:
        if not self.medium <= self.high <= self.very_high:
            raise ValueError(
                f"bands must rise: medium {self.medium}, high {self.high}, "
                f"very_high {self.very_high}"
            )
        return self

    def band(self, confidence: float) -> Band:
        """Return the band of one consensus confidence (C9)."""
        edges = (self.medium, self.high, self.very_high)
        return Band(sum(confidence >= edge - GRACE for edge in edges))

    def quality(self, confidence: float, agreeing: int) -> Quality:
        """Return the signal quality before risk flags (C10)."""
        if confidence >= self.very_high - GRACE and agreeing >= self.excellent_heads:
            return Quality.EXCELLENT
        if confidence >= self.high - GRACE and agreeing >= self.good_heads:
            return Quality.GOOD
        return Quality.ACCEPTABLE


@dataclass(frozen=True)
class VoteTable:
    """The votes of all heads side by side.

    Attributes
    ----------
    heads : tuple of str
        Column names, registry order.
    direction : ndarray of shape (n_candles, n_heads), int8
    probability, confidence : ndarray of shape (n_candles, n_heads), float64
    reason : ndarray of shape (n_candles, n_heads), int64
    available : ndarray of shape (n_candles, n_heads), bool
    """

    heads: tuple[str, ...]
    direction: NDArray[np.int8]
    probability: Floats
    confidence: Floats
    reason: Ints
    available: Bools

    @classmethod
    def from_votes(cls, votes: Mapping[str, Votes]) -> VoteTable:
        """Stack the heads' votes in the order of ``votes``."""
        return cls(
            heads=tuple(votes),
            direction=np.column_stack([v.direction for v in votes.values()]),
            probability=np.column_stack([v.probability for v in votes.values()]),
            confidence=np.column_stack([v.confidence for v in votes.values()]),
            reason=np.column_stack([v.reason for v in votes.values()]),
            available=np.column_stack([v.available for v in votes.values()]),
        )


@dataclass(frozen=True)
class Consensus:
    """What the heads agree on, per candle.

    Attributes
    ----------
    direction : ndarray of shape (n_candles,), int8
        +1, -1, or 0 without a quorum.
    agreeing, available : ndarray of shape (n_candles,), int64
        Valid votes for the direction; heads that did not abstain.
    effective : ndarray of shape (n_candles,), float64
        How many independent heads the agreeing ones are worth; ``agreeing`` where that is off.
    probability, confidence : ndarray of shape (n_candles,), float64
        C4 and C5; 0 without a quorum.
    confluence : ndarray of shape (n_candles,), float64
        C7, 0-100, always defined (50 with no head available).
    """

    direction: NDArray[np.int8]
    agreeing: Ints
    available: Ints
    effective: Floats
    probability: Floats
    confidence: Floats
    confluence: Floats


@njit(cache=True)
def _tally(
    direction: NDArray[np.int8],
    valid: NDArray[np.int8],
    probability: Floats,
    confidence: Floats,
    available: Bools,
    weights: Floats,
    worth: Floats,
    quorum: int,
    quorum_share: float,
) -> tuple[NDArray[np.int8], Ints, Ints, Floats, Floats, Floats, Floats, Floats]:
    n, n_heads = direction.shape
    side = np.zeros(n, np.int8)
    agreeing = np.zeros(n, np.int64)
    present = np.zeros(n, np.int64)
    effective = np.zeros(n)
    weighted = np.zeros(n)
    plain = np.zeros(n)
    trust = np.zeros(n)
    confluence = np.full(n, 50.0)
    for t in range(n):
        weight = weights[t if len(weights) > 1 else 0]
        # Index 0 counts long, 1 short.
        count = np.zeros(2, np.int64)
        weight_sum = np.zeros(2)
        weighted_sum = np.zeros(2)
        plain_sum = np.zeros(2)
        trust_sum = np.zeros(2)
        all_weight = 0.0
        all_score = 0.0
        for h in range(n_heads):
            if not available[t, h]:
                continue
            present[t] += 1
            d = direction[t, h]
            p = probability[t, h]
            all_weight += weight[h]
            all_score += weight[h] * (p if d > 0 else (1.0 - p if d < 0 else 0.5))
            if valid[t, h] != 0:
                k = 0 if d > 0 else 1
                count[k] += 1
                weight_sum[k] += weight[h]
                weighted_sum[k] += weight[h] * p
                plain_sum[k] += p
                trust_sum[k] += confidence[t, h]
        if all_weight > 0:
            confluence[t] = 100.0 * all_score / all_weight
        long = worth[t, 0] if len(worth) else float(count[0])
        short = worth[t, 1] if len(worth) else float(count[1])
        if abs(long - short) < GRACE:
            continue
        k = 0 if long > short else 1
        agreeing[t] = count[k]
        effective[t] = max(long, short)
        needed = max(quorum, int(np.ceil(quorum_share * present[t] - 1e-9)))
        if effective[t] < needed - GRACE:
            continue
        side[t] = 1 if k == 0 else -1
        plain[t] = plain_sum[k] / count[k]
        trust[t] = trust_sum[k] / count[k]
        weighted[t] = weighted_sum[k] / weight_sum[k] if weight_sum[k] > 0 else plain[t]
    return side, agreeing, present, effective, weighted, plain, trust, confluence


def valid_votes(votes: VoteTable, settings: ConsensusSettings) -> NDArray[np.int8]:
    """Return the direction of every valid vote, 0 for the others (spec C2).

    Returns
    -------
    ndarray of shape (n_candles, n_heads)
    """
    valid = (votes.probability >= settings.min_probability - GRACE) & votes.available
    valid &= votes.confidence >= settings.min_confidence - GRACE
    return np.where(valid, votes.direction, 0).astype(np.int8)


def tally(
    votes: VoteTable,
    weights: Mapping[str, float] | Floats,
    settings: ConsensusSettings | None = None,
) -> Consensus:
    """Find the consensus of every candle (spec C2-C7).

    1. Count the valid votes per side; most wins, a tie is no consensus. On request a side
       counts as many as its heads are worth as independent ones.
    2. Require the quorum over the heads that did not abstain.
    3. Probability: mean of the agreeing heads, weighted by ``weights``.
    4. Confidence: their mean confidence plus agreement and strength bonus, at most 1.
    5. Confluence: weighted mean of P(long) over the available heads.

    Parameters
    ----------
    votes : VoteTable
    weights : mapping of head name to weight, or ndarray of shape (n_candles, n_heads)
        Any scale: they are normalised over the heads that count. A head without one weighs 0.
    settings : ConsensusSettings, default the defaults

    Raises
    ------
    DataError
        If an array of weights has another shape.
    """
    s = settings or ConsensusSettings()
    valid = valid_votes(votes, s)
    worth = np.empty((0, 2))
    if s.effective:
        worth = effective_heads(votes.direction, votes.available, valid, s.effective_window)
    side, agreeing, present, effective, weighted, plain, trust, confluence = _tally(
        votes.direction,
        valid,
        votes.probability,
        votes.confidence,
        votes.available,
        _weight_rows(votes, weights),
        worth,
        s.quorum,
        s.quorum_share,
    )
    agreement = np.clip((agreeing - s.agreement_from) * s.agreement_step, 0.0, s.agreement_cap)
    confidence = np.minimum(1.0, trust + agreement + _strength(plain, s.strength_bonus))
    has = side != 0
    return Consensus(
        direction=side,
        agreeing=agreeing,
        available=present,
        effective=effective,
        probability=np.where(has, np.round(weighted, DECIMALS), 0.0),
        confidence=np.where(has, np.round(confidence, DECIMALS), 0.0),
        confluence=np.round(confluence, DECIMALS),
    )


def _weight_rows(votes: VoteTable, weights: Mapping[str, float] | Floats) -> Floats:
    """Return the weights per candle, or one row where they are always the same."""
    if isinstance(weights, Mapping):
        return np.array([[weights.get(head, 0.0) for head in votes.heads]])
    if weights.shape != votes.direction.shape:
        raise DataError(
            f"weights: shape {weights.shape}, votes have {votes.direction.shape} (candles, heads)"
        )
    return np.ascontiguousarray(weights, dtype=np.float64)


def _strength(probability: Floats, steps: Sequence[tuple[float, float]]) -> Floats:
    """Return the strength bonus of a mean probability (spec C5)."""
    bonus = np.zeros(len(probability))
    for threshold, value in sorted(steps):
        bonus = np.where(probability >= threshold - GRACE, value, bonus)
    return bonus


def bands(confidence: Floats, settings: ConsensusSettings) -> NDArray[np.int8]:
    """Return the confidence band per candle as the integers of :class:`Band`."""
    edges = np.array([settings.medium, settings.high, settings.very_high]) - GRACE
    return np.searchsorted(edges, confidence, side="right").astype(np.int8)
