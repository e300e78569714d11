"""A bot that is killed and started again: refusals hold, lost orders are found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from freqtrade.exceptions import TemporaryError
from freqtrade.persistence import Order, Trade, init_db
from test_desk import CLOSED, PAIR, ROW, desk_with, enter, open_trade

from quorum.bot.desk import SIGNAL_KEY, Desk
from quorum.bot.keeper import Keeper, anchor_stops
from quorum.bot.strays import FOUND, Strays
from quorum.bot.vetoes import Vetoes
from quorum.context.zones import WAIT_PULLBACK
from quorum.exits.management import LADDER_TAG, REVERSAL_TAG
from quorum.settings import Settings

SOL = "SOL/USDT:USDT"
NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CANDLE = int(NOW.timestamp() * 1000)


@pytest.fixture(autouse=True)
def _database() -> Iterator[None]:
    init_db("sqlite://")
    yield
    Trade.session.rollback()


def test_a_refusal_holds_over_a_restart_for_its_candle_only():
    Vetoes(durable=True).put(SOL, CANDLE)
    again = Vetoes(durable=True)
    assert again.holds(SOL, CANDLE)
    assert not Vetoes(durable=True).holds(SOL, CANDLE + 3_600_000)
    assert not Vetoes(durable=True).holds("ETH/USDT:USDT", CANDLE)


def test_a_newer_refusal_takes_the_place_of_an_older_one():
    first = Vetoes(durable=True)
    first.put(SOL, CANDLE)
    first.lift(SOL)
    assert not first.holds(SOL, CANDLE)
    first.put(SOL, CANDLE + 3_600_000)
    assert Vetoes(durable=True).holds(SOL, CANDLE + 3_600_000)


def test_a_backtest_keeps_refusals_in_memory():
    Vetoes().put(SOL, CANDLE)
    assert not Vetoes(durable=True).holds(SOL, CANDLE)
    assert not Vetoes().holds(SOL, CANDLE)


class Exchange:
    """The host's exchange as far as Strays knows it."""

    id = "binance"
    precisionMode = precision_mode_price = 4

    def __init__(self) -> None:
        self.plain: list[dict[str, Any]] = []
        self.stops: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.down = False

    def create_order(self, *, pair: str) -> None:
        raise TemporaryError(f"no answer to an order of {pair}")

    def _fetch_orders(self, pair: str, since: datetime, params: Any = None) -> list[Any]:
        if self.down:
            raise ConnectionError("no route")
        return [dict(o) for o in (self.stops if params else self.plain) if o["symbol"] == pair]

    fetch_orders = _fetch_orders

    def fetch_stoploss_order(self, number: str, pair: str) -> dict[str, Any]:
        return {"id": number, "id_stop": f"{number}-placed"}

    def cancel_order(self, number: str, pair: str) -> None:
        self.cancelled.append(number)

    cancel_stoploss_order = cancel_order

    def get_option(self, name: str) -> Any:
        return {"stoploss_algo_order_info_id": "actualOrderId"}.get(name, True)

    def get_fee(self, **_: Any) -> float:
        return 0.0002

    def get_pair_base_currency(self, pair: str) -> str:
        return pair.split("/")[0]

    def get_precision_amount(self, pair: str) -> float:
        return 0.1

    def get_contract_size(self, pair: str) -> float:
        return 1.0

    get_precision_price = get_precision_amount


def order(number: str, side: str, **changes: Any) -> dict[str, Any]:
    """Return an order as ccxt tells it."""
    return {
        "id": number,
        "symbol": SOL,
        "side": side,
        "type": "limit",
        "price": 100.0,
        "amount": 10.0,
        "filled": 0.0,
        "remaining": 10.0,
        "status": "open",
        "timestamp": int((NOW + MINUTE).timestamp() * 1000),
        "reduceOnly": False,
        "clientOrderId": "x-1",
        "info": {},
        **changes,
    }


def bot(exchange: Exchange, *, alive: datetime | None = NOW) -> Strays:
    table = SimpleNamespace(entry=[1], tag=lambda row: "5/9 high")
    signal = SimpleNamespace(ladder=(110.0, 115.0, 120.0))
    desk = SimpleNamespace(
        tables={SOL: table},
        signal_row=lambda pair, at: (table, 0),
        signal_of=lambda trade: signal,
        leverage=lambda pair, at, price: 2.0,
        unsettled=False,
    )
    strategy = SimpleNamespace(
        dp=SimpleNamespace(_exchange=exchange, current_whitelist=lambda: [SOL]),
        wallets=SimpleNamespace(update=lambda: None, get_all_positions=dict),
        config={"stake_currency": "USDT", "trading_mode": "futures"},
        can_short=True,
        stoploss=-0.2,
        timeframe="1h",
        get_strategy_name=lambda: "Quorum",
        playbooks=SimpleNamespace(
            owns=lambda tag: tag == "trend",
            tag_of_entry=lambda pair, at, price: {90.0: "washout", 100.5: "trend"}.get(price),
            tag_of_exit=lambda trade, amount: "washout_over",
        ),
    )
    return Strays(strategy, desk, alive)  # type: ignore[arg-type]


def opened(exchange: Exchange) -> Trade:
    """Return the trade of an entry that filled before."""
    exchange.plain = [order("1", "buy", status="closed", filled=10.0)]
    bot(exchange).look(NOW + 2 * MINUTE)
    trade = Trade.get_open_trades()[0]
    entry = trade.orders[0]
    entry.ft_is_open, entry.status, entry.filled = False, "closed", 10.0
    trade.recalc_trade_from_orders()
    Trade.commit()
    return trade


def test_a_lost_addition_and_its_lost_exit_belong_to_the_playbook_that_placed_them():
    exchange = Exchange()
    exchange.plain = [order("1", "buy", status="closed", filled=10.0, price=100.5)]
    bot(exchange).look(NOW + 2 * MINUTE)
    (trade,) = Trade.get_open_trades()
    assert trade.enter_tag == "trend"
    exchange.plain = [order("2", "buy", price=90.0), order("3", "sell", amount=4.0)]
    bot(exchange).look(NOW + 2 * MINUTE)
    tags = {o.order_id: o.ft_order_tag for o in trade.orders}
    assert tags == {"1": "trend", "2": "washout", "3": "washout_over"}


def test_an_entry_the_host_lost_becomes_its_trade_and_is_left_to_the_host_to_look_up():
    exchange = Exchange()
    exchange.plain = [order("1", "buy", status="closed", filled=10.0)]
    strays = bot(exchange)
    assert strays.unsettled is not None
    assert len(strays.look(NOW + 5 * MINUTE)) == 1
    (trade,) = Trade.get_open_trades()
    assert (trade.pair, trade.is_short, trade.leverage) == (SOL, False, 2.0)
    assert trade.enter_tag == "5/9 high"
    assert trade.stop_loss < 100.0
    assert [(o.order_id, o.ft_is_open, o.filled) for o in trade.orders] == [("1", True, 0.0)]
    assert strays.unsettled is None
    assert bot(exchange).look(NOW + 6 * MINUTE) == []


def test_a_lost_rung_is_known_by_its_price_and_any_other_part_as_a_reversal():
    exchange = Exchange()
    trade = opened(exchange)
    exchange.plain += [
        order("2", "sell", price=115.01, amount=2.0, reduceOnly=True),
        order("3", "sell", price=101.0, amount=5.0, reduceOnly=True),
    ]
    bot(exchange).look(NOW + 5 * MINUTE)
    tags = {o.order_id: o.ft_order_tag for o in trade.orders}
    assert tags["2"] == f"{LADDER_TAG}2"
    assert tags["3"] == REVERSAL_TAG


def test_a_lost_exit_of_everything_has_no_tag():
    exchange = Exchange()
    trade = opened(exchange)
    exchange.plain.append(order("2", "sell", price=99.0, reduceOnly=True))
    bot(exchange).look(NOW + 5 * MINUTE)
    assert trade.orders[-1].ft_order_tag is None
    assert trade.exit_reason == FOUND


def test_a_lost_stop_is_given_back_and_a_second_one_is_cancelled():
    exchange = Exchange()
    trade = opened(exchange)
    exchange.stops = [
        order("8", "sell", stopPrice=95.0, price=None),
        order("9", "sell", stopPrice=95.0, price=None),
    ]
    bot(exchange).look(NOW + 5 * MINUTE)
    assert [o.order_id for o in trade.open_sl_orders] == ["8"]
    assert exchange.cancelled == ["9"]


def test_a_stop_answered_without_its_number_is_found():
    exchange = Exchange()
    trade = opened(exchange)
    strays = bot(exchange, alive=None)
    strays.look(NOW + 5 * MINUTE)
    answer = order("None", "sell", stopPrice=95.0)
    trade.orders.append(Order.parse_from_ccxt_object(answer, SOL, "stoploss"))
    Trade.commit()
    placed = int((NOW + 6 * MINUTE).timestamp() * 1000)
    exchange.stops = [order("8", "sell", stopPrice=95.0, price=None, timestamp=placed)]
    assert len(strays.look(NOW + 10 * MINUTE)) == 1
    assert [o.order_id for o in trade.open_sl_orders] == ["8"]
    assert not [o for o in trade.orders if o.order_id == "None"]


def test_a_stop_without_a_trade_is_cancelled():
    exchange = Exchange()
    exchange.stops = [order("8", "sell", stopPrice=95.0, price=None, reduceOnly=True)]
    bot(exchange).look(NOW + 5 * MINUTE)
    assert exchange.cancelled == ["8"]
    assert not Trade.get_open_trades()


def test_what_a_stop_has_placed_belongs_to_the_stop():
    exchange = Exchange()
    trade = opened(exchange)
    exchange.stops = [order("8", "sell", stopPrice=95.0, price=None)]
    bot(exchange).look(NOW + 5 * MINUTE)
    exchange.plain.append(order("8-placed", "sell", status="closed", filled=10.0))
    assert bot(exchange).look(NOW + 6 * MINUTE) == []
    assert "8-placed" not in {o.order_id for o in trade.orders}


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": int((NOW - 70 * MINUTE).timestamp() * 1000)},
        {"timestamp": int((NOW + 60 * MINUTE).timestamp() * 1000)},
        {"status": "canceled"},
        {"clientOrderId": "autoclose-5"},
    ],
    ids=["before the last sign of life", "long after it", "nothing came of it", "liquidation"],
)
def test_other_orders_are_left_alone(changes):
    exchange = Exchange()
    exchange.plain = [order("1", "buy", **changes)]
    assert bot(exchange).look(NOW + 90 * MINUTE) == []
    assert not Trade.get_open_trades()


def test_a_first_run_has_nothing_to_look_for():
    exchange = Exchange()
    exchange.plain = [order("1", "buy")]
    strays = bot(exchange, alive=None)
    assert strays.unsettled is None
    assert strays.look(NOW) == []


@pytest.mark.parametrize(
    ("short", "fill", "rate", "stop"),
    [(False, 2940.49, 2933.26, 2909.82), (True, 100.0, 101.0, 103.0), (False, 100.0, 110.0, 105.0)],
    ids=["long, gone down since", "short, gone up since", "stop in profit"],
)
def test_a_stop_stays_when_a_part_goes_although_the_price_had_moved_since_the_fill(
    short, fill, rate, stop
):
    side, out = ("sell", "buy") if short else ("buy", "sell")
    trade = Trade(
        pair=SOL,
        is_short=short,
        open_rate=fill,
        stake_amount=10 * fill,
        amount=10.0,
        leverage=1.0,
        fee_open=0.0,
        fee_close=0.0,
        is_open=True,
        open_date=NOW.replace(tzinfo=None),
        exchange="binance",
    )
    filled = {"status": "closed", "filled": 10.0, "remaining": 0.0, "price": fill, "average": fill}
    trade.orders.append(Order.parse_from_ccxt_object(order("1", side, **filled), SOL, side))
    trade.recalc_trade_from_orders()
    trade.adjust_stop_loss(rate, -abs(1 - stop / rate), initial=True)
    assert trade.stop_loss == pytest.approx(stop)
    anchor_stops([trade])
    half = {**filled, "filled": 5.0, "amount": 5.0, "price": rate, "average": rate}
    trade.orders.append(Order.parse_from_ccxt_object(order("2", out, **half), SOL, out))
    trade.recalc_trade_from_orders()
    assert trade.amount == 5.0
    assert trade.stop_loss == pytest.approx(stop)


def test_what_filled_before_the_market_was_seen_gets_signal_and_stop_at_the_first_look():
    before = desk_with((ROW, 1))
    tag = before.tables[PAIR].tag(ROW)
    trade = open_trade(CLOSED, tag=tag)
    trade.adjust_stop_loss(100.0, -0.2, initial=True)
    desk = Desk(Settings(), "1h")
    desk.filled(trade)
    assert trade.get_custom_data(SIGNAL_KEY) is None
    enter(desk, (ROW, 1))
    stop = Keeper(desk).stop(trade, CLOSED + 5 * MINUTE, 0.0, after_fill=False)
    stored = trade.get_custom_data(SIGNAL_KEY)
    assert stored is not None
    assert stop == stored["stop_loss"] > trade.stop_loss


@pytest.mark.parametrize(("placed", "expires"), [(3, 180), (3480, 180)])
def test_an_entry_order_waits_in_whole_candles_from_the_one_it_was_placed_in(placed, expires):
    desk = Desk(Settings(), "1h")
    signal = SimpleNamespace(entry_strategy=WAIT_PULLBACK)
    desk.signal_of = lambda trade: signal  # type: ignore[assignment, return-value]
    waits: Any = SimpleNamespace(order_date_utc=NOW + timedelta(seconds=placed))
    trade: Any = None
    assert not desk.expired(trade, waits, NOW + expires * MINUTE - timedelta(seconds=1))
    assert desk.expired(trade, waits, NOW + expires * MINUTE + timedelta(seconds=1))


def test_until_the_exchange_answers_nothing_is_settled(caplog):
    exchange = Exchange()
    exchange.down = True
    strays = bot(exchange)
    assert strays.look(NOW + MINUTE) == []
    assert "no route" in str(strays.unsettled)
    assert strays._desk.unsettled
    exchange.down = False
    strays.look(NOW + 2 * MINUTE)
    assert strays.unsettled is None


def test_a_failed_order_is_reason_to_look():
    exchange = Exchange()
    strays = bot(exchange, alive=None)
    strays.look(NOW)
    exchange.plain = [order("1", "buy")]
    assert strays.look(NOW + 2 * MINUTE) == []
    with pytest.raises(TemporaryError):
        exchange.create_order(pair=SOL)
    assert len(strays.look(NOW + 3 * MINUTE)) == 1
    assert Order.order_by_id("1") is not None
