"""Run a Python program on a shared clock: ``python -m ...live.accelerate CLOCK module ...``.

For drills only; at speed 1 the host runs untouched. Before the program is imported, what tells
the time (``time.time``, ``time.time_ns``, ``datetime.now`` and its kin) and what waits in the
main thread (``time.sleep``, ``asyncio.sleep``) is put on the clock; the program itself is not
changed. ``time.monotonic`` stays real: on it rest the timeouts of the network.
"""

from __future__ import annotations

import asyncio
import ctypes
import datetime as datetimes
import gc
import runpy
import sys
import threading
import time
from pathlib import Path
from typing import Any, SupportsIndex

from quorum.replay.live.clock import SECOND, SharedClock, real_sleep


def install(clock: SharedClock) -> None:
    """Put this process on the clock."""
    _tell_time(clock)
    _tell_dates()
    _sleep_on(clock)


def _tell_time(clock: SharedClock) -> None:
    """Replace the clocks of :mod:`time`."""
    localtime, gmtime = time.localtime, time.gmtime
    time.time_ns = clock.now_ns
    time.time = lambda: clock.now_ns() / SECOND
    time.localtime = lambda seconds=None: localtime(time.time() if seconds is None else seconds)
    time.gmtime = lambda seconds=None: gmtime(time.time() if seconds is None else seconds)


def _tell_dates() -> None:
    """Replace ``datetime.now``, ``utcnow`` and ``today``.

    The class itself must stay the same, or dates would no longer be instances of it; a class
    written in C gives its methods away only through the interpreter.
    """

    def now(cls: type[datetimes.datetime], tz: Any = None) -> datetimes.datetime:
        return cls.fromtimestamp(time.time(), tz)

    def utcnow(cls: type[datetimes.datetime]) -> datetimes.datetime:
        return cls.fromtimestamp(time.time(), datetimes.UTC).replace(tzinfo=None)

    def today(cls: type[datetimes.datetime]) -> datetimes.datetime:
        return cls.fromtimestamp(time.time())

    (methods,) = (
        found for found in gc.get_referents(datetimes.datetime.__dict__) if isinstance(found, dict)
    )
    methods.update(now=classmethod(now), utcnow=classmethod(utcnow), today=classmethod(today))
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetimes.datetime))


def _sleep_on(clock: SharedClock) -> None:
    """Make sleeps of the main thread end by the clock; other threads pace themselves for real.

    A clock that jumps is moved to the end of the sleep; one that does not is waited for. A
    stop holds either.
    """
    main = threading.main_thread()
    real_async_sleep = asyncio.sleep

    def sleep(seconds: float | SupportsIndex) -> None:
        seconds = float(seconds)
        if threading.current_thread() is not main or seconds <= 0:
            real_sleep(seconds)
            return
        until = clock.now_ns() + int(seconds * SECOND)
        while True:
            if clock.jump and clock.speed:
                clock.advance_to_ns(until)
            pause = clock.wait_real(until)
            if not pause:
                return
            real_sleep(pause)

    async def async_sleep(delay: float, result: Any = None) -> Any:
        # Less than a second is for the network (closing connections, pacing), not for the market.
        if threading.current_thread() is not main or delay < 1:
            return await real_async_sleep(delay, result)
        until = clock.now_ns() + int(delay * SECOND)
        # Others may have something to do before the clock moves on.
        await real_async_sleep(0.001)
        while True:
            if clock.jump and clock.speed:
                clock.advance_to_ns(until)
            pause = clock.wait_real(until)
            if not pause:
                return result
            await real_async_sleep(pause)

    time.sleep = sleep
    asyncio.sleep = async_sleep
    asyncio.tasks.sleep = async_sleep


def main() -> None:
    """Install the clock and run the module named on the command line with its arguments."""
    path, module, *arguments = sys.argv[1:]
    install(SharedClock(Path(path)))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
