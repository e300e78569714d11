"""The columns of one pair, from market to votes: what everything else reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quorum.faults import report_fault
from quorum.features import Features, compute_features
from quorum.heads.base import Votes, abstain
from quorum.market import Market
from quorum.settings import Settings


@dataclass(frozen=True)
class Evaluation:
    """A market with its features and the votes of every enabled head, in spec order."""

    market: Market
    features: Features
    votes: Mapping[str, Votes]


def evaluate(market: Market, settings: Settings) -> Evaluation:
    """Compute features and votes of one market.

    A head that fails abstains for this market and its error is logged with the traceback; it
    never stops the others.
    """
    features = compute_features(market, settings.features)
    votes: dict[str, Votes] = {}
    for head in settings.enabled_heads():
        try:
            votes[head.name] = head.vote(market, features)
        except Exception as error:
            report_fault(f"head {head.name}", market.pair, error)
            votes[head.name] = abstain(len(market))
    return Evaluation(market, features, votes)
