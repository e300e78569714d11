"""Advisors' answers as columns: A7 by hand, known when they arrived, joined where A8 says."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from advice import HOUR, PAIR, record
from hypothesis import given
from hypothesis import strategies as st
from markets import full_market

from quorum.advisors.book import AnswerBook
from quorum.advisors.ledger import Ledger
from quorum.advisors.settings import AdvisorSettings
from quorum.answers import KINDS, TOGETHER, Answers, AnswerTable
from quorum.bot.advice import Advice
from quorum.context.phase import MarketPhase
from quorum.features.advice import with_phases
from quorum.features.table import Features
from quorum.heads.advisors import AdvisorsHead
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.state import Store
from quorum.verify import certify

MARKET = full_market(1700)
CLOSE = MARKET.close_time
UP, DOWN, FLAT = 1.0, -1.0, 0.0


def table(kind: str, rows) -> AnswerTable:
    """Return a table of (candle row, advisor, values), known a minute after the candle."""
    rows = sorted(rows, key=lambda r: r[0])
    candle = np.array([CLOSE[r[0]] for r in rows], dtype=np.int64)
    values = np.array([r[2] for r in rows], dtype=np.float64)
    values = values.reshape(-1, len(KINDS[kind].fields))
    advisor = np.array([r[1] for r in rows], dtype=np.int64)
    return AnswerTable(candle + 60_000, candle, advisor, values)


def advised(trusted=False, **tables):
    names = ("a", "b", "c", TOGETHER)
    tables = {kind: table(kind, rows) for kind, rows in tables.items()}
    return replace(MARKET, answers=Answers(names, tables, trusted))


def columns(market):
    return evaluate(market, Settings()).features


def readings(direction, confidence):
    return [*direction, *confidence]


AGREE = readings([UP] * 4, [0.8] * 4)


def test_the_consensus_of_three_advisors_worked_by_hand():
    market = advised(
        timeframes=[
            (1000, 0, readings([UP, UP, UP, DOWN], [0.9, 0.8, 0.7, 0.6])),
            (1000, 1, readings([UP, UP, UP, UP], [0.5, 0.6, 0.7, 0.8])),
            (1000, 2, readings([DOWN, DOWN, DOWN, DOWN], [0.5] * 4)),
        ]
    )
    f, t = columns(market), 1001
    own = [0.09 + 0.16 + 0.21 - 0.24, 0.05 + 0.12 + 0.21 + 0.32, -0.5]
    assert f["advisor_score"][t] == pytest.approx(np.mean(own))
    assert f["advisor_direction"][t] == 1
    assert f["advisor_agreement"][t] == pytest.approx(2 / 3)
    first = (0.09 + 0.16 + 0.21) / 0.6
    second = 0.05 + 0.12 + 0.21 + 0.32
    assert f["advisor_confidence"][t] == pytest.approx((first + second) / 2 * 2 / 3)
    # The hour, four hours and the day point up, the week down.
    assert f["advisor_alignment"][t] == pytest.approx(0.6)
    assert f["advisor_count"][t] == 3


def test_an_answer_is_seen_from_the_close_after_it_arrived_until_it_is_too_old():
    market = advised(timeframes=[(1000, 0, AGREE), (1000, 1, AGREE)])
    direction = columns(market)["advisor_direction"]
    seen = np.flatnonzero(np.isfinite(direction))
    assert seen.tolist() == list(range(1001, 1007)), "six hours is 1.5 times four"


def test_one_advisor_is_no_consensus():
    market = advised(timeframes=[(1000, 0, AGREE), (1010, 1, AGREE)])
    assert np.isnan(columns(market)["advisor_direction"]).all()
    votes = evaluate(market, Settings()).apart["advisors"]
    assert not votes.available.any()


def test_the_newest_answer_speaks_even_if_an_older_one_arrives_later():
    late = table("timeframes", [(1000, 0, readings([DOWN] * 4, [0.9] * 4)), (1001, 0, AGREE),
                                (1001, 1, AGREE)])  # fmt: skip
    order = np.argsort(late.known_at + np.array([10 * 60_000 * 60, 0, 0]))
    shuffled = AnswerTable(
        np.sort(late.known_at), late.candle[order], late.advisor[order], late.values[order]
    )
    answers = Answers(("a", "b"), {"timeframes": shuffled})
    f = columns(replace(MARKET, answers=answers))
    assert f["advisor_agreement"][1003] == 1.0


# The head ---------------------------------------------------------------------------------


def vote(market, row=1001):
    votes = evaluate(market, Settings()).apart["advisors"]
    text = AdvisorsHead.reason_text(int(votes.reason[row]))
    return votes.direction[row], votes.probability[row], votes.confidence[row], text


SURE = readings([UP] * 4, [0.95] * 4)


def test_unproven_advisors_never_cast_a_valid_vote():
    market = advised(timeframes=[(1000, a, SURE) for a in range(3)])
    assert vote(market) == (1, 0.60, 0.69, "advisors_up+unproven")


def test_trusted_ones_do():
    market = advised(True, timeframes=[(1000, a, SURE) for a in range(3)])
    direction, probability, confidence, text = vote(market)
    assert (direction, text) == (1, "advisors_up")
    assert probability == pytest.approx(0.5 + 0.5 * 0.95)
    assert confidence == pytest.approx(0.95)


@pytest.mark.parametrize(("settled", "proven"), [(199, False), (200, True)])
def test_from_200_settled_answers_on_the_measured_hit_rate_is_the_probability(settled, proven):
    market = advised(
        timeframes=[(1000, a, SURE) for a in range(3)],
        skill=[(900, 3, [settled, 1.0, -0.5, 2.0])],
    )
    _, probability, confidence, _ = vote(market)
    measured = 1 / (1 + np.exp(-(-0.5 + 2.0 * 0.95)))
    assert probability == pytest.approx(measured if proven else 0.60, abs=1e-4)
    assert confidence == pytest.approx(0.95 if proven else 0.69)


def test_an_advisor_without_skill_has_no_weight():
    against = readings([DOWN] * 4, [0.95] * 4)
    rows = [(1000, 0, AGREE), (1000, 1, AGREE), (1000, 2, against)]
    without = [(900, 2, [300, 0.0, np.nan, np.nan])]
    f = columns(advised(timeframes=rows, skill=without))
    assert f["advisor_count"][1001] == 2
    assert f["advisor_agreement"][1001] == 1.0


def test_timeframes_that_do_not_align_give_no_vote():
    split = readings([UP, UP, DOWN, FLAT], [0.9, 0.9, 0.3, 0.5])
    market = advised(True, timeframes=[(1000, a, split) for a in range(3)])
    assert columns(market)["advisor_alignment"][1001] == pytest.approx(0.3)
    assert vote(market)[0] == 0


def test_advisors_never_raise_the_bar_for_the_other_heads():
    plain, market = (
        evaluate(MARKET, Settings()),
        advised(True, timeframes=[(r, a, SURE) for r in range(900, 1690, 4) for a in range(3)]),
    )
    with_them = evaluate(market, Settings())
    assert tuple(with_them.votes) == tuple(plain.votes)
    for name, votes in plain.votes.items():
        np.testing.assert_array_equal(votes.direction, with_them.votes[name].direction)


# Second opinions --------------------------------------------------------------------------


def test_regimes_are_averaged_with_the_rules():
    told = [0.0] * 8
    told[5] = 1.0
    market = advised(regime=[(1000, 0, told), (1000, 1, told)])
    plain = evaluate(MARKET, Settings()).context["regime_strong_bear"]
    joined = evaluate(market, Settings()).context["regime_strong_bear"]
    assert joined[1001] == pytest.approx(0.5 * (plain[1001] + 1.0), abs=1e-6)
    np.testing.assert_array_equal(joined[:1001], plain[:1001])
    np.testing.assert_array_equal(joined[1037:], plain[1037:])


@pytest.mark.parametrize(
    ("rules", "votes", "phase"),
    [
        ("RISK_ON", [0, 0, 0, 0], "RISK_ON"),
        ("RISK_ON", [0, 1, 0, 0], "RISK_ON"),
        ("RISK_ON", [0, 2, 0, 0], "RISK_OFF"),
        ("UNCERTAIN", [0, 0, 3, 0], "ROTATION"),
        ("RISK_OFF", [1, 1, 1, 0], "RISK_OFF"),
    ],
)
def test_the_phase_is_what_most_see(rules, votes, phase):
    features = Features(1)
    for code, count in enumerate(votes):
        features.add(f"advisor_phase_{code}", np.array([float(count)]))
    known = np.array([float(MarketPhase[rules])])
    assert MarketPhase(int(with_phases(known, features)[0])).name == phase
    assert np.isnan(with_phases(np.array([np.nan]), features)[0])


@pytest.mark.parametrize("away", [0.97, 0.98, 1.015, 1.03])
def test_a_strong_level_joins_the_map(away):
    told = [away, *[np.nan] * 7, 1.0, *[np.nan] * 7]
    f, plain = columns(advised(levels=[(1000, 0, told)])), columns(MARKET)
    side = "support" if away < 1 else "resistance"
    price = MARKET.candles.close[1000] * away
    assert f["advisor_level_1"][1001] == pytest.approx(price)
    mapped = np.array([f[f"{side}_{i}"][1001] for i in range(1, 5)])
    nearest = int(np.nanargmin(np.abs(mapped - price)))
    assert abs(mapped[nearest] - price) < 1.5 * f["atr"][1001], "or a stronger one beside it"
    strength = f[f"{side}_strength_{nearest + 1}"][1001]
    assert strength >= 0.5
    before = np.array([plain[f"{side}_{i}"][1001] for i in range(1, 5)])
    same = np.flatnonzero(before == mapped[nearest])
    if len(same):
        assert strength >= plain[f"{side}_strength_{same[0] + 1}"][1001]
    np.testing.assert_array_equal(f[f"{side}_1"][:1001], plain[f"{side}_1"][:1001])


# Look-ahead -------------------------------------------------------------------------------


def random_answers(rng, first=1500):
    rows = range(first, len(MARKET) - 1)
    return {
        "timeframes": [
            (r, a, readings(rng.choice([-1, 0, 1], 4), rng.uniform(0.5, 1, 4)))
            for r in rows for a in range(3) if rng.random() < 0.3
        ],
        "regime": [(r, a, rng.dirichlet([1] * 8)) for r in rows for a in range(3)
                   if rng.random() < 0.05],
        "levels": [(r, 0, [*rng.uniform(0.9, 1.1, 8), *rng.uniform(0, 1, 8)]) for r in rows
                   if rng.random() < 0.05],
        "market": [(r, a, [rng.integers(4), 0, 0.5, 0]) for r in rows for a in range(3)
                   if rng.random() < 0.05],
        "skill": [(r, 3, [rng.integers(150, 300), 1, 0.1, 1.0]) for r in rows
                  if rng.random() < 0.05],
    }  # fmt: skip


def test_no_column_of_the_advisors_is_ever_rewritten():
    market = advised(**random_answers(np.random.default_rng(5)))
    certificate = certify(market, Settings(), stretch=25, warmup=1400)
    assert certificate.columns["feature advisor_score"].compared > 0
    assert certificate.columns["vote advisors probability"].compared > 0
    assert certificate.rewritten == 0


def test_garbled_answers_change_nothing_before_they_were_known():
    rng = np.random.default_rng(6)
    market = advised(**random_answers(rng))
    end = int(CLOSE[-60])

    def garble(t: AnswerTable) -> AnswerTable:
        late = t.known_at > end
        noise = np.where(late[:, None], rng.random(t.values.shape), t.values)
        return replace(t, values=noise)

    answers = market.answers
    spoiled = replace(answers, tables={k: garble(t) for k, t in answers.tables.items()})
    one, other = columns(market), columns(replace(market, answers=spoiled))
    for name in one:
        np.testing.assert_array_equal(one[name][:-59], other[name][:-59], err_msg=name)
    assert (one["advisor_score"][-59:] != other["advisor_score"][-59:]).any()


@given(seed=st.integers(0, 10_000))
def test_shares_stay_shares_whatever_is_answered(seed):
    rng = np.random.default_rng(seed)
    rows = random_answers(rng, first=len(MARKET) - 20)["timeframes"]
    if rows:
        features = Features(len(MARKET))
        from quorum.features.advice import AdviceConstants, add_advice

        add_advice(advised(timeframes=rows), features, AdviceConstants())
        for name in ("confidence", "agreement", "alignment", "probability"):
            column = features[f"advisor_{name}"]
            assert ((column >= 0) & (column <= 1) | np.isnan(column)).all(), name


# From the ledger --------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'state.sqlite'}", patience=60)
    yield Ledger(store)
    store.close()


def book(ledger, **settings):
    reading = AnswerBook(ledger, AdvisorSettings(**settings), "1h")
    reading.refresh()
    return reading


DAY = 24 * HOUR
RETRO = {"asked_at": 900 * DAY, "candle": 500 * DAY}


@pytest.mark.parametrize(
    ("changes", "admitted", "why", "known"),
    [
        ({"candle": HOUR, "asked_at": 2 * HOUR}, False, "live", 2 * HOUR),
        ({"candle": HOUR, "asked_at": 2 * HOUR + 1}, True, "contaminated", None),
        ({**RETRO, "cut_off": 440 * DAY}, False, "refused", None),
        ({**RETRO, "cut_off": 440 * DAY}, True, "retrospective", 500 * DAY + HOUR),
        ({**RETRO, "cut_off": 440 * DAY + 1}, True, "contaminated", None),
        ({**RETRO, "cut_off": None}, True, "contaminated", None),
    ],
)
def test_what_counts_is_what_could_not_know_better(ledger, changes, admitted, why, known):
    ledger.append(record(**changes))
    reading = book(ledger, retrospective=admitted)
    assert dict(reading.coverage) == {why: 1}
    tables = reading.answers(PAIR).tables
    assert [int(t.known_at[0]) for t in tables.values()] == ([known] if known else [])


def test_a_book_reads_on_and_gives_each_pair_its_own(ledger):
    ledger.append(record())
    reading = book(ledger)
    assert len(reading.answers(PAIR).tables["timeframes"]) == 1
    assert reading.answers("BTC/USDT:USDT").tables == {}
    told = {PAIR: [1.0, 1.0, 0.7, 0.0], "BTC/USDT:USDT": [1.0, None, 0.7, 1.0]}
    ledger.append(record("market", pair="", numbers=told, candle=DAY))
    ledger.append(record(candle=2 * HOUR, role="strategist"))
    reading.refresh()
    answers = reading.answers(PAIR)
    assert len(answers.tables["timeframes"]) == 2
    assert answers.advisors == ("openai m-1 technician", "openai m-1 strategist")
    assert np.isnan(reading.answers("BTC/USDT:USDT").tables["market"].values[0, 1])


def test_a_book_that_is_closed_can_go_to_the_processes_of_an_optimiser(ledger):
    ledger.append(record())
    reader = Advice(book(ledger), running=False)
    copy = pickle.loads(pickle.dumps(reader))
    assert len(copy.of(PAIR).tables["timeframes"]) == 1
    ledger.append(record(candle=2 * HOUR))
    assert len(reader.of(PAIR).tables["timeframes"]) == 1, "one run sees one ledger"


def test_a_running_bot_sees_what_is_added(ledger):
    reader = Advice(book(ledger), running=True)
    assert reader.of(PAIR).tables == {}
    ledger.append(record())
    assert len(reader.of(PAIR).tables["timeframes"]) == 1


def test_failures_are_silence(ledger):
    ledger.append(record(status="refused", numbers={}))
    assert book(ledger).answers(PAIR).tables == {}
    assert json.loads(ledger.rows()[0].numbers) == {}
