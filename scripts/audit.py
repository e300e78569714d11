"""Look up known holes in what is installed, with pip-audit; skipped where no database answers.

Status 0: nothing known, or skipped with a message; 1: something is known.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

#: pip-audit's name of each database, and an address by which to see whether it answers.
SERVICES = {
    "pypi": "https://pypi.org/pypi/pip/json",
    "osv": "https://api.osv.dev/v1/vulns/PYSEC-2023-228",
}
PATIENCE = 10.0


def answers(address: str) -> bool:
    """Whether a database answers."""
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main(services: Mapping[str, str] = SERVICES) -> int:
    """Ask the first database that answers, and return the status."""
    if importlib.util.find_spec("pip_audit") is None:
        print("audit skipped: pip-audit is not installed (pip install pip-audit)")
        return 0
    service = next((name for name, address in services.items() if answers(address)), None)
    if service is None:
        print(f"audit skipped: no database of known holes answers ({', '.join(services.values())})")
        return 0
    call = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable"]
    call += ["--vulnerability-service", service, "--progress-spinner", "off"]
    return subprocess.run(call, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
