"""BotModels: the trained models of a strategy, imported only where there are any.

The libraries behind the models take a second to import; a strategy without models must not pay
for them, nor need them installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from freqtrade.enums import RunMode

from quorum.consensus import ConsensusSettings
from quorum.errors import DataError
from quorum.extras import MissingLibraryError, extra
from quorum.features import Features
from quorum.market import Market
from quorum.settings import Settings
from quorum.signals import SignalTable, decide
from quorum.typing import Ints

if TYPE_CHECKING:
    from quorum.learning.prediction import Models


class BotModels:
    """Adds predictions and promises where models have been trained; else nothing.

    Parameters
    ----------
    user_data : Path
        The host's user directory.
    settings : Settings
    timeframe : str
        Base timeframe.
    remember : bool
        Keep predictions of earlier candles; for running bots.
    """

    def __init__(
        self, user_data: Path, settings: Settings, timeframe: str, *, remember: bool = False
    ) -> None:
        self.folder = settings.learning.store(user_data)
        self._settings = settings
        self._timeframe = timeframe
        self._remember = remember
        self._pairs: tuple[str, ...] = ()
        self._models: Models | None = None

    def require(self, pairs: Sequence[str]) -> None:
        """Refuse models that do not fit what is in force, before a candle is computed (spec M13).

        Models that appear later and do not fit are told and not taken up.

        Parameters
        ----------
        pairs : sequence of str
            Those that are traded.

        Raises
        ------
        DataError
            Naming each setting, head or pair that differs, with both values; or if the chain is
            damaged.
        """
        self._pairs, self._models = tuple(pairs), None
        models = self.loaded()
        if models is not None:
            models.require()

    def loaded(self) -> Models | None:
        """Return the models, None where none have been trained or they are switched off.

        Raises
        ------
        DataError
            If there are models but not the libraries to run them.
        """
        if self._models is None and self._settings.learning.enabled and self._trained():
            try:
                with extra("learning"):
                    from quorum.learning.prediction import Models
                    from quorum.learning.requirements import expected_models
                    from quorum.learning.store import ModelStore
            except MissingLibraryError as error:
                raise DataError(
                    f"{self.folder}: models were trained, but {error}, or set "
                    "quorum.learning.enabled to false"
                ) from error
            store = ModelStore(self.folder)
            self._models = Models(
                store,
                self._settings.learning,
                self._timeframe,
                expected=expected_models(self._settings, self._timeframe, self._pairs),
                remember=self._remember,
            )
        return self._models

    def in_use(self) -> tuple[str, datetime, str] | None:
        """Return the chain in use, what it knows up to, and its size; None without models."""
        models = self.loaded()
        chain = None if models is None else models.chain
        if models is None or chain is None:
            return None
        newest = models.vintages[-1].manifest
        cut_off = datetime.fromtimestamp(newest.cut_off / 1000, tz=UTC)
        return chain.id, cut_off, f"{len(chain.vintages)} vintages"

    def _trained(self) -> bool:
        return (self.folder / "CURRENT").is_file()

    def add_predictions(self, market: Market, features: Features) -> None:
        """Add the prediction columns, see :meth:`quorum.learning.prediction.Models`."""
        models = self.loaded()
        if models is not None:
            models.add_predictions(market, features)

    def decide(
        self,
        frame: pd.DataFrame,
        time: Ints,
        heads: Sequence[str],
        weights: Mapping[str, float],
        consensus: ConsensusSettings,
    ) -> SignalTable:
        """Turn published columns into signals, see :func:`quorum.signals.decide`."""
        models = self.loaded()
        if models is None:
            return decide(frame, time, heads, weights, consensus)
        return models.decide(frame, time, heads, weights, consensus)


def bot_models(config: dict[str, Any], settings: Settings, timeframe: str) -> BotModels:
    """Return the models of a freqtrade configuration; a running bot keeps what was predicted."""
    user_data = Path(config.get("user_data_dir") or "user_data")
    running = config.get("runmode") in (RunMode.LIVE, RunMode.DRY_RUN)
    return BotModels(user_data, settings, timeframe, remember=running)


def fitting_models(
    config: dict[str, Any], settings: Settings, timeframe: str, pairs: Sequence[str]
) -> BotModels:
    """Return the models of a configuration for a command; see :meth:`BotModels.require`."""
    models = bot_models(config, settings, timeframe)
    models.require(pairs)
    return models
