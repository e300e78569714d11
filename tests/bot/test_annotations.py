"""Annotations: what is drawn, and that the host takes all of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from freqtrade.enums import RunMode
from freqtrade.ft_types import AnnotationType
from freqtrade.persistence import Order, Trade, init_db
from freqtrade.resolvers import StrategyResolver
from freqtrade.rpc.api_server.api_schemas import PairHistory
from markets import START
from published import agreeing, published, table_of

from quorum.bot.annotations import BLOCKS, draw_annotations, trades_drawn
from quorum.bot.desk import SIGNAL_KEY, Desk
from quorum.entry import Account, Signal, draw_up
from quorum.settings import Settings, load_settings
from quorum.signals import DRAWN_COLUMNS

ROOT = Path(__file__).parent.parent.parent
PAIR = "BTC/USDT:USDT"
HOURS = 48
HOUR = timedelta(hours=1)
FIRST = START.to_pydatetime()
LAST = FIRST + (HOURS - 1) * HOUR
NOTHING = [None] * 9


def desk_with(settings: Settings | None = None, **columns) -> Desk:
    """Return a desk whose only table has these columns beside one signal in its first row."""
    settings = settings or Settings()
    rows = [agreeing(7, 0.80, 0.78)] + [NOTHING] * (HOURS - 1)
    drawn = {name: np.full(HOURS, np.nan) for name in DRAWN_COLUMNS}
    desk = Desk(settings, "1h")
    desk.tables[PAIR] = table_of(published(rows, **{**drawn, **columns}), settings)
    return desk


def column(*values: tuple[int, int, float]) -> np.ndarray:
    """Return a column that is known between some rows only."""
    out = np.full(HOURS, np.nan)
    for first, last, value in values:
        out[first:last] = value
    return out


def draw(desk: Desk, *trades: Trade, start=FIRST, end=LAST) -> list[AnnotationType]:
    return draw_annotations(desk, trades, PAIR, start, end)


def labelled(drawn: list[AnnotationType], label: str) -> list[AnnotationType]:
    return [one for one in drawn if one["label"].startswith(label)]


@pytest.fixture
def memory():
    init_db("sqlite://")


def open_trade(desk: Desk, *, pair: str = PAIR, stop: float | None = None) -> Trade:
    """Store an open long with the signal of the table's first row."""
    signal = draw_up(desk.tables[PAIR], 0, PAIR, 100.0, Account(1e5), desk.settings)
    stop = signal.stop_loss if stop is None else stop
    opened = FIRST + HOUR
    trade = Trade(
        pair=pair, stake_amount=1000.0, amount=10.0, open_rate=100.0, open_date=opened,
        fee_open=0.0, fee_close=0.0, exchange="binance", is_open=True, leverage=1.0,
        stop_loss=stop, initial_stop_loss=stop,
    )  # fmt: skip
    trade.orders.append(
        Order(
            order_id="entry", ft_pair=pair, symbol=pair, ft_order_side="buy", side="buy",
            ft_is_open=False, ft_amount=10.0, ft_price=100.0, price=100.0, average=100.0,
            filled=10.0, remaining=0.0, status="closed", order_date=opened,
            order_filled_date=opened,
        )
    )  # fmt: skip
    Trade.session.add(trade)
    Trade.commit()
    trade.set_custom_data(SIGNAL_KEY, signal.model_dump(mode="json"))
    return trade


def signal_of(desk: Desk, trade: Trade) -> Signal:
    signal = desk.signal_of(trade)
    assert signal is not None
    return signal


@pytest.mark.parametrize(("side", "colour"), [("bull", "39, 174, 96"), ("bear", "192, 57, 43")])
def test_an_order_block_is_a_box_for_as_long_as_it_is_fresh(side, colour):
    top, bottom = column((10, 20, 99.0)), column((10, 20, 98.0))
    (box,) = draw(desk_with(**{f"{side}_ob_top": top, f"{side}_ob_bottom": bottom}))
    assert (box["type"], box["label"]) == ("area", f"{side}ish order block")
    assert (box["y_start"], box["y_end"]) == (98.0, 99.0)
    assert (box["start"], box["end"]) == (FIRST + 10 * HOUR, FIRST + 20 * HOUR)
    assert colour in box["color"]


def test_a_block_hidden_by_a_nearer_one_is_still_one_box():
    top = column((5, 10, 99.0), (10, 15, 99.5), (15, 30, 99.0))
    boxes = draw(desk_with(bull_ob_top=top, bull_ob_bottom=top - 1))
    assert [(b["y_end"], b["start"], b["end"]) for b in boxes] == [
        (99.0, FIRST + 5 * HOUR, FIRST + 30 * HOUR),
        (99.5, FIRST + 10 * HOUR, FIRST + 15 * HOUR),
    ]


def test_only_the_latest_blocks_are_drawn():
    top = np.arange(HOURS, dtype=float) + 50
    boxes = draw(desk_with(bear_ob_top=top, bear_ob_bottom=top - 1))
    assert [b["y_end"] for b in boxes] == list(top[-BLOCKS:])


def test_the_latest_dealing_range_is_shaded_by_its_zones():
    # A range of 90 to 110; an older one before it.
    discount = column((0, 12, 80.0), (12, HOURS, 99.0))
    premium = column((0, 12, 84.0), (12, HOURS, 101.0))
    drawn = draw(desk_with(zone_discount_edge=discount, zone_premium_edge=premium))
    (low,), (high,) = labelled(drawn, "discount"), labelled(drawn, "premium")
    (middle,) = labelled(drawn, "dealing range")
    assert (low["y_start"], low["y_end"]) == pytest.approx((90.0, 99.0))
    assert (high["y_start"], high["y_end"]) == pytest.approx((101.0, 110.0))
    assert middle["y_start"] == middle["y_end"] == pytest.approx(100.0)
    assert {(one["start"], one["end"]) for one in drawn} == {
        (FIRST + 12 * HOUR, FIRST + HOURS * HOUR)
    }


def test_a_range_whose_zones_meet_or_that_is_unknown_is_not_drawn():
    edges = {"zone_discount_edge": 100.0, "zone_premium_edge": 100.0}
    zones = load_settings({"context": {"zones": {"discount": 0.5, "premium": 0.5}}})
    assert draw(desk_with(zones, **edges)) == []
    assert draw(desk_with()) == []
    assert draw(desk_with(zone_discount_edge=99.0)) == []


def test_a_trade_is_drawn_with_the_stop_and_the_ladder_it_was_opened_with(memory):
    desk = desk_with()
    trade = open_trade(desk)
    signal = signal_of(desk, trade)
    drawn = draw(desk, trade)
    (stop,) = labelled(drawn, "stop")
    assert stop["label"] == f"stop ({signal.stop_kind})"
    assert stop["y_start"] == stop["y_end"] == signal.stop_loss < 100.0
    rungs = labelled(drawn, "ladder")
    assert [rung["y_start"] for rung in rungs] == list(signal.ladder)
    assert next(rung["label"] for rung in rungs) == "ladder 1: 70%"
    assert {(one["start"], one["end"]) for one in drawn} == {(FIRST + HOUR, LAST + HOUR)}


def test_a_stop_that_has_moved_is_drawn_beside_the_first(memory):
    desk = desk_with()
    drawn = draw(desk, open_trade(desk, stop=100.0))
    assert len(labelled(drawn, "stop")) == 2
    assert labelled(drawn, "stop, moved")[0]["y_start"] == 100.0


def test_a_closed_trade_ends_where_it_was_closed(memory):
    desk = desk_with()
    trade = open_trade(desk)
    trade.is_open, trade.close_date = False, FIRST + 9 * HOUR
    assert {one["end"] for one in draw(desk, trade)} == {FIRST + 9 * HOUR}
    later = draw(desk, trade, start=FIRST + 4 * HOUR)
    assert {one["start"] for one in later} == {FIRST + 4 * HOUR}


def test_trades_outside_the_chart_of_other_pairs_and_of_others_are_left_out(memory):
    desk = desk_with()
    trade = open_trade(desk)
    assert draw(desk, open_trade(desk, pair="ETH/USDT:USDT")) == []
    assert draw(desk, trade, start=FIRST - 9 * HOUR, end=FIRST - HOUR) == []
    trade.close_date = FIRST + 9 * HOUR
    assert draw(desk, trade, start=FIRST + 10 * HOUR) == []
    foreign = Trade(
        pair=PAIR, stake_amount=1000.0, amount=10.0, open_rate=100.0, open_date=LAST,
        fee_open=0.0, fee_close=0.0, exchange="binance", is_open=True, leverage=1.0,
    )  # fmt: skip
    Trade.session.add(foreign)
    Trade.commit()
    assert draw(desk, foreign) == []


def test_a_pair_that_was_never_analysed_has_nothing_to_draw():
    assert draw_annotations(Desk(Settings(), "1h"), [], PAIR, FIRST, LAST) == []


def test_the_chart_bounds_what_is_drawn():
    top = column((10, 20, 99.0))
    desk = desk_with(bull_ob_top=top, bull_ob_bottom=top - 1)
    (box,) = draw(desk, start=FIRST + 12 * HOUR, end=FIRST + 15 * HOUR)
    assert (box["start"], box["end"]) == (FIRST + 12 * HOUR, FIRST + 16 * HOUR)
    assert draw(desk, start=FIRST + 30 * HOUR) == []


def test_trades_come_from_the_database_or_from_the_memory_of_a_backtest(memory, monkeypatch):
    desk = desk_with()
    trade = open_trade(desk)
    open_trade(desk, pair="ETH/USDT:USDT")
    assert [t.id for t in trades_drawn(PAIR)] == [trade.id]
    # A web server that serves charts has no database at all.
    monkeypatch.delattr(Trade, "session")
    assert trades_drawn(PAIR) == []


def full_chart(desk: Desk) -> list[AnnotationType]:
    return draw(desk, open_trade(desk, stop=99.5))


@pytest.fixture
def everything(memory) -> Desk:
    top = column((10, 20, 99.0))
    blocks = {f"{side}_ob_{edge}": top - (edge == "bottom") for side in ("bull", "bear")
              for edge in ("top", "bottom")}  # fmt: skip
    return desk_with(**blocks, zone_discount_edge=99.0, zone_premium_edge=101.0)


def test_the_host_accepts_every_annotation(everything, caplog):
    config = {
        "strategy": "Quorum", "strategy_path": str(ROOT / "strategies"), "user_data_dir": ROOT,
        "runmode": RunMode.OTHER, "stake_currency": "USDT", "timeframe": "1h",
        "trading_mode": "futures", "margin_mode": "isolated", "exchange": {"name": "binance"},
    }  # fmt: skip
    strategy = StrategyResolver.load_strategy(config)
    trade = open_trade(everything, stop=99.5)
    strategy.plot_annotations = lambda pair, start_date, end_date, dataframe, **kwargs: (
        draw_annotations(everything, [trade], pair, start_date, end_date)
    )
    dates = pd.date_range(START, periods=HOURS, freq="1h")
    taken = strategy.ft_plot_annotations(PAIR, pd.DataFrame({"date": dates}))
    assert len(taken) == len(draw(everything, trade)) == 2 + 3 + 6
    assert "Invalid annotation" not in caplog.text


def test_annotations_go_through_the_hosts_interface_as_json(everything):
    drawn = full_chart(everything)
    history = PairHistory(
        strategy="Quorum", pair=PAIR, timeframe="1h", timeframe_ms=3600000, columns=[], data=[],
        length=0, buy_signals=0, sell_signals=0, enter_long_signals=0, exit_long_signals=0,
        enter_short_signals=0, exit_short_signals=0, last_analyzed=datetime.now(UTC),
        last_analyzed_ts=0, data_start_ts=0, data_start="", data_stop="", data_stop_ts=0,
        annotations=drawn,
    )  # fmt: skip
    sent = json.loads(history.model_dump_json())["annotations"]
    assert [one["label"] for one in sent] == [one["label"] for one in drawn]
    assert all(isinstance(one["y_start"], float) for one in sent)
    assert sent[0]["start"].startswith("2024-01-01T10:00:00")
