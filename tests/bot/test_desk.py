"""Desk: which signal belongs to a moment or to a trade, also after a restart."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from freqtrade.persistence import CustomDataWrapper, Order, Trade, init_db
from freqtrade.persistence.usedb_context import disable_database_use, enable_database_use
from markets import START, candle_frame

from quorum.bot.desk import OPPOSITE_QUORUM, SIGNAL_KEY, Desk
from quorum.bot.keeper import Keeper
from quorum.entry import Account, Signal
from quorum.exits.management import TIME_STOP
from quorum.heads import HEADS
from quorum.market import Frames, build_market
from quorum.pipeline import evaluate
from quorum.settings import Settings, load_settings
from quorum.signals import publish

PAIR = "SOL/USDT:USDT"
NAMES = tuple(head.name for head in HEADS)
ACCOUNT = Account(capital=100_000.0)
#: Row of the only signal; it may be entered in the hour after its candle has closed.
ROW = 20
CLOSED = (START + pd.Timedelta(hours=ROW + 1)).to_pydatetime()


def frame_with(*entries: tuple[int, int], n: int = 48, probability: float = 0.8) -> pd.DataFrame:
    """Return published columns where six heads agree at each (row, side)."""
    candles = candle_frame(n)
    market = build_market(PAIR, "1h", Frames(candles))
    # What is published of so short a market is unknown, but of every name there is.
    columns = publish(evaluate(market, Settings()))
    data = {**candles, **columns, "atr": np.full(n, 1.0), "tradable": np.ones(n, bool)}
    for h, name in enumerate(NAMES):
        vote, confidence = np.zeros(n, np.float32), np.zeros(n, np.float32)
        for row, side in entries:
            if h < 6:
                vote[row], confidence[row] = side * probability, 0.8
        data[f"vote_{name}"], data[f"confidence_{name}"] = vote, confidence
        data[f"reason_{name}"] = (vote != 0).astype(np.int64)
    return pd.DataFrame(data)


def desk_with(
    *entries: tuple[int, int], settings: Settings | None = None, **options: float
) -> Desk:
    desk = Desk(settings or Settings(), "1h")
    enter(desk, *entries, **options)
    return desk


def enter(desk: Desk, *entries: tuple[int, int], **options: float) -> pd.DataFrame:
    frame = frame_with(*entries, **options)
    return desk.enter(PAIR, frame, desk.settings.head_weights(), desk.settings.consensus)


@pytest.fixture(params=["database", "memory"])
def storage(request):
    """Keep trades as a bot does (database), and as a backtest does."""
    init_db("sqlite://")
    if request.param == "memory":
        disable_database_use("1h")
    forget_trades()
    yield request.param
    forget_trades()
    enable_database_use()


def forget_trades() -> None:
    """Drop all trades, as the host does between two runs of an optimiser."""
    if Trade.use_db:
        for trade in Trade.get_trades([]).all():
            CustomDataWrapper.delete_custom_data(trade.id)
        Trade.session.query(Order).delete()
        Trade.session.query(Trade).delete()
        Trade.commit()
    else:
        Trade.reset_trades()
        CustomDataWrapper.reset_custom_data()


def open_trade(
    opened: datetime, rate: float = 100.0, *, short: bool = False, tag: str | None = None
) -> Trade:
    trade = Trade(
        pair=PAIR,
        stake_amount=1000.0,
        amount=10.0,
        open_rate=rate,
        open_date=opened,
        fee_open=0.0,
        fee_close=0.0,
        exchange="binance",
        is_open=True,
        is_short=short,
        leverage=1.0,
        enter_tag=tag,
    )
    side = "sell" if short else "buy"
    trade.orders.append(
        Order(
            order_id="entry", ft_pair=PAIR, symbol=PAIR, ft_order_side=side, side=side,
            ft_is_open=False, ft_amount=10.0, ft_price=rate, price=rate, average=rate, filled=10.0,
            remaining=0.0, status="closed", order_date=opened, order_filled_date=opened,
        )
    )  # fmt: skip
    if Trade.use_db:
        Trade.session.add(trade)
        Trade.commit()
    else:
        Trade.add_bt_trade(trade)
        trade.id = 1
    return trade


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=7), timedelta(minutes=59)])
def test_a_signal_is_quoted_in_the_candle_after_its_own(late):
    desk = desk_with((ROW, 1))
    signal = desk.quote(PAIR, CLOSED + late, 100.5, ACCOUNT)
    assert signal is not None
    assert signal.timestamp == CLOSED - timedelta(hours=1)
    assert signal.entry_price == 100.5
    assert signal.symbol == PAIR


@pytest.mark.parametrize("hours", [-1, 1, 100, -100])
def test_no_other_moment_has_a_signal(hours):
    desk = desk_with((ROW, 1))
    assert desk.quote(PAIR, CLOSED + timedelta(hours=hours), 100.0, ACCOUNT) is None


def test_a_pair_that_was_never_analysed_has_no_signal():
    desk = desk_with((ROW, 1))
    assert desk.quote("BTC/USDT:USDT", CLOSED, 100.0, ACCOUNT) is None


@pytest.mark.parametrize(("side", "column"), [(1, "enter_long"), (-1, "enter_short")])
def test_entry_columns_stand_where_the_signal_is(side, column):
    frame = enter(Desk(Settings(), "1h"), (ROW, side))
    assert np.flatnonzero(frame[column]).tolist() == [ROW]
    other = {"enter_long", "enter_short"} - {column}
    assert not frame[other.pop()].any()
    assert frame["enter_tag"].iloc[ROW] == "6/9 very_high"
    assert frame["enter_tag"].drop(index=ROW).isna().all()
    assert np.sign(frame["consensus_confidence"].iloc[ROW]) == side
    assert (frame["confluence_score"].iloc[ROW] > 50) == (side > 0)


def test_an_opposite_quorum_is_written_to_the_exit_columns():
    desk = desk_with((10, 1), (30, -1))
    frame = desk.leave(PAIR, frame_with((10, 1), (30, -1)))
    assert np.flatnonzero(frame["exit_short"]).tolist() == [10]
    assert np.flatnonzero(frame["exit_long"]).tolist() == [30]
    assert set(frame["exit_tag"]) == {"", OPPOSITE_QUORUM}
    still = Desk(load_settings({"exits": {"reversal": False}}), "1h")
    assert "exit_long" not in still.leave(PAIR, frame_with((10, 1)))


def test_a_filled_trade_keeps_its_signal(storage):
    desk = desk_with((ROW, 1))
    quoted = desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    trade = open_trade(CLOSED)
    desk.filled(trade)
    assert desk.signal_of(trade) == quoted
    assert Signal.model_validate(trade.get_custom_data(SIGNAL_KEY)) == quoted


def test_a_new_desk_finds_the_signal_of_an_open_trade(storage):
    desk = desk_with((ROW, -1))
    quoted = desk.quote(PAIR, CLOSED, 99.0, ACCOUNT)
    desk.filled(open_trade(CLOSED, 99.0, short=True))
    trade = Trade.get_trades_proxy(is_open=True)[0]
    restarted = Desk(Settings(), "1h")
    assert restarted.signal_of(trade) == quoted
    assert quoted is not None
    assert quoted.direction == -1
    assert quoted.stop_loss > 99.0 > quoted.take_profit


def test_what_the_market_does_later_does_not_change_the_signal_of_a_trade(storage):
    desk = desk_with((ROW, 1))
    quoted = desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    trade = open_trade(CLOSED)
    desk.filled(trade)
    enter(desk, (30, -1))
    later = START + pd.Timedelta(hours=31)
    assert desk.quote(PAIR, later.to_pydatetime(), 90.0, ACCOUNT) != quoted
    assert desk.signal_of(trade) == quoted


def test_a_second_fill_does_not_replace_the_signal(storage):
    desk = desk_with((ROW, 1))
    quoted = desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    trade = open_trade(CLOSED)
    desk.filled(trade)
    desk.filled(trade)
    desk.quote(PAIR, CLOSED, 104.0, ACCOUNT)
    desk.filled(trade)
    assert desk.signal_of(trade) == quoted
    assert Signal.model_validate(trade.get_custom_data(SIGNAL_KEY)) == quoted


def test_between_order_and_fill_the_quoted_signal_stands(storage):
    desk = desk_with((ROW, 1))
    quoted = desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    assert desk.signal_of(open_trade(CLOSED)) == quoted


def test_a_trade_that_is_not_ours_has_no_signal(storage):
    desk = desk_with((ROW, 1))
    assert desk.signal_of(open_trade(CLOSED)) is None


@pytest.mark.parametrize("hours", [0.5, 5.0])
def test_a_trade_ends_when_its_time_is_over(storage, hours):
    settings = load_settings({"exits": {"management": {"time_stop": hours}}})
    desk = desk_with((ROW, 1), settings=settings)
    desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    keeper = Keeper(desk)
    trade = open_trade(CLOSED)
    end = CLOSED + timedelta(hours=hours)
    desk.filled(trade)
    assert keeper.exit_reason(trade, end - timedelta(seconds=1), 100.0) is None
    assert keeper.exit_reason(trade, end, 100.0) == TIME_STOP


def test_an_order_that_fills_after_a_restart_still_gets_its_signal(storage):
    quoted = desk_with((ROW, 1)).quote(PAIR, CLOSED, 100.0, ACCOUNT)
    assert quoted is not None
    restarted = desk_with((ROW, 1))
    trade = open_trade(CLOSED, tag=quoted.tag)
    restarted.filled(trade)
    found = restarted.signal_of(trade)
    assert found is not None
    assert (found.stop_loss, found.ladder) == (quoted.stop_loss, quoted.ladder)


def test_a_desk_that_runs_again_forgets_the_run_before(storage):
    # An optimiser runs one strategy object many times over the same candles.
    desk = desk_with((ROW, 1))
    first = desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    desk.filled(open_trade(CLOSED))
    forget_trades()
    trade = open_trade(CLOSED)
    enter(desk, (ROW, 1), probability=0.62)
    second = desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    assert second != first
    desk.filled(trade)
    assert desk.signal_of(trade) == second
