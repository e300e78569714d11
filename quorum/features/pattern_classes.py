"""How good a pattern is: its class, and its fine quality within the class (spec H4).

The columns of candlestick and chart patterns hold both in one number: the whole part is the class
(0 no pattern), the rest the fine quality.
"""

from __future__ import annotations

from collections.abc import Sequence

from numba import njit

WEAK, GOOD, TEXTBOOK = 1, 2, 3
#: Fine quality stays under one, so that the class can be read back.
FINEST = 0.999


def class_of(name: str, textbook: Sequence[str], good: Sequence[str]) -> int:
    """Return ``TEXTBOOK``, ``GOOD`` or, for a name in neither list, ``WEAK``."""
    return TEXTBOOK if name in textbook else GOOD if name in good else WEAK


@njit(cache=True)
def score_of(klass: int, fine: float) -> float:
    """Return class and fine quality (0-1) as one number."""
    return klass + min(FINEST, fine)
