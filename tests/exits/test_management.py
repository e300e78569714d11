"""The ladder's orders under an exchange's smallest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.exits.management import merge_rungs


def test_rungs_under_the_smallest_order_go_to_their_neighbour():
    targets, shares = (102.0, 103.0, 105.0), (0.7, 0.2, 0.1)
    assert merge_rungs(targets, shares, 1000.0, 50.0) == (targets, shares)
    assert merge_rungs(targets, shares, 1000.0, 150.0) == (
        (102.0, 103.0),
        pytest.approx((0.7, 0.3)),
    )
    assert merge_rungs(targets, shares, 1000.0, 5000.0) == ((102.0,), pytest.approx((1.0,)))


@given(
    st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4),
    st.floats(10, 1e5),
    st.floats(0, 1e4),
)
def test_merging_loses_nothing_and_leaves_no_rung_too_small(raw, notional, minimum):
    shares = [x / sum(raw) for x in raw]
    targets = [100.0 + i for i in range(len(shares))]
    kept_targets, kept = merge_rungs(targets, shares, notional, minimum)
    assert sum(kept) == pytest.approx(1.0)
    assert len(kept) == len(kept_targets)
    assert list(kept_targets) == sorted(kept_targets)
    assert len(kept) == 1 or min(kept) * notional >= minimum
