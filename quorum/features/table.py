"""Features: the named columns that heads and models share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from quorum.features.swings import Swings
from quorum.typing import Floats


@dataclass(frozen=True)
class Column:
    """What a feature column means.

    Attributes
    ----------
    family : str
        The feature family that made it.
    lag : int
        Confirmation lag in candles of its timeframe: how long after the fact the column can
        know it (0 for what the candle's own close settles, ``right`` for a confirmed swing).
    scale_free : bool
        Whether it is comparable across pairs and years (a ratio, score or z-score), as models
        need; prices and volumes are not.
    """

    family: str
    lag: int = 0
    scale_free: bool = True


class Features(Mapping[str, Floats]):
    """Named float64 columns of one market, in the order they were added.

    Families add to it; everyone else reads. ``swings`` holds the confirmed swings per timeframe
    (``"base"``, ``"4h"``, ``"1d"``, ``"1w"``) for kernels that need the swing sequence itself.
    """

    def __init__(self, n_candles: int) -> None:
        self.n_candles = n_candles
        self.columns: dict[str, Column] = {}
        self.swings: dict[str, Swings] = {}
        self._values: dict[str, Floats] = {}
        self._family = ""

    def begin(self, family: str) -> None:
        """Name the family that adds the next columns."""
        self._family = family

    def add(self, name: str, values: Floats, *, lag: int = 0, scale_free: bool = True) -> Floats:
        """Add one column and return it as stored.

        Raises
        ------
        ValueError
            If the name is taken or the length is not the market's.
        """
        if name in self._values:
            raise ValueError(
                f"feature {name!r} of {self._family!r} exists in {self.columns[name].family!r}"
            )
        column = np.ascontiguousarray(values, dtype=np.float64)
        if column.shape != (self.n_candles,):
            raise ValueError(f"feature {name!r}: shape {column.shape}, want ({self.n_candles},)")
        self._values[name] = column
        self.columns[name] = Column(self._family, lag, scale_free)
        return column

    def discard(self, family: str) -> None:
        """Drop the columns of a family that failed halfway."""
        for name in [n for n, column in self.columns.items() if column.family == family]:
            del self.columns[name], self._values[name]

    def __getitem__(self, name: str) -> Floats:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
