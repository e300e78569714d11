"""How a command ends when it is told to: temporary files gone, children ended before it."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

#: Seconds a child has to end by itself.
PATIENCE = 30.0
#: What service managers, containers and closed terminals send.
ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def orderly_ending() -> Iterator[None]:
    """Let a signal to end leave through every ``finally``; the status is the shell's, 128 + n.

    The system's default ends a process where it stands: a temporary folder with a key stayed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_child(
    call: Sequence[str], *, stdout: IO[str] | None = None, stderr: IO[str] | None = None
) -> int:
    """Run a program to its end and return its status.

    Ctrl-C reaches it too, and it ends itself; a signal to end is handed on, and waited for.
    """
    with subprocess.Popen(call, stdout=stdout, stderr=stderr) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
            except SystemExit:
                process.terminate()
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                raise
