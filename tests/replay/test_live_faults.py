"""Faults of the live exchange as a client meets them, and the endpoint that controls them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, IncompleteRead
from pathlib import Path
from typing import Any

import ccxt
import pytest
from test_live_orders import HOUR, PERP, START, Trader, trader, write_market

from quorum.errors import DataError
from quorum.replay.live.exchange import LiveSettings
from quorum.replay.live.service import LiveExchange


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("faults") / "market")


@pytest.fixture
def perp(datadir: Path) -> Iterator[Trader]:
    for one in trader(datadir, PERP):
        one.api.load_markets()
        yield one


def call(
    exchange: LiveExchange, method: str, path: str, body: Any = None, timeout: float = 5.0
) -> tuple[int, Any, dict[str, str]]:
    connection = HTTPConnection("127.0.0.1", exchange.port, timeout=timeout)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.getheaders())
    finally:
        connection.close()


def served(perp: Trader) -> dict[str, int]:
    return call(perp.exchange, "GET", "/quorum/faults")[1]["served"]


def test_too_many_requests_say_when_to_come_back(perp: Trader):
    perp.fault(kind="rate_limit", path="ticker", seconds=7, count=1)
    status, body, headers = call(perp.exchange, "GET", "/fapi/v1/ticker/24hr?symbol=XUSDT")
    assert (status, body["code"], headers["Retry-After"]) == (429, -1003, "7")
    assert perp.api.fetch_ticker(PERP)["last"] == 100.0
    assert served(perp) == {"rate_limit": 1}


def test_each_fault_is_the_error_that_the_real_thing_would_be(perp: Trader):
    perp.api.timeout = 300
    expected: dict[str, type[Exception]] = {
        "rate_limit": ccxt.DDoSProtection,
        "server_error": ccxt.OperationFailed,
        "timeout": ccxt.NetworkError,
    }
    for kind, error in expected.items():
        perp.fault(kind=kind, count=1, seconds=1)
        with pytest.raises(error):
            perp.api.fetch_order_book(PERP)
    assert served(perp) == dict.fromkeys(expected, 1)


def test_an_answer_cut_short_is_no_json(perp: Trader):
    perp.fault(kind="truncated", count=1, breaks=False)
    with pytest.raises(json.JSONDecodeError):
        call(perp.exchange, "GET", "/fapi/v1/depth?symbol=XUSDT")
    perp.fault(kind="truncated", count=1)
    with pytest.raises(IncompleteRead):
        call(perp.exchange, "GET", "/fapi/v1/depth?symbol=XUSDT")
    assert call(perp.exchange, "GET", "/fapi/v1/depth?symbol=XUSDT")[0] == 200


def test_latency_is_real(perp: Trader):
    perp.fault(kind="latency", seconds=0.3, count=1)
    began = time.monotonic()
    perp.api.fetch_order_book(PERP)
    assert time.monotonic() - began > 0.3


def test_an_answer_cut_short_hides_the_order_that_was_placed(perp: Trader):
    perp.fault(kind="truncated", path="/order", method="POST", count=1, breaks=False)
    # ccxt takes what is no JSON for text, in which it finds nothing.
    assert perp.order("limit", "buy", 1.0, 90.0, newClientOrderId="hidden")["id"] is None
    (order,) = perp.api.fetch_open_orders(PERP)
    assert order["clientOrderId"] == "hidden"


@pytest.mark.parametrize("kind", ["timeout", "server_error", "truncated"])
def test_an_order_whose_answer_is_lost_may_have_been_placed(perp: Trader, kind: str):
    perp.api.timeout = 500
    perp.fault(kind=kind, path="/order", method="POST", executed=True, seconds=1, count=1)
    with pytest.raises(ccxt.BaseError):
        perp.order("limit", "buy", 1.0, 90.0, newClientOrderId="lost")
    (order,) = perp.api.fetch_open_orders(PERP)
    assert order["clientOrderId"] == "lost"


def test_an_order_that_never_arrived_was_not_placed(perp: Trader):
    perp.fault(kind="server_error", path="/order", count=1)
    with pytest.raises(ccxt.OperationFailed):
        perp.order("limit", "buy", 1.0, 90.0)
    assert perp.api.fetch_open_orders(PERP) == []


@pytest.mark.parametrize(
    ("code", "error"), [(-2010, ccxt.InvalidOrder), (-2019, ccxt.InsufficientFunds)]
)
def test_orders_are_rejected_conditional_ones_too(perp: Trader, code: int, error: type):
    perp.fault(kind="reject_order", code=code, count=2)
    with pytest.raises(error):
        perp.order("market", "buy", 1.0)
    with pytest.raises(error):
        perp.order("stop_market", "sell", 1.0, stopPrice=90.0)
    assert perp.order("market", "buy", 1.0)["status"] == "closed"


def test_stale_candles_end_early(perp: Trader):
    perp.at(5.5)
    fresh = perp.api.fetch_ohlcv(PERP, "1h")
    perp.fault(kind="stale", path="klines", seconds=2 * 3600)
    assert perp.api.fetch_ohlcv(PERP, "1h")[-1][0] == fresh[-1][0] - 2 * HOUR
    assert perp.api.fetch_ticker(PERP)["last"] == 87.0


def test_missing_candles_are_not_there(perp: Trader):
    perp.at(10)
    complete = perp.api.fetch_ohlcv(PERP, "1h")
    perp.fault(kind="missing", share=0.4)
    thin = perp.api.fetch_ohlcv(PERP, "1h")
    assert 0 < len(thin) < len(complete)
    assert [row for row in complete if row in thin] == thin


@pytest.mark.parametrize(("behind", "seconds"), [(False, 30), (True, 30)])
def test_a_skewed_clock_tells_and_judges_another_time(perp: Trader, behind: bool, seconds: int):
    perp.fault(kind="clock_skew", seconds=seconds, behind=behind)
    assert perp.api.fetch_time() == START + seconds * (-1000 if behind else 1000)
    with pytest.raises(ccxt.InvalidNonce):
        perp.api.fetch_balance()


def test_a_rate_befalls_about_that_share_of_requests(perp: Trader):
    perp.fault(kind="server_error", rate=0.3, path="ping")
    failed = sum(call(perp.exchange, "GET", "/fapi/v1/ping")[0] == 503 for _ in range(200))
    assert 35 <= failed <= 85
    assert served(perp) == {"server_error": failed}


def test_faults_come_and_go_by_the_exchange_clock(perp: Trader):
    perp.fault(kind="server_error", path="ping", start=START + HOUR, end=START + 2 * HOUR)
    seen = []
    for hours in (0.5, 1.0, 1.9, 2.0):
        perp.at(hours)
        seen.append(call(perp.exchange, "GET", "/fapi/v1/ping")[0])
    assert seen == [200, 503, 503, 200]


def test_faults_are_scripted_over_http(perp: Trader):
    faults = [{"kind": "server_error", "path": "ping"}, {"kind": "latency", "seconds": 0}]
    status, body, _ = call(perp.exchange, "POST", "/quorum/faults", faults)
    assert (status, body) == (200, {"added": [1, 2]})
    assert call(perp.exchange, "GET", "/fapi/v1/ping")[0] == 503
    active = call(perp.exchange, "DELETE", "/quorum/faults?id=1")[1]["active"]
    assert active == {"2": {"kind": "latency", "seconds": 0.0, "used": 1}}
    assert call(perp.exchange, "GET", "/fapi/v1/ping")[0] == 200


def test_the_clock_is_moved_over_http(perp: Trader):
    wanted = {"advance_to": START + 5000, "speed": 0}
    told = call(perp.exchange, "POST", "/quorum/clock", wanted)[1]
    assert (told["now"], told["speed"]) == (START + 5000, 0.0)
    assert perp.api.fetch_time() == START + 5000


@pytest.mark.parametrize("body", [{"kind": "flood"}, {"kind": "latency", "rate": 2}, 7, [3]])
def test_a_fault_that_makes_no_sense_is_refused(perp: Trader, body: Any):
    status, told, _ = call(perp.exchange, "POST", "/quorum/faults", body)
    assert status == 400
    assert told["msg"]


def test_the_account_is_told_to_who_drills(perp: Trader):
    perp.order("market", "buy", 1.0)
    told = call(perp.exchange, "GET", "/quorum/account")[1]["futures"]
    assert told["positions"]["XUSDT"]["amount"] == 1.0
    assert [order["status"] for order in told["orders"]] == ["FILLED"]
    assert len(told["executions"]) == 1


def test_it_listens_on_this_machine_only(perp: Trader):
    server = perp.exchange._server._server
    assert server is not None
    assert server.server_address[0] == "127.0.0.1"


def test_requests_that_are_kept_waiting_do_not_keep_it_from_ending(datadir: Path):
    exchange = LiveExchange(datadir, START, 0.0).start()
    exchange.exchange.faults.add({"kind": "timeout", "seconds": 3600})
    connection = HTTPConnection("127.0.0.1", exchange.port, timeout=10)
    connection.request("GET", "/fapi/v1/ping")
    time.sleep(0.1)
    began = time.monotonic()
    exchange.stop()
    assert time.monotonic() - began < 3
    with pytest.raises((HTTPException, OSError)):
        connection.getresponse()


def test_at_speed_one_candles_are_moved_to_now_by_whole_weeks(datadir: Path):
    before = int(time.time() * 1000)
    with LiveExchange(datadir, START, 1.0, settings=LiveSettings()) as exchange:
        told = call(exchange, "GET", "/quorum/clock")[1]
        assert told["shift"] % (7 * 24 * HOUR) == 0
        assert 0 <= told["now"] - told["shift"] - START < 7 * 24 * HOUR
        assert told["now"] >= before
        assert call(exchange, "POST", "/quorum/clock", {"speed": 2})[0] == 400
        assert "accelerate" not in " ".join(exchange.command("trade"))


def test_a_clock_that_is_held_goes_when_candles_are_asked_for(datadir: Path):
    with LiveExchange(datadir, START, 1000.0) as exchange:
        assert exchange.shared_clock is not None
        exchange.hold_until_candles()
        held = exchange.shared_clock.now()
        time.sleep(0.02)
        assert call(exchange, "GET", "/fapi/v1/time")[1] == {"serverTime": held}
        call(exchange, "GET", "/fapi/v1/klines?symbol=XUSDT&interval=1h")
        time.sleep(0.02)
        assert exchange.shared_clock.now() >= held + 20_000


def test_a_start_without_candles_is_refused(datadir: Path):
    with pytest.raises(DataError, match=r"--from 2019-01-01: the candles .* reach from 2024"):
        LiveExchange(datadir, START - 1886 * 24 * HOUR, 0.0)
