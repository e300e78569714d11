"""Elite sizing: what holds for every trade, whatever the account and the market."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sized_trades import BTC, ETH, EXAMPLE, OWN, UNCAPPED, account, peer, position, size, trades_of

from quorum.sizing import SizeRequest, SizingSettings

DISTANCES = st.floats(0.001, 0.3)
FACTORS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(0.05, 3.0))
RHO = st.floats(-0.99, 0.79)


@st.composite
def requests(draw) -> SizeRequest:
    """Draw a sound request with one trade open."""
    equity = draw(st.floats(1e4, 1e7))
    direction = draw(st.sampled_from([1, -1]))
    open_ = position(draw(st.sampled_from([BTC, ETH])), draw(st.sampled_from([1, -1])))
    closed = trades_of(draw(st.sampled_from([0.4, 0.5, 0.6])), draw(st.floats(-1, 0.6)))
    return replace(
        EXAMPLE,
        capital=equity * draw(st.floats(0.5, 1.5)),
        direction=direction,
        stop=43_250 * (1 - direction * draw(DISTANCES)),
        account=account(equity, open=(replace(open_, notional=equity * 0.05),), closed=closed),
        returns=draw(st.sampled_from([0.5, 5.0, 50.0])) * OWN,
        peers={ETH: peer(draw(st.floats(-1, 0.9))), BTC: peer(draw(st.floats(-1, 0.9)))},
        multipliers=draw(FACTORS),
        headroom=equity * draw(st.sampled_from([0.0, 1e-4, 1e-3, 0.01, 0.1, math.inf])),
        guard_factor=draw(st.floats(0.1, 1)),
        win_rate=draw(st.floats(0.3, 0.9)),
    )


@given(requests())
def test_size_never_exceeds_any_cap_and_is_zero_when_refused(request):
    result = size(request)
    equity, own = request.equity, SizingSettings()
    assert "elite_failed" not in result.reasons
    if "refused" in result.record:
        assert (result.fraction, result.notional, result.risk_amount) == (0.0, 0.0, 0.0)
        return
    grace = 1 + 1e-9
    taken = request.account.open[0]
    in_pair = taken.notional * (taken.pair == request.pair)
    on_side = taken.notional * (taken.direction == request.direction)
    assert 0 < result.notional <= own.max_percent / 100 * min(equity, request.capital) * grace
    assert in_pair + result.notional <= own.elite.caps.pair / 100 * equity * grace
    assert on_side + result.notional <= own.elite.caps.concentration / 100 * equity * grace
    assert result.risk_amount <= request.headroom * grace
    assert result.risk_amount <= 0.01 * 1.5 * equity * request.guard_factor * grace
    assert result.notional >= own.min_order
    assert result.fraction == pytest.approx(result.notional / request.capital)


@given(requests(), RHO, RHO)
def test_size_falls_with_the_correlation(request, a, b):
    low, high = sorted((a, b))
    request = replace(request, headroom=math.inf, direction=1, stop=40_000.0, multipliers={})
    open_ = replace(request.account.open[0], pair=ETH, direction=1)
    request = replace(request, account=replace(request.account, open=(open_,), closed=()))
    near, far = (
        size(replace(request, peers={ETH: peer(rho)}, returns=OWN), **UNCAPPED).notional
        for rho in (high, low)
    )
    assert near <= far * (1 + 1e-9)
    if far > 0 and high - low > 0.01:
        assert near < far


@given(requests(), st.floats(0, 1), st.floats(0, 1))
def test_size_falls_with_the_drawdown_allowance_used(request, a, b):
    less, more = sorted((a, b))
    allowance = 0.02 * request.equity
    smaller, larger = (
        size(
            replace(request, headroom=allowance * (1 - used), guard_factor=max(1 - used, 0.0))
        ).notional
        for used in (more, less)
    )
    assert smaller <= larger * (1 + 1e-9)


@given(requests(), st.floats(0.001, 1000.0))
def test_size_is_invariant_to_the_scale_of_the_quote_currency(request, scale):
    state = request.account
    open_ = tuple(replace(t, notional=t.notional * scale) for t in state.open)
    scaled = replace(
        request,
        capital=request.capital * scale,
        entry=request.entry * scale,
        stop=request.stop * scale,
        headroom=request.headroom * scale,
        account=replace(
            state, equity=state.equity * scale, balance=state.balance * scale, open=open_
        ),
    )
    one, other = size(request, min_order=0), size(scaled, min_order=0)
    assert other.fraction == pytest.approx(one.fraction)
    assert other.risk_amount == pytest.approx(one.risk_amount * scale)
