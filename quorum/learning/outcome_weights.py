"""Outcome-driven weights: heads that were right weigh more (spec C11).

A head's weight is its weight in the settings times one plus its score; the score is an
exponential average, by day, of how its votes turned out (+1 right, -1 wrong).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.errors import DataError, SettingsError
from quorum.typing import Bools, Floats, Ints


class OutcomeWeightConstants(NamedTuple):
    """How fast weights follow outcomes, and how far."""

    rate: float = 0.03  # share of a day's outcomes in the average (C11) [per day]
    least: float = 0.05  # smallest weight (C11) [share]
    most: float = 0.30  # largest weight (C11) [share]


@dataclass(frozen=True)
class WeightTrack:
    """Weights of the heads from day to day.

    Attributes
    ----------
    heads : tuple of str
    dates : ndarray of shape (n_days,), int64
        From when each row holds, ms since the epoch, increasing; the first row, before any
        outcome, holds from the beginning.
    weights : ndarray of shape (n_days, n_heads), float64
        Rows sum to 1.
    """

    heads: tuple[str, ...]
    dates: Ints
    weights: Floats

    def at(self, close_time: Ints, heads: Sequence[str]) -> Floats:
        """Return the weights at each candle's close, shape (n_candles, n_heads).

        Heads the track does not know weigh 0.
        """
        row = np.maximum(np.searchsorted(self.dates, close_time, side="right") - 1, 0)
        out = np.zeros((len(row), len(heads)))
        for column, head in enumerate(heads):
            if head in self.heads:
                out[:, column] = self.weights[row, self.heads.index(head)]
        return out

    def to_json(self) -> dict[str, Any]:
        """Return the track as plain lists."""
        return {
            "heads": list(self.heads),
            "dates": self.dates.tolist(),
            "weights": self.weights.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WeightTrack:
        """Read a track back; raises ``DataError`` if it is none."""
        try:
            track = cls(
                heads=tuple(str(head) for head in data["heads"]),
                dates=np.array(data["dates"], dtype=np.int64),
                weights=np.array(data["weights"], dtype=np.float64),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"weight track: cannot be read ({error!r})") from error
        shape = (len(track.dates), len(track.heads))
        if track.dates.ndim != 1 or shape[0] == 0 or track.weights.shape != shape:
            raise DataError(f"weight track: weights of shape {track.weights.shape}, not {shape}")
        ordered = bool(np.all(np.diff(track.dates) > 0))
        sums = bool(np.all(np.abs(track.weights.sum(axis=1) - 1.0) < 1e-6))
        if not ordered or not sums or not bool(np.all(track.weights >= 0)):
            raise DataError("weight track: dates must increase, weights be shares of 1")
        return track


def outcome_weights(
    known_at: Ints,
    votes: NDArray[np.int8],
    outcome: NDArray[np.int8],
    initial: Mapping[str, float],
    constants: OutcomeWeightConstants | None = None,
) -> WeightTrack:
    """Follow the outcomes of consensus signals, all pairs together (spec C11).

    1. A head that voted is credited +1 if its side was right, -1 if it was wrong.
    2. Each midnight (UTC) the score of every head that voted moves by ``rate`` towards the mean
       of its credits of the day that ends; the others keep theirs. Scores begin at 0.
    3. Weights are the initial ones times one plus the score, brought back to shares between
       ``least`` and ``most`` that sum to 1. A head of weight 0 keeps it.

    A row holds from its midnight on and knows the outcomes known by then, none later.

    Parameters
    ----------
    known_at : ndarray of shape (n_signals,), int64
        When each signal's outcome was known, ms since the epoch, in any order.
    votes : ndarray of shape (n_signals, n_heads), int8
        Direction of each head's valid vote, 0 for none.
    outcome : ndarray of shape (n_signals,), int8
        Side that was right: +1 long, -1 short; 0 neither, which credits no one.
    initial : mapping of head name to weight
        In the order of the columns of ``votes``; any scale.
    constants : OutcomeWeightConstants, default the defaults

    Raises
    ------
    DataError
        If the arrays do not fit each other.
    SettingsError
        If no weights within the bounds sum to 1, or all initial weights are 0.
    """
    s = constants or OutcomeWeightConstants()
    prior = _prior(initial, s)
    if votes.shape != (len(known_at), len(prior)) or outcome.shape != (len(known_at),):
        raise DataError(
            f"outcome weights: {len(known_at)} signals of {len(prior)} heads, but votes of shape "
            f"{votes.shape} and outcomes of shape {outcome.shape}"
        )
    # An outcome of this very midnight is known at it.
    day = -(-np.asarray(known_at, np.int64) // DAY_MS)
    dates, group = np.unique(day, return_inverse=True)
    credit = votes.astype(np.int64) * outcome.astype(np.int64)[:, None]
    sums = np.zeros((len(dates), len(prior)), np.int64)
    counts = np.zeros_like(sums)
    np.add.at(sums, group, credit)
    np.add.at(counts, group, np.abs(credit))
    score, rows = np.zeros(len(prior)), [_bounded(prior, prior > 0, s)]
    for total, count in zip(sums, counts, strict=True):
        mean = np.divide(total, count, out=score.copy(), where=count > 0)
        score = score + s.rate * (mean - score)
        raw = prior * (1.0 + score)
        rows.append(_bounded(raw / raw.sum(), prior > 0, s) if raw.sum() > 0 else rows[-1])
    # The initial weights hold until the first midnight that knows an outcome.
    start = dates[:1] - 1 if len(dates) else np.zeros(1, np.int64)
    return WeightTrack(tuple(initial), np.concatenate([start, dates]) * DAY_MS, np.array(rows))


def _prior(initial: Mapping[str, float], s: OutcomeWeightConstants) -> Floats:
    """Return the initial weights as shares; refuse what cannot be brought within the bounds."""
    weights = np.array(list(initial.values()), dtype=np.float64)
    n = int(np.count_nonzero(weights))
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise SettingsError(f"weights: {dict(initial)} has no positive weight, or a negative one")
    if not n * s.least <= 1.0 <= n * s.most:
        raise SettingsError(
            f"outcome weights: no weights of {n} heads between {s.least} and {s.most} sum to 1"
        )
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _bounded(weights: Floats, counted: Bools, s: OutcomeWeightConstants) -> Floats:
    """Return the closest shares within the bounds; heads that do not count weigh 0."""
    out = np.zeros(len(weights))
    out[counted] = project(weights[counted], s.least, s.most)
    return out


def project(weights: Floats, least: float, most: float) -> Floats:
    """Return the closest shares (least squares) between ``least`` and ``most`` that sum to 1.

    They are ``clip(weights - shift, least, most)`` for one shift; their sum falls with it in
    straight pieces, so it is found exactly, on the piece that crosses 1.

    Parameters
    ----------
    weights : ndarray of shape (n,)
    least, most : float
        With ``n least <= 1 <= n most``.
    """
    bends = np.sort(np.concatenate([weights - most, weights - least]))
    sums = np.clip(weights[None, :] - bends[:, None], least, most).sum(axis=1)
    # Sums fall from n * most to n * least: the last bend at which they still reach 1.
    k = min(max(int(np.searchsorted(-sums, -1.0, side="right")) - 1, 0), len(bends) - 2)
    fall = sums[k] - sums[k + 1]
    part = (sums[k] - 1.0) / fall if fall > 0 else 0.0
    shift = bends[k] + min(max(part, 0.0), 1.0) * (bends[k + 1] - bends[k])
    return np.asarray(np.clip(weights - shift, least, most), dtype=np.float64)
