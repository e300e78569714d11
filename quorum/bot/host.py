"""What freqtrade's objects look like to the rest: settings, frames, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.configuration.load_config import load_from_files
from freqtrade.data.dataprovider import DataProvider
from freqtrade.data.history import get_datahandler, load_pair_history
from freqtrade.enums import CandleType, RunMode, TradingMode
from freqtrade.exceptions import OperationalException

from quorum.bot.source import FrameSource, Series
from quorum.candles import BASE_TIMEFRAMES
from quorum.errors import DataError, QuorumError, SettingsError
from quorum.market import Market
from quorum.settings import Settings, load_settings


def settings_from_config(config: dict[str, Any], timeframe: str) -> Settings:
    """Read and check what Quorum needs of a freqtrade configuration.

    Raises
    ------
    OperationalException
        With every problem named by its path, in the form the host prints without a traceback.
    """
    try:
        if timeframe not in BASE_TIMEFRAMES:
            raise SettingsError(
                f"timeframe = {timeframe!r}: Quorum runs on {', '.join(BASE_TIMEFRAMES)}"
            )
        return load_settings(config.get("quorum"))
    except QuorumError as error:
        raise OperationalException(str(error)) from error


def is_futures(config: dict[str, Any]) -> bool:
    """Whether the configuration trades perpetual contracts."""
    return bool(config.get("trading_mode", "spot") == TradingMode.FUTURES)


def series_on_disk(config: dict[str, Any]) -> Callable[[Series], bool]:
    """Return a test for what the data directory has."""
    datadir = Path(config["datadir"])
    handler = get_datahandler(datadir, config.get("dataformat_ohlcv", "feather"))
    found = {
        Series(pair, timeframe, str(candle_type))
        for mode in (TradingMode.SPOT, TradingMode.FUTURES)
        for pair, timeframe, candle_type in handler.ohlcv_get_available_data(datadir, mode)
    }
    return found.__contains__


def bot_source(dp: DataProvider, config: dict[str, Any], settings: Settings) -> FrameSource:
    """Return the source of a running strategy: the exchange live, the data directory else."""
    on_disk = None if dp.runmode in (RunMode.LIVE, RunMode.DRY_RUN) else series_on_disk(config)

    def has(series: Series) -> bool:
        return on_disk(series) if on_disk else dp.market(series.pair) is not None

    def fetch(series: Series) -> pd.DataFrame:
        return dp.get_pair_dataframe(series.pair, series.timeframe, series.candle_type)

    return _source(fetch, has, config, settings, dp.get_funding_rate_timeframe())


def disk_source(config: dict[str, Any], settings: Settings) -> FrameSource:
    """Return the source of the command line: the data directory alone."""
    datadir = Path(config["datadir"])

    def fetch(series: Series) -> pd.DataFrame:
        return load_candles(datadir, series, config.get("dataformat_ohlcv", "feather"))

    return _source(fetch, series_on_disk(config), config, settings, "1h")


def load_candles(datadir: Path, series: Series, data_format: str = "feather") -> pd.DataFrame:
    """Read one series from a data directory; empty where there is no file.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        return load_pair_history(
            pair=series.pair,
            timeframe=series.timeframe,
            datadir=datadir,
            data_format=data_format,
            candle_type=CandleType.from_string(series.candle_type),
        )
    except Exception as error:
        raise DataError(f"{datadir}: {' '.join(series)} cannot be read: {error}") from error


def _source(
    fetch: Callable[[Series], pd.DataFrame],
    has: Callable[[Series], bool],
    config: dict[str, Any],
    settings: Settings,
    funding_timeframe: str,
) -> FrameSource:
    return FrameSource(
        fetch,
        has,
        timeframe=str(config["timeframe"]),
        futures=is_futures(config),
        funding_timeframe=funding_timeframe,
        settings=settings.market,
        root=Path(config.get("user_data_dir", ".")),
    )


def load_files(paths: Sequence[Path]) -> dict[str, Any]:
    """Merge freqtrade configuration files; raises ``DataError`` if one cannot be read."""
    try:
        return load_from_files([str(path) for path in paths])
    except OperationalException as error:
        raise DataError(str(error)) from error


def load_config(
    paths: Sequence[Path], *, datadir: Path | None = None, timeframe: str | None = None
) -> dict[str, Any]:
    """Load freqtrade configuration files for a command that only reads candles.

    Raises
    ------
    DataError
        If a file cannot be read, or the data directory is missing.
    """
    config = load_files(paths)
    user_data = Path(config.get("user_data_dir") or "user_data")
    config["user_data_dir"] = user_data
    config["datadir"] = Path(
        datadir or config.get("datadir") or user_data / "data" / config["exchange"]["name"]
    )
    config["timeframe"] = timeframe or config.get("timeframe", "1h")
    if not config["datadir"].is_dir():
        raise DataError(f"{config['datadir']}: no such data directory")
    return config


def load_market(config: dict[str, Any], settings: Settings, pair: str) -> Market:
    """Read one pair's market from the data directory.

    Raises
    ------
    DataError
        If the pair has no candles there.
    """
    source = disk_source(config, settings)
    base = Series(pair, source.timeframe, source.candle_type)
    frame = load_candles(Path(config["datadir"]), base, config.get("dataformat_ohlcv", "feather"))
    if frame.empty:
        raise DataError(f"{config['datadir']}: no {source.timeframe} candles of {pair}")
    return source.market(pair, frame)
