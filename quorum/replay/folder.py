"""Folders that appear whole or not at all, and are reused when nothing changed.

A folder is described by a manifest. It is built beside its place under another name and renamed,
so neither a crash nor a second process ever leaves a half-written one behind.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quorum.errors import DataError

logger = logging.getLogger(__name__)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return a manifest's content, None where there is none or it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def is_current(target: Path, name: str, manifest: Mapping[str, Any]) -> bool:
    """Tell whether the folder was built for this manifest and still has all its files."""
    found = read_manifest(target / name)
    if found is None or {k: v for k, v in found.items() if k != "files"} != dict(manifest):
        return False
    return all((target / file).exists() for file in found.get("files", ()))


def publish(
    target: Path, name: str, manifest: Mapping[str, Any], build: Callable[[Path], None]
) -> bool:
    """Make ``target`` hold what ``build`` writes for ``manifest``.

    Parameters
    ----------
    target : Path
        A folder that is missing, empty, or was made by this function with the same ``name``.
    name : str
        File name of the manifest inside the folder; it also lists the folder's files.
    manifest : mapping
        What the folder depends on, as JSON would return it.
    build : callable
        Writes the content into the folder it is given.

    Returns
    -------
    bool
        False if an identical folder was there already.

    Raises
    ------
    DataError
        If ``target`` holds something else, or cannot be written.
    """
    target = target.absolute()
    if is_current(target, name, manifest):
        return False
    _refuse_foreign(target, name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error})") from error
    try:
        fresh = work / "new"
        fresh.mkdir()
        build(fresh)
        files = sorted(p.relative_to(fresh).as_posix() for p in fresh.rglob("*") if not p.is_dir())
        content = json.dumps({**manifest, "files": files}, indent=1, sort_keys=True)
        (fresh / name).write_text(content + "\n", encoding="utf-8")
        _swap(fresh, target, work / "old", name, manifest)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


def _refuse_foreign(target: Path, name: str) -> None:
    """Raise if the folder holds anything that was not made here."""
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise DataError(f"{target}: is not a folder")
    if any(target.iterdir()) and read_manifest(target / name) is None:
        raise DataError(f"{target}: holds other files (no {name} in it); choose another folder")


def _swap(fresh: Path, target: Path, old: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """Put the new folder in place of the old one, which comes back if that fails."""
    try:
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    except OSError:
        # Another process was faster: what it built is as good if it is the same.
        if not is_current(target, name, manifest):
            if old.exists() and not target.exists():
                old.rename(target)
            raise
        logger.info("%s was built by another process meanwhile", target)
