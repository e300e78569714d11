"""The candles the benchmarks run on: the embedded synthetic market, or recorded ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.misc import deep_merge_dicts
from freqtrade.resolvers import StrategyResolver

from quorum.bot.host import (
    disk_source,
    load_candles,
    load_config,
    load_files,
    load_market,
    settings_from_config,
)
from quorum.bot.source import Series
from quorum.candles import timeframe_ms
from quorum.cli.demo import RECORDED_TIMERANGE, demo_data
from quorum.cli.run import USER_DATA
from quorum.market import Market
from quorum.replay.link import records_files
from quorum.replay.synthetic import COINS, SyntheticSettings, make_market
from quorum.settings import Settings

if TYPE_CHECKING:
    from quorum.learning.training import Plan

CONFIG = Path("config.json")
SYNTHETIC = USER_DATA / "data" / "benchmark"
#: Five years of ten pairs that end with the span the backtests run over.
FIVE_YEARS = SyntheticSettings(bases=tuple(COINS), start=date(2020, 5, 1), end=date(2025, 5, 1))
#: Pairs of the whole-backtest benchmark.
N_PAIRS = 10


@dataclass(frozen=True)
class BenchData:
    """Candles, the pairs and the span of the backtests.

    Attributes
    ----------
    title : str
        What kind of candles they are.
    datadir : str
        Folder, relative to the project where it lies in it.
    pairs : tuple of str
    timerange : str
    """

    title: str
    datadir: str
    pairs: tuple[str, ...]
    timerange: str

    def as_request(self, **more: Any) -> dict[str, Any]:
        """Return it as a script gets it, with ``more``."""
        return {**dataclasses.asdict(self), **more}

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> BenchData:
        """Read it back from what a script got."""
        values = {f.name: request[f.name] for f in dataclasses.fields(cls)}
        return cls(**{**values, "pairs": tuple(values["pairs"])})


def bench_data(datadir: Path | None, tell: Callable[[str], None]) -> BenchData:
    """Make the synthetic market, or a working copy of recorded candles."""
    if datadir is None:
        make_market(FIVE_YEARS, SYNTHETIC, lambda pair: tell(f"making {pair}"))
        pairs = tuple(f"{base}/USDT:USDT" for base in FIVE_YEARS.bases)
        return BenchData("synthetic market", str(SYNTHETIC), pairs[:N_PAIRS], RECORDED_TIMERANGE)
    tell("linking the recorded candles")
    found = demo_data(datadir, None, load_files([CONFIG]))
    return BenchData("recorded candles", str(found.datadir), found.pairs[:N_PAIRS], found.timerange)


def configuration(data: BenchData) -> tuple[dict[str, Any], Settings]:
    """Return the shipped configuration over the data, with the records beside the candles."""
    config = load_config([CONFIG], datadir=Path(data.datadir))
    records = records_files(Path(data.datadir).absolute())
    section = config.setdefault("quorum", {})
    section["market"] = {**section.get("market", {}), "records": records}
    return config, settings_from_config(config, config["timeframe"])


def open_market(data: BenchData, n_candles: int) -> tuple[Market, Settings]:
    """Return ``n_candles`` of the first pair that has as many and reads BTC and ETH beside it.

    Shorter history is returned where no pair has as many.
    """
    config, settings = configuration(data)
    context = {f"{base}/USDT:USDT" for base in settings.market.context}
    best: Market | None = None
    for pair in sorted(data.pairs, key=lambda pair: pair in context):
        market = load_market(config, settings, pair)
        if len(market) >= n_candles:
            return market.since(len(market) - n_candles), settings
        if best is None or len(market) > len(best):
            best = market
    if best is None:
        raise ValueError("no pairs")
    return best, settings


def open_strategy(data: BenchData) -> tuple[Any, pd.DataFrame]:
    """Load the strategy as the host does, reading from disk, and its first pair's candles."""
    config, settings = configuration(data)
    config["strategy_path"] = str(Path("strategies").absolute())
    strategy: Any = StrategyResolver.load_strategy(config)
    strategy.source = disk_source(config, settings)
    series = Series(data.pairs[0], config["timeframe"], strategy.source.candle_type)
    return strategy, load_candles(Path(data.datadir), series)


def learning_plan(data: BenchData, learning: Mapping[str, Any], jobs: int = -1) -> Plan:
    """Return the training of the data's pairs over its span, with ``learning`` laid over.

    Needs the libraries of the ``learning`` extra.
    """
    from quorum.learning.backends import BackendSettings
    from quorum.learning.training import Plan

    config, _ = configuration(data)
    section = config.setdefault("quorum", {})
    section["learning"] = deep_merge_dicts(dict(learning), section.get("learning", {}))
    timeframe = config["timeframe"]
    settings = settings_from_config(config, timeframe)
    return Plan(
        pairs=data.pairs,
        load=partial(_span_of, config, settings, data.timerange),
        settings=settings,
        timeframe=timeframe,
        step=timeframe_ms(timeframe),
        backend=BackendSettings(n_jobs=jobs),
    )


def _span_of(config: dict[str, Any], settings: Settings, timerange: str, pair: str) -> Market:
    """Return a pair's market over a span, with the candles before it that no signal is given on."""
    market = load_market(config, settings, pair)
    span = TimeRange.parse_timerange(timerange)
    market = market.head(int(np.searchsorted(market.close_time, 1000 * span.stopts, side="right")))
    first = int(np.searchsorted(market.candles.time, 1000 * span.startts))
    return market.since(max(0, first - settings.market.min_history))
