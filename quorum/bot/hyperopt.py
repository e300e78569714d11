"""The host's hyperopt over a study in a database.

The host makes its optuna study in memory and offers no way to say otherwise. Here the study it
has made is exchanged for one in a database, with the sampler the host has chosen; everything else
is the host's: data, spaces, epochs, workers, loss.

    QUORUM_STUDY='{...}' python -m quorum.bot.hyperopt hyperopt --epochs 100 ...
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import optuna
from freqtrade.commands.arguments import Arguments
from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.enums import RunMode
from freqtrade.exceptions import FreqtradeException
from freqtrade.loggers import setup_logging_pre
from freqtrade.optimize.hyperopt import Hyperopt
from freqtrade.system import asyncio_setup, gc_set_threshold, set_mp_start_method
from freqtrade.util.dry_run_wallet import get_dry_run_wallet
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial, TrialState
from pandas import DataFrame

from quorum.bot.epochs import outcome_of_trades
from quorum.errors import QuorumError
from quorum.tuning.studies import (
    PLAN,
    RECORD,
    StudyPlan,
    begin_trial,
    open_study,
    standing_trials,
)

logger = logging.getLogger(__name__)


class StudyHyperopt(Hyperopt):
    """The host's hyperopt, its trials in the study of a plan.

    Parameters
    ----------
    config : dict
        The host's configuration.
    plan : StudyPlan
    """

    def __init__(self, config: dict[str, Any], plan: StudyPlan) -> None:
        self._plan = plan
        self._asked: list[Trial] = []
        super().__init__(config)

    def clean_hyperopt(self) -> None:
        """Keep this process's files in a folder of its own, before the host removes old ones."""
        folder = Path(self._plan.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.results_file: Path = folder / "epochs.fthypt"
        self.data_pickle_file: Path = folder / "candles.pkl"
        super().clean_hyperopt()

    @property
    def opt(self) -> optuna.Study:
        """The study in the database."""
        return self._study

    @opt.setter
    def opt(self, made: optuna.Study) -> None:
        """Take the sampler of the study the host has made in memory."""
        sampler = made.sampler
        if isinstance(sampler, optuna.samplers.CmaEsSampler):
            # It keeps its state in the database as a pickle: reading it could run code.
            raise ValueError("CmaEsSampler cannot be used with a study in a database")
        self._study = open_study(self._plan, sampler)
        if self._study.get_trials(deepcopy=False):
            # The same random numbers again would give the same points again.
            sampler.reseed_rng()
        self._study.enqueue_trial(self._configured_point(), skip_if_exists=True)

    def _configured_point(self) -> dict[str, Any]:
        """Return what the configuration has in force, within the ranges: the first trial."""
        strategy = self.hyperopter.backtesting.strategy
        values = {name: parameter.value for name, parameter in strategy.enumerate_parameters()}
        return {
            name: _nearest(dimension, values[name])
            for name, dimension in self.hyperopter.o_dimensions.items()
            if name in values
        }

    def get_asked_points(
        self, n_points: int, dimensions: dict[str, BaseDistribution]
    ) -> tuple[list[Trial], list[bool]]:
        """Ask for points nobody has tried, no more than the study still wants."""
        plain = {name: _plain(dimension) for name, dimension in dimensions.items()}
        done = self.opt.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        tried = [trial.params for trial in done]
        self._asked = []
        for _ in range(3 * n_points):
            standing = standing_trials(self.opt, self._plan.patience)
            if len(self._asked) >= n_points or len(standing) >= self._plan.epochs:
                break
            trial = begin_trial(self.opt, plain)
            if trial.params in tried or self._is_surplus(trial):
                self.opt.tell(trial, state=TrialState.FAIL)
                self.count_skipped_epochs += 1
                continue
            tried.append(trial.params)
            self._asked.append(trial)
        return self._asked, [False] * len(self._asked)

    def _is_surplus(self, trial: Trial) -> bool:
        """Whether other processes have begun the last trials wanted at the same moment."""
        standing = standing_trials(self.opt, self._plan.patience)
        return trial.number in standing[self._plan.epochs :]

    def run_optimizer_parallel(self, parallel: Any, asked: list[Any]) -> list[dict[str, Any]]:
        """Run epochs; keep with each trial what is needed to judge all of them."""
        results: list[dict[str, Any]] = super().run_optimizer_parallel(parallel, asked)
        for trial, result in zip(self._asked, results, strict=True):
            trial.set_user_attr(RECORD, self._record(result))
        return results

    def _record(self, result: dict[str, Any]) -> dict[str, Any]:
        trades = DataFrame(result["results_metrics"]["trades"])
        outcome = outcome_of_trades(
            trades,
            self.hyperopter.min_date,
            self.hyperopter.max_date,
            get_dry_run_wallet(self.config),
        )
        return {
            "parameters": result["params_details"],
            "daily": [float(f"{value:.9g}") for value in outcome.daily_returns()],
            "trades": len(trades),
        }

    def start(self) -> None:
        """Run until the study has its trials; give up what an error leaves open."""
        try:
            super().start()
        finally:
            for trial in self._asked if hasattr(self, "_study") else ():
                if not self._study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                    self._study.tell(trial, state=TrialState.FAIL)
            self.data_pickle_file.unlink(missing_ok=True)


def _plain(dimension: BaseDistribution) -> BaseDistribution:
    """Return a dimension as optuna's own class: the host's cannot be read from a database."""
    if isinstance(dimension, IntDistribution):
        return IntDistribution(dimension.low, dimension.high, step=dimension.step)
    if isinstance(dimension, FloatDistribution):
        return FloatDistribution(dimension.low, dimension.high, step=dimension.step)
    if isinstance(dimension, CategoricalDistribution):
        return CategoricalDistribution(dimension.choices)
    raise TypeError(f"hyperopt dimension {dimension!r} is of no known kind")


def _nearest(dimension: BaseDistribution, value: Any) -> Any:
    """Return the value of a dimension that is nearest to one that may lie outside it."""
    if isinstance(dimension, IntDistribution | FloatDistribution):
        return min(max(value, dimension.low), dimension.high)
    return value


def main(arguments: list[str]) -> None:
    """Run the host's ``hyperopt`` command over the study of the plan in the environment."""
    plan = StudyPlan.loads(os.environ[PLAN])
    setup_logging_pre()
    asyncio_setup()
    parsed = Arguments(arguments).get_parsed_arg()
    gc_set_threshold()
    set_mp_start_method()
    try:
        config = setup_optimize_configuration(parsed, RunMode.HYPEROPT)
        StudyHyperopt(config, plan).start()
    except (FreqtradeException, QuorumError) as error:
        logger.error(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
