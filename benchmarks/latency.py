"""A new hour: what a running bot needs per pair, with all heads and models, and per callback.

As a script it trains a small chain of models, feeds the strategy hour after hour of the pairs'
candles as an exchange delivers them, then times every callback of a real backtest; it answers
with the times, and :func:`figures` asks it.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import pandas as pd
from data import CONFIG, BenchData, configuration, learning_plan
from figures import Figure, show
from freqtrade.configuration import Configuration, TimeRange
from freqtrade.enums import RunMode
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.resolvers import StrategyResolver
from freqtrade.system import gc_set_threshold
from processes import ROOT, answer, call_script

from quorum.bot.host import load_candles, series_on_disk
from quorum.bot.source import FrameSource, Series
from quorum.candles import epoch_ms, timeframe_ms
from quorum.cli.run import write_overlay
from quorum.learning.store import ModelStore
from quorum.learning.training import train
from quorum.market import HOUR_MS
from quorum.replay.exchange import ExchangeServer
from quorum.settings import Settings
from quorum.typing import Ints

#: What the models are trained on: long enough for every one, the meta-model too.
HISTORY = "20230501-20250301"
FOLDS = {"first_days": 420, "refit_days": 90}
#: Pairs that are trained on and fed, and hours of each: with the first, 50 pairs five times over.
N_PAIRS = 5
HOURS = 50
#: Candles of a series that a bot keeps: the strategy's startup history.
KEPT = 1400
#: Span of the backtest that the callbacks are timed in.
TIMERANGE = "20250101-20250301"
PAIR_LIMIT = 50.0
CALLBACK_LIMIT = 5.0
CALLBACKS = (
    "bot_loop_start",
    "custom_entry_price",
    "leverage",
    "custom_stake_amount",
    "confirm_trade_entry",
    "check_entry_timeout",
    "check_exit_timeout",
    "order_filled",
    "custom_stoploss",
    "custom_roi",
    "adjust_trade_position",
    "custom_exit_price",
    "custom_exit",
)


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure once, whatever ``runs``; return the figures and every callback."""
    tell("latency: training models, feeding hours, a backtest")
    result = call_script("latency.py", data.as_request())
    pairs, slowest = result["pairs"], max(result["callbacks"], key=lambda c: c["slowest_cpu"])
    main = [
        Figure(
            "a new 1h candle of one pair, all heads and models, p99",
            1000 * pairs["p99"],
            "ms",
            PAIR_LIMIT,
            f"{pairs['n']} new candles on one core, {KEPT:,} kept; median "
            f"{show(1000 * pairs['median'], 'ms')}, slowest {show(1000 * pairs['slowest'], 'ms')}; "
            f"processor time, median {show(1000 * pairs['median_cpu'], 'ms')}, p99 "
            f"{show(1000 * pairs['p99_cpu'], 'ms')}; "
            f"models: {', '.join(result['models'])}",
        ),
        Figure(
            f"slowest call of a callback ({slowest['name']}), processor time",
            1000 * slowest["slowest_cpu"],
            "ms",
            CALLBACK_LIMIT,
            f"{sum(c['calls'] for c in result['callbacks']):,} calls in a backtest, {TIMERANGE}, "
            f"{result['trades']} trades",
        ),
    ]
    details = [
        Figure(
            f"  {c['name']}, slowest of {c['calls']:,}",
            1000 * c["slowest"],
            "ms",
            None,
            f"median {show(1000 * c['median'], 'ms')}, p99 {show(1000 * c['p99'], 'ms')}; "
            f"processor time of the slowest {show(1000 * c['slowest_cpu'], 'ms')}",
        )
        for c in sorted(result["callbacks"], key=lambda c: -c["slowest_cpu"])
    ]
    return main, details


class Feed:
    """The series of several pairs as they stand at a moment, in memory as an exchange keeps them.

    Attributes
    ----------
    now : int
        Candles that have not closed by then are not handed out, ms since the epoch.
    """

    def __init__(self, datadir: Path) -> None:
        self._datadir = datadir
        self._frames: dict[Series, tuple[pd.DataFrame, Ints]] = {}
        self.now = 0

    def __call__(self, series: Series) -> pd.DataFrame:
        """Return the last candles of a series, a copy as the host hands it out."""
        if series not in self._frames:
            frame = load_candles(self._datadir, series)
            closed = epoch_ms(frame["date"]) + timeframe_ms(series.timeframe)
            self._frames[series] = frame, closed
        frame, closed = self._frames[series]
        n = int(np.searchsorted(closed, self.now, side="right"))
        return frame.iloc[max(0, n - KEPT) : n].reset_index(drop=True)


def new_hours(data: BenchData, user_data: Path) -> dict[str, Any]:
    """Time what the host asks of the strategy at each new candle of each pair, in seconds."""
    config, settings = configuration(data)
    config |= {
        "user_data_dir": user_data,
        "strategy_path": str(ROOT / "strategies"),
        "runmode": RunMode.DRY_RUN,  # predictions are kept from hour to hour
    }
    strategy: Any = StrategyResolver.load_strategy(config)
    feed = Feed(Path(data.datadir))
    strategy.source = _source(feed, config, settings)
    end = TimeRange.parse_timerange(data.timerange).stopts * 1000
    wall: list[float] = []
    cpu: list[float] = []
    for hour in range(-2, HOURS):  # the first ones read models and kernels, and fill memories
        feed.now = end - (HOURS - hour) * HOUR_MS
        for pair in data.pairs:
            frame = feed(Series(pair, config["timeframe"], strategy.source.candle_type))
            start, worked = time.perf_counter(), time.thread_time()
            frame = strategy.advise_indicators(frame, {"pair": pair})
            frame = strategy.advise_entry(frame, {"pair": pair})
            strategy.advise_exit(frame, {"pair": pair})
            if hour >= 0:
                wall.append(time.perf_counter() - start)
                cpu.append(time.thread_time() - worked)
    return {
        "n": len(wall),
        "median": median(wall),
        "p99": quantiles(wall, n=100)[98],
        "slowest": max(wall),
        "median_cpu": median(cpu),
        "p99_cpu": quantiles(cpu, n=100)[98],
    }


def _source(feed: Feed, config: dict[str, Any], settings: Settings) -> FrameSource:
    return FrameSource(
        feed,
        series_on_disk(config),
        timeframe=config["timeframe"],
        futures=True,
        funding_timeframe="1h",
        settings=settings.market,
        root=Path(config["user_data_dir"]),
    )


def callbacks(data: BenchData, user_data: Path) -> tuple[list[dict[str, Any]], int]:
    """Time every call of every callback in a real backtest; return them and its trades."""
    datadir = Path(data.datadir)
    calls: dict[str, list[tuple[float, float]]] = {name: [] for name in CALLBACKS}
    (user_data / "backtest_results").mkdir(parents=True, exist_ok=True)
    with ExchangeServer(datadir) as exchange:
        overlay = write_overlay(user_data, exchange, datadir, "futures", data.pairs)
        arguments = {
            "config": [str(CONFIG), str(overlay)],
            "datadir": str(datadir),
            "user_data_dir": str(user_data),
            "strategy_path": str(ROOT / "strategies"),
            "timerange": TIMERANGE,
            "backtest_cache": "none",
            "export": "none",
        }
        bt = Backtesting(Configuration(arguments, RunMode.BACKTEST).get_config())
        try:
            for strategy in bt.strategylist:
                for name, found in calls.items():
                    setattr(strategy, name, _clocked(getattr(strategy, name), found))
            bt.start()
            trades = len(bt.all_bt_content["Quorum"]["results"])
        finally:
            Backtesting.cleanup()
    return [_summary(name, found) for name, found in calls.items() if found], trades


def _clocked(function: Any, found: list[tuple[float, float]]) -> Any:
    """Return a callback that notes its wall and processor seconds."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        start, worked = time.perf_counter(), time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            found.append((time.perf_counter() - start, time.thread_time() - worked))

    return call


def _summary(name: str, found: list[tuple[float, float]]) -> dict[str, Any]:
    wall = [w for w, _ in found]
    return {
        "name": name,
        "calls": len(found),
        "median": median(wall),
        "p99": quantiles(wall, n=100)[98] if len(wall) > 1 else wall[0],
        "slowest": max(wall),
        "slowest_cpu": max(c for _, c in found),
    }


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Train the models, then measure; seconds."""
    data = BenchData.from_request(request)
    data = replace(data, pairs=data.pairs[:N_PAIRS], timerange=HISTORY)
    with tempfile.TemporaryDirectory() as temporary:
        user_data = Path(temporary)
        plan = learning_plan(data, {"folds": FOLDS, "max_age_days": FOLDS["refit_days"]})
        trained = train(plan, ModelStore(user_data / plan.settings.learning.folder))
        newest = trained.vintages[-1]
        gc.collect()
        gc_set_threshold()  # as the host does before it starts
        pairs = new_hours(data, user_data)
        timed, trades = callbacks(data, user_data)
    return {
        "pairs": pairs,
        "callbacks": timed,
        "trades": trades,
        "models": sorted({name.split("/")[0] for name in newest.files}),
    }


if __name__ == "__main__":
    answer(measure)
