"""Import the strategy file in a fresh process; a script of its own, to have imported nothing."""

import importlib
import json
import sys
import time
from pathlib import Path


def measure() -> dict[str, float]:
    """Import the host's modules and then ours; seconds each."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "strategies"))
    start = time.perf_counter()
    importlib.import_module("freqtrade.strategy")
    middle = time.perf_counter()
    importlib.import_module("quorum_strategy")
    return {"host": middle - start, "own": time.perf_counter() - middle}


if __name__ == "__main__":
    print(json.dumps(measure()))
