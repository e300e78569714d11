"""What freqtrade's objects look like to the rest: settings, frames, errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from freqtrade.configuration.load_config import load_config_file, load_from_files
from freqtrade.data.dataprovider import DataProvider
from freqtrade.data.history import get_datahandler
from freqtrade.enums import CandleType, MarginMode, RunMode, TradingMode
from freqtrade.exceptions import OperationalException

from quorum.bot.advice import advice
from quorum.bot.source import FrameSource, Series, sibling
from quorum.bot.state_store import records_store
from quorum.candles import BASE_TIMEFRAMES
from quorum.errors import DataError, QuorumError, SettingsError
from quorum.guards import GuardSettings
from quorum.guards.system import SystemLimits
from quorum.market import Market, MarketSettings
from quorum.replay.candle_files import read_candle_file
from quorum.settings import Settings, load_settings

logger = logging.getLogger(__name__)

#: Returns what to take for a series that was read.
Revise: TypeAlias = Callable[[Series, pd.DataFrame], pd.DataFrame]
#: What freqtrade files candles as where a configuration does not say.
DATA_FORMAT = "feather"


def read_settings(config: dict[str, Any], timeframe: str) -> Settings:
    """Read and check what Quorum needs of a freqtrade configuration.

    Raises
    ------
    SettingsError
        With every problem named by its path.
    """
    if timeframe not in BASE_TIMEFRAMES:
        raise SettingsError(
            f"timeframe = {timeframe!r}: Quorum runs on {', '.join(BASE_TIMEFRAMES)}"
        )
    settings = load_settings(config.get("quorum"))
    settings.playbooks.refuse(timeframe)
    if not compares_trades(config):
        return settings
    # What earlier signals did depends on the pairs and the span of the analysis as much.
    stated = settings.consensus.model_copy(update={"confidence": "stated"})
    return settings.model_copy(update={"guards": GuardSettings(preset="off"), "consensus": stated})


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of configuration files' content with what the host adds when it starts.

    Strategies and exchanges are loaded with it; nothing is ordered, nothing signed.
    """
    mine = deepcopy(dict(config))
    futures = is_futures(mine)
    mine["trading_mode"] = TradingMode.FUTURES if futures else TradingMode.SPOT
    mine["margin_mode"] = MarginMode.ISOLATED if futures else MarginMode.NONE
    mine["candle_type_def"] = CandleType.FUTURES if futures else CandleType.SPOT
    mine["runmode"] = RunMode.OTHER
    mine["user_data_dir"] = Path(config.get("user_data_dir") or "user_data")
    return mine


def compares_trades(config: dict[str, Any]) -> bool:
    """Whether the host only compares trades: its lookahead-analysis repeats each on its own.

    What the account refuses depends on the other trades, which are not there then: it is no
    bias. The host switches its own protections off for the same reason. Its analysis commands
    are known by their run mode: their settings stand in every configuration, by default.
    """
    return bool(config.get("runmode") == RunMode.UTIL_NO_EXCHANGE)


def settings_from_config(config: dict[str, Any], timeframe: str) -> Settings:
    """Read the settings for the host: its own error is what it prints without a traceback.

    Raises
    ------
    OperationalException
        Where :func:`read_settings` raises ``SettingsError``.
    """
    try:
        return read_settings(config, timeframe)
    except QuorumError as error:
        raise OperationalException(str(error)) from error


def is_futures(config: dict[str, Any]) -> bool:
    """Whether the configuration trades perpetual contracts."""
    return bool(config.get("trading_mode", "spot") == TradingMode.FUTURES)


def stop_holds_coins(strategy: Any) -> bool:
    """Whether a running bot keeps its stops at an exchange that reserves the coins for them.

    Spot exchanges do: while any exit rests there, the host has no stop in force.
    """
    running = strategy.config.get("runmode") in (RunMode.LIVE, RunMode.DRY_RUN)
    if not running or not strategy.order_types.get("stoploss_on_exchange", False):
        return False
    return bool(strategy.dp._exchange.get_option("stoploss_blocks_assets", True))


def series_on_disk(config: dict[str, Any]) -> Callable[[Series], bool]:
    """Return a test for what the data directory has."""
    datadir = Path(config["datadir"])
    handler = _data_handler(datadir, data_format(config))
    found = {
        Series(pair, timeframe, str(candle_type))
        for mode in (TradingMode.SPOT, TradingMode.FUTURES)
        for pair, timeframe, candle_type in handler.ohlcv_get_available_data(datadir, mode)
    }
    return found.__contains__


def traded_pairs(dp: DataProvider, config: dict[str, Any]) -> list[str]:
    """Return the pairs of the host's pair list; those configured where it keeps none (plots)."""
    try:
        return list(dp.current_whitelist())
    except OperationalException:
        return list(config.get("pairs") or whitelist(config))


def bot_source(dp: DataProvider, config: dict[str, Any], settings: Settings) -> FrameSource:
    """Return the source of a running strategy: the exchange live, the data directory else."""
    on_disk = None if dp.runmode in (RunMode.LIVE, RunMode.DRY_RUN) else series_on_disk(config)

    def has(series: Series) -> bool:
        return on_disk(series) if on_disk else dp.market(series.pair) is not None

    def fetch(series: Series) -> pd.DataFrame:
        frame = dp.get_pair_dataframe(series.pair, series.timeframe, series.candle_type)
        if on_disk is None:
            _ask_again(dp, series, frame)
        return frame

    source = _source(fetch, has, config, settings, dp.get_funding_rate_timeframe())
    if settings.guards.system.enabled:
        _require_reference(source, has, traded_pairs(dp, config), settings.guards.system)
    return source


def market_settings(settings: Settings) -> MarketSettings:
    """Return what is read of the market, with the coin that the guards look at."""
    coins = (*settings.market.context, settings.guards.system.reference)
    return settings.market.model_copy(update={"context": tuple(dict.fromkeys(coins))})


def _require_reference(
    source: FrameSource,
    has: Callable[[Series], bool],
    pairs: Sequence[str],
    limits: SystemLimits,
) -> None:
    """See that the guards have a reference market; one that was named must be there.

    Raises
    ------
    OperationalException
        If the coin is set and has no market beside the pairs traded.
    """
    wanted = [sibling(pair, limits.reference) for pair in pairs]
    found = [Series(pair, source.timeframe, source.candle_type) for pair in dict.fromkeys(wanted)]
    if not found or any(has(series) for series in found):
        return
    text = (
        f"quorum.guards.system.reference = {limits.reference!r}: no candles of "
        f"{', '.join(s.pair for s in found)}"
    )
    if "reference" in limits.model_fields_set:
        raise OperationalException(f"{text}; name a coin that the exchange lists")
    logger.warning("%s: the guards see no black swan, no stale and no crossed data", text)


def _ask_again(dp: DataProvider, series: Series, frame: pd.DataFrame) -> None:
    """Let the host fetch the candle that closes next.

    A short series that it fetched in several calls holds the open candle several times; it drops
    one and notes the other as seen, so that candle would come a whole period late.
    """
    if frame.empty:
        return
    noted = dp._exchange._pairs_last_refresh_time if dp._exchange is not None else {}
    key = (series.pair, series.timeframe, CandleType.from_string(series.candle_type))
    newest = int(frame["date"].iloc[-1].timestamp() * 1000)
    if noted.get(key, 0) > newest:
        noted[key] = newest


def disk_source(
    config: dict[str, Any], settings: Settings, revise: Revise | None = None
) -> FrameSource:
    """Return the source of the command line: the data directory alone."""
    datadir = Path(config["datadir"])

    def fetch(series: Series) -> pd.DataFrame:
        frame = load_candles(datadir, series, data_format(config))
        return frame if revise is None else revise(series, frame)

    return _source(fetch, series_on_disk(config), config, settings, "1h")


def data_format(config: dict[str, Any]) -> str:
    """Return the format of the candle files."""
    return str(config.get("dataformat_ohlcv", DATA_FORMAT))


def _data_handler(datadir: Path, file_format: str) -> Any:
    try:
        return get_datahandler(datadir, file_format)
    except ValueError as error:
        raise DataError(f"dataformat_ohlcv = {file_format!r}: {error}") from error


def candle_file(datadir: Path, series: Series, file_format: str = DATA_FORMAT) -> Path:
    """Return the file in which freqtrade keeps a series."""
    kind = CandleType.from_string(series.candle_type)
    handler = _data_handler(datadir, file_format)
    return Path(handler._pair_data_filename(datadir, series.pair, series.timeframe, kind))


def load_candles(datadir: Path, series: Series, file_format: str = DATA_FORMAT) -> pd.DataFrame:
    """Read one series from a data directory; empty where there is no file.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    path = candle_file(datadir, series, file_format)
    if path.is_file():
        # The host logs a file it cannot read and goes on with no candles.
        read_candle_file(path)
    return _data_handler(datadir, file_format).ohlcv_load(
        series.pair,
        series.timeframe,
        CandleType.from_string(series.candle_type),
        warn_no_data=False,
    )


def _source(
    fetch: Callable[[Series], pd.DataFrame],
    has: Callable[[Series], bool],
    config: dict[str, Any],
    settings: Settings,
    funding_timeframe: str,
) -> FrameSource:
    timeframe = str(config["timeframe"])
    reader = advice(config, settings, timeframe)
    return FrameSource(
        fetch,
        has,
        timeframe=timeframe,
        futures=is_futures(config),
        funding_timeframe=funding_timeframe,
        settings=market_settings(settings),
        root=Path(config.get("user_data_dir", ".")),
        store=records_store(config, settings),
        answers=None if reader is None else reader.of,
    )


def load_files(paths: Sequence[Path]) -> dict[str, Any]:
    """Merge freqtrade configuration files.

    Raises
    ------
    DataError
        Naming the file that is missing or cannot be read.
    """
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: no such configuration file")
        try:
            content = load_config_file(str(path))
        except (OperationalException, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: cannot be read: {reason}") from error
        if not isinstance(content, dict):
            raise DataError(f"{path}: must hold a group of settings, not {content!r}")
    try:
        return load_from_files([str(path) for path in paths])
    except OperationalException as error:
        raise DataError(str(error)) from error


def exchange_section(config: dict[str, Any]) -> dict[str, Any]:
    """Return the ``exchange`` section; raises ``DataError`` if it is missing or no section."""
    section = config.get("exchange")
    if not isinstance(section, dict):
        raise DataError(f"exchange = {section!r}: the configuration needs an exchange section")
    return section


def whitelist(config: dict[str, Any]) -> list[str]:
    """Return the pairs of a configuration; raises ``DataError`` if it lists none."""
    pairs = exchange_section(config).get("pair_whitelist")
    if not isinstance(pairs, list) or not pairs:
        raise DataError(f"exchange.pair_whitelist = {pairs!r}: the configuration lists no pair")
    return pairs


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
    folder = datadir or config.get("datadir")
    if folder is None:
        folder = user_data / "data" / str(exchange_section(config).get("name"))
    config["datadir"] = Path(folder)
    config["timeframe"] = timeframe or config.get("timeframe", "1h")
    if not config["datadir"].is_dir():
        raise DataError(f"{config['datadir']}: no such data directory")
    return config


def load_market(
    config: dict[str, Any], settings: Settings, pair: str, revise: Revise | None = None
) -> Market:
    """Read one pair's market from the data directory.

    Parameters
    ----------
    config : dict
    settings : Settings
    pair : str
    revise : callable, optional
        Returns what to take for a series that was read.

    Raises
    ------
    DataError
        If the pair has no candles there.
    """
    source = disk_source(config, settings, revise)
    base = Series(pair, source.timeframe, source.candle_type)
    frame = load_candles(Path(config["datadir"]), base, data_format(config))
    if frame.empty:
        path = candle_file(Path(config["datadir"]), base, data_format(config))
        why = "the file is empty" if path.is_file() else "no such file"
        raise DataError(f"{path}: no {base.timeframe} {base.candle_type} candles of {pair}: {why}")
    return source.market(pair, frame if revise is None else revise(base, frame))
