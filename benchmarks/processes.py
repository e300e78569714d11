"""Fresh processes: their result, their wall time, their peak memory.

Everything is measured in a process of its own, so that no benchmark warms, slows or fattens
another. As a script this is the launcher between the benchmark and a measured command: Linux
counts the memory of the process that starts a command towards the command's peak, so a small
one has to start it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
#: Libraries that would start threads of their own, held to one.
ONE_CORE = {
    f"{library}_NUM_THREADS": "1"
    for library in ("NUMBA", "OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM", "ARROW")
} | {"OMP_THREAD_LIMIT": "1"}


class BenchmarkError(RuntimeError):
    """A measured process failed."""


def call_script(
    script: str, request: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Any:
    """Run one of the scripts of this folder on one core and return what it answers.

    Parameters
    ----------
    script : str
        File name. It gets the request as JSON in its only argument and prints its answer as
        JSON on the last line.
    request : mapping
    environment : mapping of str to str, optional
        Variables that differ from this process's.
    """
    done = subprocess.run(
        [sys.executable, str(HERE / script), json.dumps(dict(request))],
        cwd=ROOT,
        env={**os.environ, **ONE_CORE, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"{script} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def answer(measure: Callable[[dict[str, Any]], Any]) -> None:
    """Measure what the request in the arguments asks for, and print the answer.

    A part of Quorum that fails would abstain and log it, and be fast: here it ends the script.
    """
    logging.getLogger("quorum").addHandler(_Refusal(logging.ERROR))
    print(json.dumps(measure(json.loads(sys.argv[1]))))


class _Refusal(logging.Handler):
    """Turns a logged error into one that is raised."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise what was logged."""
        cause = record.exc_info[1] if record.exc_info else None
        raise BenchmarkError(record.getMessage()) from cause


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Attributes
    ----------
    seconds : float
        Wall time from start to end.
    cpu : float
        Processor time, user and system, seconds; what others do on the machine changes it less.
    peak : int
        Largest resident memory of any single process of it, bytes.
    """

    seconds: float
    cpu: float
    peak: int


def timed(command: Sequence[str], log: Path) -> Usage:
    """Run a command with its output in ``log`` and return what it took.

    Raises
    ------
    BenchmarkError
        If the command fails, or logs an error; with the end of its log.
    """
    launcher = [sys.executable, "-I", "-S", str(HERE / "processes.py"), str(log), *command]
    done = subprocess.run(launcher, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"the launcher failed:\n{done.stderr[-2000:]}")
    status, seconds, cpu, peak = json.loads(done.stdout)
    lines = log.read_text(encoding="utf-8").splitlines()
    errors = [line for line in lines if " ERROR " in line]
    if status or errors:
        problem = "\n".join(errors or lines[-15:])
        raise BenchmarkError(f"{' '.join(command[1:4])} failed:\n{problem}")
    return Usage(seconds, cpu, peak)


def _launch(log: str, command: list[str]) -> None:
    """Run one command; print its status, wall and processor seconds, and peak memory in bytes."""
    with open(log, "w", encoding="utf-8") as stream:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=stream, stderr=stream)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
    # Kilobytes, but bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    cpu = usage.ru_utime + usage.ru_stime
    print(json.dumps([os.waitstatus_to_exitcode(status), seconds, cpu, usage.ru_maxrss * unit]))


if __name__ == "__main__":
    _launch(sys.argv[1], sys.argv[2:])
