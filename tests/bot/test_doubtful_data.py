"""Entries pause where the data of a pair is doubtful."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from freqtrade.enums import TradingMode
from host_trades import BEGIN, HOUR, SOL, kept_in, table
from test_guards_watch import watch_on

from quorum.bot.account import AccountReader
from quorum.guards import Permission, Reason


@pytest.fixture(autouse=True)
def _no_trades():
    yield from kept_in("memory")


def ask(watch, at: datetime) -> Permission:
    return watch.permit(SOL, "long", at, notional=1000.0, price=100.0, stop=98.0, target=106.0)


def watch_of(volume, *, rate: float | None = None, **guards):
    """Watch a pair that closed at 100 with an ATR of 1, now quoted at ``rate``."""
    close = np.full(len(volume), 100.0)
    tables = {SOL: table(close, volume=np.asarray(volume, dtype=float))}
    watch = watch_on(tables, **guards)
    watch._desk.rates = {} if rate is None else {SOL: rate}
    return watch, BEGIN + len(volume) * HOUR + timedelta(seconds=2)


def test_a_price_far_from_the_last_close_is_a_spike():
    for rate, reason in ((103.1, Reason.PRICE_SPIKE), (96.9, Reason.PRICE_SPIKE), (102.9, None)):
        watch, now = watch_of([1.0] * 60, rate=rate)
        assert ask(watch, now).reason is reason


def test_a_spike_is_judged_by_the_setting():
    watch, now = watch_of([1.0] * 60, rate=103.1, system={"max_jump": 4.0})
    assert ask(watch, now).allowed
    watch, now = watch_of([1.0] * 60, rate=110.0, system={"enabled": False})
    assert ask(watch, now).allowed


def test_too_many_candles_without_trades_are_missing_data():
    volume = np.ones(60)
    volume[[30, 40, 50]] = 0.0
    watch, now = watch_of(volume)
    assert ask(watch, now).allowed
    volume[55] = 0.0
    watch, now = watch_of(volume)
    assert ask(watch, now).reason is Reason.MISSING_DATA


def test_holes_further_back_than_the_window_do_not_count():
    volume = np.ones(100)
    volume[:76] = 0.0
    watch, now = watch_of(volume)
    assert ask(watch, now).allowed


@pytest.mark.parametrize("mode", [TradingMode.FUTURES, TradingMode.SPOT])
def test_a_balance_the_exchange_does_not_tell_is_unknown_not_a_loss_of_everything(mode):
    total = 1000.0
    wallets = SimpleNamespace(get_total=lambda _: total, get_free=lambda _: total)
    config = {"dry_run": False, "stake_currency": "USDT", "trading_mode": mode}
    reader = AccountReader(lambda: wallets, lambda pair, at: 100.0, config)
    assert reader.read(BEGIN).equity == 1000.0
    total = 0.0
    assert math.isnan(reader.read(BEGIN).equity)


def test_a_table_without_volume_or_quote_refuses_nothing():
    watch = watch_on({SOL: table(np.full(60, 100.0))})
    assert ask(watch, BEGIN + 60 * HOUR).allowed
