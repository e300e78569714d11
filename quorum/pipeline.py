"""The columns of one pair, from market to votes and context: what everything else reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from quorum.exits.management import management_columns
from quorum.faults import report_fault
from quorum.features import Features, compute_features
from quorum.heads.base import Head, Votes, abstain
from quorum.market import Market
from quorum.settings import Settings
from quorum.typing import Floats


@dataclass(frozen=True)
class Evaluation:
    """Everything that follows from one market.

    Attributes
    ----------
    market : Market
    features : Features
    votes : mapping of head name to Votes
        Every enabled head, in spec order.
    context : mapping of column name to ndarray of shape (n_candles,), float64
        The columns of every enabled adjuster, NaN where unknown.
    management : mapping of column name to ndarray of shape (n_candles,), float64
        What open trades are managed by.
    playbooks : mapping of column name to ndarray of shape (n_candles,), float64
        The columns of every playbook that is on, NaN where unknown.
    apart : mapping of head name to Votes
        Every enabled head in a panel of its own, which the consensus does not count.
    """

    market: Market
    features: Features
    votes: Mapping[str, Votes]
    context: Mapping[str, Floats]
    management: Mapping[str, Floats]
    playbooks: Mapping[str, Floats] = field(default_factory=dict)
    apart: Mapping[str, Votes] = field(default_factory=dict)


class Predictor(Protocol):
    """Whatever adds the predictions of trained models to the features of a market."""

    def add_predictions(self, market: Market, features: Features) -> None:
        """Add the columns of :mod:`quorum.features.predictions`; none where no model is live."""


def evaluate(market: Market, settings: Settings, models: Predictor | None = None) -> Evaluation:
    """Compute features, predictions, votes and context of one market.

    A part that fails abstains for this market and its error is logged with the traceback; it
    never stops the others.
    """
    features = compute_features(market)
    if models is not None:
        _predict(models, market, features)
    return Evaluation(
        market,
        features,
        _votes(market, features, settings.enabled_heads()),
        _context(market, features, settings),
        management_columns(features),
        _playbooks(market, settings),
        _votes(market, features, settings.heads_apart()),
    )


def _predict(models: Predictor, market: Market, features: Features) -> None:
    features.begin("models")
    try:
        models.add_predictions(market, features)
    except Exception as error:
        features.discard("models")
        report_fault("models", market.pair, error)


def _votes(market: Market, features: Features, heads: Iterable[Head[Any]]) -> dict[str, Votes]:
    votes: dict[str, Votes] = {}
    for head in heads:
        try:
            votes[head.name] = head.vote(market, features)
        except Exception as error:
            report_fault(f"head {head.name}", market.pair, error)
            votes[head.name] = abstain(len(market))
    return votes


def _context(market: Market, features: Features, settings: Settings) -> dict[str, Floats]:
    columns: dict[str, Floats] = {}
    for adjuster in settings.enabled_adjusters():
        try:
            columns.update(adjuster.columns(market, features))
        except Exception as error:
            report_fault(f"adjuster {adjuster.name}", market.pair, error)
            columns.update({name: np.full(len(market), np.nan) for name in adjuster.published})
    return columns


def _playbooks(market: Market, settings: Settings) -> dict[str, Floats]:
    columns: dict[str, Floats] = {}
    for playbook in settings.enabled_playbooks():
        try:
            columns.update(playbook.columns(market))
        except Exception as error:
            report_fault(f"playbook {playbook.name}", market.pair, error)
            columns.update({name: np.full(len(market), np.nan) for name in playbook.published})
    return columns
