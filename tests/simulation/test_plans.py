"""Plans of many entries: number for number what ``plan_exits`` plans for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.consensus import Band
from quorum.exits import EXIT_COLUMNS, ExitSettings, plan_exits
from quorum.exits.management import merge_rungs
from quorum.simulation.plans import merge_small, plan_many
from quorum.simulation.venue import Venue

SETTINGS = (
    ExitSettings(),
    ExitSettings(stop={"method": "atr", "max_risk": 1.0}),
    ExitSettings(ladder={"first": "levels", "min_first": 0.5}, target={"swing_margin": 0.0}),
    ExitSettings(ladder={"scale": (1.0, 2.0, 3.0), "shares": (50, 30, 20)}, stop={"min_atr": 0.0}),
)


def some_rows(seed: int, n: int) -> dict[str, np.ndarray]:
    """Return columns with levels on both sides, some of them unknown, around a price of 100."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name in EXIT_COLUMNS:
        if name == "atr":
            values = rng.uniform(0.1, 4.0, n)
        elif "strength" in name:
            values = rng.uniform(0.3, 1.0, n)
        else:
            values = 100 + rng.normal(0, 4.0, n)
        values[rng.random(n) < (0.0 if name == "atr" else 0.25)] = np.nan
        columns[name] = values
    return columns


@given(seed=st.integers(0, 10_000), which=st.sampled_from(SETTINGS))
@settings(max_examples=40, deadline=None)
def test_many_plans_are_the_plans_of_each(seed, which):
    n = 30
    rng = np.random.default_rng(seed + 1)
    columns = some_rows(seed, n)
    direction = rng.choice([-1, 1], n).astype(np.int8)
    entry, band = rng.uniform(95, 105, n), rng.integers(0, 4, n).astype(np.int8)
    factor = rng.choice([1.0, 0.8, 1.3], n)
    rows = np.arange(n)
    many = plan_many(columns, rows, direction, entry, band, which, factor)
    for i in rows:
        row = {name: float(values[i]) for name, values in columns.items()}
        one = plan_exits(row, int(direction[i]), float(entry[i]), Band(band[i]), which, factor[i])
        count = many.rungs[i]
        assert many.stop[i] == pytest.approx(one.stop, rel=1e-12)
        assert many.targets[i, :count] == pytest.approx(one.targets, rel=1e-12)
        assert tuple(many.shares[i, :count]) == pytest.approx(one.shares)
        assert np.isnan(many.targets[i, count:]).all()
        assert many.risk_reward[i] == pytest.approx(one.risk_reward, rel=1e-9)
        assert many.too_near[i] == (one.veto is not None)


def test_rungs_under_the_smallest_order_are_merged_as_the_strategy_merges_them():
    n = 20
    columns, rows = some_rows(3, n), np.arange(n)
    direction = np.ones(n, np.int8)
    entry, band = np.full(n, 100.0), np.full(n, 3, np.int8)
    plans = plan_many(columns, rows, direction, entry, band, ExitSettings(), np.ones(n))
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
