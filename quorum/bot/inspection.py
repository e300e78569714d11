"""Collects what ``quorum doctor`` looks at from the host's configuration, strategy and files."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path
from typing import Any

from freqtrade.configuration.environment_vars import environment_vars_to_dict
from freqtrade.configuration.load_config import load_config_file
from freqtrade.data.history import get_datahandler
from freqtrade.enums import CandleType
from freqtrade.misc import deep_merge_dicts
from packaging.requirements import Requirement

from quorum.bot.host import (
    data_format,
    exchange_section,
    is_futures,
    load_files,
    market_settings,
    series_on_disk,
)
from quorum.bot.probe import ExchangeProbe, load_strategy
from quorum.bot.source import FrameSource, Series
from quorum.bot.state_store import state_url, trades_url
from quorum.doctor.base import Layer, Setup, Span, Strategy
from quorum.doctor_settings import DoctorSettings
from quorum.errors import DataError
from quorum.settings import Settings, load_settings
from quorum.shipped import shipped

PACKAGE = "freqtrade-quorum"


def layers_of(paths: Sequence[Path]) -> tuple[Layer, ...]:
    """Return every file a configuration is merged from, the environment last; later ones win."""
    found: list[Layer] = []
    for path in paths:
        found += _file_layers(path, 0)
    environment = environment_vars_to_dict()
    if environment:
        found.append(Layer("environment", None, environment))
    return tuple(found)


def _file_layers(path: Path, depth: int) -> list[Layer]:
    """Return a file behind those it names itself, over which it is laid."""
    content = load_config_file(str(path))
    named = content.get("add_config_files", []) if depth < 5 else []
    below = [layer for name in named for layer in _file_layers(path.parent / name, depth + 1)]
    return [*below, Layer(str(path), path, content)]


def look_at(
    paths: Sequence[Path],
    *,
    datadir: Path | None = None,
    online: bool = True,
) -> Setup:
    """Collect everything ``quorum doctor`` looks at.

    Parameters
    ----------
    paths : sequence of Path
        Configuration files.
    datadir : Path, optional
        Candle files, if not the configured ones.
    online : bool, default=True
        Whether the exchange may be asked.

    Raises
    ------
    DataError
        If a configuration file cannot be read.
    SettingsError
        If the ``quorum`` section cannot be used.
    """
    config = load_files(paths)
    layers = layers_of(paths)
    if layers and layers[-1].path is None:
        config = deep_merge_dicts(dict(layers[-1].content), config)
    settings = load_settings(config.get("quorum"))
    config["user_data_dir"] = user_data = Path(config.get("user_data_dir") or "user_data")
    exchange = exchange_section(config)
    standard = user_data / "data" / str(exchange.get("name"))
    config["datadir"] = folder = Path(datadir or config.get("datadir") or standard)
    strategy, problem = _strategy(config)
    config["timeframe"] = config.get("timeframe") or (
        strategy.values["timeframe"] if strategy else "1h"
    )
    setup = Setup(
        config=config,
        settings=settings,
        user_data=user_data,
        datadir=folder,
        layers=layers,
        strategy=strategy,
        strategy_error=problem,
        shipped_strategy=_shipped_strategy(),
        exchange=ExchangeProbe(config, online=online),
        databases=_databases(config, settings),
        requirements=requirements(),
        limits=getattr(settings, "doctor", DoctorSettings()),
        now=time.time(),
    )
    found = spans(config, settings, setup.pairs)
    return replace(setup, series=found)


def _strategy(config: Mapping[str, Any]) -> tuple[Strategy | None, str]:
    try:
        return load_strategy(config), ""
    except DataError as error:
        return None, str(error)


def _shipped_strategy() -> Path | None:
    try:
        return shipped("strategies/quorum_strategy.py")
    except DataError:
        return None  # Installed without its files; a check of the strategy says more.


def _databases(config: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Return the databases of the bot by configuration path."""
    found = {"db_url": trades_url(config)}
    try:
        state = state_url(config, settings) or "sqlite://"
    except DataError:
        # Whichever address is none is found as such where it stands.
        state = settings.state.url or found["db_url"]
    if state != found["db_url"]:
        found["quorum.state.url"] = state
    return found


def requirements() -> dict[str, str]:
    """Return the version range by package that this package declares."""
    try:
        python = metadata(PACKAGE)["Requires-Python"]
        declared = [Requirement(line) for line in requires(PACKAGE) or ()]
    except PackageNotFoundError:
        return {}
    ranges = {r.name: str(r.specifier) for r in declared if not _is_extra(r)}
    return {"python": str(python), **ranges}


def _is_extra(requirement: Requirement) -> bool:
    return requirement.marker is not None and bool(re.search(r"\bextra\b", str(requirement.marker)))


def spans(config: dict[str, Any], settings: Settings, pairs: Sequence[str]) -> tuple[Span, ...]:
    """Return every series the pairs could read, with what the data directory has of it."""
    folder = Path(config["datadir"])
    if not folder.is_dir():
        return ()
    there = series_on_disk(config)
    handler = get_datahandler(folder, data_format(config))
    source = FrameSource(
        _nothing,
        lambda series: True,
        timeframe=str(config["timeframe"]),
        futures=is_futures(config),
        funding_timeframe="1h",
        settings=market_settings(settings).model_copy(update={"records": {}}),
        root=folder,
    )
    known: dict[Series, tuple[int, float, float]] = {}

    def span(pair: str, role: str, series: Series) -> Span:
        if series not in known:
            known[series] = _measured(handler, series) if there(series) else (0, 0.0, 0.0)
        return Span(pair, role, series.timeframe, series.candle_type, *known[series])

    found = []
    for pair in pairs:
        base = Series(pair, source.timeframe, source.candle_type)
        found.append(span(pair, "base", base))
        found += [span(pair, role, series) for role, series in source.series(pair).items()]
    return tuple(found)


def _nothing(series: Series) -> Any:
    raise DataError(f"{series}: only the presence of series is looked at")


def _measured(handler: Any, series: Series) -> tuple[int, float, float]:
    """Return the number of candles and the opening times of the first and the last, ms."""
    first, last, rows = handler.ohlcv_data_min_max(
        series.pair, series.timeframe, CandleType.from_string(series.candle_type)
    )
    if rows == 0:
        return 0, 0.0, 0.0
    return int(rows), 1000 * first.timestamp(), 1000 * last.timestamp()
