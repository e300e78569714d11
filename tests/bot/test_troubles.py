"""Failed calls to the exchange are heard from the host's exchange object."""

from __future__ import annotations

import asyncio

import pytest
from freqtrade.enums import CandleType, MarginMode, RunMode, TradingMode
from freqtrade.exceptions import (
    DDosProtection,
    InsufficientFundsError,
    InvalidOrderException,
    OperationalException,
    TemporaryError,
)
from freqtrade.exchange.common import retrier, retrier_async
from freqtrade.resolvers import ExchangeResolver

from quorum.bot.troubles import ORDER_METHODS, ErrorTally, OrderTrouble, listen


class Answers:
    """An exchange object whose calls fail as told, under the host's own retries."""

    name = "Answers"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def _answer(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    @retrier(retries=1)
    def fetch_ticker(self) -> str:
        return self._answer()

    @retrier(retries=0)
    def get_rates(self) -> str:
        return self.fetch_ticker()

    @retrier_async
    async def _async_get_candle_history(self) -> str:
        return self._answer()

    def create_order(self) -> str:
        return self._answer()

    def price_to_precision(self) -> str:
        return self._answer()


def heard(exchange: Answers) -> tuple[ErrorTally, OrderTrouble]:
    tally, trouble = ErrorTally(15.0), OrderTrouble()
    listen(exchange, tally.hear)
    listen(exchange, trouble.hear)
    return tally, trouble


def test_a_call_counts_once_it_is_given_up_and_for_its_window(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("quorum.bot.troubles.time.monotonic", lambda: clock[0])
    exchange = Answers(*(TemporaryError("timeout") for _ in range(3)))
    tally, trouble = heard(exchange)
    with pytest.raises(TemporaryError):
        exchange.fetch_ticker()
    assert (tally.count(), exchange.calls) == (1, 2)
    # The third is made up for by the retry.
    assert exchange.fetch_ticker() == "answer"
    assert tally.count() == 1
    assert not trouble.seen
    clock[0] += 15 * 60 + 1
    assert tally.count() == 0


def test_calls_that_call_each_other_count_once():
    exchange = Answers(*(TemporaryError("timeout") for _ in range(2)))
    tally, _ = heard(exchange)
    with pytest.raises(TemporaryError):
        exchange.get_rates()
    assert tally.count() == 1


def test_failed_candles_are_heard(monkeypatch):
    monkeypatch.setattr("freqtrade.exchange.common.calculate_backoff", lambda *_: 0)
    exchange = Answers(*(DDosProtection("slow down") for _ in range(9)))
    tally, trouble = heard(exchange)
    with pytest.raises(DDosProtection):
        asyncio.run(exchange._async_get_candle_history())
    assert tally.count() == 1
    assert not trouble.seen


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (TemporaryError("no answer"), 1),
        (InvalidOrderException("refused"), 0),
        (InsufficientFundsError("refused"), 0),
        (OperationalException("unknown"), 0),
    ],
)
def test_a_failed_order_is_a_trouble_whatever_the_answer(error, counted):
    exchange = Answers(error)
    tally, trouble = heard(exchange)
    with pytest.raises(type(error)):
        exchange.create_order()
    assert trouble.seen
    assert tally.count() == counted


def test_what_does_not_call_the_exchange_is_not_listened_to():
    exchange = Answers(TemporaryError("nothing to do with it"))
    tally, trouble = heard(exchange)
    with pytest.raises(TemporaryError):
        exchange.price_to_precision()
    assert tally.count() == 0
    assert not trouble.seen


def test_the_hosts_own_object_is_listened_to():
    config = {
        "runmode": RunMode.OTHER,
        "dry_run": True,
        "stake_currency": "USDT",
        "trading_mode": TradingMode.FUTURES,
        "margin_mode": MarginMode.ISOLATED,
        "candle_type_def": CandleType.FUTURES,
        "exchange": {"name": "binance"},
    }
    exchange = ExchangeResolver.load_exchange(config, validate=False)
    told: list[str] = []
    listen(exchange, lambda name, error: told.append(name))
    changed = set(vars(exchange)) & set(dir(type(exchange)))
    wanted = {"fetch_ticker", "fetch_l2_order_book", "get_balances", "_async_get_candle_history"}
    assert wanted | set(ORDER_METHODS) <= changed
    exchange.close()
