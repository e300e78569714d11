"""What a first run waits for: kernels that compile, and the import of the strategy file.

As a script it goes once, in a fresh process, from candles to signals, and answers with the times.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from figures import Figure, show
from processes import answer, call_script

COMPILE_LIMIT = 30.0
IMPORT_LIMIT = 3.0
#: Enough for every kernel to be called.
N_CANDLES = 3_000


def figures(data: Any, runs: int, tell: Callable[[str], None]) -> tuple[list[Figure], list[Figure]]:
    """Measure; return the figures of the table and the compile time per kernel."""
    compiled, details = _compile_figures(data, tell)
    tell("import of the strategy file")
    # The first import reads files the operating system has not read for a while.
    imports = [call_script("strategy_import.py", {}) for _ in range(runs + 1)][1:]
    host = median(run["host"] for run in imports)
    own = median(run["own"] for run in imports)
    imported = Figure(
        "import of strategies/quorum_strategy.py, fresh process",
        host + own,
        "s",
        IMPORT_LIMIT,
        f"freqtrade.strategy itself {show(host, 's')}, ours on top {show(own, 's')}",
    )
    return [compiled, imported], details


def _compile_figures(data: Any, tell: Callable[[str], None]) -> tuple[Figure, list[Figure]]:
    """Run the same with an empty and then with the filled cache; compiling is the difference."""
    request = data.as_request()
    with tempfile.TemporaryDirectory() as cache:
        environment = {"NUMBA_CACHE_DIR": cache}
        tell("compiling every kernel into an empty cache")
        cold = call_script("startup.py", request, environment)
        tell("the same with a filled cache")
        warm = call_script("startup.py", request, environment)
    kernels = sorted(cold["kernels"].items(), key=lambda item: -item[1])
    figure = Figure(
        "compilation of all kernels, empty cache, one core",
        cold["seconds"] - warm["seconds"],
        "s",
        COMPILE_LIMIT,
        f"{len(kernels)} kernels, processor time {show(cold['cpu'] - warm['cpu'], 's')}; "
        f"first evaluation {show(cold['seconds'], 's')}, with filled cache "
        f"{show(warm['seconds'], 's')}",
    )
    return figure, [Figure(f"  kernel {name}", s, "s") for name, s in kernels[:15]]


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time the columns and signals of a short market, and what each kernel took to compile.

    The strategy is loaded and its data read within that time: the same with a filled cache is
    taken off.
    """
    from numba.core import event

    recorder = event.RecordingListener()
    event.register("numba:compile", recorder)
    start, cpu = time.perf_counter(), time.process_time()
    # Kernels with a written signature compile as their module is imported.
    from data import BenchData, open_strategy

    data = BenchData.from_request(request)
    strategy, candles = open_strategy(data)
    metadata = {"pair": data.pairs[0]}
    frame = strategy.populate_indicators(candles.tail(N_CANDLES).reset_index(drop=True), metadata)
    frame = strategy.populate_entry_trend(frame, metadata)
    strategy.populate_exit_trend(frame, metadata)
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "kernels": _by_kernel(recorder.buffer),
    }


def _by_kernel(buffer: list[tuple[float, Any]]) -> dict[str, float]:
    """Return the seconds each of our functions took to compile.

    A function of ours that another one calls counts by itself; one of numba's counts with the
    function of ours that needs it.

    Parameters
    ----------
    buffer : list of (time, event)
        Starts and ends of compilations; they nest as the calls do.
    """
    seconds: dict[str, float] = {}
    stack: list[str] = []
    last = 0.0
    for at, happened in buffer:
        if stack:
            seconds[stack[-1]] = seconds.get(stack[-1], 0.0) + at - last
        last = at
        if not happened.is_start:
            stack.pop()
            continue
        function = happened.data["dispatcher"].py_func
        ours = function.__module__.startswith("quorum.")
        name = f"{function.__module__}.{function.__qualname__}"
        stack.append(name if ours or not stack else stack[-1])
    return {name: s for name, s in seconds.items() if name.startswith("quorum.")}


if __name__ == "__main__":
    answer(measure)
