"""Faults: what fails abstains, is reported once, and stops nothing else."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import numpy as np
import pytest
from markets import full_market

from quorum import faults
from quorum.context import ADJUSTERS
from quorum.explain import explain
from quorum.faults import report_fault
from quorum.features import FAMILIES, Family, compute_features
from quorum.heads import HEADS
from quorum.market import Market
from quorum.pipeline import Evaluation, evaluate
from quorum.settings import Settings
from quorum.signals import signal_table

SETTINGS = Settings()


@pytest.fixture(autouse=True)
def _fresh_faults(monkeypatch):
    monkeypatch.setattr(faults, "_reported", set())


@pytest.fixture(scope="module")
def small() -> Market:
    return full_market(700, seed=4)


@pytest.fixture(scope="module")
def whole(small) -> Evaluation:
    return evaluate(small, SETTINGS)


def broken(*_arguments):
    raise RuntimeError("broken on purpose")


def break_family(monkeypatch, name: str) -> None:
    monkeypatch.setitem(FAMILIES, name, Family(broken, FAMILIES[name].constants))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_head_that_fails_abstains_and_the_others_vote_on(head, small, whole, monkeypatch, caplog):
    monkeypatch.setattr(head, "vote", broken)
    for _ in range(3):
        result = evaluate(small, SETTINGS)
    assert list(result.votes) == list(whole.votes)
    assert not result.votes[head.name].available.any()
    assert not result.votes[head.name].direction.any()
    for name in whole.votes.keys() - {head.name}:
        np.testing.assert_array_equal(result.votes[name].probability, whole.votes[name].probability)
    records = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert [r.getMessage() for r in records] == [
        f"The head {head.name} failed on {small.pair} and abstains"
    ]
    assert records[0].exc_info is not None
    assert "broken on purpose" in str(records[0].exc_info[1])
    table = signal_table(result, SETTINGS)
    available = np.sum([v.available for v in whole.votes.values()], axis=0)
    gone = whole.votes[head.name].available
    np.testing.assert_array_equal(table.consensus.available, available - gone)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_feature_family_that_fails_takes_only_its_readers_with_it(
    family, small, whole, monkeypatch, caplog
):
    break_family(monkeypatch, family)
    for _ in range(2):
        result = evaluate(small, SETTINGS)
    own = {n for n, column in whole.features.columns.items() if column.family == family}
    assert own or family == "advice", "which needs a ledger"
    assert not own & result.features.keys()
    first = next(r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR)
    assert first == f"The feature family {family} failed on {small.pair} and abstains"
    messages = [r.getMessage() for r in caplog.records]
    assert len(messages) == len(set(messages)), "each fault is reported once"
    assert set(result.votes) == set(whole.votes)
    assert set(result.context) == set(whole.context)


@pytest.mark.parametrize("family", FAMILIES)
def test_signals_can_still_be_drawn_up_when_a_feature_family_fails(family, small, monkeypatch):
    break_family(monkeypatch, family)
    result = evaluate(small, SETTINGS)
    table = signal_table(result, SETTINGS)
    assert len(table.entry) == len(small)
    if family == "volatility":
        assert not table.entry.any(), "no stop is known without a true range"
    moment = datetime.fromtimestamp(int(small.close_time[-1]) / 1000, tz=UTC)
    assert explain(result, SETTINGS, moment).votes


def test_a_family_that_fails_halfway_leaves_nothing_behind(small, monkeypatch):
    add, kind = FAMILIES["momentum"]

    def halfway(market, out, settings):
        add(market, out, settings)
        broken()

    monkeypatch.setitem(FAMILIES, "momentum", Family(halfway, kind))
    features = compute_features(small)
    assert not any(column.family == "momentum" for column in features.columns.values())


@pytest.mark.parametrize("adjuster", ADJUSTERS, ids=lambda adjuster: adjuster.name)
def test_an_adjuster_that_fails_is_unknown_and_the_others_are_not(
    adjuster, small, whole, monkeypatch, caplog
):
    monkeypatch.setattr(adjuster, "columns", broken)
    result = evaluate(small, SETTINGS)
    assert set(result.context) == set(whole.context)
    for name, values in result.context.items():
        if name in adjuster.published:
            assert np.isnan(values).all()
        else:
            np.testing.assert_array_equal(values, whole.context[name])
    assert caplog.text.count(f"adjuster {adjuster.name} failed") == 1


def test_when_every_head_fails_there_is_no_signal(small, monkeypatch):
    for head in HEADS:
        monkeypatch.setattr(head, "vote", broken)
    table = signal_table(evaluate(small, SETTINGS), SETTINGS)
    assert not table.entry.any()
    assert not table.consensus.available.any()
    assert (table.consensus.confluence == 50.0).all()


def fault(value: int) -> Exception:
    try:
        raise ValueError(f"candle {value}")
    except ValueError as error:
        return error


def other_fault() -> Exception:
    try:
        raise KeyError("another place")
    except KeyError as error:
        return error


def test_the_same_fault_is_reported_once_whatever_values_its_message_holds(caplog):
    for value in range(5):
        report_fault("head x", "BTC/USDT:USDT", fault(value))
    assert len(caplog.records) == 1
    report_fault("head x", "ETH/USDT:USDT", fault(0))
    report_fault("head y", "BTC/USDT:USDT", fault(0))
    report_fault("head x", "BTC/USDT:USDT", other_fault())
    assert len(caplog.records) == 4


def test_a_fault_that_was_never_raised_is_reported_too(caplog):
    report_fault("head x", "BTC/USDT:USDT", ValueError("made, not raised"))
    report_fault("head x", "BTC/USDT:USDT", ValueError("made, not raised"))
    assert len(caplog.records) == 1
