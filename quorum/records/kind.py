"""RecordKind: the columns of one kind of record, its age, and how it joins a pair."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from sqlalchemy import Table

from quorum.errors import DataError
from quorum.market import HOUR_MS, Market, Records
from quorum.records.columns import Column
from quorum.typing import Bools


class RecordKind:
    """One kind of record; a subclass names its columns, and changes what is not usual.

    Attributes
    ----------
    name : str
        In the settings, and in :attr:`quorum.market.Market.records`.
    columns : mapping of name to Column
        Beside ``known_at`` and ``pair``.
    max_age : float
        Age beyond which ``market.recorded`` gives NaN, hours.
    table : Table or None
        Of the state store, with ``id``, ``known_at`` (ms), ``pair`` and these columns; None for a
        kind that comes from files only.
    by_pair : bool
        Whether the source is a folder that is read pair by pair.
    """

    name: ClassVar[str]
    columns: ClassVar[Mapping[str, Column]]
    max_age: ClassVar[float]
    table: ClassVar[Table | None] = None
    by_pair: ClassVar[bool] = False

    def check(self, path: Path, frame: pd.DataFrame) -> None:
        """Refuse what no column by itself shows; by default nothing. Raises ``DataError``."""

    def about_pair(self, records: Records, about: pd.Series, base: str) -> Bools:
        """Return which rows join a pair: by default its own and those of the whole market.

        Parameters
        ----------
        records : Records
        about : Series of shape (n_records,)
            Base currency each row is about, empty for the whole market.
        base : str
        """
        return about.isin(["", base]).to_numpy(dtype=np.bool_)

    def join(self, market: Market, records: Records) -> Market:
        """Return a market with its records of this kind."""
        return replace(market, records={**market.records, self.name: records})

    def pair_version(self, folder: Path, base: str) -> Hashable:
        """Return what changes when the records of a pair in a folder do."""
        raise DataError(f"{folder}: a folder; {self.name} records are one file")

    def read_pair(self, folder: Path, base: str) -> pd.DataFrame:
        """Return the records of a pair in a folder, with ``known_at`` and the columns."""
        raise DataError(f"{folder}: a folder; {self.name} records are one file")

    @property
    def max_age_ms(self) -> float:
        """Age beyond which a value is not used, milliseconds."""
        return self.max_age * HOUR_MS
