"""Tasks for the backends, importable by their workers."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def summed(task: int, shared: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Draw rows by the task's own seed, in a sum that depends on the order of adding."""
    rows = np.random.default_rng(task).integers(0, len(shared["x"]), 2000)
    return float(np.cumsum(shared["x"][rows])[-1]), float(shared["small"].sum())


def slow(task: tuple[int, float], shared: Mapping[str, np.ndarray]) -> tuple[float, float]:
    number, seconds = task
    time.sleep(seconds)
    return summed(number, shared)


def noted(task: tuple[int, float, str], shared: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Leave a file named after the task and this process, then take a while."""
    number, seconds, folder = task
    (Path(folder) / f"{number}-{os.getpid()}").touch()
    return slow((number, seconds), shared)


def waits(task: tuple[int, str], shared: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Leave a file as ``noted`` does; all but task 0 end only when there is a file ``go``."""
    number, folder = task
    (Path(folder) / f"{number}-{os.getpid()}").touch()
    end = time.monotonic() + 60
    while number and not (Path(folder) / "go").exists():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain for the first result to be handed over")
        time.sleep(0.02)
    return summed(number, shared)


def kind_of_array(task: int, shared: Mapping[str, np.ndarray]) -> dict[str, Any]:
    x = shared["x"]
    base = x
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return {
        "mapped": isinstance(base, np.memmap),
        "writeable": [array.flags.writeable for array in shared.values()],
        "process": os.getpid(),
    }


def writes(task: int, shared: Mapping[str, np.ndarray]) -> None:
    shared["small"][0] = task


def large(task: int, shared: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.full(400_000, float(task))


def fails(task: int, shared: Mapping[str, np.ndarray]) -> int:
    if task == 3:
        raise ValueError(f"cannot fit {task}")
    return task


def dies(task: int, shared: Mapping[str, np.ndarray]) -> int:
    if task == 1:
        os.kill(os.getpid(), 9)
    return task
