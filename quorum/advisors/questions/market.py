"""Where money goes across all pairs."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from quorum.advisors.questions.base import Answer, Asked, Question, Share, Text, Texts
from quorum.context.phase import MarketPhase

ACTIONS = {"buy": 1.0, "sell": -1.0, "hold": 0.0, "avoid": 0.0}


class Action(Answer):
    """What to do with one pair."""

    pair: Text
    action: Literal["buy", "sell", "hold", "avoid"]


class MarketAnswer(Answer):
    """The whole market."""

    phase: Literal["risk_on", "risk_off", "rotation", "uncertain"]
    leader: Text
    divergences: Texts
    actions: tuple[Action, ...]
    confidence: Share


class MarketQuestion(Question[MarketAnswer]):
    """Asked once a day for all pairs together."""

    kind: ClassVar[str] = "market"
    per_pair: ClassVar[bool] = False
    sections: ClassVar[tuple[str, ...]] = ()
    Answer = MarketAnswer

    def check(self, answer: MarketAnswer, asked: Asked) -> None:
        """Refuse pairs that were not asked about."""
        named = [action.pair for action in answer.actions]
        if len(set(named)) < len(named) or not set(named) <= set(asked.labels):
            raise ValueError("actions name a pair twice, or one that was not asked about")

    def numbers(self, answer: MarketAnswer, asked: Asked, pair: str) -> tuple[float, ...]:
        """Return the code of the phase, the action for the pair, the confidence, and the lead."""
        actions = {asked.labels[a.pair]: ACTIONS[a.action] for a in answer.actions}
        leads = float(asked.labels.get(answer.leader) == pair)
        phase = float(MarketPhase[answer.phase.upper()])
        return phase, actions.get(pair, np.nan), answer.confidence, leads
