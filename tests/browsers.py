"""The browser that pages are tried in, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
needs_chromium = pytest.mark.skipif(
    not CHROMIUM.is_file(), reason=f"needs {CHROMIUM}: apt-get install chromium"
)


@contextmanager
def chromium(playwright: Any) -> Iterator[Any]:
    """Yield a running browser of a ``playwright.sync_api``."""
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()
