"""A stake currency other than a dollar, and a wallet too small for the exchange."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from backtests import backtesting, small_market

PRICES = ["open", "high", "low", "close"]


@pytest.fixture(scope="module")
def in_bitcoin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return spot candles of ETH/BTC, made of those in dollars."""
    dollars = small_market(tmp_path_factory.mktemp("dollars"))
    folder = tmp_path_factory.mktemp("bitcoin")
    for timeframe in ("1h", "4h", "1d"):
        own = pd.read_feather(dollars / f"ETH_USDT-{timeframe}.feather")
        bitcoin = pd.read_feather(dollars / f"BTC_USDT-{timeframe}.feather")
        assert own["date"].equals(bitcoin["date"])
        own["open"] = (own["open"] / bitcoin["open"]).round(7)
        own["close"] = (own["close"] / bitcoin["close"]).round(7)
        # The true extremes are not known; these are causal and hold open and close.
        for name in ("high", "low"):
            ratio = (own[name] / bitcoin["close"]).round(7)
            bound = own[["open", "close"]]
            own[name] = (
                ratio.clip(lower=bound.max(axis=1))
                if name == "high"
                else ratio.clip(upper=bound.min(axis=1))
            )
        own.to_feather(folder / f"ETH_BTC-{timeframe}.feather")
    return folder


def entries(datadir: Path, user_data: Path, wallet: float) -> tuple[int, dict[str, int]]:
    """Return the number of trades and the refusals of a backtest."""
    changes = {
        "trading_mode": "spot",
        "margin_mode": "",
        "stake_currency": "BTC",
        "dry_run_wallet": wallet,
        "export": "none",
        "timerange": "20230420-20230801",
    }
    with backtesting(datadir, user_data, **changes) as bt:
        bt.start()
        trades = len(bt.all_bt_content["Quorum"]["results"])
        return trades, dict(bt.strategy.desk.refused)


def test_a_wallet_in_bitcoin_trades(in_bitcoin: Path, tmp_path: Path):
    trades, refused = entries(in_bitcoin, tmp_path, wallet=2.0)
    assert trades > 0
    assert "below_minimum_order" not in refused


def test_a_wallet_under_every_smallest_order_says_so(in_bitcoin: Path, tmp_path: Path):
    trades, refused = entries(in_bitcoin, tmp_path, wallet=0.00008)
    assert trades == 0
    assert refused.get("below_minimum_order", 0) > 0
