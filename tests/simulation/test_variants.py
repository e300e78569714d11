"""Ablation and random entries, held against strategies that really lack the part."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from markets import full_market

from quorum.errors import DataError
from quorum.pipeline import evaluate
from quorum.settings import load_settings
from quorum.signals import signal_table
from quorum.simulation import (
    PortfolioSettings,
    RandomSettings,
    Run,
    Venue,
    ablate,
    books_of,
    funding_paid,
    material_of,
    open_book,
    random_entries,
    run_portfolio,
    simulate,
    to_json,
)

#: Votes are easier to get, so that a short market has trades.
EASY = {
    "consensus": {"quorum": 2, "quorum_share": 0.2, "min_confidence": 0.5, "gate": 0.65},
    "exits": {"ladder": {"min_first": 1.5}},
}


def settings_of(**changes):
    return load_settings({**EASY, **changes})


@pytest.fixture(scope="module")
def markets():
    return [
        full_market(3000, seed=seed, pair=f"{base}/USDT:USDT")
        for seed, base in ((0, "SOL"), (5, "BTC"))
    ]


@pytest.fixture(scope="module")
def evaluations(markets):
    return [evaluate(market, settings_of()) for market in markets]


def materials_from(evaluations, settings):
    return [material_of(e, settings, Venue(funding=funding_paid(e.market))) for e in evaluations]


@pytest.fixture(scope="module")
def materials(evaluations):
    return materials_from(evaluations, settings_of())


@pytest.fixture(scope="module")
def rows(materials):
    return ablate(materials, settings_of())


def row_of(rows, kind, name=""):
    (row,) = [r for r in rows if (r.kind, r.name) == (kind, name)]
    return row


def really(markets, settings):
    """Run a strategy of these settings, evaluated from the start."""
    books = []
    for market in markets:
        result = evaluate(market, settings)
        venue = Venue(funding=funding_paid(market))
        books.append(
            open_book(market.pair, signal_table(result, settings), market.candles, settings, venue)
        )
    return run_portfolio(books, settings)


def test_the_whole_strategy_comes_first_and_every_part_once(rows):
    s = settings_of()
    heads = [head.name for head in s.enabled_heads()]
    adjusters = [adjuster.name for adjuster in s.enabled_adjusters()]
    assert (rows[0].kind, rows[0].trades > 10) == ("full", True)
    assert [r.name for r in rows if r.kind == "without head"] == heads
    assert [r.name for r in rows if r.kind == "head alone"] == heads
    assert [r.name for r in rows if r.kind == "without adjuster"] == adjusters
    assert [r.name for r in rows if r.kind == "without guard"] == ["position", "day", "system"]


@pytest.mark.parametrize("head", ["technical", "structure", "ict"])
def test_without_a_head_is_the_strategy_with_the_head_disabled(markets, rows, head):
    run = really(markets, settings_of(heads={head: {"enabled": False}}))
    row = row_of(rows, "without head", head)
    assert row.trades == len(run.trades)
    assert row.profit == pytest.approx(sum(t.profit for t in run.trades))


@pytest.mark.parametrize("adjuster", ["zones", "regime", "liquidation"])
def test_without_an_adjuster_is_the_strategy_with_it_disabled(markets, rows, adjuster):
    run = really(markets, settings_of(context={adjuster: {"enabled": False}}))
    row = row_of(rows, "without adjuster", adjuster)
    assert row.trades == len(run.trades)
    assert row.profit == pytest.approx(sum(t.profit for t in run.trades))


def test_a_head_alone_trades_its_own_valid_votes(materials):
    (book, _) = books_of(materials, settings_of(), ("technical",), alone=True)
    votes = materials[0].table.votes
    h = votes.heads.index("technical")
    s = settings_of().consensus
    valid = votes.available[:, h] & (votes.probability[:, h] >= s.min_probability)
    valid &= votes.confidence[:, h] >= s.min_confidence
    traded = np.flatnonzero(book.table.entry)
    assert len(traded) > 10
    assert valid[traded].all()
    assert (book.table.entry[traded] == votes.direction[traded, h]).all()


def test_figures_are_those_of_the_trades(materials, rows):
    run = run_portfolio(books_of(materials, settings_of()), settings_of())
    profit = np.array([t.profit for t in run.trades])
    full = rows[0]
    assert full.profit_factor == pytest.approx(profit[profit > 0].sum() / -profit[profit < 0].sum())
    assert full.win_rate == pytest.approx((profit > 0).mean())
    assert full.mean_r == pytest.approx(np.mean([t.r for t in run.trades]))
    assert full.mean_r_low < full.mean_r < full.mean_r_high
    assert full.profit_percent == pytest.approx(profit.sum() / 1000)


def test_rows_are_json_with_null_for_what_is_no_number(rows):
    read = json.loads(to_json(rows))
    assert len(read) == len(rows)
    assert read[0]["trades"] == rows[0].trades
    assert all(value is not np.nan for row in read for value in row.values())


def test_one_trade_per_pair_and_no_more_than_allowed(materials):
    books = books_of(materials, settings_of())
    run = run_portfolio(books, settings_of())
    for pair in {t.pair for t in run.trades}:
        own = sorted((t for t in run.trades if t.pair == pair), key=lambda t: t.ordered)
        assert all(a.closed <= b.ordered for a, b in pairwise(own))
    single = run_portfolio(books, settings_of(), PortfolioSettings(max_open_trades=1))
    spans = sorted((t.ordered, t.closed) for t in single.trades)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert single.refused["no_free_slot"] > 0


def test_guards_only_take_trades_away(materials, rows):
    s = settings_of()
    run = run_portfolio(books_of(materials, s), s, PortfolioSettings(guards=True))
    assert 0 < len(run.trades) < rows[0].trades
    assert sum(run.refused.values()) > 0


def test_outcomes_do_not_change_when_more_candles_come(evaluations):
    s = settings_of()
    table, candles = signal_table(evaluations[0], s), evaluations[0].market.candles
    whole = simulate(table, candles, s)
    assert (whole.known_row > 0).sum() > 20
    for n in (1500, 2200, 2950):
        shorter = evaluate(evaluations[0].market.head(n), s)
        part = simulate(signal_table(shorter, s), shorter.market.candles, s)
        known = (whole.known_row >= 0) & (whole.known_row < n)
        assert np.array_equal(part.row[part.known_row >= 0], whole.row[known])
        assert np.array_equal(part.r[part.known_row >= 0], whole.r[known], equal_nan=True)


def test_random_entries_are_the_same_for_the_same_seed_only(materials):
    s = settings_of()
    books = books_of(materials, s)
    run = run_portfolio(books, s)
    few = RandomSettings(runs=50, pool=300)
    first, again = (random_entries(materials, books, run, few) for _ in range(2))
    assert np.array_equal(first.profit, again.profit)
    other = random_entries(materials, books, run, few.model_copy(update={"seed": 8}))
    assert not np.array_equal(first.profit, other.profit)
    assert first.trades + first.left_out == len(run.trades)
    assert first.actual_r == pytest.approx(sum(t.r for t in run.trades))
    assert first.beaten_by == (first.profit > first.actual_profit).sum()


def test_a_run_that_knew_the_future_beats_every_random_one(materials):
    s = settings_of()
    books = books_of(materials, s)
    run = run_portfolio(books, s)
    winners = tuple(t for t in run.trades if t.profit > 0)
    best = Run(winners, run.refused, 0)
    found = random_entries(materials, books, best, RandomSettings(runs=200, pool=500))
    assert found.percentile_profit == 100.0
    losers = Run(tuple(t for t in run.trades if t.profit < 0), run.refused, 0)
    found = random_entries(materials, books, losers, RandomSettings(runs=200, pool=500))
    assert found.percentile_profit == 0.0
    assert found.beaten_by == 200


def test_a_run_without_trades_has_nothing_to_be_held_against(materials):
    books = books_of(materials, settings_of())
    with pytest.raises(DataError, match="no trades"):
        random_entries(
            materials, books, Run((), books and run_portfolio([], settings_of()).refused, 0)
        )


def test_an_ablation_needs_a_pair():
    with pytest.raises(DataError, match="no pair"):
        ablate([], settings_of())
