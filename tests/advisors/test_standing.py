"""What advisors are worth: agreement, effective number, mirrored questions."""

from __future__ import annotations

import numpy as np
import pytest
from advice import HOUR, PAIR, record
from markets import full_market

from quorum.advisors.book import AnswerBook
from quorum.advisors.facts import FactReader
from quorum.advisors.keys import make_clients
from quorum.advisors.ledger import Ledger
from quorum.advisors.settings import AdvisorSettings
from quorum.advisors.simulated import Analyst, ProviderServer
from quorum.advisors.standing import mirrored, probe, standings
from quorum.advisors.writer import Writer
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.state import Store


@pytest.fixture
def ledger(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'state.sqlite'}", patience=60)
    yield Ledger(store)
    store.close()


def test_advisors_that_always_agree_are_worth_one_and_independent_ones_their_number(ledger):
    rng = np.random.default_rng(2)
    closes = {PAIR: {}}
    for i in range(1, 121):
        candle = 4 * i * HOUR
        closes[PAIR][candle] = 100.0 + rng.normal()
        side = float(rng.choice([-1, 1]))
        other = float(rng.choice([-1, 1]))
        for role, told in (("technician", side), ("strategist", side), ("risk_officer", other)):
            numbers = {PAIR: [told] * 4 + [0.7] * 4}
            ledger.append(record(candle=candle, role=role, numbers=numbers, latency=2.0, cost=0.01))
    ledger.append(record(candle=999 * HOUR, status="refused", numbers={}, cost=0.01))
    found, alike = standings(ledger, closes)
    assert alike.effective == pytest.approx(9 / 5, abs=0.4)
    same = {frozenset((a, b)): alike.same[i, j] for i, a in enumerate(alike.names)
            for j, b in enumerate(alike.names) if i != j}  # fmt: skip
    assert max(same.values()) == 1.0
    assert min(same.values()) == pytest.approx(0.5, abs=0.15)
    technician = next(s for s in found if s.name.endswith("technician"))
    assert technician.statuses == {"answered": 120, "refused": 1}
    assert technician.cost == pytest.approx(1.21)
    assert technician.latency == 2.0
    assert technician.measured[4].settled == 119
    assert sum(n for _, _, n in technician.curve) == technician.measured[24].settled == 114


def test_what_was_asked_afterwards_proves_nothing(ledger):
    for i in range(1, 50):
        ledger.append(record(candle=i * HOUR, asked_at=(i + 5) * HOUR))
    closes = {PAIR: {i * HOUR: 100.0 + i for i in range(200)}}
    found, _ = standings(ledger, closes)
    assert not any(s.measured for s in found)


# The probe --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def facts():
    market = full_market(1700)
    reader = FactReader(evaluate(market, Settings()))
    return [reader.at(row) for row in range(1450, 1700, 25)]


def test_a_market_mirrored_twice_is_the_market(facts):
    for one in facts:
        twice = mirrored(mirrored(one))
        for section, told in one.plain.items():
            for name, value in told.items():
                assert twice.plain[section][name] == pytest.approx(value, abs=2e-3), name
        for section, told in one.prices.items():
            for name, value in told.items():
                assert twice.prices[section][name] == pytest.approx(value), name
        once = mirrored(one)
        assert once.plain["4h"]["structure"] == -one.plain["4h"]["structure"]
        assert once.plain["base"]["rsi"] == pytest.approx(100 - one.plain["base"]["rsi"])
        assert once.prices["levels"]["prior_week_high"] > once.prices["levels"]["prior_week_low"]


@pytest.mark.parametrize(("skill", "follows"), [(1.0, True), (0.0, False)])
def test_an_advisor_that_follows_the_facts_turns_with_them(ledger, facts, skill, follows):
    with ProviderServer(Analyst(skill=skill, noise=0.0)) as server:
        settings = AdvisorSettings()
        asking = Writer(ledger, settings, make_clients(settings, {}, server.url), who="probe")
        found = probe(asking, facts)
    assert len(found) == 3
    turned = np.mean([p.mirrored for p in found])
    stayed = np.mean([p.renamed for p in found])
    if follows:
        assert turned > 0.9
        assert stayed == 1.0
    else:
        assert turned < 0.8
        assert stayed < 0.8
    book = AnswerBook(ledger, settings, "1h")
    book.refresh()
    assert not book.coverage, "what a probe asks is no opinion of the market"
