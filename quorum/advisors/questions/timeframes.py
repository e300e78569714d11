"""Which way each timeframe points, and how sure that is."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from quorum.advisors.questions.base import Answer, Asked, Question, Share, Text, Texts

DIRECTIONS = {"bullish": 1.0, "bearish": -1.0, "neutral": 0.0}


class Reading(Answer):
    """One timeframe."""

    direction: Literal["bullish", "bearish", "neutral"]
    confidence: Share
    patterns: Texts
    reasoning: Text


class TimeframesAnswer(Answer):
    """Every timeframe, and what diverges between them."""

    hour: Reading = Field(alias="1h")
    four_hours: Reading = Field(alias="4h")
    day: Reading = Field(alias="1d")
    week: Reading = Field(alias="1w")
    divergences: Texts


class Timeframes(Question[TimeframesAnswer]):
    """Asked every four hours for each pair."""

    kind: ClassVar[str] = "timeframes"
    sections: ClassVar[tuple[str, ...]] = (
        "returns", "base", "4h", "1d", "1w", "volume", "derivatives", "place", "levels",
    )  # fmt: skip
    Answer = TimeframesAnswer

    def numbers(self, answer: TimeframesAnswer, asked: Asked, pair: str) -> tuple[float, ...]:
        """Return four directions (+1, -1, 0), then four confidences."""
        readings = (answer.hour, answer.four_hours, answer.day, answer.week)
        return (
            *(DIRECTIONS[reading.direction] for reading in readings),
            *(reading.confidence for reading in readings),
        )
