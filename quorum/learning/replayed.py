"""Replayed: what the models of the past would have said of a pair, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.features.predictions import AGE
from quorum.learning.consensus_models import SignalRows, pair_signals
from quorum.learning.explanation import Probe, probe_pair
from quorum.learning.prediction import Models, load_vintages
from quorum.learning.store import ModelStore
from quorum.market import Market
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.signals import signal_table


@dataclass(frozen=True)
class PairReplay:
    """One pair, replayed; arrays have the rows of :class:`~quorum.learning.dataset.PairRows`.

    Attributes
    ----------
    predictions : mapping of column name to ndarray of shape (n_rows,), float32
        NaN where no model was live.
    direction : ndarray of shape (n_rows, n_heads), int8
        Votes of every head.
    confidence : ndarray of shape (n_rows, n_heads), float32
    available : ndarray of shape (n_rows, n_heads), bool
    heads : tuple of str
    signals : SignalRows
    probe : Probe
        Of some rows, what the evidence needs beside.
    """

    predictions: Mapping[str, NDArray[np.float32]]
    direction: NDArray[np.int8]
    confidence: NDArray[np.float32]
    available: NDArray[np.bool_]
    heads: tuple[str, ...]
    signals: SignalRows
    probe: Probe


def replay_pair(
    task: tuple[int, str],
    shared: Mapping[str, Any],
    *,
    load: Callable[[str], Market],
    settings: Settings,
    timeframe: str,
    root: Path,
    keys: tuple[str, ...],
) -> PairReplay:
    """Evaluate one pair with the models that were live at each of its candles.

    Parameters
    ----------
    task : tuple of (int, str)
        Index and name of the pair.
    root, keys : Path, tuple of str
        The store and the vintages of which each predicts what came after it.
    """
    index, pair = task
    store = ModelStore(root)
    market = load(pair)
    models = Models(load_vintages(store, keys), settings.learning, timeframe)
    result = evaluate(market, settings, models)
    table = signal_table(result, settings)
    rows = np.flatnonzero(market.tradable & np.isfinite(result.features["atr"]))
    predictions = {
        name: values[rows].astype(np.float32)
        for name, values in result.features.items()
        if result.features.columns[name].family == "models" and name != AGE
    }
    return PairReplay(
        predictions,
        table.votes.direction[rows],
        table.votes.confidence[rows].astype(np.float32),
        table.votes.available[rows],
        table.votes.heads,
        pair_signals(table, market, settings, index),
        probe_pair(models, market, result.features, rows),
    )
