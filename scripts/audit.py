"""Look up known holes in what is installed, with pip-audit; skipped where no database answers.

Status 0: nothing known, or skipped with a message; 1: something is known.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence

#: pip-audit's names of the databases it can ask, in the order of asking.
SERVICES = ("pypi", "osv")
#: How pip-audit speaks of a database it cannot reach.
UNREACHED = ("ConnectionError", "Connection", "Max retries", "NameResolution", "timed out", "403")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def main(services: Sequence[str] = SERVICES, run: Run = subprocess.run) -> int:
    """Ask the first database that answers, and return the status."""
    if importlib.util.find_spec("pip_audit") is None:
        print("audit skipped: pip-audit is not installed (pip install pip-audit)")
        return 0
    for service in services:
        call = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable"]
        call += ["--vulnerability-service", service, "--progress-spinner", "off"]
        done = run(call, check=False, capture_output=True, text=True)
        found = done.stdout.strip()
        if done.returncode and not found and any(word in done.stderr for word in UNREACHED):
            continue
        print(found or done.stderr.strip())
        return done.returncode
    print(f"audit skipped: no database of known holes answers ({', '.join(services)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
