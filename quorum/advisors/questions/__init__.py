"""The questions that advisors are asked. Adding one is a new file and one line here."""

from __future__ import annotations

from typing import Any

from quorum.advisors.questions.base import Answer, Asked, Question
from quorum.advisors.questions.levels import Levels
from quorum.advisors.questions.market import MarketQuestion
from quorum.advisors.questions.regime import Regime
from quorum.advisors.questions.timeframes import Timeframes
from quorum.advisors.settings import AdvisorSettings
from quorum.answers import KINDS

__all__ = ["QUESTIONS", "Answer", "Asked", "Question", "least_hours"]

QUESTIONS: dict[str, Question[Any]] = {
    question.kind: question for question in (Timeframes(), Regime(), Levels(), MarketQuestion())
}


def least_hours(settings: AdvisorSettings) -> int:
    """Return the shortest cadence of the questions that are asked [h]."""
    return min((KINDS[kind].hours for kind in settings.questions), default=24)
