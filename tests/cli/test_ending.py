"""A command that is told to end leaves nothing behind and no child running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import signal, sys, time
from pathlib import Path
def end(number, frame):
    Path(sys.argv[1]).write_text("ended in order")
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
Path(sys.argv[2]).write_text("started")
time.sleep(60)
"""
COMMAND = """
import sys, tempfile
from pathlib import Path
from quorum.cli.ending import orderly_ending, run_child
with orderly_ending(), tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
    Path(folder, "key").write_text("secret")
    sys.exit(run_child([sys.executable, *sys.argv[2:]]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_child_and_the_files_go(tmp_path: Path, number: int):
    (tmp_path / "folder").mkdir()
    (tmp_path / "child.py").write_text(CHILD)
    ended, started = tmp_path / "ended", tmp_path / "started"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(tmp_path / "folder"), str(tmp_path / "child.py"),
         str(ended), str(started)],
    )  # fmt: skip
    deadline = time.monotonic() + 180
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(list((tmp_path / "folder").iterdir())) == 1
    os.kill(process.pid, number)
    assert process.wait(60) == 128 + number
    assert ended.read_text() == "ended in order"
    assert list((tmp_path / "folder").iterdir()) == []
