"""The windows of ``quorum tune``: hyperopt on one span, backtests on the next."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorum.bot.epochs import outcome_of_result, parameter_file
from quorum.bot.results import latest_result
from quorum.cli.app import console
from quorum.cli.run import write_overlay
from quorum.errors import DataError
from quorum.replay.exchange import ExchangeServer
from quorum.settings import Settings
from quorum.tuning.loss import promised
from quorum.tuning.studies import (
    PLAN,
    StudyPlan,
    TrialRecord,
    await_trials,
    database,
    finished_trials,
    give_up_open,
    open_study,
)
from quorum.tuning.walk import Judged, Parameters, Trials, WalkFolder, WindowResult
from quorum.tuning.windows import Window

LOSS = "QuorumLoss"


@dataclass(frozen=True)
class Job:
    """One walk-forward: what it runs on and with.

    Attributes
    ----------
    configs : sequence of Path
    config : dict
        The merged configuration.
    settings : Settings
    datadir : Path
    exchange : ExchangeServer
    pairs : tuple of str
    strategy, loss : Path
        Files of the strategy and of the loss.
    spaces : tuple of str
    epochs, jobs, seed : int
    storage : str or None
        Shared database; None for one of its own.
    walk : WalkFolder
    """

    configs: Sequence[Path]
    config: dict[str, Any]
    settings: Settings
    datadir: Path
    exchange: ExchangeServer
    pairs: tuple[str, ...]
    strategy: Path
    loss: Path
    spaces: tuple[str, ...]
    epochs: int
    jobs: int
    seed: int
    storage: str | None
    walk: WalkFolder

    @property
    def work(self) -> Path:
        """Folder of this process alone."""
        return self.walk.folder / f"process-{os.getpid()}"

    def plan(self, window: Window) -> StudyPlan:
        """Return the study of a window."""
        own = f"sqlite:///{self.walk.folder.absolute() / 'study.db'}"
        name = f"{self.walk.folder.name}-{self.walk.fingerprint}-{window.index:02d}"
        storage = database(self.storage or own)
        return StudyPlan(storage, name, self.epochs, str(self.work.absolute()))


def alone(folder: Path, storage: str | None) -> AbstractContextManager[Any]:
    """Keep a second process out of a run that is not shared."""
    if storage is not None:
        return nullcontext()
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout as error:
        raise DataError(
            f"{folder}: another process is at this run; share it with --storage, or give a --name"
        ) from error


def run_window(job: Job, window: Window) -> WindowResult:
    """Tune on a window and judge what follows it, unless that is done."""
    done = job.walk.finished(window.index)
    if done is not None:
        console.print(f"window {window.index}: {window.train} is finished")
        return done
    console.print(f"window {window.index}: tuning on {window.train}, judging on {window.judge}")
    job.work.mkdir(parents=True, exist_ok=True)
    try:
        trials, ranges = tune(job, window)
        best = min(trials, key=lambda trial: (trial.loss, trial.number))
        chosen = {space: best.parameters[space] for space in job.spaces}
        result = WindowResult(
            index=window.index,
            train=window.train,
            judge=window.judge,
            parameters=chosen,
            ranges=ranges,
            trials=Trials.of(trials),
            tuned=judge_span(job, window, chosen, "tuned"),
            configured=judge_span(job, window, None, "configured"),
        )
    finally:
        shutil.rmtree(job.work)
    job.walk.keep(result)
    return result


def tune(
    job: Job, window: Window
) -> tuple[tuple[TrialRecord, ...], dict[str, tuple[float, float]]]:
    """Run hyperopt until the window's study has its trials; return them and their ranges."""
    plan = job.plan(window)
    study = open_study(plan)
    if job.storage is None:
        give_up_open(study)
    log = job.walk.folder / "logs" / f"tune-{window.index:02d}.log"
    if len(finished_trials(study)) < plan.epochs:
        with strategy_copy(job, None) as strategies:
            status = _hyperopt(job, window, plan, strategies, log)
        await_trials(study, plan)
        if status or not finished_trials(study):
            raise DataError(f"hyperopt failed (log: {log}):\n{_tail(log)}")
    trials = finished_trials(study)
    ranges = {
        name: (float(d.low), float(d.high))
        for name, d in study.get_trials(deepcopy=False)[trials[0].number].distributions.items()
        if hasattr(d, "low") and hasattr(d, "high")
    }
    return trials, ranges


def _hyperopt(job: Job, window: Window, plan: StudyPlan, strategies: Path, log: Path) -> int:
    """Run the host's hyperopt over the study; return its status."""
    options = ["hyperopt", "--disable-param-export", "--timerange", window.train]
    options += ["--epochs", str(job.epochs), "--spaces", *job.spaces]
    options += ["--hyperopt-loss", LOSS, "--hyperopt-path", str(job.loss.parent.absolute())]
    options += ["--random-state", str(job.seed), "--job-workers", str(job.jobs)]
    return _run(job, "quorum.bot.hyperopt", options, strategies, log, {PLAN: plan.dumps()})


def judge_span(job: Job, window: Window, parameters: Parameters | None, kind: str) -> Judged:
    """Backtest parameters, or what is configured, on the judged span."""
    folder = job.work / kind
    (folder / "backtest_results").mkdir(parents=True)
    log = job.walk.folder / "logs" / f"{kind}-{window.index:02d}.log"
    options = ["backtesting", "--timerange", window.judge, "--cache", "none", "--export", "trades"]
    options += ["--backtest-directory", str(folder / "backtest_results")]
    with strategy_copy(job, parameters) as strategies:
        status = _run(job, "freqtrade", options, strategies, log, {})
    try:
        result = latest_result(folder)
    except DataError as error:
        raise DataError(f"the backtest failed (log: {log}):\n{_tail(log)}") from error
    if status:
        raise DataError(f"the backtest failed (log: {log}):\n{_tail(log)}")
    name = job.config.get("strategy", "Quorum")
    outcome = outcome_of_result(result, name, window.judge_start, window.judge_end, job.config)
    return Judged.of(outcome, promised(job.settings.sizing.win_rate), job.settings.tuning)


@contextmanager
def strategy_copy(job: Job, parameters: Parameters | None) -> Iterator[Path]:
    """Copy the strategy to a folder of its own, with a parameter file or without one.

    A parameter file that lies beside the strategy would override what is tuned and judged; it is
    neither read nor touched.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for path in job.strategy.parent.glob("*.py"):
            shutil.copy(path, folder)
        if parameters is not None:
            content = parameter_file(job.config.get("strategy", "Quorum"), parameters)
            file = (folder / job.strategy.name).with_suffix(".json")
            file.write_text(json.dumps(content), encoding="utf-8")
        yield folder


def _run(
    job: Job,
    module: str,
    options: Sequence[str],
    strategies: Path,
    log: Path,
    environment: Mapping[str, str],
) -> int:
    """Run a command of the host against the local exchange with its output in a log."""
    overlay = write_overlay(job.work, job.exchange, job.datadir, "futures", job.pairs)
    call = [sys.executable, "-m", module, *options]
    call += ["--strategy-path", str(strategies), "--datadir", str(job.datadir)]
    for layer in (*job.configs, overlay):
        call += ["--config", str(layer)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        variables = {**os.environ, **environment}
        return subprocess.run(
            call, check=False, env=variables, stdout=stream, stderr=stream
        ).returncode


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
