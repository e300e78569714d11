"""Studies: the trials of one window, in a database that several machines may share.

The study is optuna's, in SQLite or PostgreSQL through SQLAlchemy. Beside its parameters and loss
every trial keeps its daily returns, so that what all of them together prove can be computed
wherever the database can be read.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from quorum.errors import DataError
from quorum.extras import extra
from quorum.state import database_url, shown
from quorum.typing import Floats

if TYPE_CHECKING:
    import optuna

#: Environment variable in which the process that tunes finds its plan: a database address holds
#: a password, which a command line would show to everyone on the machine.
PLAN = "QUORUM_STUDY"
#: What a trial keeps beside parameters and loss.
RECORD = "quorum"
#: When a trial began, seconds since the epoch.
BEGAN = "quorum_began"
#: Tries to open a database: two processes that make its tables at once are in each other's way.
TRIES = 3


@dataclass(frozen=True)
class StudyPlan:
    """One study and this process's part in it.

    Attributes
    ----------
    storage : str
        SQLAlchemy address of the database.
    name : str
        Of the study; processes with the same name and storage share it.
    epochs : int
        Trials wanted, of all processes together.
    folder : str
        Where this process keeps its files.
    patience : float
        Minutes after which a trial another process began counts as lost.
    """

    storage: str
    name: str
    epochs: int
    folder: str
    patience: float = 60.0

    def dumps(self) -> str:
        """Write the plan for the environment of another process."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Self:
        """Read it back."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial.

    Attributes
    ----------
    number : int
    loss : float
    parameters : dict
        Value by parameter, by space.
    daily : ndarray of shape (n_days,), float64
        Returns of the days of the window.
    trades : int
    """

    number: int
    loss: float
    parameters: dict[str, dict[str, Any]]
    daily: Floats
    trades: int


def database(address: str) -> str:
    """Return the SQLAlchemy address of a database; a bare ``postgresql://`` gets its driver.

    Raises
    ------
    DataError
        If it is none.
    """
    return database_url(address, "storage").render_as_string(hide_password=False)


def open_storage(address: str) -> optuna.storages.BaseStorage:
    """Open, and where needed make, the tables of a database.

    Raises
    ------
    DataError
        If the database cannot be reached, or a package for it is missing.
    """
    with extra("hyperopt"):
        import optuna
    # Its messages are for those who work on studies by hand.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    problem: Exception | None = None
    for attempt in range(TRIES):
        try:
            engine = {"pool_pre_ping": True}
            return optuna.storages.RDBStorage(database(address), engine_kwargs=engine)
        except ImportError as error:
            raise DataError(
                f"storage {shown(address)}: its driver is missing: "
                'pip install "freqtrade-quorum[postgres]"'
            ) from error
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            problem = error
            time.sleep(0.5 * attempt)
    reason = " ".join(str(getattr(problem, "__cause__", None) or problem).split())[:300]
    raise DataError(f"storage {shown(address)}: cannot be opened ({reason})") from problem


def open_study(plan: StudyPlan, sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    """Open the study of a plan, made if it is not there."""
    storage = open_storage(plan.storage)
    import optuna

    return optuna.create_study(
        storage=storage,
        study_name=plan.name,
        sampler=sampler,
        direction="minimize",
        load_if_exists=True,
    )


def finished_trials(study: optuna.Study) -> tuple[TrialRecord, ...]:
    """Return every finished trial of a study in the order they began."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return tuple(
        TrialRecord(
            trial.number,
            float(trial.values[0]),
            trial.user_attrs[RECORD]["parameters"],
            np.array(trial.user_attrs[RECORD]["daily"], dtype=np.float64),
            trial.user_attrs[RECORD]["trades"],
        )
        for trial in trials
        if RECORD in trial.user_attrs
    )


def begin_trial(
    study: optuna.Study, space: dict[str, optuna.distributions.BaseDistribution]
) -> optuna.Trial:
    """Begin a trial, and note when in a time that is the same on every machine."""
    trial = study.ask(space)
    trial.set_user_attr(BEGAN, time.time())
    return trial


def standing_trials(study: optuna.Study, patience: float) -> tuple[int, ...]:
    """Return the numbers of the trials that count: finished, or not yet lost, in order.

    Parameters
    ----------
    study : Study
    patience : float
        Minutes after which a running trial counts as lost.
    """
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.RUNNING)
    return tuple(
        trial.number
        for trial in study.get_trials(deepcopy=False, states=states)
        if trial.state is TrialState.COMPLETE or time.time() - _began(trial) < 60 * patience
    )


def _began(trial: optuna.trial.FrozenTrial) -> float:
    noted: float | None = trial.user_attrs.get(BEGAN)
    if noted is None:
        # Its process is about to note it, or has died before: optuna's own note, local time.
        return trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    return noted


def give_up_open(study: optuna.Study) -> int:
    """Mark what a process that died has left running as failed; return how many.

    Only for a study that no other process is at.
    """
    from optuna.trial import TrialState

    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
    return len(running)


def await_trials(study: optuna.Study, plan: StudyPlan, poll: float = 2.0) -> None:
    """Wait until the study has its trials, or no process is at one any more."""
    while True:
        finished = len(finished_trials(study))
        if finished >= plan.epochs or finished >= len(standing_trials(study, plan.patience)):
            return
        time.sleep(poll)
