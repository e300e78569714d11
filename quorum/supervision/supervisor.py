"""The supervisor: all programs together, and a file that says how they are."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from quorum.errors import DataError
from quorum.supervision.process import GRACE, Process, Program, monotonic

#: Name of the file, in the user directory.
STATUS = "quorum.up.json"
#: Seconds between two looks at the processes.
LOOK = 0.2


class Supervisor:
    """Runs programs until it is told to stop.

    Parameters
    ----------
    programs : sequence of Program
        In the order of starting; they are stopped in the reverse order.
    folder : Path
        Where status and logs are kept; one supervisor at a time.
    tell : callable
        Given name and line of everything that is written.

    Raises
    ------
    DataError
        If another supervisor runs in the folder.
    """

    def __init__(
        self, programs: Sequence[Program], folder: Path, tell: Callable[[str, str], None]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.status_file = folder / STATUS
        self._lock = _locked(folder / f".{STATUS}.lock")
        logs = folder / "logs" / "up"
        self.processes = [Process(p, logs / f"{p.name}.log", tell) for p in programs]
        self._stopping = threading.Event()

    def run(self) -> None:
        """Start everything, and start again what ends, until :meth:`stop` is called."""
        try:
            while not self._stopping.is_set():
                now = monotonic()
                changed = [process for process in self.processes if process.watch(now)]
                for process in changed:
                    if process.pid is None:
                        self._end_followers(process.program.name)
                if changed:
                    self._write()
                self._stopping.wait(LOOK)
        finally:
            self._stop_all()

    def stop(self) -> None:
        """Let :meth:`run` stop everything and return; safe in a signal handler."""
        self._stopping.set()

    def _end_followers(self, name: str) -> None:
        """End what reads the work of a program that has ended; it is started again by itself."""
        for process in self.processes:
            if process.program.follows == name:
                process.stop()

    def _stop_all(self, grace: float = GRACE) -> None:
        for process in reversed(self.processes):
            process.stop(grace)
            self._write()
        with suppress(FileNotFoundError):
            self.status_file.unlink()
        self._lock.close()

    def _write(self) -> None:
        """Write how the processes are, whole or not at all."""
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "processes": [
                {
                    "name": process.program.name,
                    "pid": process.pid,
                    "restarts": process.restarts,
                    "last_status": process.status,
                }
                for process in self.processes
            ],
        }
        fresh = self.status_file.with_name(f".{self.status_file.name}.{os.getpid()}")
        fresh.write_text(json.dumps(content), encoding="utf-8")
        fresh.replace(self.status_file)


def read_status(folder: Path) -> list[dict[str, Any]]:
    """Return how the processes of a folder's supervisor are; empty where none runs."""
    try:
        content = json.loads((folder / STATUS).read_text(encoding="utf-8"))
        return list(content["processes"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _locked(path: Path) -> IO[str]:
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise DataError(f"{path.parent}: quorum up runs there already") from error
    return handle
