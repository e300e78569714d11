"""Estimate: what a week of questions costs, before a single one is asked (spec A4)."""

from __future__ import annotations

from typing import NamedTuple

from quorum.advisors.models import cost_of, cut_off_of, price_of
from quorum.advisors.providers import Usage
from quorum.advisors.questions import QUESTIONS
from quorum.advisors.settings import AdvisorSettings, Member

#: Tokens of a prompt about one pair, the market's about ten: measured on the shipped templates.
PROMPT = {"timeframes": 1380, "regime": 800, "levels": 700, "market": 1310}
#: Tokens of an answer, short thoughts included: an assumption until a ledger knows better.
ANSWER = {"timeframes": 700, "regime": 400, "levels": 700, "market": 600}
WEEK_HOURS = 168


class Line(NamedTuple):
    """One advisor's week.

    Attributes
    ----------
    calls, tokens : int
    cost : float
        US dollars.
    known : bool
        Whether the price is known; else the dearest known is taken.
    cut_off : int or None
        Milliseconds since the epoch.
    """

    member: Member
    calls: int
    tokens: int
    cost: float
    known: bool
    cut_off: int | None


def estimate(settings: AdvisorSettings, pairs: int) -> list[Line]:
    """Return what each advisor costs in a week.

    Parameters
    ----------
    settings : AdvisorSettings
    pairs : int
        Pairs that are asked about.
    """
    lines = []
    for member in settings.members:
        price, known = price_of(member.model, settings.prices)
        calls, usage = 0, Usage()
        for kind in settings.questions:
            question = QUESTIONS[kind]
            times = WEEK_HOURS // question.hours * (pairs if question.per_pair else 1)
            calls += times
            prompt = PROMPT[kind] if question.per_pair else PROMPT[kind] * (5 + pairs) // 15
            usage = Usage(usage.input + times * prompt, usage.output + times * ANSWER[kind])
        cut_off = cut_off_of(member.model, settings.cut_offs)
        tokens = usage.input + usage.output
        lines.append(Line(member, calls, tokens, cost_of(usage, price), known, cut_off))
    return lines
