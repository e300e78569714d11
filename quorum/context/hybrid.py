"""Hybrid: what trained models and advisors say together, and what it is worth (spec H-1 to H-6).

Models are measured and narrow, advisors broad and talkative. Where both point the same way a
signal is met larger, where they quarrel it is refused; where one of them is silent nothing
changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

import numpy as np

from quorum.context.base import Adjuster, AdjusterSettings, Effect
from quorum.features.advice import AGREEMENT as ADVISOR_AGREEMENT
from quorum.features.advice import ALIGNMENT, CONFIDENCE, DIRECTION, PROVEN
from quorum.features.predictions import (
    AGREEMENT,
    ENSEMBLE_DOWN,
    ENSEMBLE_UP,
    RETURN_LONG,
    RETURN_SHORT,
)
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats

#: Weight of the models and of the advisors in the combined confidence (spec H-3).
MODELS, ADVISORS = 0.6, 0.4
#: What agreement beyond a half adds to it.
AGREED = 0.4
#: Probability under which models are neutral.
NEUTRAL = 0.5
#: Largest confidence of advisors whose hit rate is not known (spec A7).
UNPROVEN = 0.60
#: Alignment of the advisors' timeframes from which a size is full, and the factor under it.
ALIGNED, UNALIGNED_SIZE = 0.75, 0.7
DECIMALS = 9


class Strength(IntEnum):
    """How strong the hybrid is (spec H-4), by the code in the ``hybrid_strength`` column."""

    NO_SIGNAL = 0
    WEAK = 1
    CONFLICT = 2
    ONE_SIDED = 3
    MODERATE = 4
    STRONG = 5
    VERY_STRONG = 6


@dataclass(frozen=True)
class Side:
    """What one of the two says; arrays of shape (n,).

    Attributes
    ----------
    direction : ndarray
        +1, -1, or 0 for neutral; NaN where it is silent.
    confidence, agreement : ndarray
        0-1; the agreement among its own members.
    """

    direction: Floats
    confidence: Floats
    agreement: Floats


@dataclass(frozen=True)
class Joined:
    """What both say together; arrays of shape (n,), NaN where one of them is silent."""

    direction: Floats
    agreement: Floats
    confidence: Floats
    strength: Floats
    factor: Floats


def join(models: Side, advisors: Side) -> Joined:
    """Join models and advisors (spec H-2 to H-5).

    1. Agreement: 0.5 with a neutral side, else more or less by q, the geometric mean of both
       sides' own agreement, less where their confidences differ.
    2. Confidence: 0.6 and 0.4 of both, more from an agreement over a half. What is neutral adds
       none.
    3. Strength by the table, the first row that applies; size by strength and confidence.
    """
    m, a = models.direction, advisors.direction
    known = np.isfinite(m) & np.isfinite(a)
    cm = np.round(np.where(m == 0, 0.0, models.confidence), DECIMALS)
    ca = np.round(np.where(a == 0, 0.0, advisors.confidence), DECIMALS)
    with np.errstate(invalid="ignore"):
        same, opposite = (m == a) & (m != 0), m * a < 0
        q = np.sqrt(models.agreement * advisors.agreement) * (1.0 - np.abs(cm - ca))
        agreement = np.round(0.5 + 0.5 * q * (same * 1.0 - opposite * 1.0), DECIMALS)
        lift = np.maximum(0.0, AGREED * (agreement - 0.5))
        confidence = np.round(np.minimum(1.0, MODELS * cm + ADVISORS * ca + lift), DECIMALS)
        alone = ~opposite & (
            ((m != 0) & (cm >= 0.70) & (ca < 0.60)) | ((a != 0) & (ca >= 0.70) & (cm < 0.60))
        )
        strength = np.select(
            [
                same & (cm > 0.75) & (ca > 0.75) & (agreement > 0.85),
                same & (cm > 0.65) & (ca > 0.65) & (agreement > 0.70),
                same & (cm > 0.70) & (ca > 0.50),
                alone,
                opposite & (cm >= 0.60) & (ca >= 0.60),
                (m != 0) | (a != 0),
            ],
            [
                Strength.VERY_STRONG,
                Strength.STRONG,
                Strength.MODERATE,
                Strength.ONE_SIDED,
                Strength.CONFLICT,
                Strength.WEAK,
            ],
            Strength.NO_SIGNAL,
        ).astype(np.float64)
    louder = np.where(cm >= ca, m, a)
    direction = np.where(strength == Strength.CONFLICT, 0.0, np.where(same, m, louder))
    factor = np.select(
        [strength == Strength.VERY_STRONG, strength == Strength.STRONG, strength >= 3],
        [np.minimum(1.5, 1.0 + 0.5 * confidence), np.ones(len(m)), 0.5 + 0.2 * confidence],
        0.0,
    )
    told = (direction, agreement, confidence, strength, factor)
    return Joined(*(np.where(known, values, np.nan) for values in told))


def models_side(features: Features, n: int) -> Side:
    """Return what the trained ensemble says; silent where no model was live."""
    columns = [features.get(name) for name in (ENSEMBLE_UP, ENSEMBLE_DOWN, AGREEMENT)]
    told = [values for values in columns if values is not None]
    if len(told) < len(columns):
        return Side(*np.full((3, n), np.nan))
    up, down, agreement = told
    confidence = np.fmax(up, down)
    direction = np.where(confidence >= NEUTRAL, np.sign(up - down), 0.0)
    return Side(np.where(np.isfinite(up + down), direction, np.nan), confidence, agreement)


def advisors_side(features: Features, n: int) -> Side:
    """Return what the advisors say, with no more confidence than they have earned."""
    direction = features.get(DIRECTION)
    if direction is None:
        return Side(*np.full((3, n), np.nan))
    confidence = features[CONFIDENCE]
    earned = np.where(features[PROVEN] > 0, confidence, np.minimum(confidence, UNPROVEN))
    return Side(direction, earned, features[ADVISOR_AGREEMENT])


class Hybrid(Adjuster[AdjusterSettings]):
    """Larger where models and advisors agree, refused where they quarrel (spec H-6)."""

    name: ClassVar[str] = "hybrid"
    published: ClassVar[tuple[str, ...]] = (
        "hybrid_direction",
        "hybrid_strength",
        "hybrid_agreement",
        "hybrid_confidence",
        "hybrid_factor",
        "hybrid_models",
        "hybrid_models_confidence",
        "hybrid_models_agreement",
        "hybrid_models_return",
        "hybrid_advisors",
        "hybrid_advisors_confidence",
        "hybrid_advisors_agreement",
        "hybrid_alignment",
    )
    Settings = AdjusterSettings

    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return what both say, and what it comes to; lag 0 after the close."""
        n = len(market)
        unknown = np.full(n, np.nan)
        models, advisors = models_side(features, n), advisors_side(features, n)
        joined = join(models, advisors)
        returns = [features.get(name, unknown) for name in (RETURN_LONG, RETURN_SHORT)]
        expected = np.where(models.direction < 0, returns[1], returns[0])
        told = (
            joined.direction, joined.strength, joined.agreement, joined.confidence, joined.factor,
            models.direction, models.confidence, models.agreement, expected,
            advisors.direction, advisors.confidence, advisors.agreement,
            features.get(ALIGNMENT, unknown),
        )  # fmt: skip
        return dict(zip(self.published, told, strict=True))

    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Return the factor or veto; nothing where models or advisors are silent."""
        code = row["hybrid_strength"]
        if math.isnan(code):
            return Effect()
        strength = Strength(int(code))
        record = {name.removeprefix("hybrid_"): row[name] for name in self.published}
        facts = {"hybrid": strength.name.lower(), "hybrid_record": _known(record)}
        facts["hybrid_reasoning"] = in_words(row)
        if strength is Strength.CONFLICT:
            return Effect(veto="hybrid_conflict", facts=facts)
        if strength < Strength.ONE_SIDED:
            return Effect(facts=facts)
        if row["hybrid_direction"] * direction < 0:
            return Effect(veto="hybrid_against", facts=facts)
        reasons = {"hybrid": round(row["hybrid_factor"], DECIMALS)}
        if row["hybrid_alignment"] < ALIGNED:
            reasons["advisors_unaligned"] = UNALIGNED_SIZE
        return Effect(reasons=reasons, facts=facts)


def _known(record: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in record.items() if math.isfinite(value)}


def in_words(row: Mapping[str, float]) -> str:
    """Say what models and advisors say, and what that comes to."""
    side = {1: "up", -1: "down", 0: "neutral"}

    def told(who: str) -> str:
        confidence, agreement = row[f"hybrid_{who}_confidence"], row[f"hybrid_{who}_agreement"]
        way = side[int(row[f"hybrid_{who}"])]
        return f"{who} {way} {confidence:.2f} (agreement {agreement:.2f})"

    strength = Strength(int(row["hybrid_strength"])).name.lower().replace("_", " ")
    return (
        f"{told('models')}, {told('advisors')}: agreement {row['hybrid_agreement']:.2f}, "
        f"{strength}, size x {row['hybrid_factor']:.2f}"
    )
