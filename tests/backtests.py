"""Real freqtrade backtests of Quorum on a small synthetic market."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from freqtrade.configuration import Configuration
from freqtrade.configuration.config_validation import validate_config_consistency
from freqtrade.enums import RunMode
from freqtrade.misc import deep_merge_dicts
from freqtrade.optimize.backtesting import Backtesting

from quorum.replay.exchange import ExchangeServer
from quorum.replay.synthetic import SyntheticSettings, make_market

ROOT = Path(__file__).parent.parent
#: Long enough for the start-up history and half a year of trading.
SMALL = SyntheticSettings(
    bases=("BTC", "ETH", "SOL"), start=date(2023, 1, 1), end=date(2023, 11, 1)
)
TIMERANGE = "20230420-20231101"


def small_market(folder: Path) -> Path:
    """Write the market the backtests run on."""
    make_market(SMALL, folder)
    return folder


def configuration(
    datadir: Path, user_data: Path, exchange: ExchangeServer, **changes: Any
) -> dict[str, Any]:
    """Return the shipped configuration over the local exchange, with ``changes`` laid over."""
    mode = changes.get("trading_mode", "futures")
    overlay = exchange.config_overlay(mode, changes.pop("pairs", None) or exchange.pairs(mode))
    arguments = {
        "config": [str(ROOT / "config.json")],
        "datadir": str(datadir),
        "user_data_dir": str(user_data),
        "strategy_path": str(ROOT / "strategies"),
        "timerange": TIMERANGE,
        "backtest_cache": "none",
    }
    config = Configuration(arguments, RunMode.BACKTEST).get_config()
    config = deep_merge_dicts({**overlay, **changes}, config)
    # As every command of the host does it: with the defaults of its schema.
    validate_config_consistency(config, preliminary=True)
    return config


@contextmanager
def backtesting(
    datadir: Path, user_data: Path, *, listed: Path | None = None, **changes: Any
) -> Iterator[Backtesting]:
    """Yield a real Backtesting, ready to start; lots and ticks are read from ``listed``."""
    with ExchangeServer(listed or datadir) as exchange:
        bt = Backtesting(configuration(datadir, user_data, exchange, **changes))
        try:
            yield bt
        finally:
            Backtesting.cleanup()


def run(datadir: Path, user_data: Path, **changes: Any) -> Mapping[str, Any]:
    """Run one backtest; return the host's result with ``trades`` and its stored signals."""
    from freqtrade.persistence import CustomDataWrapper

    with backtesting(datadir, user_data, export="none", **changes) as bt:
        bt.start()
        content = bt.all_bt_content["Quorum"]
        return {
            "trades": content["results"],
            "signals": {d.ft_trade_id: d.value for d in CustomDataWrapper.custom_data},
            "strategy": bt.strategy,
        }
