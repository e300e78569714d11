"""Durable writing below one folder: whole or not at all, by one process at a time.

Everything is first written and flushed below ``<root>/.partial`` and then renamed, which the
file system does at once: a reader sees the old or the new, never a half. What a killed writer
left there is removed by the next one. Readers take no lock.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.errors import QuorumError
from quorum.extras import extra

if TYPE_CHECKING:
    from filelock import BaseFileLock

#: How long a writer waits for another one [s].
PATIENCE = 10.0


class StoreError(QuorumError):
    """The model store cannot be written: another process writes, the disk is full ..."""


class Desk:
    """The place of a folder where things are written before they are renamed into it.

    Parameters
    ----------
    root : Path
        The folder; made by the first writer.
    patience : float, default PATIENCE
        How long to wait for another writer [s].
    """

    def __init__(self, root: Path, patience: float = PATIENCE) -> None:
        self.root = root
        self._partial = root / ".partial"
        self._owner = root / ".owner"
        self._patience = patience
        self._lock: BaseFileLock | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only writer; may be entered again by the thread that is.

        Raises
        ------
        StoreError
            Another process writes and did not end within the patience.
        """
        lock = self._the_lock()
        self.root.mkdir(parents=True, exist_ok=True)
        from filelock import Timeout

        try:
            lock.acquire(timeout=self._patience)
        except Timeout as error:
            raise StoreError(
                f"{self.root}: {self._owner_name()} is writing here; wait for it to end"
                f" (waited {self._patience:g} s)"
            ) from error
        try:
            if lock.lock_counter == 1:
                self._owner.write_text(_this_process(), encoding="utf-8")
                self.clear()
            yield
        finally:
            lock.release()

    def _the_lock(self) -> BaseFileLock:
        if self._lock is None:
            with extra("learning"):
                from filelock import FileLock
            self._lock = FileLock(self.root / ".lock")
        return self._lock

    def _owner_name(self) -> str:
        try:
            return self._owner.read_text(encoding="utf-8") or "another process"
        except FileNotFoundError:  # it has the lock and did not yet say who it is
            return "another process"

    def clear(self) -> None:
        """Remove what was not finished; only for the holder of the lock."""
        if self._partial.is_dir():
            shutil.rmtree(self._partial)

    def write_file(self, name: str, content: bytes) -> Path:
        """Write and flush ``content``; returns the path to be moved into place."""
        path = self._partial / name
        for folder in reversed(path.relative_to(self._partial).parents):
            (self._partial / folder).mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        return path

    def flush_folders(self, name: str) -> Path:
        """Flush the folder ``name`` and those below it; returns the path to be moved."""
        top = self._partial / name
        for folder, _, _ in os.walk(top):
            _flush(Path(folder))
        return top

    def move(self, written: Path, target: Path) -> None:
        """Put what was written at ``target``, at once, and flush the folder it is in."""
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(written, target)
        _flush(target.parent)

    def remove(self, path: Path) -> None:
        """Remove a file or a folder so that no reader sees a part of it."""
        self._partial.mkdir(exist_ok=True)
        aside = self._partial / f"removed-{path.name}"
        os.replace(path, aside)
        _flush(path.parent)
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink()


def _flush(folder: Path) -> None:
    """Flush the entries of a folder, where the system can (Windows cannot)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _this_process() -> str:
    """Name this process; without its arguments, which may hold a secret."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    program = Path(sys.argv[0] or "python").name
    return f"process {os.getpid()} ({program}) on {platform.node()}, since {since} UTC,"
