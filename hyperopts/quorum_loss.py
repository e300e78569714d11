"""QuorumLoss: growth against drawdown, enough trades, and bands that keep their promise."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from freqtrade.optimize.hyperopt import IHyperOptLoss
from pandas import DataFrame

from quorum.bot.epochs import loss_of_trades


class QuorumLoss(IHyperOptLoss):
    """Drawdown-aware loss for ``freqtrade hyperopt --hyperopt-loss QuorumLoss``.

    The arithmetic is :mod:`quorum.tuning.loss`; the bands and what they promise are read from the
    entry tags and the ``quorum`` section of the configuration.
    """

    @staticmethod
    def hyperopt_loss_function(
        *,
        results: DataFrame,
        min_date: datetime,
        max_date: datetime,
        config: dict[str, Any],
        starting_balance: float,
        **kwargs: Any,
    ) -> float:
        """Return the loss of one epoch; smaller is better."""
        return loss_of_trades(results, min_date, max_date, config, starting_balance).total
