"""A backtest refuses models that do not fit before it computes a candle (spec M13)."""

from __future__ import annotations

from pathlib import Path

import pytest
from backtests import backtesting, small_market
from freqtrade.exceptions import FreqtradeException
from vintages import START

from quorum.candles import DAY_MS
from quorum.learning.manifest import Vintage
from quorum.learning.requirements import expected_models
from quorum.learning.store import ModelStore
from quorum.settings import load_settings


@pytest.fixture(scope="module")
def candles(tmp_path_factory) -> Path:
    return small_market(tmp_path_factory.mktemp("refused") / "market")


def publish(user_data: Path, pairs: tuple[str, ...]) -> None:
    """Put models in use that were trained with every head on."""
    made = expected_models(load_settings({}), "1h", pairs)
    vintage = Vintage(
        key="made-by-hand",
        valid_from=START + 10 * DAY_MS,
        cut_off=START,
        horizon_ms=DAY_MS,
        embargo_ms=DAY_MS,
        train_start=START,
        rows=100,
        timeframe="1h",
        pairs=pairs,
        features=made.features,
        labels=made.labels,
        models={"features": made.settings},
        heads=made.heads,
    )
    store = ModelStore(user_data / "models" / "quorum")
    store.write(vintage, {"signal/model.txt": b"never read"})
    store.publish([vintage.key], "test")


@pytest.mark.parametrize(
    ("quorum", "trained", "said"),
    [
        (
            {"heads": {"ict": {"enabled": False}}},
            ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"),
            "quorum.heads.ict.enabled: trained with True, configured False",
        ),
        ({}, ("BTC/USDT:USDT", "ETH/USDT:USDT"), "SOL/USDT:USDT traded, not among them"),
    ],
    ids=["a head that was switched off", "a pair they do not know"],
)
def test_a_backtest_refuses_models_that_do_not_fit(tmp_path, candles, quorum, trained, said):
    publish(tmp_path, trained)
    with backtesting(candles, tmp_path, quorum=quorum) as bt:
        with pytest.raises(FreqtradeException, match=said):
            bt.start()
        assert not bt.strategylist[0].desk.tables, "no candle was computed"
