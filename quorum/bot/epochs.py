"""Epochs and backtests as tuning reads them: trades, loss, parameters, and their files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from freqtrade.data.btanalysis import load_backtest_data
from freqtrade.exceptions import OperationalException
from freqtrade.resolvers import StrategyResolver
from freqtrade.strategy.hyper import detect_all_parameters
from freqtrade.util.dry_run_wallet import get_dry_run_wallet

from quorum.bot.host import completed
from quorum.candles import epoch_ms
from quorum.errors import DataError
from quorum.settings import load_settings
from quorum.tuning.loss import Loss, Outcome, band_of, promised, score

#: Names of parameters by hyperopt space.
Spaces: TypeAlias = dict[str, list[str]]


def loss_of_trades(
    trades: pd.DataFrame, start: datetime, end: datetime, config: dict[str, Any], capital: float
) -> Loss:
    """Return the loss of the host's frame of closed trades."""
    settings = load_settings(config.get("quorum"))
    outcome = outcome_of_trades(trades, start, end, capital)
    return score(outcome, promised(settings.sizing.win_rate), settings.tuning)


def outcome_of_trades(
    trades: pd.DataFrame, start: datetime, end: datetime, capital: float
) -> Outcome:
    """Read the host's frame of closed trades: ``close_date``, ``profit_abs``, ``enter_tag``."""
    span = (int(start.timestamp() * 1000), int(end.timestamp() * 1000))
    if trades.empty:
        return Outcome(np.zeros(0, np.int64), np.zeros(0), (), *span, capital)
    return Outcome(
        epoch_ms(trades["close_date"]),
        trades["profit_abs"].to_numpy(dtype=np.float64),
        tuple(band_of(tag) for tag in trades["enter_tag"]),
        *span,
        capital,
    )


def outcome_of_result(
    path: Path, strategy: str, start: datetime, end: datetime, config: dict[str, Any]
) -> Outcome:
    """Read the trades of a backtest's result file.

    Raises
    ------
    DataError
        If the file is no result of the strategy.
    """
    try:
        trades = load_backtest_data(path, strategy)
    except Exception as error:
        raise DataError(f"{path}: no backtest result of {strategy} ({error})") from error
    return outcome_of_trades(trades, start, end, get_dry_run_wallet(config))


def tunable_spaces(config: dict[str, Any], folder: Path) -> Spaces:
    """Return the names of the parameters of the strategy in a folder, by space.

    Raises
    ------
    DataError
        If the host cannot load the strategy.
    """
    try:
        strategy = StrategyResolver.load_strategy(
            {**completed(config), "strategy_path": str(folder)}
        )
    except OperationalException as error:
        raise DataError(f"{folder}: {error}") from error
    return {
        space: sorted(name for name, parameter in parameters.items() if parameter.optimize)
        for space, parameters in detect_all_parameters(strategy).items()
        if any(parameter.optimize for parameter in parameters.values())
    }


def parameter_file(strategy: str, parameters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return parameters as the host reads them from the file beside a strategy."""
    return {
        "strategy_name": strategy,
        "params": parameters,
        "ft_stratparam_v": 1,
        "export_time": datetime.now(UTC).isoformat(),
    }
