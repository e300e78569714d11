"""Honest head confidences: what a head's confidence has been worth so far (spec M5, C1).

A head that says 0.80 and is right half of the time is mapped to 0.50. Maps are fitted on the
training rows of one vintage and are a few numbers in its manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quorum.errors import DataError
from quorum.heads.base import DECIMALS
from quorum.typing import Bools, Floats


class HeadCalibrationConstants(NamedTuple):
    """How much evidence changes what a head's confidence means."""

    knots: int = 8  # groups of votes behind a head's map, at most [groups]
    knot_votes: float = 50.0  # votes that make a group [weighted votes]
    knot_prior: float = 50.0  # votes at the head's mean hit rate mixed into each group
    prior: float = 100.0  # votes at which half of a map is still as stated


@dataclass(frozen=True)
class HeadMap:
    """A rising map from a head's stated confidence to its hit rate.

    Attributes
    ----------
    confidence, hit_rate : tuple of float
        Points, increasing in the first and not falling in the second; straight between them and
        level beyond. Without points the map leaves confidences as they are.
    """

    confidence: tuple[float, ...] = ()
    hit_rate: tuple[float, ...] = ()

    def to_json(self) -> dict[str, list[float]]:
        """Return the map as plain lists."""
        return {"confidence": list(self.confidence), "hit_rate": list(self.hit_rate)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HeadMap:
        """Read a map back; raises ``DataError`` if it is none."""
        try:
            x, y = (tuple(float(v) for v in data[name]) for name in ("confidence", "hit_rate"))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"head map: cannot be read ({error!r})") from error
        points = np.array([*x, *y])
        within = bool(np.all((points >= 0) & (points <= 1)))
        rising = bool(np.all(np.diff(x) > 0)) and bool(np.all(np.diff(y) >= 0))
        if len(x) != len(y) or not within or not rising:
            raise DataError(f"head map: {dict(data)} is no rising map between 0 and 1")
        return cls(x, y)

    def apply(self, confidence: Floats) -> Floats:
        """Return calibrated confidences; 0, the confidence of a flat vote, stays 0."""
        stated = np.asarray(confidence, dtype=np.float64)
        if not self.confidence:
            return stated
        mapped = np.round(np.interp(stated, self.confidence, self.hit_rate), DECIMALS)
        return np.where(stated > 0, mapped, stated)


def fit_head_map(
    confidence: Floats,
    hit: Bools,
    weight: Floats | None = None,
    constants: HeadCalibrationConstants | None = None,
) -> HeadMap:
    """Fit one head's map to its votes (isotonic regression: Zadrozny and Elkan 2002).

    1. Sort the votes by confidence into at most ``knots`` groups of about equal weight, of about
       ``knot_votes`` at least; equal confidences stay together.
    2. Each group's hit rate, with ``knot_prior`` votes at the head's mean rate mixed in.
    3. The closest rates that do not fall.
    4. With few votes in all the map stays near what the head states:
       ``n / (n + prior)`` of the way.

    Parameters
    ----------
    confidence : ndarray of shape (n_votes,)
        Stated confidences of votes with a direction, 0-1.
    hit : ndarray of shape (n_votes,), bool
        Whether the vote's direction was right.
    weight : ndarray of shape (n_votes,), optional
        Uniqueness of the labels: overlapping labels are one piece of evidence.
    constants : HeadCalibrationConstants, default the defaults

    Returns
    -------
    HeadMap
        Without points where there are no votes.

    Raises
    ------
    DataError
        If the arrays differ in length or hold what is no confidence or weight.
    """
    s = constants or HeadCalibrationConstants()
    x = np.asarray(confidence, dtype=np.float64)
    w = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not len(x) == len(hit) == len(w):
        raise DataError(f"head map: {len(x)} confidences, {len(hit)} hits, {len(w)} weights")
    if not bool(np.all((x >= 0) & (x <= 1) & (w >= 0) & np.isfinite(w))):
        raise DataError("head map: confidences must lie in 0-1 and weights not be negative")
    if not w.sum() > 0:
        return HeadMap()
    at, rate, votes = _groups(x, np.asarray(hit, dtype=np.float64), w, s)
    total = votes.sum()
    base = float((rate * votes).sum() / total)
    rate = (rate * votes + base * s.knot_prior) / (votes + s.knot_prior)
    believed = total / (total + s.prior)
    rate = _rising(rate, votes)
    # Level beyond the outer groups, as far as it is believed: points at 0 and 1 say so exactly.
    points = np.unique(np.concatenate([[0.0], at, [1.0]]))
    mapped = believed * np.interp(points, at, rate) + (1.0 - believed) * points
    return HeadMap(tuple(points.tolist()), tuple(np.clip(mapped, 0.0, 1.0).tolist()))


def fit_head_maps(
    heads: Sequence[str],
    direction: NDArray[np.int8],
    confidence: Floats,
    right: NDArray[np.int8],
    weight: Floats | None = None,
    constants: HeadCalibrationConstants | None = None,
) -> dict[str, HeadMap]:
    """Fit every head's map on the training rows of one vintage, all pairs together.

    Parameters
    ----------
    heads : sequence of str
    direction : ndarray of shape (n_rows, n_heads), int8
        Direction of each head's vote; 0, flat or unavailable, is left out.
    confidence : ndarray of shape (n_rows, n_heads)
    right : ndarray of shape (n_rows,), int8
        Side that was right, the rows' label; rows of 0, neither, are left out.
    weight : ndarray of shape (n_rows,), optional
        Uniqueness of the labels.
    constants : HeadCalibrationConstants, default the defaults
    """
    maps = {}
    for column, head in enumerate(heads):
        rows = np.flatnonzero((direction[:, column] != 0) & (right != 0))
        maps[head] = fit_head_map(
            confidence[rows, column],
            direction[rows, column] == right[rows],
            None if weight is None else weight[rows],
            constants,
        )
    return maps


def apply_head_maps(
    maps: Mapping[str, HeadMap], heads: Sequence[str], confidence: Floats
) -> Floats:
    """Return calibrated confidences, shape (n_rows, n_heads); a head without a map keeps its own.

    What :func:`quorum.signals.decide` takes as ``confidence``.
    """
    columns = [
        maps.get(head, HeadMap()).apply(confidence[:, column]) for column, head in enumerate(heads)
    ]
    return np.column_stack(columns) if columns else np.empty((len(confidence), 0))


def _groups(
    x: Floats, hit: Floats, w: Floats, s: HeadCalibrationConstants
) -> tuple[Floats, Floats, Floats]:
    """Return mean confidence, hit rate and weight of the groups, rising in confidence."""
    # Equal confidences first become one: a boundary between them would be chance.
    stated, which = np.unique(x, return_inverse=True)
    weight = np.bincount(which, w)
    hits = np.bincount(which, w * hit)
    keep = weight > 0
    stated, weight, hits = stated[keep], weight[keep], hits[keep]
    groups = max(1, min(s.knots, int(weight.sum() // s.knot_votes)))
    middle = np.cumsum(weight) - 0.5 * weight
    part = np.minimum((middle / weight.sum() * groups).astype(np.int64), groups - 1)
    total = np.asarray(np.bincount(part, weight), dtype=np.float64)
    filled = total > 0
    at = np.bincount(part, weight * stated)[filled] / total[filled]
    rate = np.bincount(part, hits)[filled] / total[filled]
    return at, rate, total[filled]


def _rising(rate: Floats, weight: Floats) -> Floats:
    """Return the closest rates that do not fall (weighted least squares)."""
    # Slow to import, and only training needs it.
    from sklearn.isotonic import isotonic_regression

    return np.asarray(isotonic_regression(rate, sample_weight=weight), dtype=np.float64)
