"""The process that trains LSTMs for this one; PyTorch is never imported here (spec M11)."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.errors import DataError
from quorum.extras import MissingLibraryError
from quorum.learning.lstm_training import WEIGHTS

#: Lines of the process's complaints that a message quotes.
TOLD = 5

_running: TrainingProcess | None = None


def require_torch() -> None:
    """Raise MissingLibraryError where PyTorch is not installed; it is not imported."""
    if find_spec("torch") is None:
        raise MissingLibraryError(
            'torch is not installed: pip install "freqtrade-quorum[sequence]" (on Linux its plain '
            "build brings gigabytes for graphics cards: choose the build for the CPU, see "
            "docs/models.md), or leave lstm out of quorum.learning.ensemble.members"
        )


def training_process() -> TrainingProcess:
    """Return the process of this one, started where it is not there.

    Raises
    ------
    MissingLibraryError
        If PyTorch is not installed.
    """
    global _running
    if _running is not None and not _running.alive:
        _running.close()
        _running = None
    if _running is None:
        require_torch()
        _running = TrainingProcess()
    return _running


class TrainingProcess:
    """Trains one network after another; ends with this process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="quorum-lstm-")
        self.folder = Path(self._folder.name)
        self._count = 0
        self._log = (self.folder / "log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "quorum.learning.lstm_training"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def store(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> Path:
        """Write arrays to a folder of their own and return it."""
        self._count += 1
        place = self.folder / f"{name}-{self._count}"
        place.mkdir()
        for key, values in arrays.items():
            np.save(place / f"{key}.npy", np.ascontiguousarray(values), allow_pickle=False)
        return place

    def fit(self, data: Path, fit: Path, request: Mapping[str, Any]) -> dict[str, Any]:
        """Train the networks of a request; the answer holds their weights under ``weights``.

        Raises
        ------
        DataError
            If PyTorch refuses, or its process ends.
        """
        line = json.dumps({**request, "data": str(data), "fit": str(fit)})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(line, file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise DataError(f"lstm: the process that trains it has ended: {self._complaint()}")
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise DataError(f"lstm: {found['error']}")
        found["weights"] = {
            name: np.stack(
                [
                    np.load(fit / f"{name}-{i}.npy", allow_pickle=False)
                    for i in range(request["seeds"])
                ]
            )
            for name in WEIGHTS
        }
        return found

    def close(self) -> None:
        """End the process and remove its files."""
        with suppress(BrokenPipeError):  # it has ended already
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
        self._folder.cleanup()
        atexit.unregister(self.close)

    def _complaint(self) -> str:
        self._log.seek(0)
        return " | ".join(self._log.read().splitlines()[-TOLD:]) or "it said nothing"
