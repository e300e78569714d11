"""Standings of the heads: how often each was right, and what its vote has been worth (C11, M5).

One fold's standings follow from what was known an embargo before it speaks, like its models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.learning.consensus_models import SignalRows
from quorum.learning.dataset import PairRows
from quorum.learning.head_calibration import fit_head_maps
from quorum.learning.outcome_weights import outcome_weights
from quorum.learning.replayed import PairReplay
from quorum.learning.settings import LearningSettings
from quorum.learning.vintage import HEADS_FILE
from quorum.typing import Bools, Floats, Ints


@dataclass(frozen=True)
class VoteRows:
    """Votes and labels of all pairs; arrays of shape (n_rows, ...), ordered by time.

    Attributes
    ----------
    heads : tuple of str
    known_at : ndarray, int64
    direction : ndarray of shape (n_rows, n_heads), int8
    confidence : ndarray of shape (n_rows, n_heads), float32
    label : ndarray, int8
        0 where it is not known.
    weight : ndarray, float32
    """

    heads: tuple[str, ...]
    known_at: Ints
    direction: NDArray[np.int8]
    confidence: NDArray[np.float32]
    label: NDArray[np.int8]
    weight: NDArray[np.float32]


def vote_rows(rows: Sequence[PairRows], replays: Sequence[PairReplay]) -> VoteRows:
    """Put the votes and labels of all pairs together."""
    known_at = np.concatenate([r.known_at for r in rows])
    order = np.argsort(known_at, kind="stable")
    label = np.concatenate([np.where(r.label_known, r.label, 0) for r in rows])
    return VoteRows(
        heads=replays[0].heads,
        known_at=known_at[order],
        direction=np.concatenate([r.direction for r in replays])[order],
        confidence=np.concatenate([r.confidence for r in replays])[order],
        label=label[order].astype(np.int8),
        weight=np.concatenate([r.weight for r in rows])[order],
    )


def fit_standings(
    votes: VoteRows,
    signals: SignalRows,
    initial: Mapping[str, float],
    valid_from: int,
    horizon_ms: int,
    settings: LearningSettings,
) -> dict[str, bytes]:
    """Return the file with the heads' calibration and their weights when a fold begins.

    Parameters
    ----------
    votes : VoteRows
    signals : SignalRows
    initial : mapping of head name to float
        Weights of the settings.
    valid_from : int
        When the fold begins, ms.
    horizon_ms : int
        How far labels look ahead.
    """
    latest = valid_from - settings.folds.embargo_ms
    window = settings.folds.window_days * DAY_MS
    oldest = valid_from - window if window else 0
    first, last = np.searchsorted(votes.known_at, [oldest, latest - horizon_ms + 1])
    part = slice(int(first), int(last))
    maps = fit_head_maps(
        votes.heads,
        votes.direction[part],
        votes.confidence[part].astype(np.float64),
        votes.label[part],
        votes.weight[part].astype(np.float64),
        settings.head_calibration,
    )
    known: Bools = (signals.known_at <= latest) & np.isfinite(signals.r)
    right = np.where(signals.r > 0, signals.direction, -signals.direction)
    track = outcome_weights(
        signals.known_at[known],
        signals.votes[known],
        right[known].astype(np.int8),
        {head: initial[head] for head in votes.heads},
        settings.outcome_weights,
    )
    weights: Floats = track.weights[-1]
    document = {
        "calibration": {head: found.to_json() for head, found in maps.items()},
        "weights": dict(zip(votes.heads, weights.tolist(), strict=True)),
    }
    return {HEADS_FILE: json.dumps(document).encode()}
