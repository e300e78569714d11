"""An installation that cannot be written starts all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import quorum
from quorum import kernel_cache

PACKAGE = Path(quorum.__file__).parent
#: A kernel of a module that starts quickly.
USE = (
    "from quorum.consensus import *; import quorum.consensus, os;"
    "print('started', os.environ.get('NUMBA_CACHE_DIR', ''))"
)


def unprivileged() -> list[str]:
    """Return what a command is run under to be held to the permissions of files."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv to give that up")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def start(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Import a kernel of an installation that cannot be written."""
    root = tmp_path / "installed"
    shutil.copytree(PACKAGE, root / "quorum", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*root.rglob("*"), root]:
        path.chmod(path.stat().st_mode & ~0o222)
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    try:
        return subprocess.run(
            [*unprivileged(), sys.executable, "-c", USE],
            env={**kept, "PYTHONPATH": str(root), "HOME": "/proc/none", **environment},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        for path in [root, *root.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)


def test_kernels_go_to_a_temporary_folder_that_is_removed(tmp_path: Path):
    (tmp_path / "tmp").mkdir()
    done = start(tmp_path, TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stderr
    assert f"started {tmp_path / 'tmp'}/quorum-kernels-" in done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "Set NUMBA_CACHE_DIR to a folder that is kept" in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_folder_of_the_users_is_taken(tmp_path: Path):
    (tmp_path / "kept").mkdir()
    done = start(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "kept"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list((tmp_path / "kept").iterdir())


def test_where_nothing_can_be_written_the_message_says_what_to_set(tmp_path: Path, monkeypatch):
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", nowhere)
    monkeypatch.setattr(kernel_cache, "writable", lambda path: False)
    monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path / "locked"))
    with pytest.raises(ImportError, match=r"locked.*set NUMBA_CACHE_DIR"):
        kernel_cache.ensure_kernel_cache(tmp_path)


def test_this_installation_keeps_its_kernels():
    assert kernel_cache.ensure_kernel_cache(PACKAGE) is None


def test_kernels_of_an_earlier_version_are_dropped(tmp_path: Path):
    package = tmp_path / "package"
    (package / "features" / "__pycache__").mkdir(parents=True)
    source = package / "features" / "swings.py"
    source.write_text("old")
    compiled = package / "features" / "__pycache__" / "swings.find-1.py311.nbi"
    compiled.write_bytes(b"code")
    assert kernel_cache.drop_stale_kernels(package) == 1
    compiled.write_bytes(b"code")
    assert kernel_cache.drop_stale_kernels(package) == 0
    assert compiled.exists()
    source.write_text("newer")
    assert kernel_cache.drop_stale_kernels(package) == 1
    assert not compiled.exists()
