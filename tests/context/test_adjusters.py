"""What every adjuster keeps to: its published columns, causality, and silence on the unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest
from context_rows import columns_of, flat_market

from quorum.context import ADJUSTERS, Effect, Leverage, Timeframes, Zones
from quorum.features import Features, compute_features

each = pytest.mark.parametrize("adjuster", [a() for a in ADJUSTERS], ids=lambda a: a.name)
own = pytest.mark.parametrize("adjuster", [Zones(), Leverage(), Timeframes()], ids=lambda a: a.name)


@pytest.fixture(scope="module")
def features(market):
    return compute_features(market)


def test_names_of_adjusters_and_columns_are_unique():
    names = [a.name for a in ADJUSTERS]
    columns = [column for a in ADJUSTERS for column in a.published]
    assert len(set(names)) == len(names)
    assert len(set(columns)) == len(columns)


@each
def test_an_adjuster_publishes_the_columns_it_names(adjuster, market, features):
    columns = adjuster.columns(market, features)
    assert tuple(columns) == adjuster.published
    assert all(c.shape == (len(market),) and c.dtype == np.float64 for c in columns.values())


@own
def test_a_full_market_has_known_rows(adjuster, market, features):
    for name, values in adjuster.columns(market, features).items():
        assert np.isfinite(values[-1000:]).mean() > 0.9, name


@each
def test_nothing_known_has_no_effect(adjuster):
    row = dict.fromkeys(adjuster.published, math.nan)
    for direction in (1, -1):
        effect = adjuster.effect(row, direction)
        assert (dict(effect.reasons), effect.confidence, effect.veto) == ({}, 1.0, None)


@own
def test_without_features_every_column_is_unknown_and_no_fact_is_stated(adjuster):
    columns = columns_of(adjuster)
    assert all(np.isnan(values).all() for values in columns.values())
    row = {name: float(values[0]) for name, values in columns.items()}
    assert adjuster.effect(row, 1) == adjuster.effect(row, -1) == Effect()


@own
@pytest.mark.parametrize("n", [0, 1, 40])
def test_a_market_too_short_to_read_is_unknown(adjuster, n):
    market = flat_market(n)
    table = compute_features(market) if n else Features(0)
    assert all(np.isnan(v).all() for v in adjuster.columns(market, table).values())


@own
def test_a_prefix_of_the_market_gives_the_prefix_of_the_columns(adjuster, market, features):
    whole = adjuster.columns(market, features)
    for n in (1, 13, 400, 1399, 1777, 2003, 2199):
        part = market.head(n)
        for name, values in adjuster.columns(part, compute_features(part)).items():
            np.testing.assert_array_equal(values, whole[name][:n], err_msg=f"{name} at {n}")


@own
def test_columns_do_not_depend_on_where_the_history_starts(adjuster, market, features):
    whole = adjuster.columns(market, features)
    late = market.since(len(market) - 1400)
    for name, values in adjuster.columns(late, compute_features(late)).items():
        np.testing.assert_array_equal(values[-50:], whole[name][-50:], err_msg=name)
