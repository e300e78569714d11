"""Training: from the markets of all pairs to a chain of dated models (spec M3-M8).

1. Rows: features and labels of every pair, pooled.
2. Market models per fold: regime, signal, ensemble.
3. What they would have said: every pair predicted by the models that were live then, its
   consensus signals and their simulated outcomes.
4. Consensus models per fold: the meta-model and the heads' standings.
5. Every fold becomes a vintage; together they become the current chain.

Each fold's market models are stored as soon as they are fitted, under a key that follows from
everything that decides them. So an interrupted training goes on where it ended, and the next
month's training fits one fold.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from quorum.candles import DAY_MS
from quorum.errors import DataError
from quorum.features import feature_constants
from quorum.learning.backends import BackendSettings, kept_workers, run_tasks
from quorum.learning.consensus_models import SignalRows, fit_meta, pool_signals
from quorum.learning.dataset import PairRows, Pool, horizons, pair_rows, pool
from quorum.learning.folds import Fold, walk_forward
from quorum.learning.head_standings import VoteRows, fit_standings, vote_rows
from quorum.learning.manifest import ChainManifest, Vintage, VintageManifest, dated_name
from quorum.learning.market_models import (
    FoldModels,
    FoldTask,
    fit_market_models,
    fold_rows,
)
from quorum.learning.models import member_named
from quorum.learning.promotion import PromotionSettings, objections
from quorum.learning.replayed import PairReplay, replay_pair
from quorum.learning.settings import label_settings, with_constants
from quorum.learning.store import ModelStore
from quorum.learning.vintage import VintageFiles
from quorum.market import Market
from quorum.settings import Settings

logger = logging.getLogger(__name__)

#: Metric under which a vintage says which market models it holds.
MARKET_KEY = "market_key"


class Progress(Protocol):
    """Told how far the training is."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` parts of a stage are done."""


@dataclass(frozen=True)
class Plan:
    """What is trained, from what, and where.

    Attributes
    ----------
    pairs : tuple of str
    load : callable
        Returns the market of a pair; picklable.
    settings : Settings
    timeframe : str
    step : int
        Length of a base candle, ms.
    backend : BackendSettings
        Where folds are fitted; pairs are always read on this machine.
    """

    pairs: tuple[str, ...]
    load: Callable[[str], Market]
    settings: Settings
    timeframe: str
    step: int
    backend: BackendSettings


@dataclass(frozen=True)
class Trained:
    """What a training made.

    Attributes
    ----------
    chain : ChainManifest
        The current chain now.
    vintages : tuple of VintageManifest
    reused : int
        Folds whose market models had been fitted before.
    skipped : tuple of str
        Folds that had too little to learn from, and why.
    rows : tuple of PairRows
        Without features.
    replays : tuple of PairReplay
        What the models said out of sample, per pair.
    signals : SignalRows
    """

    chain: ChainManifest
    vintages: tuple[VintageManifest, ...]
    reused: int
    skipped: tuple[str, ...]
    rows: tuple[PairRows, ...]
    replays: tuple[PairReplay, ...]
    signals: SignalRows


def quiet(stage: str, done: int, total: int) -> None:
    """Say nothing of the progress."""


def train(
    plan: Plan, store: ModelStore, progress: Progress = quiet, *, reason: str = "trained"
) -> Trained:
    """Train every fold that the candles allow, and publish the chain.

    Raises
    ------
    DataError
        If the history is too short for one fold, or no fold has enough rows.
    MissingLibraryError
        If a member needs what is not installed.
    StoreError
        If the store cannot be written; the chain in use stays.
    """
    for name in plan.settings.learning.ensemble.members:
        member_named(name).require()
    with store.writing(), kept_workers():
        rows, pooled = _read_pairs(plan, progress)
        tasks, skipped = _fold_tasks(plan, pooled)
        stages, reused = _fit_folds(plan, store, pooled, tasks, progress)
        stages, refused = _promoted(stages, plan.settings.learning.promotion)
        pooled = replace(pooled, arrays={})
        replays = _replay_pairs(plan, store, stages, progress)
        signals = pool_signals([r.signals for r in replays])
        votes = vote_rows(rows, replays)
        vintages = _finish(plan, store, stages, signals, votes, progress)
        chain = store.publish([v.key for v in vintages], reason)
        store.prune()
    return Trained(chain, vintages, reused, (*skipped, *refused), rows, replays, signals)


# 1. Rows ------------------------------------------------------------------------------------


def _pair_task(
    pair: str, shared: Mapping[str, Any], *, load: Callable[[str], Market], settings: Settings
) -> PairRows:
    return pair_rows(load(pair), settings)


def _local(backend: BackendSettings) -> BackendSettings:
    """Return the backend of what reads this machine's files."""
    return backend if backend.kind == "joblib" else BackendSettings()


def _read_pairs(plan: Plan, progress: Progress) -> tuple[tuple[PairRows, ...], Pool]:
    found: dict[int, PairRows] = {}
    function = partial(_pair_task, load=plan.load, settings=plan.settings)
    for index, rows in run_tasks(function, plan.pairs, {}, _local(plan.backend)):
        found[index] = rows
        progress("rows", len(found), len(plan.pairs))
    ordered = [found[i] for i in range(len(plan.pairs))]
    pooled = pool(ordered)
    empty = np.empty((0, 0), np.float32)
    return tuple(replace(rows, X=empty) for rows in ordered), pooled


# 2. Market models ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Keyed:
    """A fold's task, and the key of its market models."""

    task: FoldTask
    key: str


def _fold_tasks(plan: Plan, pooled: Pool) -> tuple[list[Keyed], tuple[str, ...]]:
    """Return the folds that can be fitted, and which cannot and why."""
    s = plan.settings.learning
    time = pooled.arrays["known_at"]
    folds = walk_forward(int(time[0]), int(time[-1]), s.folds)
    horizon, _ = horizons(s, plan.step)
    digests = _Digests(pooled, s.folds.refit_days * DAY_MS)
    tasks, skipped = [], []
    for fold in folds:
        task = FoldTask(fold, s, pooled.names, plan.step)
        n = len(fold_rows(task, pooled.arrays, horizon, s.thin, "label_known"))
        if n < s.folds.min_rows:
            skipped.append(f"{n} rows, folds.min_rows = {s.folds.min_rows} are needed")
            continue
        parts = (plan.timeframe, plan.pairs, pooled.names, market_settings(plan.settings))
        key = dated_name(fold.valid_from, "market", *parts, digests.of(fold))
        tasks.append(Keyed(task, key))
    if not tasks:
        raise DataError(f"no fold of {len(folds)} has enough to learn from: {skipped[-1]}")
    return tasks, tuple(skipped)


def market_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide the market models."""
    learning = with_constants(settings.learning)
    wanted = ("thin", "thin_regimes", "labels", "regimes", "folds", "fitting", "ensemble")
    return {**{name: learning[name] for name in wanted}, "features": feature_constants()}


class _Digests:
    """Digests of the pool's rows by blocks of time, put together per fold."""

    def __init__(self, pooled: Pool, block_ms: int) -> None:
        self._block_ms = block_ms
        time = pooled.arrays["known_at"]
        self._first = int(time[0]) // block_ms
        last = int(time[-1]) // block_ms
        edges = np.searchsorted(time, np.arange(self._first, last + 2) * block_ms)
        self._blocks = [self._digest(pooled, slice(int(a), int(b))) for a, b in pairwise(edges)]

    @staticmethod
    def _digest(pooled: Pool, rows: slice) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(pooled.arrays):
            digest.update(np.ascontiguousarray(pooled.arrays[name][rows]).data)
        return digest.digest()

    def of(self, fold: Fold) -> str:
        """Return the digest of all rows known when a fold is fitted."""
        last = fold.valid_from // self._block_ms - self._first
        return hashlib.blake2b(b"".join(self._blocks[:last]), digest_size=16).hexdigest()


def _fit_folds(
    plan: Plan, store: ModelStore, pooled: Pool, tasks: Sequence[Keyed], progress: Progress
) -> tuple[list[VintageManifest], int]:
    """Return the stored market models of every fold, fitting those that are not there."""
    stored = {str(v.metrics.get(MARKET_KEY)): v for v in store.vintages()}
    found: dict[int, VintageManifest] = {
        i: stored[keyed.key] for i, keyed in enumerate(tasks) if keyed.key in stored
    }
    todo = [i for i in range(len(tasks)) if i not in found]
    reused = len(found)
    progress("models", reused, len(tasks))
    work = [tasks[i].task for i in todo]
    for index, fitted in run_tasks(fit_market_models, work, pooled.arrays, plan.backend):
        i = todo[index]
        vintage = _market_vintage(plan, tasks[i], fitted)
        found[i] = store.write(vintage, fitted.files)
        progress("models", len(found), len(tasks))
    return [found[i] for i in range(len(tasks))], reused


def _promoted(
    stages: Sequence[VintageManifest], settings: PromotionSettings
) -> tuple[list[VintageManifest], tuple[str, ...]]:
    """Return the vintages that may speak, and why the others may not.

    Raises
    ------
    DataError
        If none may.
    """
    kept: list[VintageManifest] = []
    refused = []
    for stage in stages:
        why = objections(stage, kept[-1] if kept else None, settings)
        if why:
            refused.append(f"{stage.key} is not used: {'; '.join(why)}")
            logger.warning("%s", refused[-1])
        else:
            kept.append(stage)
    if not kept:
        raise DataError(f"no vintage of {len(stages)} may be used: {refused[-1]}")
    return kept, tuple(refused)


def _market_vintage(plan: Plan, keyed: Keyed, fitted: FoldModels) -> Vintage:
    task = keyed.task
    horizon, _ = horizons(task.settings, task.step)
    return Vintage(
        key=keyed.key,
        valid_from=task.fold.valid_from,
        cut_off=fitted.cut_off,
        horizon_ms=horizon,
        embargo_ms=task.settings.folds.embargo_ms,
        train_start=fitted.train_start,
        rows=fitted.rows,
        timeframe=plan.timeframe,
        pairs=plan.pairs,
        features=task.names,
        labels=label_settings(task.settings),
        models=market_settings(plan.settings),
        metrics={**fitted.metrics, MARKET_KEY: keyed.key},
    )


# 3. What they would have said ---------------------------------------------------------------


def _replay_pairs(
    plan: Plan, store: ModelStore, stages: Sequence[VintageManifest], progress: Progress
) -> tuple[PairReplay, ...]:
    keys = tuple(v.key for v in stages)
    function = partial(
        replay_pair,
        load=plan.load,
        settings=plan.settings,
        timeframe=plan.timeframe,
        root=store.root,
        keys=keys,
    )
    found: dict[int, PairReplay] = {}
    tasks = list(enumerate(plan.pairs))
    for index, replay in run_tasks(function, tasks, {}, _local(plan.backend)):
        found[index] = replay
        progress("signals", len(found), len(plan.pairs))
    return tuple(found[i] for i in range(len(plan.pairs)))


# 4, 5. Consensus models, and the finished vintages -----------------------------------------


def _finish(
    plan: Plan,
    store: ModelStore,
    stages: Sequence[VintageManifest],
    signals: SignalRows,
    votes: VoteRows,
    progress: Progress,
) -> tuple[VintageManifest, ...]:
    """Add the consensus models to every fold's market models and store the whole."""
    s = plan.settings.learning
    horizon, _ = horizons(s, plan.step)
    weights = plan.settings.head_weights()
    voting = tuple(head.name for head in plan.settings.enabled_heads())
    out = []
    for stage in stages:
        meta, metrics = fit_meta(signals, stage.valid_from, s) if s.meta.enabled else ({}, {})
        heads = fit_standings(votes, signals, weights, stage.valid_from, horizon, s)
        content = {**_market_files(store, stage), **meta, **heads}
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(content):
            digest.update(name.encode() + hashlib.blake2b(content[name]).digest())
        vintage = Vintage(
            **{
                **stage.model_dump(include=set(Vintage.model_fields)),
                "key": dated_name(
                    stage.valid_from, "whole", stage.metrics[MARKET_KEY], voting, digest.hexdigest()
                ),
                "heads": voting,
                "metrics": {**stage.metrics, "meta": metrics},
            }
        )
        out.append(store.write(vintage, content))
        progress("meta", len(out), len(stages))
    return tuple(out)


def _market_files(store: ModelStore, stage: VintageManifest) -> dict[str, bytes]:
    """Return the files of a vintage that hold its market models."""
    files = VintageFiles(store, stage)
    return {name: files[name] for name in files if name.split("/")[0] not in ("meta", "heads")}
