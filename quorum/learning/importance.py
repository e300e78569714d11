"""Importance: which features carry a model, and whether they stay the same (spec M9).

Gain is what the trees gained in training; SHAP values say how far each feature moved the
predictions of rows that came after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from quorum.learning.calibration import json_object
from quorum.learning.classifier import KEYS
from quorum.learning.evidence_document import FeatureWeight, Importance, known
from quorum.learning.parts import ENSEMBLE, SIGNAL_MEMBER, part_of
from quorum.learning.store import ModelStore
from quorum.learning.training import Trained
from quorum.learning.vintage import META, LoadedVintage
from quorum.typing import Floats

#: Signals of a vintage's time whose predictions are explained [signals].
SIGNALS_EXPLAINED = 200

#: Share of each feature by vintage, by ``valid_from``.
Shares = dict[int, Floats]


def model_importance(
    name: str, trained: Trained, loaded: Sequence[LoadedVintage], store: ModelStore, top: int
) -> Importance:
    """Return what carries one model.

    Parameters
    ----------
    name : str
        ``signal``, ``ensemble``, ``regime`` or ``meta``; the ensemble's is its members' mean.
    trained : Trained
    loaded : sequence of LoadedVintage
        Its vintages.
    store : ModelStore
        Where they are.
    top : int
        Features returned, and those that count as the first of a vintage.
    """
    parts = _parts(name, trained)
    features = trained.signals.names if name == META else trained.vintages[0].features
    gain = _mean([_gains(part, trained, store, features) for part in parts])
    shap = (
        _meta_shap(trained, loaded) if name == META else _mean([_shap(p, trained) for p in parts])
    )
    leading = shap or gain
    if not gain:
        return Importance(features=(), vintages=0, rank_correlation=None)
    mean_gain = np.mean(list(gain.values()), axis=0)
    mean_shap = np.mean(list(shap.values()), axis=0) if shap else None
    often = np.mean([_among_first(values, top) for values in leading.values()], axis=0)
    order = np.argsort(-(mean_gain if mean_shap is None else mean_shap), kind="stable")[:top]
    weights = tuple(
        FeatureWeight(
            name=features[i],
            gain=float(mean_gain[i]),
            shap=None if mean_shap is None else float(mean_shap[i]),
            top=float(often[i]),
        )
        for i in order
    )
    return Importance(
        features=weights, vintages=len(gain), rank_correlation=known(_stability(leading))
    )


def _parts(name: str, trained: Trained) -> list[str]:
    """Return the parts of the store that one model is made of."""
    if name != ENSEMBLE:
        return [name]
    ensemble = trained.vintages[0].models.get(ENSEMBLE)
    members = ensemble.get("members") if isinstance(ensemble, Mapping) else None
    names = members if isinstance(members, list) else [SIGNAL_MEMBER]
    return [part_of(str(member)) for member in names]


def _gains(part: str, trained: Trained, store: ModelStore, features: Sequence[str]) -> Shares:
    """Return each feature's share of the gain, of vintages that have the part."""
    found = {}
    for vintage in trained.vintages:
        name = f"{part}/classifier.json"
        if name not in vintage.files:
            continue
        document = json_object(store.read(vintage.key, name), name, KEYS)
        values = np.array([document["importance"].get(f, 0.0) for f in features], np.float64)
        if values.sum() > 0:
            found[vintage.valid_from] = values / values.sum()
    return found


def _shap(part: str, trained: Trained) -> Shares:
    """Return each feature's share of the SHAP values, over the rows of all pairs."""
    totals: Shares = {}
    for replay in trained.replays:
        for (valid_from, of), found in replay.probe.contributions.items():
            if of == part:
                totals[valid_from] = totals.get(valid_from, 0.0) + found.total
    return {at: total / total.sum() for at, total in sorted(totals.items()) if total.sum() > 0}


def _meta_shap(trained: Trained, loaded: Sequence[LoadedVintage]) -> Shares:
    """Return the same of the meta-models, on the signals of each one's time."""
    signals, found = trained.signals, {}
    for i, vintage in enumerate(loaded):
        if vintage.meta is None:
            continue
        manifest = vintage.manifest
        begin = np.searchsorted(signals.time, manifest.valid_from)
        end = len(signals)
        if i + 1 < len(trained.vintages):
            end = int(np.searchsorted(signals.time, trained.vintages[i + 1].valid_from))
        count = min(end - int(begin), SIGNALS_EXPLAINED)
        rows = np.linspace(begin, end - 1, count).astype(np.int64)
        total = vintage.meta.contributions(signals.X[rows]) if count > 0 else None
        if total is not None and total.sum() > 0:
            found[manifest.valid_from] = total / total.sum()
    return found


def _mean(parts: Sequence[Shares]) -> Shares:
    """Return the mean over the parts, in every vintage of those that it has."""
    found = sorted({at for part in parts for at in part})
    return {at: np.mean([part[at] for part in parts if at in part], axis=0) for at in found}


def _among_first(values: Floats, top: int) -> Floats:
    """Return 1 for the features with the ``top`` largest values that are above 0."""
    first = np.zeros(len(values))
    first[np.argsort(-values, kind="stable")[:top]] = 1.0
    return np.where(values > 0, first, 0.0)


def _stability(shares: Shares) -> float:
    """Return the mean rank correlation (Spearman) of one vintage's weights with the next's."""
    ranks = [rankdata(values) for _, values in sorted(shares.items())]
    found = [
        float(np.corrcoef(a, b)[0, 1]) for a, b in pairwise(ranks) if np.ptp(a) > 0 < np.ptp(b)
    ]
    return float(np.mean(found)) if found else float("nan")
