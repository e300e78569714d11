"""BotModels: what is known beside the market: trained models, and what earlier signals did.

Models are imported only where there are any: the libraries behind them take a second to import,
and a strategy without models must not pay for them, nor need them installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from freqtrade.enums import RunMode

from quorum.candles import timeframe_ms
from quorum.consensus import ConsensusSettings
from quorum.errors import DataError
from quorum.extras import MissingLibraryError, extra
from quorum.faults import report_fault
from quorum.features import Features
from quorum.market import Market
from quorum.measured import OutcomePool, outcome_file
from quorum.settings import Settings
from quorum.signals import SignalTable, decide
from quorum.typing import Ints

if TYPE_CHECKING:
    from quorum.learning.prediction import Models


#: Folder of the outcomes of earlier signals below the user directory.
OUTCOMES = "quorum_outcomes"


class BotModels:
    """Adds predictions and promises of trained models, and the measure of earlier signals.

    Parameters
    ----------
    user_data : Path
        The host's user directory.
    settings : Settings
    timeframe : str
        Base timeframe.
    remember : bool
        Keep predictions of earlier candles; for running bots.
    outcomes : OutcomePool, optional
        What earlier signals did; without it confidence is as stated (spec C12).
    """

    def __init__(
        self,
        user_data: Path,
        settings: Settings,
        timeframe: str,
        *,
        remember: bool = False,
        outcomes: OutcomePool | None = None,
    ) -> None:
        self.outcomes = outcomes
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
        decided = decide if models is None else models.decide
        table = decided(frame, time, heads, weights, consensus)
        if self.outcomes is None or consensus.confidence == "stated":
            return table
        return self.outcomes.judge(table, timeframe_ms(self._timeframe), consensus)

    def observe(self, market: Market, columns: Mapping[str, Any]) -> None:
        """Take note, once a day, of what became of a market's signals.

        Parameters
        ----------
        market : Market
        columns : mapping of name to ndarray of shape (n_candles,)
            What was published of it.
        """
        if self.outcomes is None or not self.outcomes.stale(market):
            return
        s = self._settings
        stated = s.consensus.model_copy(update={"confidence": "stated"})
        heads = tuple(head.name for head in s.enabled_heads())
        frame = pd.DataFrame(dict(columns)).assign(close=market.candles.close)
        try:
            table = self.decide(frame, market.candles.time, heads, s.head_weights(), stated)
            self.outcomes.observe(table, market, s)
        except Exception as error:
            report_fault("measured confidence", market.pair, error)


def bot_models(config: dict[str, Any], settings: Settings, timeframe: str) -> BotModels:
    """Return what is known beside the market for a freqtrade configuration.

    A running bot keeps what was predicted and what became of its signals; a backtest collects
    outcomes from its own candles, a command reads those that were kept.
    """
    user_data = Path(config.get("user_data_dir") or "user_data")
    mode = config.get("runmode")
    running = mode in (RunMode.LIVE, RunMode.DRY_RUN)
    outcomes = None
    if measures(settings):
        fresh = mode in (RunMode.BACKTEST, RunMode.HYPEROPT)
        path = None if fresh else outcome_file(user_data / OUTCOMES, settings, timeframe)
        outcomes = OutcomePool(path, keep=running)
    return BotModels(user_data, settings, timeframe, remember=running, outcomes=outcomes)


def measures(settings: Settings) -> bool:
    """Whether confidence is measured; a meta-model that is the confidence measures for itself."""
    meta = settings.learning.enabled and settings.learning.meta.confidence
    return settings.consensus.confidence == "measured" and not meta


def fitting_models(
    config: dict[str, Any], settings: Settings, timeframe: str, pairs: Sequence[str]
) -> BotModels:
    """Return the models of a configuration for a command; see :meth:`BotModels.require`."""
    models = bot_models(config, settings, timeframe)
    models.require(pairs)
    return models
