"""The hybrid of models and advisors: worked checks, every row of the table, what it does."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets import full_market
from published import agreeing, published, table_of

from quorum.answers import Answers, AnswerTable
from quorum.bot.notices import entry_lines
from quorum.context.hybrid import Hybrid, Side, Strength, join
from quorum.entry import Account, draw_up
from quorum.features.predictions import AGREEMENT as MODEL_AGREEMENT
from quorum.features.predictions import ENSEMBLE_DOWN, ENSEMBLE_UP
from quorum.pipeline import evaluate
from quorum.settings import Settings

NAN = float("nan")


def joined(ml, ml_c, llm, llm_c, ml_a=0.9, llm_a=0.9):
    def column(*values):
        return [np.array([float(v)]) for v in values]

    result = join(Side(*column(ml, ml_c, ml_a)), Side(*column(llm, llm_c, llm_a)))
    code = float(result.strength[0])
    return (
        None if math.isnan(code) else Strength(int(code)).name.lower(),
        float(result.agreement[0]),
        float(result.confidence[0]),
        float(result.factor[0]),
        float(result.direction[0]),
    )


def test_the_worked_check_of_a_very_strong_hybrid():
    strength, agreement, confidence, factor, direction = joined(1, 0.80, 1, 0.78)
    assert strength == "very_strong"
    assert agreement == pytest.approx(0.941)
    assert confidence == pytest.approx(0.968, abs=5e-4)
    assert factor == pytest.approx(1.484, abs=5e-4)
    assert direction == 1


def test_the_worked_checks_of_one_side_and_of_a_conflict():
    assert joined(1, 0.72, 0, 0.9)[0] == "one_sided"
    assert joined(1, 0.70, -1, 0.70)[0] == "conflict"


TABLE = [
    # models, advisors, their agreements: strength, size factor
    ((1, 0.76, 1, 0.76), "very_strong", 1.47),
    ((-1, 0.90, -1, 0.90), "very_strong", 1.5),
    ((1, 0.75, 1, 0.80), "strong", 1.0),
    ((1, 0.66, 1, 0.66), "strong", 1.0),
    ((1, 0.90, 1, 0.66, 0.5, 0.5), "moderate", None),
    ((1, 0.71, 1, 0.51), "moderate", None),
    ((1, 0.70, 1, 0.50), "one_sided", None),
    ((1, 0.90, 1, 0.40), "one_sided", None),
    ((1, 0.55, 1, 0.90), "one_sided", None),
    ((0, 0.90, -1, 0.70), "one_sided", None),
    ((1, 0.60, -1, 0.60), "conflict", 0.0),
    ((-1, 0.90, 1, 0.60), "conflict", 0.0),
    ((1, 0.90, -1, 0.59), "weak", 0.0),
    ((1, 0.65, 1, 0.65), "weak", 0.0),
    ((1, 0.69, 0, 0.50), "weak", 0.0),
    ((0, 0.90, 0, 0.90), "no_signal", 0.0),
    ((NAN, 0.90, 1, 0.90), None, NAN),
    ((1, 0.90, NAN, 0.90), None, NAN),
]


@pytest.mark.parametrize(("sides", "strength", "factor"), TABLE)
def test_every_row_of_the_strength_table(sides, strength, factor):
    ml, ml_c, llm, llm_c, *agreements = sides
    told = joined(ml, ml_c, llm, llm_c, *agreements)
    assert told[0] == strength
    if factor is None:
        assert told[3] == pytest.approx(0.5 + 0.2 * told[2])
    else:
        assert told[3] == pytest.approx(factor, abs=5e-3, nan_ok=True)


def test_a_neutral_side_agrees_by_half_and_adds_no_confidence():
    _, agreement, confidence, _, direction = joined(1, 0.80, 0, 0.95)
    assert agreement == 0.5
    assert confidence == pytest.approx(0.48)
    assert direction == 1


share = st.floats(0.0, 1.0)
side = st.sampled_from([-1, 0, 1])


@given(ml=side, mc=share, ma=share, llm=side, lc=share, la=share)
def test_up_and_down_mirror_each_other_and_shares_stay_shares(ml, mc, ma, llm, lc, la):
    one = joined(ml, mc, llm, lc, ma, la)
    other = joined(-ml, mc, -llm, lc, ma, la)
    assert one[:4] == other[:4]
    assert one[4] == -other[4]
    assert 0 <= one[1] <= 1
    assert 0 <= one[2] <= 1
    assert 0 <= one[3] <= 1.5


# Through the strategy's columns ------------------------------------------------------------


class Predicted:
    """Models that say what a test wants, candle by candle."""

    def __init__(self, up, down, agreement):
        self.said = {ENSEMBLE_UP: up, ENSEMBLE_DOWN: down, MODEL_AGREEMENT: agreement}

    def add_predictions(self, market, features):
        for name, values in self.said.items():
            features.add(name, values, scale_free=False)


def test_every_row_of_the_table_comes_out_of_the_columns_of_a_market():
    market = full_market(1700)
    n, rows = len(market), {}
    up = np.full(n, NAN)
    down, agreement = up.copy(), up.copy()
    answers = []
    worked = ((1, 0.80, 1, 0.78), "very_strong", 1.484)
    cases = [case for case in (worked, *TABLE) if len(case[0]) == 4]
    for i, (sides, _, _) in enumerate(cases):
        row = rows[i] = 1400 + 12 * i
        ml, ml_c, llm, llm_c = sides
        if not math.isnan(ml):
            probability = 0.4 if ml == 0 else ml_c
            up[row], down[row] = probability, 0.1
            if ml < 0:
                up[row], down[row] = down[row], up[row]
            agreement[row] = 0.9
        # Nine of ten on one side: an agreement of .9, which the stated confidence is times.
        sure = llm_c / 0.9
        for advisor in range(0 if math.isnan(llm) else 10):
            way = llm if advisor else -llm
            told = [way] * 4 + [min(sure, 1.0)] * 4
            answers.append((int(market.close_time[row - 1]) + 1, advisor, told))
    known = np.array([a[0] for a in answers], dtype=np.int64)
    table = AnswerTable(
        known, known - 1, np.array([a[1] for a in answers]), np.array([a[2] for a in answers])
    )
    names = tuple(f"advisor {i}" for i in range(10))
    advised = replace(market, answers=Answers(names, {"timeframes": table}, trusted=True))
    context = evaluate(advised, Settings(), Predicted(up, down, agreement)).context
    for i, (sides, strength, factor) in enumerate(cases):
        at = {name: float(context[name][rows[i]]) for name in Hybrid.published}
        effect = Hybrid().effect(at, 1)
        assert effect.facts.get("hybrid") == strength, sides
        if factor is not None:
            assert at["hybrid_factor"] == pytest.approx(factor, abs=5e-3, nan_ok=True), sides
    silent = np.isnan(context["hybrid_strength"])
    assert silent.sum() == n - sum(case[1] is not None for case in cases)


# What it does to a signal -----------------------------------------------------------------


def row(ml, ml_c, llm, llm_c, alignment=1.0):
    strength, agreement, confidence, factor, direction = joined(ml, ml_c, llm, llm_c)
    values = {
        "direction": direction,
        "strength": NAN if strength is None else Strength[strength.upper()],
        "agreement": agreement,
        "confidence": confidence,
        "factor": factor,
        "models": ml,
        "models_confidence": ml_c,
        "models_agreement": 0.9,
        "models_return": 0.4,
        "advisors": llm,
        "advisors_confidence": llm_c,
        "advisors_agreement": 0.9,
        "alignment": alignment,
    }
    return {f"hybrid_{name}": float(value) for name, value in values.items()}


def test_agreement_multiplies_the_size():
    effect = Hybrid().effect(row(1, 0.80, 1, 0.78), 1)
    assert effect.veto is None
    assert effect.reasons == {"hybrid": pytest.approx(1.484, abs=5e-4)}
    assert effect.facts["hybrid"] == "very_strong"
    assert effect.facts["hybrid_record"]["models_confidence"] == 0.8
    assert effect.facts["hybrid_reasoning"] == (
        "models up 0.80 (agreement 0.90), advisors up 0.78 (agreement 0.90): "
        "agreement 0.94, very strong, size x 1.48"
    )


def test_timeframes_of_the_advisors_that_are_not_aligned_cost_size():
    effect = Hybrid().effect(row(1, 0.70, 1, 0.70, alignment=0.7), 1)
    assert effect.reasons == {"hybrid": 1.0, "advisors_unaligned": 0.7}


@pytest.mark.parametrize(
    ("sides", "veto"),
    [
        ((1, 0.70, -1, 0.70), "hybrid_conflict"),
        ((-1, 0.80, -1, 0.80), "hybrid_against"),
        ((1, 0.69, 0, 0.50), None),
        ((NAN, 0.8, 1, 0.8), None),
        ((1, 0.8, NAN, 0.8), None),
    ],
)
def test_a_quarrel_refuses_and_silence_changes_nothing(sides, veto):
    effect = Hybrid().effect(row(*sides), 1)
    assert effect.veto == veto
    assert effect.reasons == {}


# In a signal, and where it is told --------------------------------------------------------


def signal_with(sides):
    votes = agreeing(7, 0.80, 0.78)
    frame = published([votes], close=43250.0, atr=300.0, zone_position=0.2, **row(*sides))
    return draw_up(table_of(frame), 0, "BTC/USDT:USDT", 43250.0, Account(100_000.0), Settings())


@pytest.mark.parametrize(
    ("sides", "factor", "veto"),
    [
        ((NAN, 0.8, 1, 0.8), 1.0, None),
        ((1, 0.80, 1, 0.78), 1.484, None),
        ((1, 0.66, 1, 0.66), 1.0, None),
        ((1, 0.72, 0, 0.50), 0.5 + 0.2 * 0.432, None),
        ((1, 0.70, -1, 0.70), 1.0, "hybrid_conflict"),
        ((-1, 0.80, -1, 0.80), 1.0, "hybrid_against"),
    ],
)
def test_a_signal_is_sized_refused_and_kept_with_the_whole_record(sides, factor, veto):
    signal, plain = signal_with(sides), signal_with((NAN, 0.8, NAN, 0.8))
    assert signal.veto == veto
    assert signal.position_size_pct == pytest.approx(plain.position_size_pct * factor, rel=1e-3)
    if math.isnan(sides[0]):
        assert "hybrid" not in signal.context
        return
    kept = type(signal).model_validate(signal.model_dump(mode="json"))
    assert kept.context["hybrid_record"]["advisors_confidence"] == sides[3]
    trade = SimpleNamespace(
        is_short=False, amount=1.0, open_rate=43250.0, pair="BTC/USDT:USDT", id=1,
        stake_currency="USDT",
    )  # fmt: skip
    assert kept.context["hybrid_reasoning"] in list(entry_lines(trade, kept))
