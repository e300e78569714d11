"""The rungs of ladders that a venue's lots and smallest order allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quorum.exits import ExitPlans
from quorum.exits.management import merge_rungs
from quorum.simulation.venue import Venue
from quorum.typing import Floats


def merge_small(plans: ExitPlans, entry: Floats, notional: Floats, venue: Venue) -> ExitPlans:
    """Merge the rungs that the venue's lots and smallest order do not allow (``merge_rungs``)."""
    position = _whole(notional, entry, venue.lot)
    orders = _whole(plans.shares * position[:, None], entry[:, None], venue.lot)
    smallest = venue.smallest(entry)
    small = (plans.shares > 0) & ((orders < smallest[:, None]) | (orders <= 0))
    affected = np.flatnonzero(small.any(axis=1) & (plans.rungs > 1))
    targets, shares, rungs = plans.targets.copy(), plans.shares.copy(), plans.rungs.copy()
    for i in affected.tolist():
        price, count = float(entry[i]), int(rungs[i])

        def cut(value: float, price: float = price) -> float:
            return float(_whole(np.array(value), np.array(price), venue.lot))

        kept, parts = merge_rungs(
            targets[i, :count].tolist(),
            shares[i, :count].tolist(),
            float(position[i]),
            float(smallest[i]),
            cut,
        )
        rungs[i] = len(kept)
        targets[i], shares[i] = np.nan, 0.0
        targets[i, : len(kept)], shares[i, : len(kept)] = kept, parts
    return replace(plans, targets=targets, shares=shares, rungs=rungs)


def _whole(value: Floats, price: Floats, lot: float) -> Floats:
    """Return what whole lots leave of a value; a lot of 0 leaves all of it."""
    if lot == 0:
        return value
    whole: Floats = np.floor(value / price / lot + 1e-9) * lot * price
    return whole
