"""Small synthetic markets, and trainings on them that take seconds."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from quorum.learning.backends import BackendSettings
from quorum.learning.store import ModelStore
from quorum.learning.training import Plan, Trained, train
from quorum.market import Frames, Market, build_market
from quorum.replay.datadir import DataDirectory
from quorum.replay.synthetic import SyntheticSettings, make_market
from quorum.settings import Settings, load_settings

HOUR = 3_600_000
DAY = 24 * HOUR
START = date(2022, 1, 1)
#: A seed that no setting was chosen on.
HELD_OUT = 301
TREES = {"rounds": 15, "patience": 5, "feature_share": 0.3, "min_rows": 40, "min_hessian": 5.0}
#: As in earnest, but fewer and smaller models.
LEARNING: dict[str, Any] = {
    "folds": {"refit_days": 60, "min_rows": 500, "first_days": 90},
    "fitting": {"lightgbm": TREES, "xgboost": TREES},
    "regime_days": 60,
    "promotion": {"worse_than_prior": 1.0, "worse_than_before": 1.0, "max_drift": 1.0},
    "meta": {
        "min_signals": 50,
        "fitting": {"lightgbm": {**TREES, "min_rows": 10}, "min_rows": 40},
    },
}


def written(folder: Path, days: int, bases: Sequence[str], **more: Any) -> Path:
    """Write a synthetic market of some days and return its folder."""
    end = START + timedelta(days=days)
    make_market(SyntheticSettings(start=START, end=end, bases=tuple(bases), **more), folder)
    return folder


def settings(**learning: Any) -> Settings:
    return load_settings({"learning": {**LEARNING, **learning}})


def load(pair: str, folder: Path) -> Market:
    """Read one pair of a synthetic market."""
    return part(pair, folder, (0, 10_000))


def part(pair: str, folder: Path, days: tuple[int, int]) -> Market:
    """Read some days of one pair, from the first to before the last."""
    data = DataDirectory(folder)
    first, last = (pd.Timestamp(START, tz="UTC") + pd.Timedelta(days=day) for day in days)
    frames = {}
    for name in ("1h", "4h", "1d"):
        frame = data.find(pair, name, "futures").read()
        kept = (frame["date"] >= first) & (frame["date"] < last)
        frames[name] = frame[kept].reset_index(drop=True)
    return build_market(pair, "1h", Frames(frames.pop("1h"), frames))


def plan(
    folder: Path | None,
    bases: Sequence[str],
    chosen: Settings | None = None,
    *,
    source: Callable[[str], Market] | None = None,
    n_jobs: int = 1,
) -> Plan:
    return Plan(
        pairs=tuple(f"{base}/USDT:USDT" for base in bases),
        load=source or partial(load, folder=folder),
        settings=chosen or settings(),
        timeframe="1h",
        step=HOUR,
        backend=BackendSettings(n_jobs=n_jobs),
    )


def live_at(valid_from: Sequence[int], time: int) -> int:
    """Return the place of the newest vintage that may speak then, by looking at every one."""
    return max((i for i, at in enumerate(valid_from) if at <= time), default=-1)


@dataclass(frozen=True)
class Training:
    """A training, and what it was made from.

    Attributes
    ----------
    folder : Path
        The market.
    plan : Plan
    store : ModelStore
    trained : Trained
    """

    folder: Path
    plan: Plan
    store: ModelStore
    trained: Trained


@cache
def small_training() -> Training:
    """Train on nine months of two pairs, once for all tests; nobody may write to its store."""
    folder = Path(tempfile.mkdtemp(prefix="quorum-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = written(folder / "market", 270, ("BTC", "ETH"), seed=HELD_OUT)
    planned = plan(made, ("BTC", "ETH"))
    store = ModelStore(folder / "store")
    return Training(made, planned, store, train(planned, store))


def model_files(store: ModelStore, key: str) -> dict[str, bytes]:
    """Return the content of every file of a vintage."""
    manifest = store.find(key)
    assert manifest is not None
    return {name: store.read(key, name) for name in manifest.files}
