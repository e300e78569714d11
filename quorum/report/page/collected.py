"""What training and tuning left on disk: the windows they walked through, and what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quorum.errors import DataError
from quorum.evidence.performance import sharpe
from quorum.learning.evidence_document import TOTAL, Evidence, load_evidence
from quorum.learning.manifest import VintageManifest
from quorum.learning.stored import StoredModels
from quorum.report.page.inputs import ModelEvidence, Trials, Walk, Window
from quorum.report.page.run import Run
from quorum.tuning.walk import WindowResult
from quorum.tuning.windows import read_timerange

#: Heads that only a trained model can vote for.
MODEL_HEADS = frozenset({"signal", "ensemble"})
#: Parts of a vintage with a loss of their own, and how the page calls it.
PARTS = {"signal": "signal skill", "ensemble": "ensemble skill", "meta": "meta skill"}


def models_voted(run: Run) -> bool:
    """Tell whether any trade of a run was opened with the vote of a model."""
    return any(t.signal is not None and MODEL_HEADS & set(t.signal.votes) for t in run.trades)


def chain_walk(root: Path, run: Run) -> Walk | None:
    """Return the walk of the chain of models in use; None where no model voted in the run.

    Raises
    ------
    DataError
        If the store cannot be read.
    """
    if not root.is_dir() or not models_voted(run):
        return None
    store = StoredModels(root)
    chain = store.current()
    if chain is None:
        return None
    known = {manifest.key: manifest for manifest in store.vintages()}
    vintages = [known[key] for key in chain.vintages if key in known]
    if not vintages:
        return None
    ends = [*(v.valid_from for v in vintages[1:]), max(run.last, vintages[-1].valid_from + 1)]
    windows = [
        Window(v.train_start, v.valid_from, end, _skills(v))
        for v, end in zip(vintages, ends, strict=True)
    ]
    measures = [name for name in PARTS.values() if any(name in w.metrics for w in windows)]
    return Walk(f"Models of chain {chain.id}", windows, measures)


def chain_models(root: Path, run: Run) -> list[ModelEvidence]:
    """Return what was measured of the models in use; empty where no model voted in the run.

    Raises
    ------
    DataError
        If the store or its evidence cannot be read.
    """
    if not root.is_dir() or not models_voted(run):
        return []
    store = StoredModels(root)
    chain = store.current()
    found = None if chain is None else load_evidence(store.root, chain.id)
    return [] if found is None else models_of(found)


def models_of(evidence: Evidence) -> list[ModelEvidence]:
    """Return the models of an evidence document as the page shows them."""
    found = []
    for model in evidence.models.values():
        bins, total = model.reliability, model.periods.get(TOTAL)
        measured = (
            ()
            if total is None
            else (
                ("log loss", total.log_loss.estimate),
                ("gained on the base rates", total.gain_on_majority.estimate),
                ("Brier", total.brier.estimate),
                ("AUC", total.auc.estimate),
                ("calibration error", total.ece_after),
            )
        )
        metrics = {name: value for name, value in measured if value is not None}
        found.append(
            ModelEvidence(
                name=model.name,
                promised=np.array([b.promised for b in bins]),
                realised=np.array([b.realised for b in bins]),
                low=np.array([b.low for b in bins]),
                high=np.array([b.high for b in bins]),
                count=np.array([b.count for b in bins], dtype=np.int64),
                importance=[(f.name, f.gain) for f in model.importance.features],
                metrics=metrics,
                findings=model.findings,
            )
        )
    return found


def _skills(vintage: VintageManifest) -> dict[str, float]:
    """Return how much of the prior's log loss each part removes, out of fold (share)."""
    found = {}
    for part, name in PARTS.items():
        metrics = vintage.metrics.get(part)
        loss, prior = _loss(metrics, "calibrated"), _loss(metrics, "prior")
        if loss is not None and prior is not None and prior > 0:
            found[name] = 1.0 - loss / prior
    return found


def _loss(metrics: Any, kind: str) -> float | None:
    inner = metrics.get(kind) if isinstance(metrics, Mapping) else None
    loss = inner.get("log_loss") if isinstance(inner, Mapping) else None
    return float(loss) if isinstance(loss, (int, float)) else None


def tuning_walk(folder: Path) -> tuple[Walk, Trials | None]:
    """Return the walk of a tuning run, and what its search leaves of its Sharpe ratio.

    Raises
    ------
    DataError
        If the folder holds no finished window, or a damaged one.
    """
    files = sorted(folder.glob("window-*.json"))
    if not files:
        raise DataError(f"{folder}: holds no finished window of quorum tune")
    results = [WindowResult.read(path) for path in files]
    windows = [_window(result) for result in results]
    walk = Walk(f"Tuning {folder.name}", windows, ["tuned, Sharpe", "configured, Sharpe"])
    return walk, _trials(results)


def _window(result: WindowResult) -> Window:
    (start, _), (judged, end) = read_timerange(result.train), read_timerange(result.judge)
    return Window(
        int(start.timestamp() * 1000),
        int(judged.timestamp() * 1000),
        int(end.timestamp() * 1000),
        {
            "tuned, Sharpe": float(sharpe(np.array(result.tuned.daily))),
            "configured, Sharpe": float(sharpe(np.array(result.configured.daily))),
        },
    )


def _trials(results: Sequence[WindowResult]) -> Trials | None:
    """Return all trials and the mean chance that a window's best is better than luck."""
    known = [r.trials.deflated for r in results if r.trials.deflated is not None]
    if not known:
        return None
    mean = float(np.mean(known))
    return None if math.isnan(mean) else Trials(sum(r.trials.count for r in results), mean)
