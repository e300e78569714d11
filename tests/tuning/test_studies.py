"""Studies in databases: shared by processes, resumed after one died, unreadable to nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import postgres
import pytest
from backtests import ROOT, small_market
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from quorum.cli.run import write_overlay
from quorum.errors import DataError
from quorum.replay.exchange import ExchangeServer
from quorum.tuning.studies import (
    PLAN,
    RECORD,
    StudyPlan,
    await_trials,
    begin_trial,
    database,
    finished_trials,
    give_up_open,
    open_storage,
    open_study,
    standing_trials,
)

SPACE = {"x": FloatDistribution(0.0, 1.0)}


@pytest.fixture
def plan(tmp_path) -> StudyPlan:
    return StudyPlan(f"sqlite:///{tmp_path}/study.db", "one", 4, str(tmp_path / "work"))


def finish(study: optuna.Study, loss: float) -> None:
    trial = study.ask(SPACE)
    record = {"parameters": {"buy": trial.params}, "daily": [0.5, loss], "trades": 3}
    trial.set_user_attr(RECORD, record)
    study.tell(trial, loss)


def test_what_a_trial_keeps_is_read_back_by_another_process(plan):
    study = open_study(plan)
    finish(study, 0.25)
    finish(study, -1.0)
    first, second = finished_trials(open_study(plan))
    assert (first.number, first.loss, second.loss) == (0, 0.25, -1.0)
    assert first.parameters["buy"]["x"] == study.trials[0].params["x"]
    np.testing.assert_array_equal(second.daily, [0.5, -1.0])
    assert second.trades == 3


def test_trials_that_failed_or_were_lost_do_not_stand(plan):
    study = open_study(plan)
    finish(study, 1.0)
    study.tell(study.ask(SPACE), state=TrialState.FAIL)
    begin_trial(study, SPACE)
    study.ask(SPACE)
    assert [trial.number for trial in finished_trials(study)] == [0]
    assert standing_trials(study, patience=60) == (0, 2, 3)
    assert standing_trials(study, patience=0) == (0,)


def test_what_a_dead_process_left_open_is_given_up(plan):
    open_study(plan).ask(SPACE)
    study = open_study(plan)
    assert give_up_open(study) == 1
    assert study.trials[0].state is TrialState.FAIL
    assert give_up_open(study) == 0


def test_nobody_waits_for_trials_that_no_process_is_at(plan):
    study = open_study(plan)
    finish(study, 0.0)
    await_trials(study, plan, poll=60)


def test_a_plan_survives_the_environment(plan):
    assert StudyPlan.loads(plan.dumps()) == plan


def test_a_bare_postgresql_address_gets_its_driver_and_a_printed_one_loses_its_password():
    assert database("postgresql://me:secret@host/db") == "postgresql+psycopg://me:secret@host/db"
    assert database("sqlite:///a.db") == "sqlite:///a.db"


@pytest.mark.parametrize("address", ["nowhere", "", "postgresql:/x"])
def test_what_is_no_address_is_refused_without_repeating_it(address):
    with pytest.raises(DataError, match="not a database address"):
        database(address)


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path):
    address = f"postgresql://me:secret@/db?host={tmp_path}"
    with pytest.raises(DataError, match="cannot be opened") as refused:
        open_storage(address)
    assert str(tmp_path) in str(refused.value)
    assert "secret" not in str(refused.value)


# Two processes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def datadir(tmp_path_factory) -> Path:
    return small_market(tmp_path_factory.mktemp("tuning") / "market")


def start_worker(plan: StudyPlan, overlay: Path, datadir: Path, folder: Path) -> subprocess.Popen:
    user_data = folder / "user_data"
    user_data.mkdir(parents=True)
    call = [sys.executable, "-m", "quorum.bot.hyperopt", "hyperopt", "--disable-param-export"]
    call += ["--timerange", "20230710-20230901", "--epochs", str(plan.epochs), "--spaces", "buy"]
    call += ["--hyperopt-loss", "QuorumLoss", "--hyperopt-path", str(ROOT / "hyperopts")]
    call += ["--random-state", "1", "--job-workers", "1", "--userdir", str(user_data)]
    call += ["--strategy-path", str(ROOT / "strategies"), "--datadir", str(datadir)]
    call += ["--config", str(ROOT / "config.json"), "--config", str(overlay)]
    environment = {**os.environ, PLAN: plan.dumps()}
    with (folder / "log").open("w") as log:
        return subprocess.Popen(call, cwd=folder, env=environment, stdout=log, stderr=log)


@pytest.mark.skipif(postgres.why_not() is not None, reason=str(postgres.why_not()))
def test_two_processes_share_one_study_in_postgresql(datadir, tmp_path):
    epochs = 6
    with postgres.server() as address, ExchangeServer(datadir) as exchange:
        overlay = write_overlay(tmp_path, exchange, datadir, "futures", ["BTC/USDT:USDT"])
        folders = [tmp_path / "one", tmp_path / "two"]
        plans = [StudyPlan(address, "shared", epochs, str(folder / "work")) for folder in folders]
        # The tables are made once, so that both find them.
        study = open_study(plans[0])
        workers = [
            start_worker(plan, overlay, datadir, folder)
            for plan, folder in zip(plans, folders, strict=True)
        ]
        for worker, folder in zip(workers, folders, strict=True):
            assert worker.wait(300) == 0, (folder / "log").read_text()[-3000:]
        trials = finished_trials(study)
        states = {trial.state for trial in study.trials if trial.state is not TrialState.FAIL}
    assert len(trials) == epochs
    assert states == {TrialState.COMPLETE}
    # Every trial was run once, and each process ran some of them.
    own = [len((folder / "work" / "epochs.fthypt").read_text().splitlines()) for folder in folders]
    assert sum(own) == epochs
    assert min(own) > 0
    points = {json.dumps(trial.parameters, sort_keys=True) for trial in trials}
    assert len(points) == epochs
    assert {len(trial.daily) for trial in trials} == {53}
