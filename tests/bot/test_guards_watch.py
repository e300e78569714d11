"""Watch: the guards behind the host's callbacks."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from freqtrade.enums import RunMode, TradingMode
from freqtrade.exceptions import OperationalException
from freqtrade.persistence import Trade
from host_trades import BEGIN, BTC, HOUR, SOL, STEP, close_trade, kept_in, open_trade, order, table

from quorum.bot.state_store import state_url
from quorum.bot.watch import Watch
from quorum.candles import Candles
from quorum.guards import Reason, SqlStore, State, rearm
from quorum.settings import load_settings


class Messages:
    """The host's data provider as far as Watch knows it."""

    def __init__(self, runmode):
        self.runmode, self.sent = runmode, []
        self._exchange = SimpleNamespace()
        self.book = {"bids": [[99.0, 1.0]], "asks": [[99.1, 1.0]]}

    def send_msg(self, text, *, always_send=False):
        self.sent.append(text)

    def orderbook(self, pair, maximum):
        if self.book is None:
            raise OperationalException("no connection")
        return self.book


def watch_on(
    tables, *, runmode=RunMode.BACKTEST, folder=None, reference=None, state=None, **guards
) -> Watch:
    config = {
        "stake_currency": "USDT",
        "dry_run": True,
        "dry_run_wallet": 100_000,
        "trading_mode": TradingMode.FUTURES,
        "runmode": runmode,
    }
    if folder is not None:
        config["db_url"] = f"sqlite:///{folder / 'trades.sqlite'}"
    strategy = SimpleNamespace(dp=Messages(runmode), config=config, wallets=None)
    settings = load_settings({"guards": guards, "state": {"url": state}})
    desk = SimpleNamespace(
        settings=settings,
        tables=tables,
        step=STEP,
        rates={},
        vetoes=SimpleNamespace(),
        reference=reference,
    )
    return Watch(strategy, desk)


@pytest.fixture(params=["memory", "database"])
def storage(request):
    yield from kept_in(request.param)


@pytest.fixture
def memory():
    yield from kept_in("memory")


# The watch --------------------------------------------------------------------------------


def ask(watch, at, pair=SOL, side="long", price=100.0, notional=1000.0):
    sign = -1 if side == "short" else 1
    return watch.permit(
        pair, side, at, notional=notional, price=price, stop=price - sign, target=price + sign
    )


def test_a_floating_loss_halts_and_closes_all_trades(memory):
    close = np.full(50, 100.0)
    close[20:] = 50.0
    watch = watch_on({SOL: table(close), BTC: table(np.full(50, 9.0))})
    trade = open_trade(amount=110.0)
    watch.on_candle(BEGIN + 20 * HOUR)
    assert watch.must_close(trade) is None
    watch.on_candle(BEGIN + 21 * HOUR)
    assert watch.must_close(trade) == "emergency_shutdown"
    assert ask(watch, BEGIN + 21 * HOUR).reason is Reason.EMERGENCY_SHUTDOWN
    assert [t.after for t in watch.transitions] == [State.HALTED]
    assert watch.refused == {"emergency_shutdown": 1}


@pytest.mark.parametrize("runmode", [RunMode.BACKTEST, RunMode.DRY_RUN])
def test_a_fall_within_a_candle_halts_by_its_low_or_while_it_is_seen(runmode, storage, tmp_path):
    low = np.full(50, 100.0)
    low[20] = 90.0
    tables = {SOL: table(np.full(50, 100.0), low=low), BTC: table(np.full(50, 9.0))}
    watch = watch_on(tables, runmode=runmode, folder=tmp_path)
    trade, opened = open_trade(amount=600.0), BEGIN + 20 * HOUR
    watch.on_candle(opened)
    for minute in range(1, 4):
        # The host hands over rates in a backtest too: those of a candle that is not closed yet.
        watch.saw(SOL, opened + timedelta(minutes=minute), 90.0)
        watch.on_candle(opened + timedelta(minutes=minute + 0.5))
        live = runmode is RunMode.DRY_RUN and minute > 1
        assert watch.must_close(trade) == ("emergency_shutdown" if live else None)
    watch.on_candle(opened + HOUR)
    assert watch.must_close(trade) == "emergency_shutdown"


def test_every_run_of_an_optimiser_starts_clean(memory):
    close = np.full(50, 100.0)
    close[20:] = 50.0
    watch = watch_on({SOL: table(close)})
    for _ in range(2):
        Trade.reset_trades()
        trade = open_trade(amount=110.0)
        watch.on_candle(BEGIN + 20 * HOUR)
        assert watch.guards.state is State.ACTIVE
        assert watch.must_close(trade) is None
        watch.on_candle(BEGIN + 21 * HOUR)
        assert watch.guards.state is State.HALTED
    # A window that begins later is a new run as well.
    Trade.reset_trades()
    watch.on_candle(BEGIN + 30 * HOUR)
    assert watch.guards.state is State.ACTIVE


def test_a_black_swan_of_the_reference_refuses_the_entries_of_one_hour(memory):
    low = np.full(50, 100.0)
    low[10] = 89.0
    tables = {SOL: table(np.full(50, 100.0)), BTC: table(np.full(50, 100.0), low=low)}
    watch = watch_on(tables)
    found = []
    for hour in range(9, 14):
        watch.on_candle(BEGIN + hour * HOUR)
        found.append(ask(watch, BEGIN + hour * HOUR).reason)
    assert found == [None, None, Reason.BLACK_SWAN, None, None]
    del tables[BTC]
    watch.on_candle(BEGIN + 11 * HOUR)
    assert ask(watch, BEGIN + 11 * HOUR).allowed, "without a reference nothing is known"


def reference_of(low, high=None, rows=50) -> Candles:
    flat = np.full(rows, 100.0)
    time = int(BEGIN.timestamp() * 1000) + STEP * np.arange(rows)
    return Candles("1h", time, flat, flat if high is None else high, low, flat, flat)


def test_the_reference_need_not_be_traded(memory):
    low, high = np.full(50, 100.0), np.full(50, 100.0)
    low[30], high[35] = 89.0, 99.0
    watch = watch_on({SOL: table(np.full(60, 100.0))}, reference=reference_of(low, high))
    found = []
    for hour in (29, 30, 31, 32, 36, 50, 53):
        watch.on_candle(BEGIN + hour * HOUR)
        found.append(ask(watch, BEGIN + hour * HOUR).reason)
    swan, crossed, stale = Reason.BLACK_SWAN, Reason.CROSSED_DATA, Reason.STALE_DATA
    assert found == [None, None, swan, None, crossed, None, stale]


def test_data_that_has_grown_old_refuses_entries(memory):
    tables = {SOL: table(np.full(20, 100.0)), BTC: table(np.full(40, 100.0))}
    watch = watch_on(tables)
    for hours, reason in ((22, None), (23, Reason.STALE_DATA)):
        watch.on_candle(BEGIN + hours * HOUR)
        assert ask(watch, BEGIN + hours * HOUR).reason is reason
    assert ask(watch, BEGIN + 23 * HOUR, pair="ETH/USDT:USDT").reason is Reason.STALE_DATA
    watch.on_candle(BEGIN + 43 * HOUR)
    assert watch.guards.state is State.REDUCING


def test_an_entry_too_alike_the_open_trades_is_refused_and_its_hedge_is_not(memory):
    rng = np.random.default_rng(3)
    path = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, 800)))
    other = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, 800)))
    tables = {SOL: table(path), BTC: table(path), "ETH/USDT:USDT": table(other)}
    watch = watch_on(tables)
    open_trade(pair=BTC, amount=1.0, rate=path[750])
    at = BEGIN + 780 * HOUR
    watch.on_candle(at)
    assert ask(watch, at).reason is Reason.MAX_CORRELATION
    assert ask(watch, at, side="short").allowed
    assert ask(watch, at, pair="ETH/USDT:USDT").allowed


def test_whatever_fails_inside_refuses_and_does_not_raise(memory, monkeypatch, caplog):
    watch = watch_on({SOL: table(np.full(50, 100.0))})
    at = BEGIN + 10 * HOUR

    def broken(*_):
        raise RuntimeError("no account")

    with monkeypatch.context() as patch:
        patch.setattr(watch.account, "read", broken)
        with caplog.at_level(logging.ERROR):
            watch.on_candle(at)
            answer = ask(watch, at)
    assert (answer.allowed, answer.reason) == (False, Reason.GUARD_FAILED)
    assert "no account" in answer.detail
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1
    assert ask(watch, at).allowed


def test_turned_off_the_account_is_not_even_read(memory, monkeypatch):
    watch = watch_on({}, preset="off")
    monkeypatch.setattr(watch.account, "read", None)
    watch.on_candle(BEGIN)
    assert ask(watch, BEGIN, notional=1e12).allowed


def test_resting_entries_are_withdrawn_when_entries_end_and_rungs_when_all_is_closed(memory):
    watch = watch_on({SOL: table(np.full(50, 100.0))})
    trade = open_trade()
    entry = order(trade, "buy", 1.0, 90.0, filled=False)
    rung = order(trade, "sell", 1.0, 130.0, filled=False, tag="target_1")
    leaving = order(trade, "sell", 1.0, 90.0, filled=False, tag="emergency_shutdown")
    from quorum.exits.management import LADDER_TAG

    rung.ft_order_tag = f"{LADDER_TAG}1"
    watch.on_candle(BEGIN + 10 * HOUR)
    orders = (entry, rung, leaving)
    assert [watch.withdraws(trade, o) for o in orders] == [False, False, False]
    watch.guards.ledger.day_stopped = True
    watch.on_candle(BEGIN + 11 * HOUR)
    assert [watch.withdraws(trade, o) for o in orders] == [True, False, False]
    watch.guards.ledger.peak = 200_000.0
    watch.on_candle(BEGIN + 12 * HOUR)
    assert [watch.withdraws(trade, o) for o in orders] == [True, True, False]


# A bot ------------------------------------------------------------------------------------


@pytest.fixture
def database():
    yield from kept_in("database")


def test_a_bot_halts_on_disk_tells_of_it_and_goes_on_after_a_restart(database, tmp_path):
    close = np.full(50, 100.0)
    close[20:] = 50.0
    tables = {SOL: table(close)}
    watch = watch_on(tables, runmode=RunMode.DRY_RUN, folder=tmp_path)
    trade = open_trade(amount=110.0)
    watch.on_candle(BEGIN + 20 * HOUR)
    watch.on_candle(BEGIN + 21 * HOUR)
    assert watch.must_close(trade) == "emergency_shutdown"
    (told,) = watch._strategy.dp.sent
    assert "active -> halted (emergency shutdown)" in told
    assert "drawdown from peak 5.50 of 5 %" in told
    again = watch_on({}, runmode=RunMode.DRY_RUN, folder=tmp_path)
    again.on_candle(BEGIN + 22 * HOUR)
    assert again.must_close(trade) == "emergency_shutdown", "before any pair is analysed"
    store = SqlStore(f"sqlite:///{tmp_path / 'trades.quorum.sqlite'}", "freqtrade")
    rearm(store, "looked at it")
    close_trade(trade, -5500.0, BEGIN + 23 * HOUR)
    again.on_candle(BEGIN + 45 * HOUR)
    assert again.must_close(trade) is None
    assert "halted -> active (rearmed)" in again._strategy.dp.sent[-1]
    assert ask(again, BEGIN + 45 * HOUR).reason is not None, "a pair that was not analysed"


def test_a_bot_whose_state_cannot_be_kept_refuses_and_tells_why(database, tmp_path):
    watch = watch_on(
        {SOL: table(np.full(50, 100.0))}, runmode=RunMode.DRY_RUN, folder=tmp_path / "missing"
    )
    for hour in (10, 11):
        watch.on_candle(BEGIN + hour * HOUR)
    assert ask(watch, BEGIN + 11 * HOUR).reason is Reason.STORE_UNAVAILABLE
    (told,) = watch._strategy.dp.sent
    assert "refuse entries (store unavailable)" in told
    assert "unable to open database file" in told


def test_a_crossed_order_book_and_repeated_exchange_errors_refuse_entries(database, tmp_path):
    watch = watch_on({SOL: table(np.full(50, 100.0))}, runmode=RunMode.DRY_RUN, folder=tmp_path)
    provider, at = watch._strategy.dp, BEGIN + 10 * HOUR
    watch.on_candle(at)
    assert ask(watch, at).allowed
    provider.book = {"bids": [[99.2, 1.0]], "asks": [[99.1, 1.0]]}
    assert ask(watch, at).reason is Reason.CROSSED_DATA
    provider.book = {"bids": [[99.0, 1.0]], "asks": [[99.9, 1.0]]}
    assert ask(watch, at).reason is Reason.WIDE_SPREAD
    provider.book = None
    answers = [ask(watch, at).reason for _ in range(6)]
    assert answers == [None] * 5 + [Reason.EXCHANGE_ERRORS]


@pytest.mark.parametrize(
    ("config", "own", "url"),
    [
        ({"dry_run": True}, None, "sqlite:///tradesv3.dryrun.quorum.sqlite"),
        ({"dry_run": False}, None, "sqlite:///tradesv3.quorum.sqlite"),
        ({"db_url": "sqlite:////data/a.sqlite"}, None, "sqlite:////data/a.quorum.sqlite"),
        ({"db_url": "sqlite://"}, None, None),
        ({"db_url": "postgresql://me:pw@host/db"}, None, "postgresql+psycopg://me:pw@host/db"),
        ({"db_url": "sqlite:///a.sqlite"}, "sqlite:///own.sqlite", "sqlite:///own.sqlite"),
    ],
)
def test_the_state_is_kept_beside_the_trades(config, own, url):
    assert state_url(config, load_settings({"state": {"url": own}})) == url


def test_a_database_that_is_none_stops_the_bot_with_the_hosts_error(tmp_path):
    with pytest.raises(OperationalException, match=r"state\.url"):
        watch_on({}, runmode=RunMode.DRY_RUN, folder=tmp_path, state="nonsense")


def test_a_plot_has_no_account_to_guard(monkeypatch, caplog):
    monkeypatch.delattr(Trade, "session", raising=False)
    watch = watch_on({SOL: table(np.full(50, 100.0))}, runmode=RunMode.PLOT)
    watch.on_candle(BEGIN + 10 * HOUR)
    assert watch.guards.ledger.equity is None
    assert "guards failed" not in caplog.text
