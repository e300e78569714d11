"""Vintages to put in a store, and a writer that never ends."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from quorum.learning.manifest import Vintage, VintageManifest, dated_name
from quorum.learning.store import ModelStore

DAY = 86_400_000
START = 1_700_000_000_000 // DAY * DAY
FEATURES = ("rsi_14", "atr_share", "funding_z", "btc_return_4", "hour_sin", "volume_z", "adx_14")
LABELS = {"horizon": 48, "upper": 2.0, "costs": {"fee": 0.0005, "slippage": 0.0002}}


def vintage(day: int = 0, **changes: Any) -> Vintage:
    """Return a vintage that is valid from the 400th day after START, ``day`` days later."""
    valid_from = START + (400 + day) * DAY
    content = {
        "key": dated_name(valid_from, FEATURES, LABELS),
        "valid_from": valid_from,
        "cut_off": valid_from - 4 * DAY,
        "horizon_ms": 2 * DAY,
        "embargo_ms": DAY,
        "train_start": START,
        "rows": 1234 + day,
        "timeframe": "1h",
        "pairs": ("BTC/USDT:USDT", "ETH/USDT:USDT"),
        "features": FEATURES,
        "labels": LABELS,
        "models": {"signal": {"rounds": 200}},
        "metrics": {"signal": {"log_loss": 1.01 + day / 1000, "auc": 0.53}, "ece": float("nan")},
    }
    return Vintage(**{**content, **changes})


def contents(day: int = 0, size: int = 3000) -> dict[str, bytes]:
    noise = np.random.default_rng(day).bytes(size)
    return {"signal/member-0.ubj": noise, "ensemble.json": b'{"weights": [1]}', "empty": b""}


def fill(store: ModelStore, *days: int) -> list[VintageManifest]:
    return [store.write(vintage(day), contents(day)) for day in days]


def tree(root: Path) -> dict[str, bytes]:
    """Return the content of every file that a reader may see."""
    files = [p for p in root.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(files)}


def write_for_ever(root: Path) -> None:
    """Write vintages, publish, roll back and prune until killed; goes on where it was killed."""
    store = ModelStore(root)
    first = max((m.valid_from for m in store.vintages()), default=vintage(-1).valid_from)
    for turn in itertools.count((first - vintage(-1).valid_from) // DAY):
        store.write(vintage(turn), contents(turn, 200_000))
        keys = [m.key for m in store.vintages()][-3:]
        store.publish(keys, f"turn {turn}")
        if turn % 4 == 3:
            store.rollback("drill")
        if turn % 5 == 4:
            store.prune(6)
