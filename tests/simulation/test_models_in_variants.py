"""Variants of a strategy with trained models: a head left out abstains, the models still judge."""

from __future__ import annotations

import numpy as np
import pytest
from markets import full_market

from quorum.pipeline import evaluate
from quorum.settings import load_settings
from quorum.signals import decide
from quorum.simulation import Venue, ablate, books_of, material_of

EASY = {
    "consensus": {"quorum": 2, "quorum_share": 0.2, "min_confidence": 0.5, "gate": 0.65},
    "exits": {"ladder": {"min_first": 1.5}},
}


class Judge:
    """Decides as without models, and remembers which heads it was asked about."""

    def __init__(self) -> None:
        self.heads: list[tuple[str, ...]] = []

    def decide(self, frame, time, heads, weights, consensus):
        self.heads.append(tuple(heads))
        assert "regime_strong_bull" in frame
        return decide(frame, time, heads, weights, consensus)


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(full_market(3000, seed=0), load_settings(EASY))


def test_where_models_judge_a_head_left_out_abstains_and_all_else_is_the_same(evaluation):
    settings = load_settings({**EASY, "consensus": {**EASY["consensus"], "calibrated": True}})
    judge = Judge()
    judged = [material_of(evaluation, settings, Venue(), models=judge)]
    plain = [material_of(evaluation, settings, Venue())]
    every = judged[0].table.votes.heads
    rest = tuple(head for head in every if head != "structure")
    ours, theirs = (books_of(m, settings, rest)[0].table for m in (judged, plain))
    assert np.array_equal(ours.entry, theirs.entry)
    assert np.array_equal(ours.consensus.confidence, theirs.consensus.confidence)
    assert np.count_nonzero(ours.entry) > 0
    assert set(judge.heads) == {every}
    assert ablate(judged, settings) == ablate(plain, settings)


def test_models_that_decide_nothing_more_are_not_asked_again(evaluation):
    settings, judge = load_settings(EASY), Judge()
    materials = [material_of(evaluation, settings, Venue(), models=judge)]
    ablate(materials, settings)
    assert len(judge.heads) == 1
