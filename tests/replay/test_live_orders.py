"""Orders on the live exchange, placed as a bot does it: through ccxt, signed, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ccxt
import numpy as np
import pandas as pd
import pytest

from quorum.replay.live.exchange import LiveSettings
from quorum.replay.live.service import LiveExchange

HOUR = 3_600_000
START = int(pd.Timestamp("2024-03-01", tz="UTC").timestamp() * 1000)
#: Hours of one pair: open, high, low, close.
HOURS = (
    (100.0, 101.0, 99.0, 100.0),
    (100.0, 110.0, 95.0, 105.0),  # rises: low first, then high
    (105.0, 106.0, 90.0, 92.0),  # falls: high first, then low
    (80.0, 85.0, 79.0, 84.0),  # opens 12 lower
    (84.0, 88.0, 83.0, 87.0),
    (87.0, 87.5, 86.5, 87.0),
    (87.0, 87.5, 86.5, 87.0),
    (87.0, 87.5, 86.5, 87.0),
    (87.0, 87.5, 86.5, 87.0),  # 08:00: funding is settled
    (87.0, 87.5, 50.0, 60.0),
    (60.0, 61.0, 59.0, 60.0),
)
PERP, SPOT = "X/USDT:USDT", "X/USDT"
ISOLATED = {"marginMode": "isolated"}


def write_market(folder: Path) -> Path:
    dates = pd.date_range("2024-03-01", periods=len(HOURS), freq="1h", tz="UTC")
    frame = pd.DataFrame(np.array(HOURS), columns=["open", "high", "low", "close"])
    frame.insert(0, "date", dates)
    # Amounts on a grid of hundredths tell the step.
    frame["volume"] = 1000.01 + np.arange(len(HOURS)) * 0.01
    futures = folder / "futures"
    futures.mkdir(parents=True)
    frame.to_feather(folder / "X_USDT-1h.feather")
    frame.to_feather(futures / "X_USDT_USDT-1h-futures.feather")
    rates = pd.DataFrame({"date": [dates[8]], "funding_rate": [0.001]})
    rates.to_feather(futures / "X_USDT_USDT-1h-funding_rate.feather")
    return folder


@dataclass
class Trader:
    """A ccxt client on the exchange's clock."""

    exchange: LiveExchange
    api: Any
    pair: str

    def at(self, hours: float) -> None:
        assert self.exchange.shared_clock is not None
        self.exchange.shared_clock.advance_to(START + round(hours * HOUR))

    def order(self, *arguments: Any, **parameters: Any) -> dict[str, Any]:
        kind, side, amount, price = (*arguments, None)[:4]
        return self.api.create_order(self.pair, kind, side, amount, price, parameters)

    def stop(self, side: str, amount: float, price: float) -> dict[str, Any]:
        return self.order("stop_market", side, amount, stopPrice=price, reduceOnly=True)

    def fetch(self, order: dict[str, Any], **parameters: Any) -> dict[str, Any]:
        return self.api.fetch_order(order["id"], self.pair, parameters)

    def fault(self, **description: Any) -> None:
        self.exchange.exchange.faults.add(description)


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("orders") / "market")


def trader(datadir: Path, pair: str, **settings: Any) -> Iterator[Trader]:
    fees = {
        "futures_maker": 0.001,
        "futures_taker": 0.002,
        "spot_maker": 0.001,
        "spot_taker": 0.002,
    }
    with LiveExchange(
        datadir, START, 0.0, settings=LiveSettings(wallet=10_000.0, **fees, **settings)
    ) as exchange:
        mode = "futures" if ":" in pair else "spot"
        overlay = exchange.config_overlay(mode, orders=True)["exchange"]  # type: ignore[arg-type]
        api = ccxt.binance({**overlay["ccxt_config"], "timeout": 2000})
        api.apiKey, api.secret = overlay["key"], overlay["secret"]
        api.options["defaultType"] = "swap" if mode == "futures" else "spot"
        api.milliseconds = api.nonce = exchange.exchange.clock.now
        yield Trader(exchange, api, pair)


@pytest.fixture
def perp(datadir: Path) -> Iterator[Trader]:
    yield from trader(datadir, PERP)


@pytest.fixture
def spot(datadir: Path) -> Iterator[Trader]:
    yield from trader(datadir, SPOT)


def test_a_market_order_fills_at_the_price_and_pays_the_taker_fee(perp: Trader):
    order = perp.order("market", "buy", 10.0)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 10.0, 100.0)
    (fill,) = perp.api.fetch_my_trades(PERP)
    assert fill["fee"] == {"cost": 10 * 100 * 0.002, "currency": "USDT"}
    assert fill["takerOrMaker"] == "taker"
    (position,) = perp.api.fetch_positions()
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 10, 100)


def test_a_limit_order_rests_until_the_path_reaches_it_and_fills_at_its_price(perp: Trader):
    order = perp.order("limit", "buy", 10.0, 96.0)
    perp.at(1.1)
    assert perp.fetch(order)["status"] == "open"
    perp.at(2.0)
    done = perp.fetch(order)
    assert (done["status"], done["average"]) == ("closed", 96.0)
    (fill,) = perp.api.fetch_my_trades(PERP)
    assert fill["takerOrMaker"] == "maker"
    # The hour falls from 100 at its beginning to 95 at a fifth of it.
    assert fill["timestamp"] == pytest.approx(START + (1 + 0.2 * 4 / 5) * HOUR, abs=1000)


def test_a_limit_order_outside_the_candle_never_fills(perp: Trader):
    low, high = perp.order("limit", "buy", 1, 49.0), perp.order("limit", "sell", 1, 110.5)
    perp.at(11)
    assert [perp.fetch(order)["status"] for order in (low, high)] == ["open", "open"]


@pytest.mark.parametrize("looks", [1, 7, 100])
def test_how_often_the_bot_looks_changes_nothing(datadir: Path, looks: int):
    for one in trader(datadir, PERP):
        one.order("market", "buy", 10.0)
        one.order("limit", "sell", 5.0, 108.0, reduceOnly=True)
        one.stop("sell", 10.0, 91.0)
        for look in range(1, looks + 1):
            one.at(11 * look / looks)
            one.api.fetch_open_orders(PERP)
        fills = one.api.fetch_my_trades(PERP)
        assert [(f["amount"], f["price"]) for f in fills] == [(10, 100), (5, 108), (5, 91)]
        assert one.api.fetch_positions() == []


def test_the_side_of_the_candle_that_comes_first_decides(perp: Trader):
    perp.at(1)
    perp.order("market", "buy", 10.0)
    stop = perp.stop("sell", 10.0, 96.0)
    target = perp.order("limit", "sell", 10.0, 109.0, reduceOnly=True)
    perp.at(2)
    # A rising hour visits its low first.
    assert perp.fetch(stop, stop=True)["status"] == "closed"
    assert perp.fetch(target)["status"] == "expired"


def test_a_stop_places_an_order_that_fills_at_the_stop(perp: Trader):
    perp.order("market", "buy", 10.0)
    stop = perp.stop("sell", 10.0, 96.0)
    assert perp.api.fetch_open_orders(PERP, params={"stop": True})[0]["id"] == stop["id"]
    perp.at(2)
    told = perp.fetch(stop, stop=True)
    placed = perp.api.fetch_order(told["info"]["actualOrderId"], PERP)
    assert (placed["status"], placed["average"], placed["filled"]) == ("closed", 96.0, 10.0)


def test_a_stop_that_is_jumped_over_fills_at_the_open(perp: Trader):
    perp.at(2.99)
    perp.order("market", "buy", 10.0)
    stop = perp.stop("sell", 10.0, 90.0)
    perp.at(3.5)
    placed = perp.fetch(stop, stop=True)["info"]["actualOrderId"]
    assert perp.api.fetch_order(placed, PERP)["average"] == 80.0


def test_a_stop_of_a_short_triggers_on_the_way_up(perp: Trader):
    perp.order("market", "sell", 10.0)
    stop = perp.stop("buy", 10.0, 107.0)
    perp.at(2)
    placed = perp.fetch(stop, stop=True)["info"]["actualOrderId"]
    assert perp.api.fetch_order(placed, PERP)["average"] == 107.0


def test_a_stop_that_would_trigger_at_once_is_refused(perp: Trader):
    perp.order("market", "buy", 10.0)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        perp.stop("sell", 10.0, 101.0)


def test_canceled_is_canceled(perp: Trader):
    order = perp.order("limit", "buy", 10.0, 96.0)
    assert perp.api.cancel_order(order["id"], PERP)["status"] == "canceled"
    perp.at(2)
    assert perp.fetch(order)["filled"] == 0
    with pytest.raises(ccxt.OrderNotFound):
        perp.api.cancel_order(order["id"], PERP)
    stop = perp.order("stop_market", "sell", 10.0, stopPrice=90.0)
    perp.api.cancel_order(stop["id"], PERP, {"stop": True})
    assert perp.fetch(stop, stop=True)["status"] == "canceled"


def test_money_adds_up(perp: Trader):
    perp.order("market", "buy", 10.0)  # at 100
    perp.order("limit", "sell", 10.0, 108.0, reduceOnly=True)
    perp.at(2)
    balance = perp.api.fetch_balance()["USDT"]
    assert balance["total"] == pytest.approx(10_000 + 80 - 1000 * 0.002 - 1080 * 0.001)
    assert balance["free"] == balance["total"]


def test_a_long_pays_positive_funding_once(perp: Trader):
    perp.at(5)
    perp.order("market", "buy", 10.0)
    before = perp.api.fetch_balance()["USDT"]["total"]
    perp.at(9)
    (paid,) = perp.api.fetch_funding_history(PERP)
    assert paid["amount"] == pytest.approx(-10 * 87.0 * 0.001)
    assert paid["timestamp"] == START + 8 * HOUR
    assert perp.api.fetch_balance()["USDT"]["total"] == pytest.approx(before + paid["amount"])


def test_a_position_without_margin_is_liquidated(perp: Trader):
    perp.at(8)
    perp.api.set_margin_mode("isolated", PERP)
    perp.api.set_leverage(5, PERP)
    perp.order("market", "buy", 100.0)
    (position,) = perp.api.fetch_positions()
    price = position["liquidationPrice"]
    assert 87 * 0.8 < price < 87 * 0.82
    perp.at(10)
    assert perp.api.fetch_positions() == []
    assert perp.api.fetch_my_trades(PERP)[-1]["price"] == pytest.approx(price)


def test_what_the_account_cannot_pay_is_refused(perp: Trader):
    perp.api.set_leverage(1, PERP)
    with pytest.raises(ccxt.InsufficientFunds):
        perp.order("market", "buy", 101.0)
    with pytest.raises(ccxt.InvalidOrder):
        perp.order("limit", "buy", 1.0, 101.0, timeInForce="GTX")
    with pytest.raises(ccxt.InvalidOrder):
        perp.order("market", "sell", 1.0, reduceOnly=True)
    with pytest.raises(ccxt.InvalidOrder):
        perp.order("limit", "buy", 0.01, 90.0)


def test_an_order_that_only_reduces_never_turns_a_position(perp: Trader):
    perp.order("market", "buy", 10.0)
    target = perp.order("limit", "sell", 15.0, 108.0, reduceOnly=True)
    perp.at(2)
    assert perp.fetch(target)["filled"] == 10.0
    assert perp.api.fetch_positions() == []


def test_a_stop_for_more_than_is_left_is_cut_to_it(perp: Trader):
    perp.order("market", "buy", 10.0)
    stop = perp.stop("sell", 10.0, 96.0)
    perp.order("market", "sell", 7.0, reduceOnly=True)
    perp.at(2)
    placed = perp.fetch(stop, stop=True)["info"]["actualOrderId"]
    done = perp.api.fetch_order(placed, PERP)
    assert (done["status"], done["amount"], done["filled"]) == ("closed", 3.0, 3.0)


def test_the_same_client_id_is_no_second_order(perp: Trader):
    perp.order("limit", "buy", 1.0, 90.0, newClientOrderId="mine")
    with pytest.raises(ccxt.ExchangeError, match="duplicated"):
        perp.order("limit", "buy", 1.0, 90.0, newClientOrderId="mine")


def test_only_the_owner_of_the_key_may_trade(perp: Trader):
    perp.api.load_markets()
    perp.api.secret = "0" * 64
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        perp.api.fetch_balance()
    perp.api.apiKey = "0" * 64
    with pytest.raises(ccxt.AuthenticationError, match="-2014"):
        perp.order("market", "buy", 1.0)


def test_a_request_from_another_time_is_refused(perp: Trader):
    perp.api.nonce = lambda: START - 60_000
    with pytest.raises(ccxt.InvalidNonce):
        perp.api.fetch_balance()


def test_a_part_is_filled_and_the_rest_later(perp: Trader):
    perp.fault(kind="partial_fill", share=0.3, seconds=1800, count=1)
    order = perp.order("market", "buy", 10.0)
    assert (order["status"], order["filled"]) == ("open", 3.0)
    perp.at(0.4)
    assert perp.fetch(order)["filled"] == 3.0
    perp.at(0.8)
    assert perp.fetch(order)["status"] == "closed"
    assert len(perp.api.fetch_my_trades(PERP)) == 2


def test_the_rest_of_a_part_can_be_canceled(perp: Trader):
    perp.fault(kind="partial_fill", share=0.3, seconds=1800, count=1)
    order = perp.order("market", "buy", 10.0)
    perp.api.cancel_order(order["id"], PERP)
    perp.at(2)
    done = perp.fetch(order)
    assert (done["status"], done["filled"]) == ("canceled", 3.0)
    assert perp.api.fetch_positions()[0]["contracts"] == 3.0


def test_a_spike_moves_the_book_and_fills_what_it_reaches(perp: Trader):
    order = perp.order("limit", "sell", 1.0, 120.0)
    edges = {"start": START + HOUR // 2, "end": START + HOUR // 2 + 60_000}
    perp.fault(kind="spike", factor=1.25, symbol="XUSDT", **edges)
    perp.at(0.501)
    assert perp.api.fetch_order_book(PERP)["bids"][0][0] > 120
    perp.at(0.6)
    assert perp.api.fetch_order_book(PERP)["bids"][0][0] < 102
    assert perp.fetch(order)["average"] == 120.0


def test_a_spot_purchase_pays_its_fee_in_the_coin(spot: Trader):
    order = spot.order("limit", "buy", 10.0, 96.0)
    assert spot.api.fetch_balance()["USDT"] == {"free": 9040.0, "used": 960.0, "total": 10_000.0}
    spot.at(2)
    assert spot.fetch(order)["status"] == "closed"
    balance = spot.api.fetch_balance()
    assert balance["X"]["free"] == pytest.approx(10 * 0.999)
    assert balance["USDT"] == {"free": 9040.0, "used": 0.0, "total": 9040.0}
    with pytest.raises(ccxt.InsufficientFunds):
        spot.order("market", "sell", 10.0)


def test_a_spot_stop_becomes_a_limit_order_when_it_triggers(spot: Trader):
    spot.order("market", "buy", 10.0)
    stop = spot.order("stop_loss_limit", "sell", 9.0, 95.5, stopPrice=96.0)
    assert stop["status"] == "open"
    spot.at(2)
    done = spot.fetch(stop)
    assert done["status"] == "closed"
    assert 95.5 <= done["average"] <= 96.0
