"""The heads of trained models: when a prediction becomes a vote (spec M4 b, c)."""

from __future__ import annotations

import numpy as np
import pytest
from evaluations import valid
from markets import candle_frame

from quorum.features import Features
from quorum.features import predictions as columns
from quorum.heads.base import Votes
from quorum.heads.ensemble import EnsembleHead, EnsembleHeadSettings
from quorum.heads.signal import SignalHead, SignalHeadSettings
from quorum.market import Frames, Market, build_market

PAIR = "SOL/USDT:USDT"


def market_of(n: int) -> Market:
    return build_market(PAIR, "1h", Frames(candle_frame(max(n, 2)))).head(n)


def features_of(**predictions: list[float]) -> Features:
    n = len(next(iter(predictions.values())))
    features = Features(n)
    features.begin("models")
    for name, values in predictions.items():
        features.add(getattr(columns, name), np.array(values, float), scale_free=False)
    return features


def signal(up: list[float], down: list[float], **settings: float) -> Votes:
    head = SignalHead(SignalHeadSettings(**settings))
    return head.vote(market_of(len(up)), features_of(SIGNAL_UP=up, SIGNAL_DOWN=down))


def ensemble(up, down, long, short, agreement, **settings: float) -> Votes:
    head = EnsembleHead(EnsembleHeadSettings(**settings))
    features = features_of(
        ENSEMBLE_UP=up,
        ENSEMBLE_DOWN=down,
        RETURN_LONG=long,
        RETURN_SHORT=short,
        AGREEMENT=np.asarray(agreement) * 0.9,
        UNITED=agreement,
    )
    return head.vote(market_of(len(up)), features)


def test_the_signal_head_acts_from_a_probability_of_065():
    votes = signal([0.64, 0.65, 0.10, 0.10], [0.30, 0.30, 0.649, 0.8])
    assert votes.direction.tolist() == [0, 1, 0, -1]
    assert votes.probability.tolist() == [0.5, 0.65, 0.5, 0.8]
    assert votes.confidence.tolist() == [0.0, 0.65, 0.0, 0.8]
    assert votes.available.all()
    assert SignalHead.reason_text(int(votes.reason[1])) == "model_up"
    assert SignalHead.reason_text(int(votes.reason[3])) == "model_down"


def test_a_vote_of_the_signal_head_counts_from_070():
    votes = signal([0.69, 0.70, 0.71], [0.2, 0.2, 0.2])
    assert valid(votes).tolist() == [False, True, True]


def test_the_threshold_is_a_setting():
    assert signal([0.6], [0.2], act=0.55).direction.tolist() == [1]
    assert signal([0.6], [0.2]).direction.tolist() == [0]


def test_without_a_prediction_the_model_heads_abstain():
    assert not signal([np.nan, 0.9], [np.nan, 0.05]).available[0]
    nan = [np.nan]
    assert not ensemble(nan, nan, nan, nan, nan).available.any()


@pytest.mark.parametrize("head", [SignalHead(), EnsembleHead()], ids=lambda head: head.name)
def test_without_models_the_model_heads_abstain(head):
    votes = head.vote(market_of(5), Features(5))
    assert not votes.available.any()
    assert not votes.direction.any()


def test_the_ensemble_does_not_vote_for_a_side_that_does_not_pay():
    votes = ensemble([0.7, 0.7], [0.2, 0.2], [0.05, -0.01], [-0.4, -0.4], [1.0, 1.0])
    assert votes.direction.tolist() == [1, 0]


def test_members_that_differ_cost_confidence():
    votes = ensemble([0.8, 0.8], [0.1, 0.1], [0.4, 0.4], [-0.5, -0.5], [1.0, 0.5])
    assert votes.confidence.tolist() == [0.8, 0.72]
    assert votes.probability.tolist() == [0.8, 0.8]
    assert EnsembleHead.reason_text(int(votes.reason[1])) == "ensemble_up+members_differ"


def test_reflected_predictions_give_reflected_votes():
    rng = np.random.default_rng(3)
    up, down = rng.uniform(0.2, 0.9, (2, 300))
    long, short = rng.normal(0.1, 0.2, (2, 300))
    agreement = rng.choice([0.5, 1.0], 300)
    votes = ensemble(up, down, long, short, agreement)
    image = ensemble(down, up, short, long, agreement)
    assert votes.direction.any()
    np.testing.assert_array_equal(votes.direction, -image.direction)
    np.testing.assert_array_equal(votes.confidence, image.confidence)
    mirrored = signal(list(down), list(up))
    np.testing.assert_array_equal(signal(list(up), list(down)).direction, -mirrored.direction)
