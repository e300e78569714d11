"""Backends: the same results wherever tasks run, also when workers die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import tasks_for_backends as work

from quorum.extras import MissingLibraryError
from quorum.learning import manifest
from quorum.learning.backends import BackendError, BackendSettings, run_tasks

SHARED = {"x": np.random.default_rng(5).normal(size=200_000), "small": np.arange(5.0)}
HERE = BackendSettings(n_jobs=1)
PROCESSES = BackendSettings(n_jobs=2)
TESTS = Path(__file__).parent


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "cluster.log").open("w")
        self.workers: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--scheduler-file", str(file), "--host", "127.0.0.1", "--port", "0"
        )
        self.address = json.loads(_wait(lambda: file.exists() and file.read_text()))["address"]
        self.settings = BackendSettings(kind="dask", scheduler=self.address, timeout=20)

    def _start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard"]
        scratch = {"DASK_TEMPORARY_DIRECTORY": str(self._folder)}
        env = {**os.environ, **scratch, "PYTHONPATH": str(TESTS)}
        return subprocess.Popen(
            [*program, *arguments], env=env, stdout=self._log, stderr=subprocess.STDOUT
        )

    def have(self, count: int) -> None:
        """Start workers until ``count`` are there, and wait for them."""
        from distributed import Client

        self.workers = [w for w in self.workers if w.poll() is None]
        while len(self.workers) < count:
            self.add()
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=30)

    def add(self) -> None:
        options = ["--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
        self.workers.append(self._start("worker", self.address, *options))

    def lose(self) -> None:
        """Kill all workers."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers = []

    def tasks(self) -> int:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))

    def states(self) -> set[str]:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return client.run_on_scheduler(
                lambda dask_scheduler: {task.state for task in dask_scheduler.tasks.values()}
            )

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
        self._log.close()


def _wait(condition, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster
    finally:
        cluster.end()


@pytest.fixture(params=["here", "processes", "cluster"])
def settings(request) -> BackendSettings:
    if request.param == "cluster":
        cluster = request.getfixturevalue("cluster")
        cluster.have(2)
        return cluster.settings
    return {"here": HERE, "processes": PROCESSES}[request.param]


def expected(count: int) -> list[tuple[int, tuple[float, float]]]:
    return [(task, work.summed(task, SHARED)) for task in range(count)]


def test_every_backend_gives_bit_for_bit_the_same_results(settings):
    assert sorted(run_tasks(work.summed, range(12), SHARED, settings)) == expected(12)


def test_no_tasks_give_no_results(settings):
    assert list(run_tasks(work.summed, [], SHARED, settings)) == []


def test_tasks_cannot_change_what_others_read(settings):
    arrays = dict(run_tasks(work.kind_of_array, range(4), SHARED, settings))
    assert [a["writeable"] for a in arrays.values()] == [[False, False]] * 4
    with pytest.raises(ValueError, match="read-only"):
        list(run_tasks(work.writes, range(2), SHARED, settings))
    assert SHARED["small"][0] == 0
    assert SHARED["small"].flags.writeable


def test_processes_map_large_arrays_instead_of_copying_them():
    arrays = dict(run_tasks(work.kind_of_array, range(4), SHARED, PROCESSES))
    assert all(a["mapped"] for a in arrays.values())
    assert os.getpid() not in {a["process"] for a in arrays.values()}


def test_large_results_stay_after_the_workers_are_gone(settings):
    results = dict(run_tasks(work.large, range(3), SHARED, settings))
    assert {i: float(r.mean()) for i, r in results.items()} == {0: 0.0, 1: 1.0, 2: 2.0}


def test_an_error_of_a_task_is_raised_with_its_index(settings):
    with pytest.raises(ValueError, match="cannot fit 3") as raised:
        list(run_tasks(work.fails, range(6), SHARED, settings))
    assert "in task 3: 3" in raised.value.__notes__


@pytest.mark.parametrize("settings", ["processes", "cluster"], indirect=True)
def test_results_are_handed_over_as_they_end(settings, tmp_path):
    handed: list[tuple[int, object]] = []
    tasks = [(i, str(tmp_path)) for i in range(4)]
    run = run_tasks(work.waits, tasks, SHARED, settings, lambda *got: handed.append(got))
    for pair in run:
        assert handed[-1] == pair
        (tmp_path / "go").touch()  # the others wait until the first was handed over
    assert sorted(handed) == expected(4)
    assert handed[0][0] == 0


def test_a_failing_receiver_ends_the_run():
    def full(index: int, result: object) -> None:
        raise OSError("disk full")

    began = time.monotonic()
    tasks = [(0, 0.01), *((i, 20.0) for i in range(1, 4))]
    with pytest.raises(OSError, match="disk full"):
        list(run_tasks(work.slow, tasks, SHARED, PROCESSES, full))
    assert time.monotonic() - began < 10
    assert _busy(os.getpid()) == []


def _busy(pid: int) -> list[str]:
    """Return the worker processes below ``pid``; the trackers of shared memory are none."""
    lines = [" ".join(p.cmdline()) for p in psutil.Process(pid).children(recursive=True)]
    return [line for line in lines if "loky" in line and "resource_tracker" not in line]


def test_a_run_that_is_given_up_leaves_no_processes():
    run = run_tasks(work.slow, [(0, 0.01), (1, 30.0), (2, 30.0)], SHARED, PROCESSES)
    assert next(run)[0] == 0
    assert len(_busy(os.getpid())) == 2
    run.close()
    assert _busy(os.getpid()) == []


def test_a_killed_process_of_joblib_is_said():
    with pytest.raises(BackendError, match="was killed, often for lack of memory"):
        list(run_tasks(work.dies, range(4), SHARED, PROCESSES))
    assert sorted(run_tasks(work.summed, range(3), SHARED, PROCESSES)) == expected(3)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import tasks_for_backends as work
from quorum.learning.backends import BackendSettings, run_tasks

shared = {"x": np.zeros(200_000)}
tasks = [(i, 30.0, sys.argv[2]) for i in range(4)]
list(run_tasks(work.noted, tasks, shared, BackendSettings(n_jobs=2)))
"""


def _hears() -> None:
    """Let a process be interrupted also where its parent runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupted(process: subprocess.Popen[bytes], way: str) -> None:
    if way == "control-c":  # a terminal tells all processes
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT if way == "interrupt" else signal.SIGKILL)
    assert process.wait(25) != 0  # less than the tasks under way would take


def test_an_interrupted_run_leaves_no_orphans(tmp_path):
    runs = {}
    for way in ("interrupt", "control-c", "kill"):
        (tmp_path / way).mkdir()
        program = [sys.executable, "-c", PROGRAM, str(TESTS), str(tmp_path / way)]
        runs[way] = subprocess.Popen(
            program, stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=_hears
        )
    for way, process in runs.items():
        begun = _wait(lambda folder=tmp_path / way: len(os.listdir(folder)) == 2)
        assert begun
        children = psutil.Process(process.pid).children(recursive=True)
        pids = {int(name.split("-")[1]) for name in os.listdir(tmp_path / way)}
        assert pids <= {child.pid for child in children}
        _interrupted(process, way)
        _, alive = psutil.wait_procs(children, timeout=10)
        for orphan in alive:
            orphan.kill()
        assert alive == [], way
        assert len(os.listdir(tmp_path / way)) == 2  # no further task was begun


def test_a_killed_worker_of_a_cluster_is_replaced_and_changes_no_result(cluster, tmp_path):
    cluster.have(2)
    workers = {worker.pid: worker for worker in cluster.workers}
    run = run_tasks(work.waits, [(i, str(tmp_path)) for i in range(6)], SHARED, cluster.settings)
    results = [next(run)]
    # All others are in the middle of their task now, or not begun.
    name = _wait(lambda: [p.name for p in tmp_path.iterdir() if p.name[0] != "0"])[0]
    killed, pid = map(int, name.split("-"))
    workers[pid].kill()
    workers[pid].wait()
    (tmp_path / "go").touch()
    results += run
    assert sorted(results) == expected(6)
    begun = {int(path.name.split("-")[1]) for path in tmp_path.glob(f"{killed}-*")}
    assert begun == set(workers)  # once in vain by the killed, once by the other


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_a_cluster_that_lost_all_workers_goes_on_with_new_ones(cluster, caplog, seconds):
    cluster.have(2)
    run = run_tasks(work.slow, [(i, seconds) for i in range(6)], SHARED, cluster.settings)
    results = [next(run)]
    if not seconds:  # the results are lost as well, waiting to be fetched
        _wait(lambda: cluster.states() == {"memory"})
    cluster.lose()
    cluster.add()
    results += run
    assert sorted(results) == expected(6)
    assert "tasks are sent again" in caplog.text


def test_a_run_that_is_given_up_leaves_nothing_on_the_cluster(cluster):
    cluster.have(1)
    run = run_tasks(work.slow, [(i, 0.1) for i in range(8)], SHARED, cluster.settings)
    next(run)
    run.close()
    assert _wait(lambda: cluster.tasks() == 0)


def test_workers_with_other_libraries_are_refused(cluster, monkeypatch):
    cluster.have(1)
    # Changes the answer of this process alone: a worker answers for itself.
    monkeypatch.setattr(manifest, "version", lambda name: "0.1")
    with pytest.raises(BackendError, match="has other versions") as refused:
        list(run_tasks(work.summed, range(2), SHARED, cluster.settings))
    assert f"numpy {np.__version__} (here 0.1)" in str(refused.value)


def test_a_cluster_that_is_not_there_is_said():
    nowhere = BackendSettings(kind="dask", scheduler="tcp://127.0.0.1:9", timeout=0.3)
    with pytest.raises(BackendError, match=r"tcp://127.0.0.1:9: no Dask scheduler can be reached"):
        list(run_tasks(work.summed, range(2), SHARED, nowhere))


def test_a_cluster_without_workers_is_said(cluster):
    cluster.lose()
    settings = BackendSettings(kind="dask", scheduler=cluster.address, timeout=0.5)
    with pytest.raises(BackendError, match=r"no worker within 0.5 s, start some with `dask"):
        list(run_tasks(work.summed, range(2), SHARED, settings))


@pytest.mark.parametrize(
    ("library", "settings"),
    [
        ("distributed", BackendSettings(kind="dask", scheduler="tcp://127.0.0.1:9")),
        ("joblib", BackendSettings(n_jobs=2)),
    ],
)
def test_a_missing_library_is_said_with_the_extra_that_has_it(library, settings, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    extra = {"joblib": "learning", "distributed": "dask"}[library]
    with pytest.raises(MissingLibraryError, match=rf"{library} is not .*quorum\[{extra}\]"):
        list(run_tasks(work.summed, range(2), SHARED, settings))


def test_settings_that_cannot_run_are_refused():
    with pytest.raises(ValueError, match="needs the address of its scheduler"):
        BackendSettings(kind="dask")
    with pytest.raises(ValueError, match="n_jobs = 0"):
        BackendSettings(n_jobs=0)
