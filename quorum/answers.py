"""Answers: what advisors said of a pair, as arrays with the moment each became known.

The contract between those who keep answers (:mod:`quorum.advisors`) and those who read them as
columns (:mod:`quorum.features.advice`): which kinds there are, how often each is asked, and
which numbers it comes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.typing import Floats, Ints

HOUR_MS = 3_600_000
#: Age at which an answer is too old, in times of its cadence (spec A6).
MAX_AGE = 1.5
#: Timeframes of the question of that name, and their weights (spec A7).
TIMEFRAMES: Mapping[str, float] = {"1h": 0.1, "4h": 0.2, "1d": 0.3, "1w": 0.4}
#: Levels kept of one answer.
LEVELS = 8
#: Name under which the consensus of all advisors is settled like an advisor.
TOGETHER = "together"


class AnswerKind(NamedTuple):
    """How often a kind is asked [h], and the numbers it comes to."""

    hours: int
    fields: tuple[str, ...]

    @property
    def max_age(self) -> int:
        """Age from which an answer is not used any more [ms]."""
        return round(MAX_AGE * self.hours * HOUR_MS)


KINDS: dict[str, AnswerKind] = {
    "timeframes": AnswerKind(
        4, tuple(f"{what}_{tf}" for what in ("direction", "confidence") for tf in TIMEFRAMES)
    ),
    "regime": AnswerKind(24, tuple(f"probability_{code}" for code in range(8))),
    "levels": AnswerKind(
        24, tuple(f"{what}_{i}" for what in ("price", "strength") for i in range(1, LEVELS + 1))
    ),
    "market": AnswerKind(24, ("phase", "action", "confidence", "leads")),
    # Not asked of anyone: how each advisor, and all together, have done so far (spec A9).
    "skill": AnswerKind(24, ("settled", "weight", "intercept", "slope")),
}


@dataclass(frozen=True)
class AnswerTable:
    """The answers of one kind about one pair.

    Attributes
    ----------
    known_at : ndarray of shape (n_answers,), int64
        Milliseconds since the epoch, sorted.
    candle : ndarray of shape (n_answers,), int64
        Close of the last candle in the prompt.
    advisor : ndarray of shape (n_answers,), int64
        Index into :attr:`Answers.advisors`.
    values : ndarray of shape (n_answers, n_fields), float64
    """

    known_at: Ints
    candle: Ints
    advisor: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.known_at)

    def until(self, end: int) -> AnswerTable:
        """Return only what was known by ``end``."""
        n = int(np.searchsorted(self.known_at, end, side="right"))
        return AnswerTable(self.known_at[:n], self.candle[:n], self.advisor[:n], self.values[:n])

    def newest(self, at: Ints, advisors: int, max_age: int) -> Ints:
        """Return the row of each advisor's newest answer at each time, -1 without one.

        Returns
        -------
        ndarray of shape (n_times, n_advisors), int64
        """
        return _newest(self.known_at, self.candle, self.advisor, at, advisors, max_age)


@dataclass(frozen=True)
class Answers:
    """Everything advisors said about one pair that may be used.

    Attributes
    ----------
    advisors : tuple of str
    tables : mapping of kind to AnswerTable
    trusted : bool
        Whether answers count before their hit rate has been measured.
    """

    advisors: tuple[str, ...] = ()
    tables: Mapping[str, AnswerTable] = field(default_factory=dict)
    trusted: bool = False

    def until(self, end: int) -> Answers:
        """Return only what was known by ``end``."""
        return replace(self, tables={kind: t.until(end) for kind, t in self.tables.items()})


@njit(cache=True)
def _newest(
    known_at: Ints, candle: Ints, advisor: Ints, at: Ints, advisors: int, max_age: int
) -> Ints:
    out = np.full((len(at), advisors), -1, np.int64)
    last = np.full(advisors, -1, np.int64)
    row = 0
    for t in range(len(at)):
        while row < len(known_at) and known_at[row] <= at[t]:
            a = advisor[row]
            if last[a] < 0 or candle[row] >= candle[last[a]]:
                last[a] = row
            row += 1
        for a in range(advisors):
            if last[a] >= 0 and at[t] - candle[last[a]] <= max_age:
                out[t, a] = last[a]
    return out
