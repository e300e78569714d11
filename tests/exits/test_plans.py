"""Plans of many entries: each as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.exits import EXIT_COLUMNS, ExitSettings, plan_exits, plan_many

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
    assert len(many.take(rows[:7]).stop) == 7
    for i in rows:
        one = plan_exits(columns, i, direction[i], entry[i], band[i], which, factor[i])
        assert many.of(i) == one
        count = many.rungs[i]
        assert np.isnan(many.targets[i, count:]).all()
        assert not many.shares[i, count:].any()
        assert many.shares[i].sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "value"), [("atr", np.nan), ("atr", 0.0), ("entry", -1.0), ("factor", np.inf)]
)
def test_the_value_that_cannot_be_planned_is_named(name, value):
    given = {"atr": np.ones(3), "entry": np.full(3, 100.0), "factor": np.ones(3)}
    given[name][1] = value
    columns = some_rows(1, 3) | {"atr": given["atr"]}
    sides = np.ones(3, np.int8)
    with pytest.raises(ValueError, match=f"{value} .*must be positive"):
        plan_many(columns, np.arange(3), sides, given["entry"], sides, SETTINGS[0], given["factor"])
