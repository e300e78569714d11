"""Where a pair has support and resistance."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from quorum.advisors.questions.base import Answer, Asked, Question, Share, Text
from quorum.answers import LEVELS

#: Distance from the last close beyond which a level makes an answer void.
FARTHEST = 0.30


class Level(Answer):
    """One level."""

    price: Annotated[float, Field(gt=0)]
    kind: Literal["support", "resistance", "psychological"]
    strength: Share
    touches: Annotated[int, Field(ge=0, le=1000)]
    reasoning: Text


class LevelsAnswer(Answer):
    """The levels of one pair."""

    levels: Annotated[tuple[Level, ...], Field(max_length=24)]


class Levels(Question[LevelsAnswer]):
    """Asked once a day for each pair."""

    kind: ClassVar[str] = "levels"
    sections: ClassVar[tuple[str, ...]] = ("returns", "levels", "place", "volume")
    Answer = LevelsAnswer

    def check(self, answer: LevelsAnswer, asked: Asked) -> None:
        """Refuse levels that are nowhere near the market."""
        for level in answer.levels:
            if abs(level.price / asked.close - 1.0) > FARTHEST:
                raise ValueError(f"a level lies more than {FARTHEST:.0%} from the last close")

    def numbers(self, answer: LevelsAnswer, asked: Asked, pair: str) -> tuple[float, ...]:
        """Return prices as multiples of the last close, then strengths; NaN where fewer."""
        kept = sorted(answer.levels, key=lambda level: -level.strength)[:LEVELS]
        empty = [np.nan] * (LEVELS - len(kept))
        prices = [level.price / asked.close for level in kept]
        return (*prices, *empty, *(level.strength for level in kept), *empty)
