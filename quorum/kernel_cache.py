"""Where the machine code of the kernels is kept between starts.

Numba keeps it beside the source or in the user's cache and raises where neither can be written, as
in a container with a read-only root: it then goes to a temporary folder of this process.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

VARIABLE = "NUMBA_CACHE_DIR"
#: Names the sources that the kernels beside them were compiled of.
STAMP = "kernels.sha256"


def writable(path: Path) -> bool:
    """Whether files can be written in a folder that exists or can be made."""
    while not path.exists() and path.parent != path:
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def user_cache() -> Path:
    """Return where numba keeps what it cannot keep beside the source."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "numba"


def drop_stale_kernels(package: Path) -> int:
    """Remove the machine code of an earlier version of the package; return how many files.

    Numba compares a kernel's own file alone: one that calls a kernel of another file would go on
    running the old code of that. A folder that the user has named is the user's to empty.
    """
    stamp, digest = package / "__pycache__" / STAMP, _digest(package)
    # Where there is no stamp, as at the first start of an installation, nothing is trusted.
    known = os.access(stamp, os.R_OK) and stamp.read_bytes() == digest.encode()
    if known or not writable(stamp.parent):
        return 0
    stale = [path for kind in ("*.nbi", "*.nbc") for path in package.rglob(kind)]
    for path in stale:
        path.unlink(missing_ok=True)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(digest, encoding="ascii")
    return len(stale)


def _digest(package: Path) -> str:
    """Return what changes when a source file of the package does."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        status = path.stat()
        digest.update(f"{path}{status.st_mtime_ns}{status.st_size}".encode())
    return digest.hexdigest()


def ensure_kernel_cache(package: Path) -> Path | None:
    """Give numba a folder for its cache where it would find none.

    Parameters
    ----------
    package : Path
        Folder of the package.

    Returns
    -------
    Path or None
        The temporary folder, None where a lasting one can be written.

    Raises
    ------
    ImportError
        If there is no folder at all that can be written.
    """
    chosen = os.environ.get(VARIABLE)
    lasting = [*([Path(chosen)] if chosen else []), package / "__pycache__", user_cache()]
    if any(writable(path) for path in lasting):
        return None
    # Not a name that others could have made before: the cache is code that is run.
    folder = tempfile.mkdtemp(prefix="quorum-kernels-", dir=_last_resort(lasting))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder
    if "numba" in sys.modules:
        # It has read the variable already.
        sys.modules["numba"].config.CACHE_DIR = folder
    logger.warning(
        "No folder for compiled kernels can be written (%s): every start compiles them anew, "
        "about half a minute. Set %s to a folder that is kept.",
        ", ".join(str(path) for path in lasting),
        VARIABLE,
    )
    return Path(folder)


def _last_resort(tried: list[Path]) -> Path:
    """Return the folder for temporary files, or another that a process can write."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        # A read-only container has shared memory and, mounted, the user's data.
        for path in (Path("/dev/shm"), Path("user_data")):
            if path.is_dir() and writable(path):
                return path
    raise ImportError(
        f"Quorum compiles its kernels and found no folder for them that can be written "
        f"({', '.join(str(path) for path in tried)}, none for temporary files): "
        f"set {VARIABLE} to one"
    )
