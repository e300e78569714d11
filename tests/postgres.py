"""A PostgreSQL server of one's own, where Debian's server binaries are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def why_not() -> str | None:
    """Return why no server can be started here, None if one can."""
    if not BINARIES:
        return "no PostgreSQL server in /usr/lib/postgresql (apt-get install postgresql)"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


def _user() -> str | None:
    """Return whom to run the server as: root may not."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return None


@contextmanager
def server() -> Iterator[str]:
    """Yield the address of a fresh, empty database; nothing is left behind."""
    user, binaries = _user(), BINARIES[-1].parent
    # Not below pytest's folder: only root may enter that.
    folder = Path(tempfile.mkdtemp(prefix="quorum-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user)
        data = folder / "data"

        def run(program: str, *arguments: str) -> None:
            call = [str(binaries / program), *arguments]
            as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
            subprocess.run(
                call,
                check=True,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                **(as_user if os.geteuid() == 0 else {}),
            )

        run("initdb", "-D", str(data), "-U", "quorum", "-A", "trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        log = str(folder / "log")
        run("pg_ctl", "-D", str(data), "-l", log, "-w", "-o", options, "start")
        try:
            yield f"postgresql://quorum@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
