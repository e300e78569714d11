"""The questions that advisors are asked. Adding one is a new file and one line here."""

from __future__ import annotations

from typing import Any

from quorum.advisors.questions.base import Answer, Asked, Question
from quorum.advisors.questions.levels import Levels
from quorum.advisors.questions.market import MarketQuestion
from quorum.advisors.questions.regime import Regime
from quorum.advisors.questions.timeframes import Timeframes

__all__ = ["QUESTIONS", "Answer", "Asked", "Question"]

QUESTIONS: dict[str, Question[Any]] = {
    question.kind: question for question in (Timeframes(), Regime(), Levels(), MarketQuestion())
}
