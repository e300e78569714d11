"""Desk: which signal belongs to a moment or to a trade, also after a restart."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from freqtrade.persistence import CustomDataWrapper, Order, Trade, init_db
from freqtrade.persistence.usedb_context import disable_database_use, enable_database_use
from markets import START, candle_frame

from quorum.bot.desk import SIGNAL_KEY, Desk
from quorum.bot.keeper import Keeper
from quorum.entry import Account, Signal
from quorum.exits.rules import REASONS, STOP_PASSED, TIME_STOP
from quorum.heads import HEADS
from quorum.market import Frames, build_market
from quorum.pipeline import evaluate
from quorum.settings import Settings, load_settings
from quorum.signals import publish

PAIR = "SOL/USDT:USDT"
NAMES = tuple(head.name for head in HEADS)[:9]
ACCOUNT = Account(capital=100_000.0)
#: Row of the only signal; it may be entered in the hour after its candle has closed.
ROW = 20
CLOSED = (START + pd.Timedelta(hours=ROW + 1)).to_pydatetime()


def frame_with(
    *entries: tuple[int, int], n: int = 48, probability: float = 0.8, atr: float = 1.0
) -> pd.DataFrame:
    """Return published columns where six heads agree at each (row, side)."""
    candles = candle_frame(n)
    market = build_market(PAIR, "1h", Frames(candles))
    # What is published of so short a market is unknown, but of every name there is.
    columns = publish(evaluate(market, Settings()))
    data = {**candles, **columns, "atr": np.full(n, atr), "tradable": np.ones(n, bool)}
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
    keeper, trade = kept(time_stop=hours)
    end = CLOSED + timedelta(hours=hours)
    assert keeper.exit_reason(trade, end - timedelta(seconds=1), 100.0) is None
    assert keeper.exit_reason(trade, end, 100.0) == REASONS[TIME_STOP]


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


def test_a_signal_is_decided_once_however_often_the_host_asks():
    # A first target under 2 R at this price, not at a better one later in the candle.
    settings = load_settings({"exits": {"ladder": {"first": "levels", "min_first": 4.0}}})
    desk = desk_with((ROW, 1), settings=settings)
    refused = desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    assert refused is not None
    assert refused.veto == "first_target_under_min_rr"
    assert not desk.confirm(PAIR)
    for minutes in (5, 55):
        assert desk.quote(PAIR, CLOSED + timedelta(minutes=minutes), 95.0, ACCOUNT) is None
        assert not desk.confirm(PAIR)
    assert desk.refused == {"first_target_under_min_rr": 1}


def test_the_next_signal_is_decided_anew():
    settings = load_settings({"exits": {"ladder": {"first": "levels", "min_first": 4.0}}})
    desk = desk_with((ROW, 1), (ROW + 1, 1), settings=settings)
    for hour in (0, 1):
        assert desk.quote(PAIR, CLOSED + timedelta(hours=hour), 100.0, ACCOUNT) is not None
        assert not desk.confirm(PAIR)
    assert desk.refused == {"first_target_under_min_rr": 2}


def kept(
    side: int = 1, trail: float = np.nan, time_stop: float = 168.0, **columns: float
) -> tuple[Keeper, Trade]:
    """Return a keeper and a trade at 100 entered on the signal; its market stands still."""
    management = {"time_stop": time_stop}
    settings = load_settings({"exits": {"stop": {"method": "atr"}, "management": management}})
    desk = Desk(settings, "1h")
    frame = frame_with((ROW, side))
    for name, value in {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0}.items():
        frame[name] = value
    frame["zone_position"] = np.nan
    frame["divergence"] = 0.0
    for name in ("chandelier_long", "chandelier_short"):
        frame[name] = trail
    for name, value in columns.items():
        frame.loc[ROW + 1, name] = value
    desk.enter(PAIR, frame, settings.head_weights(), settings.consensus)
    desk.quote(PAIR, CLOSED, 100.0, ACCOUNT)
    trade = open_trade(CLOSED, short=side < 0)
    desk.filled(trade)
    trade.stop_loss = desk.signal_of(trade).stop_loss
    return Keeper(desk), trade


@pytest.mark.parametrize("side", [1, -1])
def test_a_level_that_cannot_rest_is_taken_at_the_market_when_price_is_there(storage, side):
    keeper, trade = kept(side)
    level = keeper.desk.signal_of(trade).ladder[0]
    at, before, there = CLOSED + timedelta(minutes=5), level - side * 0.25, level + side * 0.25
    resting = keeper.adjust(trade, at, before, 0.0)
    assert resting is not None
    assert keeper.exit_price(trade, before, resting[1]) == level
    keeper.levels_rest = False
    assert keeper.adjust(trade, at, before, 0.0) is None
    assert keeper.adjust(trade, at, there, 0.0) == keeper.adjust(trade, at, level, 0.0) == resting
    assert keeper.exit_price(trade, there, resting[1]) == there


@pytest.mark.parametrize("rests", [True, False])
def test_an_exit_in_the_place_of_the_stop_is_given_one_look(storage, rests):
    keeper, _ = kept(1)
    keeper.levels_rest = rests
    order = Order(ft_order_tag="ladder_1", order_date=CLOSED)
    assert keeper.stale(order, CLOSED + timedelta(minutes=1)) is not rests


@pytest.mark.parametrize(("side", "column", "far"), [(1, "high", 103.5), (-1, "low", 96.5)])
def test_breakeven_comes_with_the_close_of_the_candle_that_gained(storage, side, column, far):
    keeper, trade = kept(side, **{column: far, "close": 100.0 + side})
    # The host has already shown the extreme of the candle under way.
    trade.max_rate, trade.min_rate = max(far, 100.0), min(far, 100.0)
    for minutes in (0, 5, 59):
        at = CLOSED + timedelta(minutes=minutes)
        assert keeper.stop(trade, at, 0.0, after_fill=False) is None
    assert keeper.stop(trade, CLOSED + timedelta(hours=1), 0.0, after_fill=False) == 100.0


def test_the_candle_in_which_a_waiting_order_filled_moves_no_stop(storage):
    keeper, trade = kept(1, high=103.5)
    signal = keeper.desk.signal_of(trade).model_copy(update={"entry_strategy": "wait_pullback"})
    keeper.desk.signals[PAIR, trade.open_date_utc] = signal
    later = CLOSED + timedelta(hours=1)
    assert keeper.stop(trade, later, 0.0, after_fill=False) is None


def test_a_divergence_moves_the_stop_of_a_trade_whose_candle_closed_ahead(storage):
    keeper, trade = kept(1, close=101.0, high=101.0, divergence=-1.0)
    assert keeper.stop(trade, CLOSED, 0.0, after_fill=False) is None
    assert keeper.stop(trade, CLOSED + timedelta(hours=1), 0.0, after_fill=False) == 100.0


def test_a_divergence_moves_no_stop_of_a_trade_whose_candle_closed_behind(storage):
    keeper, trade = kept(1, close=99.9, high=101.0, divergence=-1.0)
    trade.max_rate = 101.0
    assert keeper.stop(trade, CLOSED + timedelta(hours=1), 0.0, after_fill=False) is None


@pytest.mark.parametrize(("side", "column", "far"), [(1, "high", 103.5), (-1, "low", 96.5)])
def test_a_trade_that_closed_behind_the_stop_that_belongs_to_it_ends(storage, side, column, far):
    # Breakeven is due, but the host would refuse a stop that price has passed.
    keeper, trade = kept(side, **{column: far, "close": 100.0 - side * 0.4})
    for minutes in (0, 59):
        at = CLOSED + timedelta(minutes=minutes)
        assert keeper.exit_reason(trade, at, 100.0 - side * 0.4) is None
    later = CLOSED + timedelta(hours=1)
    assert keeper.stop(trade, later, 0.0, after_fill=False) is None
    # Wherever the price is by then: the same live as in a backtest of longer candles.
    for rate in (99.6, 100.0, 100.4):
        assert keeper.exit_reason(trade, later, rate) == REASONS[STOP_PASSED]


def test_a_trade_whose_first_stop_was_passed_before_it_was_placed_ends(storage):
    keeper, trade = kept(1)
    stop = keeper.desk.signal_of(trade).stop_loss
    trade.stop_loss = 80.0  # the host's own, far away
    assert keeper.exit_reason(trade, CLOSED, stop + 0.1) is None
    assert keeper.stop(trade, CLOSED, 0.0, after_fill=True) == stop
    assert keeper.exit_reason(trade, CLOSED, stop) == REASONS[STOP_PASSED]
    assert keeper.exit_reason(trade, CLOSED, stop - 1.0) == REASONS[STOP_PASSED]


def test_a_stop_in_force_is_left_to_the_host(storage):
    keeper, trade = kept(1)
    assert keeper.exit_reason(trade, CLOSED, trade.stop_loss - 1.0) is None


def test_the_trail_begins_with_the_candle_after_the_first_rung(storage):
    keeper, trade = kept(1, trail=99.5)
    filled = CLOSED + timedelta(minutes=20)
    trade.orders.append(
        Order(
            order_id="rung", ft_pair=PAIR, symbol=PAIR, ft_order_side="sell", side="sell",
            ft_is_open=False, ft_amount=7.0, ft_price=103.0, price=103.0, average=103.0, filled=7.0,
            remaining=0.0, status="closed", order_date=CLOSED, order_filled_date=filled,
            ft_order_tag="ladder_1",
        )
    )  # fmt: skip
    if Trade.use_db:
        Trade.commit()
    assert keeper.stop(trade, filled, 0.0, after_fill=True) is None, "the stop stays where it is"
    assert keeper.stop(trade, CLOSED + timedelta(hours=1), 0.0, after_fill=False) == 99.5


@pytest.mark.parametrize(("amount", "rungs"), [(0.002, 1), (0.02, 3)])
def test_rungs_that_whole_lots_do_not_allow_are_merged_when_the_entry_fills(storage, amount, rungs):
    # Lots of .001 at 100,000: of two lots neither .7 leaves 100 nor is 1.4 an order.
    desk = desk_with((ROW, 1), atr=400.0)
    quoted = desk.quote(PAIR, CLOSED, 100_000.0, Account(capital=1e6, min_order=110.0))
    assert len(quoted.ladder) == 3
    trade = open_trade(CLOSED, 100_000.0)
    trade.amount, trade.amount_precision, trade.precision_mode = amount, 0.001, 4
    desk.filled(trade)
    signal = desk.signal_of(trade)
    assert len(signal.ladder) == len(signal.ladder_shares) == rungs
    assert sum(signal.ladder_shares) == pytest.approx(1.0)
    assert signal.ladder[0] == quoted.ladder[0]
