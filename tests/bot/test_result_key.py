"""The host shows an earlier result again only where everything that decides is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from backtests import configuration, small_market
from freqtrade.enums import RunMode
from freqtrade.optimize.backtest_caching import get_strategy_run_id
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.resolvers import StrategyResolver
from vintages import fill

import quorum.bot.result_key as result_key
from quorum.learning.store import ModelStore
from quorum.replay.exchange import ExchangeServer

RECORDS = "known_at,source,score,weight\n2023-05-01T00:00:00Z,fear_greed,0.5,1\n"


@pytest.fixture
def key(tmp_path):
    """Return a function that gives the key under which the host would keep a result now."""
    with ExchangeServer(small_market(tmp_path / "market")) as exchange:
        (tmp_path / "sentiment.csv").write_text(RECORDS)
        (tmp_path / "derivatives.csv").write_text("known_at,pair,kind,value\n")
        section = {
            "market": {
                "records": {"sentiment": "sentiment.csv", "derivatives": "derivatives.csv"},
            }
        }

        def make(mode: RunMode = RunMode.BACKTEST) -> str:
            config = configuration(tmp_path / "market", tmp_path, exchange, quorum=section)
            strategy = StrategyResolver.load_strategy({**config, "runmode": mode})
            return get_strategy_run_id(strategy)

        yield make
    Backtesting.cleanup()


def test_nothing_new_leaves_the_key_as_it_was(key):
    assert key() == key()


def test_models_that_were_trained_promoted_or_rolled_back_change_the_key(key, tmp_path):
    seen = [key()]
    store = ModelStore(tmp_path / "models" / "quorum")
    first, second = fill(store, 0, 30)
    store.publish([first.key], "trained")
    seen.append(key())
    store.publish([first.key, second.key], "trained")
    seen.append(key())
    assert len(set(seen)) == 3
    store.rollback()
    assert key() not in (seen[0], seen[2])


@pytest.mark.parametrize("name", ["sentiment.csv", "derivatives.csv"])
def test_a_records_file_that_was_edited_changes_the_key(key, tmp_path, name):
    before = key()
    file = tmp_path / name
    file.write_text(file.read_text() + "2023-05-02T00:00:00Z,fear_greed,0.4,1\n")
    assert key() != before


def test_an_upgrade_changes_the_key(key, monkeypatch, tmp_path):
    before = key()
    package = tmp_path / "upgraded"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(result_key.quorum, "__file__", str(package / "__init__.py"))
    result_key._code.cache_clear()
    try:
        assert key() != before
    finally:
        result_key._code.cache_clear()


def test_a_running_bot_keeps_its_configuration_to_itself(tmp_path, key):
    assert key(RunMode.DRY_RUN) == key(RunMode.DRY_RUN)
    config: dict[str, object] = {"runmode": RunMode.DRY_RUN, "user_data_dir": Path(tmp_path)}
    result_key.mark_decisions(config, None)  # type: ignore[arg-type]
    assert result_key.KEY not in json.dumps(config, default=str)
