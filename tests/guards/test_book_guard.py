"""Entries that the order book is too wide or too thin for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.guards.base import Reason
from quorum.guards.book import MAX_SLIPPAGE, MAX_SPREAD, book_refusal, slippage

TIGHT = {"bids": [[99.99, 10.0], [99.0, 10.0]], "asks": [[100.01, 10.0], [101.0, 10.0]]}


def refusal(book, direction=1, notional=500.0):
    found = book_refusal(book, direction, notional)
    return None if found is None else found[0]


def test_a_tight_book_that_holds_the_order_refuses_nothing():
    assert refusal(TIGHT) is None
    assert refusal(TIGHT, -1) is None


def test_a_crossed_and_a_wide_book_refuse():
    assert refusal({"bids": [[100.2, 1.0]], "asks": [[100.1, 1.0]]}) is Reason.CROSSED_DATA
    half = MAX_SPREAD / 2
    for factor, expected in ((0.999, None), (1.001, Reason.WIDE_SPREAD)):
        book = {
            "bids": [[100 * (1 - half * factor), 1e6]],
            "asks": [[100 * (1 + half * factor), 1e6]],
        }
        assert refusal(book) is expected


def test_an_order_that_walks_far_into_its_side_is_refused():
    assert refusal(TIGHT, 1, 2000.0) is None, "half of it at 101: 0.49 %"
    assert refusal(TIGHT, 1, 3000.0) is Reason.SLIPPAGE
    assert refusal(TIGHT, -1, 3000.0) is Reason.SLIPPAGE
    _, said = book_refusal(TIGHT, 1, 3000.0)
    assert said == f"slippage 0.66%, at most {MAX_SLIPPAGE:.2%}"


def test_slippage_is_of_the_mean_price():
    assert slippage([[100.0, 1.0], [110.0, 1.0]], 210.0) == pytest.approx(0.05)
    assert slippage([[100.0, 1.0]], 1000.0) == 0.0, "no more is known than the one level"


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.01, 100)), min_size=1, max_size=20),
    st.floats(0.01, 1e6),
    st.floats(0.01, 1e6),
)
def test_more_slips_never_less(steps, small, more):
    prices, price = [], 100.0
    for step, amount in steps:
        prices.append([price, amount])
        price += step
    assert slippage(prices, small) <= slippage(prices, small + more) + 1e-12


@pytest.mark.parametrize("book", [{"bids": [], "asks": []}, {"bids": [[1.0, 1.0]]}, {}])
def test_no_book_is_an_error_and_no_opinion(book):
    with pytest.raises(LookupError):
        book_refusal(book, 1, 100.0)
