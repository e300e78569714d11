"""The account as guards see it, and the prices at which its open trades are marked."""

from __future__ import annotations

import math
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from freqtrade.enums import RunMode
from host_trades import BEGIN, BTC, HOUR, SOL, STEP, close_trade, kept_in, open_trade, order, table

from quorum.account import OpenPosition
from quorum.bot.account import AccountReader, read_account
from quorum.bot.marks import Marks
from quorum.risk import LastCloses


@pytest.fixture(params=["memory", "database"])
def storage(request):
    yield from kept_in(request.param)


@pytest.fixture
def memory():
    yield from kept_in("memory")


def reader(prices):
    config = {"stake_currency": "USDT", "dry_run_wallet": {"USDT": 100_000.0}, "dry_run": True}
    return AccountReader(lambda: None, lambda pair, at: prices[pair], config)


# The account ------------------------------------------------------------------------------


@pytest.mark.parametrize("short", [False, True])
def test_floating_profit_is_what_the_host_says_after_fees_and_funding(storage, short):
    trade = open_trade(short=short, fee=0.0005, funding_fees=-3.0, funding_fee_running=-3.0)
    state = reader({SOL: 107.0}).read(BEGIN)
    assert state.open[0].floating == pytest.approx(trade.calc_profit(107.0), abs=1e-6)
    assert state.equity == pytest.approx(100_000 + trade.calc_profit(107.0), abs=1e-6)
    assert (state.initial, state.balance) == (100_000.0, 100_000.0)
    assert state.open[0].direction == (-1 if short else 1)
    assert state.open[0].notional == 1000.0


def test_funding_that_a_partial_exit_has_realised_floats_no_more(storage):
    trade = open_trade(fee=0.0)
    order(trade, "buy", 10.0, 100.0)
    order(trade, "sell", 4.0, 110.0, BEGIN + HOUR, funding=-2.0)
    trade.recalc_trade_from_orders()
    trade.set_funding_fees(-1.5)
    state = reader({SOL: 105.0}).read(BEGIN + 2 * HOUR)
    assert trade.realized_profit == pytest.approx(40.0 - 2.0)
    assert state.balance == pytest.approx(100_038.0)
    assert state.open[0].floating == pytest.approx(6 * 5.0 - 1.5)


def test_an_entry_that_has_not_filled_is_open_but_floats_nothing(storage):
    open_trade(amount=0.0)
    state = reader({SOL: 50.0}).read(BEGIN)
    assert (len(state.open), state.open[0].floating, state.equity) == (1, 0.0, 100_000.0)


def test_closed_trades_come_in_order_of_closing_with_all_they_brought(storage):
    reading = reader({SOL: 100.0, BTC: 100.0})
    first, second = open_trade(), open_trade(pair=BTC, short=True)
    close_trade(second, 50.0, BEGIN + HOUR, "roi")
    once = reading.read(BEGIN + HOUR)
    close_trade(first, -20.0, BEGIN + 2 * HOUR)
    state = reading.read(BEGIN + 2 * HOUR)
    assert once.closed == state.closed[:1]
    told = [(c.pair, c.direction, c.profit, c.reason) for c in state.closed]
    assert told == [(BTC, -1, 50.0, "roi"), (SOL, 1, -20.0, "stop_loss")]
    assert (state.balance, state.equity, state.initial) == (100_030.0, 100_030.0, 100_000.0)
    assert read_account(None, lambda *_: 1.0, state.at, {"dry_run_wallet": 7.0}).balance == 37.0


def test_live_the_balance_is_what_the_exchange_says(storage):
    open_trade()
    wallets = SimpleNamespace(get_total=lambda c: 5000.0, get_free=lambda c: 4000.0)
    config = {"stake_currency": "USDT", "dry_run": False, "runmode": RunMode.LIVE}

    def prices(*_):
        return 101.0

    futures = read_account(wallets, prices, BEGIN, {**config, "trading_mode": "futures"})
    assert (futures.balance, futures.equity, futures.initial) == (5000.0, 5010.0, 5000.0)
    spot = read_account(wallets, prices, BEGIN, {**config, "trading_mode": "spot"})
    assert spot.balance == 5000.0, "free, and a position at its cost"
    share = read_account(wallets, prices, BEGIN, {**config, "available_capital": 800.0})
    assert share.equity == 810.0


def test_live_funding_that_the_exchange_has_settled_counts_once(storage):
    # 5,000 before it; 12 of funding are out of the wallet and still float in the trade.
    open_trade(fee=0.0, funding_fees=-12.0, funding_fee_running=-12.0)
    wallets = SimpleNamespace(get_total=lambda c: 4988.0, get_free=lambda c: 4000.0)
    config = {
        "stake_currency": "USDT",
        "dry_run": False,
        "runmode": RunMode.LIVE,
        "trading_mode": "futures",
    }
    state = read_account(wallets, lambda *_: 100.0, BEGIN, config)
    assert (state.initial, state.balance, state.equity) == (5000.0, 5000.0, 4988.0)


def test_a_price_that_is_not_known_leaves_the_equity_unknown(storage):
    open_trade()
    assert math.isnan(reader({SOL: math.nan}).read(BEGIN).equity)


@pytest.mark.parametrize("missing", [False, True])
def test_the_last_close_is_that_of_the_last_closed_candle(missing):
    times = np.array([0, 1, 2, 3, 5, 6] if missing else range(7)) * STEP
    start = int(BEGIN.timestamp() * 1000)
    rows = SimpleNamespace(time=start + times, columns={"close": np.arange(len(times)) + 100.0})
    closes = LastCloses({SOL: rows}, STEP)
    expected = {0.9: math.nan, 1: 100, 1.9: 100, 4: 103, 5: 103 if missing else 104}
    expected |= {6: 104 if missing else 105, 7: 105 if missing else 106}
    expected |= {30: expected[7]}
    for hours, value in expected.items():
        assert closes(SOL, BEGIN + hours * HOUR) == pytest.approx(value, nan_ok=True), hours
    assert math.isnan(closes(BTC, BEGIN))
    assert closes.age(SOL, BEGIN + 9.5 * HOUR) == pytest.approx(2.5)
    assert closes.age(BTC, BEGIN) == math.inf


# What trades are marked at ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "mark"),
    [
        ([], 100.0),
        ([90.0], 100.0),
        ([90.0, 92.0], 92.0),
        ([92.0, 90.0], 92.0),
        ([90.0, 101.0], 100.0),
        ([105.0, 108.0], 105.0),
        ([90.0, 91.0, 108.0], 100.0),
        ([math.nan, 90.0, 0.0], 100.0),
    ],
)
def test_a_rate_counts_once_it_was_seen_at_two_looks_in_a_row(rates, mark):
    marks = Marks(LastCloses({SOL: table([100.0] * 5)}, STEP))
    for minute, rate in enumerate(rates):
        for _ in range(2):
            # Asked twice within one loop it is one look.
            marks.saw(SOL, BEGIN + HOUR + timedelta(minutes=minute), rate)
    assert marks(SOL, BEGIN + HOUR + timedelta(minutes=len(rates))) == mark
    assert math.isnan(marks(BTC, BEGIN + HOUR))


@pytest.mark.parametrize(("minutes", "mark"), [(60, 90.0), (61, 100.0)])
def test_looks_older_than_a_candle_tell_nothing(minutes, mark):
    marks = Marks(LastCloses({SOL: table([100.0] * 5)}, STEP))
    for second in range(2):
        marks.saw(SOL, BEGIN + HOUR + timedelta(seconds=second), 90.0)
    assert marks(SOL, BEGIN + HOUR + timedelta(minutes=minutes)) == mark


@pytest.mark.parametrize(
    ("short", "stop", "worst"),
    [
        (False, 90.0, 96.0),
        (False, 97.0, 97.0),
        (False, 101.0, 100.0),
        (False, 0.0, 96.0),
        (True, 120.0, 108.0),
        (True, 105.0, 105.0),
        (True, 99.0, 100.0),
    ],
)
def test_the_worst_price_of_a_candle_is_no_worse_than_the_stop(short, stop, worst):
    rows = table([100.0] * 5, low=np.full(5, 96.0), high=np.full(5, 108.0))
    marks = Marks(LastCloses({SOL: rows}, STEP))
    position = OpenPosition(SOL, -1 if short else 1, BEGIN, 100.0, 100.0, 1000.0, 0.0)
    assert marks.worst(position, stop, BEGIN + HOUR) == worst


@pytest.mark.parametrize(("hours", "worst"), [(1, 100.0), (2, 100.0), (3, 96.0), (9, 100.0)])
def test_a_candle_before_the_entry_or_long_closed_has_no_worst_price(hours, worst):
    rows = table([100.0] * 5, low=np.full(5, 96.0))
    marks = Marks(LastCloses({SOL: rows}, STEP))
    position = OpenPosition(SOL, 1, BEGIN + 1.5 * HOUR, 100.0, 100.0, 1000.0, 0.0)
    assert marks.worst(position, 90.0, BEGIN + hours * HOUR) == worst


def test_the_worst_equity_is_that_of_every_trade_at_its_worst_price(memory):
    for pair, short in ((SOL, False), (BTC, True)):
        open_trade(pair=pair, short=short)

    def worst(position, stop, at):
        return position.price + (8.0 if position.direction < 0 else -4.0)

    config = {"dry_run_wallet": 100_000.0, "dry_run": True}
    seen = AccountReader(lambda: None, lambda pair, at: 100.0, config, worst).read(BEGIN)
    assert (seen.equity, seen.worst) == (100_000.0, 100_000.0 - 40.0 - 80.0)
    assert reader({SOL: 100.0, BTC: 100.0}).read(BEGIN).worst is None
