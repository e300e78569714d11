"""Program: what is to run; Process: one that does, with its log and its restarts."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

#: Seconds before the first restart; each further one waits twice as long, up to the last.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
#: Seconds after which a process counts as running well: its next restart is a first one.
WELL = 60.0
#: Seconds that a process gets to end before it is killed.
GRACE = 60.0
#: Bytes at which a log is moved aside; one older log is kept.
LOG_BYTES = 10_000_000
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """What is to run.

    Attributes
    ----------
    name : str
    command : sequence of str
    needs : sequence of Path
        Files that must be there before it is started.
    makes : sequence of Path
        Files that others need and that it makes anew at every start.
    environment : mapping
        Laid over that of the supervisor.
    follows : str
        Name of a program with which it is started again: it reads what that one makes anew.
    shown : bool
        Whether what it writes is told, beside its log.
    """

    name: str
    command: Sequence[str]
    needs: Sequence[Path] = ()
    makes: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    follows: str = ""
    shown: bool = False


class Process:
    """One program under supervision.

    Parameters
    ----------
    program : Program
    log : Path
    tell : callable
        Given name and line: what becomes of the program, and what it writes if that is shown.
    """

    def __init__(self, program: Program, log: Path, tell: Callable[[str, str], object]) -> None:
        self.program = program
        self.log = log
        self.restarts = 0
        self.status: int | None = None
        self._tell = tell
        self._running: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._since = 0.0
        self._wait = FIRST_WAIT
        self._due = 0.0

    @property
    def pid(self) -> int | None:
        """The process id, None while it does not run."""
        running = self._running
        return None if running is None or running.poll() is not None else running.pid

    def watch(self, now: float) -> bool:
        """Start it, or start it again where that is due; return whether anything changed."""
        if self._running is not None:
            status = self._running.poll()
            if status is None:
                if now - self._since >= WELL:
                    self._wait = FIRST_WAIT
                return False
            self._ended(status, now)
            return True
        if now < self._due or not all(path.exists() for path in self.program.needs):
            return False
        self._start(now)
        return True

    def _start(self, now: float) -> None:
        self._remove_made()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.is_file() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment}
        self._running = subprocess.Popen(
            self.program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            # Ctrl-C reaches the supervisor alone, which stops all in their order.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        self._since = now
        self._tell(self.program.name, f"started, process {self._running.pid}, log {self.log}")
        assert self._running.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._running.stdout,), daemon=True
        )
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        with self.log.open("ab") as log:
            for line in stream:
                log.write(line)
                log.flush()
                if self.program.shown:
                    self._tell(self.program.name, line.decode("utf-8", "replace").rstrip())

    def _ended(self, status: int, now: float) -> None:
        assert self._running is not None
        _end_group(self._running.pid)
        self._remove_made()
        self.status, self._running = status, None
        self._due = now + self._wait
        self.restarts += 1
        self._tell(self.program.name, f"ended with status {status}, again in {self._wait:g} s")
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _remove_made(self) -> None:
        for path in self.program.makes:
            path.unlink(missing_ok=True)

    def stop(self, grace: float = GRACE) -> int | None:
        """Ask it to end, and end it if it does not; return its status."""
        running = self._running
        if running is None:
            return self.status
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(grace)
            except subprocess.TimeoutExpired:
                self._tell(self.program.name, f"does not end within {grace:g} s: killed")
                running.kill()
        self.status = running.wait()
        _end_group(running.pid)
        if self._reader is not None:
            self._reader.join(5)
        self._running = None
        return self.status


def _end_group(leader: int) -> None:
    """End what a process has started and left behind."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGTERM)


def _die_with_parent() -> None:
    """Ask the kernel to end this process when the supervisor is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def monotonic() -> float:
    """Return the clock that restarts are timed by."""
    return time.monotonic()
