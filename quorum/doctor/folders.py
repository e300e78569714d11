"""Folders: where results, logs, models and state are written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from quorum.doctor.base import Finding, Level, Setup

#: Folders inside the user directory that something is written to.
WRITTEN = ("", "data", "logs", "backtest_results", "hyperopt_results", "models")
GIGABYTE = 1e9


def unwritable(folder: Path) -> str | None:
    """Return why nothing can be written to a folder, None where something can.

    It is tried: permissions alone tell neither of full nor of read-only disks.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent  # what will be made is made in here
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".quorum-doctor-") as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def folders(setup: Setup) -> Iterator[Finding]:
    """Try to write to every folder that is written to."""
    good = True
    for name in WRITTEN:
        folder = setup.user_data / name
        reason = unwritable(folder)
        if reason is not None:
            good = False
            yield Finding(
                Level.PROBLEM,
                f"nothing can be written to this folder: {reason}",
                str(folder),
                "make it a folder of the user the bot runs as",
            )
    if not setup.user_data.is_dir():
        yield Finding(
            Level.WARNING,
            "there is no user directory",
            f"user_data_dir = {setup.user_data}",
            "quorum init",
        )
    elif good:
        yield Finding(Level.OK, "every folder can be written to", str(setup.user_data))
        free = shutil.disk_usage(setup.user_data).free / GIGABYTE
        if free < setup.limits.free_disk:
            yield Finding(
                Level.WARNING,
                f"only {free:.1f} GB are free",
                str(setup.user_data),
                "free some space: a full disk stops the bot",
            )
