"""Rungs that a venue's lots and smallest order do not allow."""

from __future__ import annotations

import numpy as np
import pytest

from quorum.exits import ExitPlans
from quorum.exits.management import merge_rungs
from quorum.simulation.rungs import merge_small
from quorum.simulation.venue import Venue


def test_rungs_under_the_smallest_order_are_merged_as_the_strategy_merges_them():
    n = 20
    rows, count = np.arange(n), np.array([3, 3, 3, 2, 1] * 4)
    in_use = np.arange(3) < count[:, None]
    targets = np.where(in_use, [103.0, 104.0, 105.0], np.nan)
    shares = np.where(in_use, [0.7, 0.2, 0.1], 0.0)
    shares /= shares.sum(axis=1)[:, None]
    entry, plain = np.full(n, 100.0), np.zeros(n, np.bool_)
    plans = ExitPlans(np.full(n, 99.0), np.full(n, 3.0), plain, targets, shares, count, plain)
    notional = np.linspace(20, 200, n)
    merged = merge_small(plans, entry, notional, Venue(min_order=12.0))
    seen = set()
    for i in rows:
        count = plans.rungs[i]
        targets, shares = merge_rungs(
            plans.targets[i, :count], plans.shares[i, :count], notional[i], 12.0
        )
        assert merged.targets[i, : merged.rungs[i]] == pytest.approx(targets)
        assert merged.shares[i, : merged.rungs[i]] == pytest.approx(shares)
        seen.add(int(plans.rungs[i] - merged.rungs[i]))
    assert {0, 1, 2} <= seen
