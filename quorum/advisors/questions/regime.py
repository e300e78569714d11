"""Which of the eight regimes a pair is in."""

from __future__ import annotations

from typing import ClassVar, Literal

from quorum.advisors.questions.base import Answer, Asked, Question, Share, Text
from quorum.context.regime import REGIMES

#: How far the probabilities of an answer may be from one in all (spec A2).
TOLERANCE = 0.02


class Probabilities(Answer):
    """One probability for each regime."""

    strong_bull: Share
    weak_bull: Share
    bull_range: Share
    bear_range: Share
    weak_bear: Share
    strong_bear: Share
    high_volatility: Share
    low_volatility: Share


class RegimeAnswer(Answer):
    """The regimes of one pair."""

    probabilities: Probabilities
    risk: Literal["low", "medium", "high"]
    reasoning: Text


class Regime(Question[RegimeAnswer]):
    """Asked once a day for each pair."""

    kind: ClassVar[str] = "regime"
    sections: ClassVar[tuple[str, ...]] = ("returns", "4h", "1d", "1w", "volatility", "place")
    Answer = RegimeAnswer

    def check(self, answer: RegimeAnswer, asked: Asked) -> None:
        """Refuse probabilities that do not sum to one."""
        total = sum(answer.probabilities.model_dump().values())
        if abs(total - 1.0) > TOLERANCE:
            raise ValueError(f"probabilities sum to {total:.3f}, not to 1")

    def numbers(self, answer: RegimeAnswer, asked: Asked, pair: str) -> tuple[float, ...]:
        """Return the eight probabilities in the order of ``REGIMES``, summing to one."""
        told = answer.probabilities.model_dump()
        total = sum(told.values())
        return tuple(told[name] / total for name in REGIMES)
