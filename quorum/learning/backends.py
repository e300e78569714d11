"""Where independent tasks run: the processes of this machine, or a Dask cluster (spec M8).

A task is a pure function of its arguments, so its result is the same in any order, on any
backend, and when it is done again because its worker died. Results are handed over as they come:
whoever stores each at once can go on after an interruption where it ended.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from quorum.errors import QuorumError
from quorum.extras import library
from quorum.learning.manifest import library_versions
from quorum.section import Section

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")
Shared: TypeAlias = Mapping[str, NDArray[Any]]
Call: TypeAlias = Callable[[Task, Shared], Result]

#: Arrays from this size on are memory-mapped by the workers, not copied to each [bytes].
MAPPED_FROM = 1 << 20
#: How often a worker looks whether the process it works for is still there [s].
WATCH = 1.0
#: One entry per ``kept_workers`` that is entered.
_kept: list[bool] = []
#: How often all is sent again to a cluster whose workers lost it.
ROUNDS = 3


class BackendError(QuorumError):
    """The backend cannot run the tasks: not reachable, not alike, died."""


class BackendSettings(Section):
    """Where tasks run."""

    kind: Literal["joblib", "dask"] = Field(
        "joblib", description="processes of this machine, or an existing Dask cluster"
    )
    n_jobs: int = Field(
        -1, ge=-64, le=256, description="joblib: processes; -1 one per core, 1 none but this"
    )
    threads: int = Field(1, ge=1, le=64, description="joblib: threads of a process's libraries")
    scheduler: str | None = Field(
        None, description="dask: address of the scheduler, for example tcp://host:8786"
    )
    timeout: float = Field(
        30.0, gt=0, le=3600, description="dask: wait for the scheduler and a worker [s]"
    )

    @model_validator(mode="after")
    def _consistent(self) -> BackendSettings:
        if self.kind == "dask" and not self.scheduler:
            raise ValueError("backend dask needs the address of its scheduler")
        if self.n_jobs == 0:
            raise ValueError("n_jobs = 0: give a number of processes, or -1 for all cores")
        return self


def run_tasks(
    function: Call[Task, Result],
    tasks: Sequence[Task],
    shared: Shared,
    settings: BackendSettings,
    on_result: Callable[[int, Result], None] | None = None,
) -> Iterator[tuple[int, Result]]:
    """Run ``function(task, shared)`` for every task; yield ``(index, result)`` as they end.

    Parameters
    ----------
    function : callable
        Pure, of a module (workers import it).
    tasks : sequence
        Picklable and small.
    shared : mapping of str to ndarray
        Large arrays that all tasks read, sent once; workers cannot write to them.
    settings : BackendSettings
        Where to run.
    on_result : callable, optional
        Called with ``(index, result)`` in this process before the pair is yielded.

    Yields
    ------
    tuple of (int, result)
        In the order of ending, which is not that of the tasks.

    Raises
    ------
    BackendError
        The backend cannot be used.
    Exception
        Whatever a task raises, with its index as a note; tasks not begun are dropped.
    """
    if not tasks:
        return
    run = _joblib if settings.kind == "joblib" else _dask
    for index, result in run(function, tasks, shared, settings):
        if on_result is not None:
            on_result(index, result)
        yield index, result


def _call(
    function: Call[Task, Result], index: int, task: Task, shared: Shared
) -> tuple[int, Result]:
    """Run one task, in the worker."""
    try:
        return index, function(task, _read_only(shared))
    except Exception as error:
        error.add_note(f"in task {index}: {str(task)[:200]}")
        raise


def _read_only(shared: Shared) -> dict[str, NDArray[Any]]:
    """Return views that cannot be written to: a task must not change what the next one reads."""
    views = {}
    for name, array in shared.items():
        view = np.asarray(array).view()
        view.flags.writeable = False
        views[name] = view
    return views


# -- the processes of this machine ---------------------------------------------------------------


def _joblib(
    function: Call[Task, Result], tasks: Sequence[Task], shared: Shared, settings: BackendSettings
) -> Iterator[tuple[int, Result]]:
    joblib = library("learning", "joblib")
    loky = library("learning", "joblib.externals.loky.process_executor")
    arrays = dict(shared)
    if settings.n_jobs == 1:
        yield from (_call(function, index, task, arrays) for index, task in enumerate(tasks))
        return
    with joblib.parallel_config(
        "loky",
        inner_max_num_threads=settings.threads,
        initializer=_end_with,
        initargs=(os.getpid(),),
    ):
        parallel = joblib.Parallel(
            n_jobs=settings.n_jobs,
            return_as="generator_unordered",
            max_nbytes=MAPPED_FROM,  # larger arrays go to a file that all workers map
            mmap_mode="r",
            batch_size=1,
        )
        results = parallel(
            joblib.delayed(_call)(function, index, task, arrays) for index, task in enumerate(tasks)
        )
    try:
        for pair in results:  # noqa: UP028  (`yield from` would close it before _end_workers)
            yield pair
    except loky.TerminatedWorkerError as error:
        raise BackendError(
            f"a process of joblib was killed, often for lack of memory: use fewer than n_jobs ="
            f" {settings.n_jobs}"
        ) from error
    finally:
        _end_workers(results)


@contextmanager
def kept_workers() -> Iterator[None]:
    """Let the processes of this machine serve every ``run_tasks`` within; end them at its end.

    A process takes seconds to import what it works with.
    """
    _kept.append(True)
    try:
        yield
    finally:
        _kept.pop()
        if not _kept:
            _end_processes()


def _end_with(parent: int) -> None:
    """Let this worker end when ``parent`` does, also if that was killed and could not say so."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_workers(results: Any) -> None:
    """Drop what was not done, and end the processes now, not when they have idled for long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib remarks that not all results were taken
        results.close()
    if not _kept:
        _end_processes()


def _end_processes() -> None:
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    # Asked for where there is none, one would be started.
    if loky is not None and loky._executor is not None:
        loky.get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


# -- a cluster -----------------------------------------------------------------------------------


def _dask(
    function: Call[Task, Result], tasks: Sequence[Task], shared: Shared, settings: BackendSettings
) -> Iterator[tuple[int, Result]]:
    left = dict(enumerate(tasks))
    with _connected(settings) as client:
        for _ in range(ROUNDS):
            for index, result in _round(client, function, left, shared):
                del left[index]
                yield index, result
            if not left:
                return
            logger.warning("the cluster lost its workers, %d tasks are sent again", len(left))
            _wait_for_worker(client, settings)
    raise BackendError(
        f"{settings.scheduler}: lost all its workers {ROUNDS} times, {len(left)} tasks are left"
    )


def _round(
    client: Any, function: Call[Task, Result], left: Mapping[int, Task], shared: Shared
) -> Iterator[tuple[int, Result]]:
    """Send what is left, yield what comes back; ends early if the cluster lost the arrays."""
    distributed = library("dask", "distributed")
    # In a list, as the names of a dictionary would be names on the whole cluster.
    [arrays] = client.scatter([dict(shared)], broadcast=True, hash=False)
    futures = [
        client.submit(_call, function, index, task, arrays, pure=False)
        for index, task in left.items()
    ]
    try:
        for future in distributed.as_completed(futures, loop=client.loop):
            if future.status in ("cancelled", "lost"):
                return
            try:
                index, result = future.result()
            except distributed.KilledWorker as error:
                raise BackendError(
                    "a task ended several workers of the cluster, often for lack of memory:"
                    f" {error}"
                ) from error
            except CancelledError:  # its result was lost before it was fetched
                return
            future.release()
            yield index, result
    finally:
        client.cancel(futures)


@contextmanager
def _connected(settings: BackendSettings) -> Iterator[Any]:
    distributed = library("dask", "distributed")
    try:
        client = distributed.Client(
            settings.scheduler, timeout=settings.timeout, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise BackendError(
            f"{settings.scheduler}: no Dask scheduler can be reached: {error}"
        ) from error
    with client:
        _wait_for_worker(client, settings)
        _require_alike(client)
        yield client


def _wait_for_worker(client: Any, settings: BackendSettings) -> None:
    try:
        client.wait_for_workers(1, timeout=settings.timeout)
    except TimeoutError as error:
        raise BackendError(
            f"{settings.scheduler}: no worker within {settings.timeout:g} s, start some with"
            f" `dask worker {settings.scheduler}`"
        ) from error
    except OSError as error:
        raise BackendError(f"{settings.scheduler}: the Dask scheduler is gone: {error}") from error


def _require_alike(client: Any) -> None:
    """Raise BackendError unless all workers have our libraries: else results would differ."""
    ours = library_versions()
    for worker, theirs in client.run(library_versions, on_error="return").items():
        if isinstance(theirs, BaseException):
            raise BackendError(f"worker {worker}: cannot run Quorum: {theirs}")
        differences = [
            f"{name} {theirs.get(name, 'missing')} (here {version})"
            for name, version in ours.items()
            if theirs.get(name) != version
        ]
        if differences:
            raise BackendError(f"worker {worker}: has other versions: {', '.join(differences)}")
