"""Derivatives: ratios, flows and open interest from outside the exchange's candles (spec H9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from quorum.market import Market, Published, Records
from quorum.records.columns import Column, names, number, refuse
from quorum.records.kind import RecordKind
from quorum.typing import Bools

#: Kinds of derivatives records with the smallest and largest possible value.
DERIVATIVE_KINDS: Mapping[str, tuple[float, float]] = {
    "long_short_ratio": (0.0, np.inf),  # accounts long per account short
    "taker_buy_share": (0.0, 1.0),  # of the volume
    "exchange_reserves": (0.0, np.inf),  # coins held by exchanges
    "exchange_netflow": (-np.inf, np.inf),  # coins, positive into exchanges
    "liquidations": (-np.inf, np.inf),  # quote currency; signed: longs liquidated negative
    "open_interest": (0.0, np.inf),  # base currency
    "funding_rate": (-1.0, 1.0),  # fraction per settlement
    "premium_index": (-1.0, 1.0),  # fraction
}


class DerivativesRecords(RecordKind):
    """One value of one of :data:`DERIVATIVE_KINDS` per row, published like the exchange's own."""

    name: ClassVar[str] = "derivatives"
    columns: ClassVar[Mapping[str, Column]] = {"kind": names, "value": number()}
    #: Each reader has an age of its own, in its settings.
    max_age: ClassVar[float] = 720.0

    def check(self, path: Path, frame: pd.DataFrame) -> None:
        """Refuse unknown kinds, and values outside the limits of their kind."""
        kinds, values = frame["kind"], frame["value"]
        known = kinds.isin(list(DERIVATIVE_KINDS)).to_numpy(dtype=np.bool_)
        refuse(path, kinds, ~known, f"is not one of {', '.join(DERIVATIVE_KINDS)}")
        for kind, (least, most) in DERIVATIVE_KINDS.items():
            outside = (values < least) | (values > most)
            bad = ((kinds == kind) & outside).to_numpy(dtype=np.bool_)
            refuse(path, values, bad, f"is not in [{least:g}, {most:g}] of {kind}")

    def about_pair(self, records: Records, about: pd.Series, base: str) -> Bools:
        """Take a kind of the whole market only where the pair has none of its own."""
        own = (about == base).to_numpy(dtype=np.bool_)
        general = (about == "").to_numpy(dtype=np.bool_)
        kinds = records["kind"]
        return own | (general & ~np.isin(kinds, np.unique(kinds[own])))

    def join(self, market: Market, records: Records) -> Market:
        """Publish one series per kind; of values known at the same time the last."""
        series = {}
        for code, kind in enumerate(records.labels["kind"]):
            rows = records["kind"] == code
            known_at, value = records.known_at[rows], records["value"][rows]
            last = np.append(np.diff(known_at) > 0, True)
            series[kind] = Published(known_at[last], value[last])
        return replace(market, published={**market.published, **series})
