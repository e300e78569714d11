"""Trend and washout in real backtests: what the host makes of their orders (spec T-1, W-1, W-4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtests import backtesting, small_market
from cascades import CRASH, PAIRS, SHALLOW, TIMERANGE, TURN, draw_cascades

from quorum.heads import HEADS

HOUR = pd.Timedelta(hours=1)
#: Heads cost time and decide nothing here.
FEW = {head.name: {"enabled": head.name == "technical"} for head in HEADS}


def settings(*playbooks: str, **more: Any) -> dict[str, Any]:
    names = ("consensus", "trend", "washout")
    on = {name: {"enabled": name in playbooks} for name in names}
    return {"playbooks": on, "heads": FEW, "leverage": 2.0, "guards": {"preset": "off"}, **more}


def traded(datadir, folder, *playbooks: str, **more: Any) -> dict[str, Any]:
    changes = {"timerange": TIMERANGE, "export": "none", "pairs": list(PAIRS)}
    with backtesting(datadir, folder, quorum=settings(*playbooks, **more), **changes) as bt:
        bt.start()
        content = bt.all_bt_content["Quorum"]
        strategy = bt.strategy
        return {
            **content,
            "trades": content["results"],
            "tables": strategy.desk.tables,
            "playbooks": strategy.playbooks,
        }


@pytest.fixture(scope="module")
def datadir(tmp_path_factory):
    return draw_cascades(small_market(tmp_path_factory.mktemp("data") / "market"))


@pytest.fixture(scope="module")
def both(datadir, tmp_path_factory):
    return traded(datadir, tmp_path_factory.mktemp("both"), "trend", "washout")


@pytest.fixture(scope="module")
def washout(datadir, tmp_path_factory):
    return traded(datadir, tmp_path_factory.mktemp("washout"), "washout")


def orders(trades: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {**order, "pair": trade["pair"], "trade": index}
        for index, trade in trades.iterrows()
        for order in trade["orders"]
    ]
    frame = pd.DataFrame(rows)
    frame["at"] = pd.to_datetime(frame["order_filled_timestamp"], unit="ms", utc=True)
    return frame


def tagged(trades: pd.DataFrame, tag: str) -> pd.DataFrame:
    frame = orders(trades)
    return frame[frame["ft_order_tag"] == tag]


def published(result, pair: str, name: str, opened: pd.Timestamp) -> float:
    """Return a column at the last candle that had closed when a candle opened."""
    table = result["tables"][pair]
    row = table.row_at(int((opened - HOUR).timestamp() * 1000))
    return float(table.columns[name][row])


def test_a_bid_fills_only_in_the_candle_whose_low_reaches_it(both, washout):
    for result in (both, washout):
        bids = tagged(result["trades"], "washout")
        assert set(bids["pair"]) == set(PAIRS)
        assert set(bids["at"]) == {CRASH}


def test_a_bid_is_priced_anew_each_hour_and_cancelled_after_one_candle(both, washout):
    hours = {
        pair: sum(
            np.isfinite(published(washout, pair, "washout_bid", at))
            for at in pd.date_range("2023-05-20 01:00", "2023-06-17 23:00", freq="1h", tz="UTC")
        )
        for pair in PAIRS
    }
    # Every hour with a bid has an order, but for those in which a fill was held.
    assert washout["timedout_entry_orders"] == pytest.approx(sum(hours.values()), abs=20)
    assert both["timedout_entry_orders"] > 0.9 * washout["timedout_entry_orders"]
    for result in (both, washout):
        for _, bid in tagged(result["trades"], "washout").iterrows():
            wanted = published(result, bid["pair"], "washout_bid", bid["at"])
            assert bid["safe_price"] == pytest.approx(wanted, rel=1e-4)


def test_what_a_bid_bought_is_sold_at_the_opening_of_the_fourth_candle_after(both, washout):
    for result in (both, washout):
        trades = result["trades"]
        frame = orders(trades)
        for _, bid in tagged(trades, "washout").iterrows():
            sold = frame[(frame["trade"] == bid["trade"]) & (frame["at"] == CRASH + 4 * HOUR)]
            mine = sold[sold["ft_order_tag"] == "washout_over"]
            assert mine["amount"].tolist() == [bid["amount"]]
            opened = published(result, bid["pair"], "close", CRASH + 4 * HOUR)
            assert mine["safe_price"].iloc[0] == pytest.approx(opened, rel=1e-3)


def test_an_addition_leaves_the_units_of_the_trend_alone(datadir, both, tmp_path):
    alone = orders(traded(datadir, tmp_path, "trend")["trades"])
    frame = orders(both["trades"])
    frame = frame[~frame["ft_order_tag"].str.startswith("washout")]
    early = TURN - HOUR
    for name in ("amount", "at", "ft_order_tag", "pair"):
        ours = frame[frame["at"] < CRASH][name].tolist()
        assert ours == alone[alone["at"] < CRASH][name].tolist()
    # After the profit of the bid the equity is larger, and with it what the trend holds.
    held = [
        np.where(f["ft_is_entry"], f["amount"], -f["amount"])[f["at"] < early].sum()
        for f in (frame, alone)
    ]
    assert held[0] == pytest.approx(held[1], rel=0.3)


def test_the_trend_ends_with_its_forecast_though_a_bid_rested_until_then(
    datadir, tmp_path, monkeypatch
):
    # Bids whatever the day said: else they end before the trend does.
    monkeypatch.setattr("quorum.playbooks.washout.LEAST_FORECAST", -20.0)
    result = traded(datadir, tmp_path, "trend", "washout")
    trades = result["trades"]
    ended = trades[trades["exit_reason"] == "trend_over"]
    assert set(ended["pair"]) == set(PAIRS)
    for _, trade in ended.iterrows():
        pair, at = trade["pair"], trade["close_date"]
        assert published(result, pair, "trend_forecast", at) <= 0.0
        assert published(result, pair, "trend_forecast", at - HOUR) > 0.0
        assert np.isfinite(published(result, pair, "washout_bid", at - HOUR))
        # The whole trade went, and what rested went with it.
        steps = orders(trades.loc[[trade.name]])
        assert steps["at"].max() == at


def test_the_weight_held_follows_the_target_within_its_buffer(both):
    steps = orders(both["trades"])
    steps = steps[steps["ft_order_tag"].isin(["trend", "trend_trimmed"])]
    assert {"trend", "trend_trimmed"} <= set(steps["ft_order_tag"])
    later = steps.groupby("trade").cumcount() > 0
    assert set(steps[later]["at"].dt.hour % 4) == {0}


def test_the_stop_stays_where_it_is_when_parts_are_taken_out(both):
    """The host would lay the stop off anew from every price a part was sold at."""
    for _, trade in both["trades"].iterrows():
        units = paid = 0.0
        for order in trade["orders"][:-1]:
            if not order["ft_order_tag"].startswith("trend"):
                continue
            side = 1.0 if order["ft_is_entry"] else -1.0
            price = order["safe_price"] if order["ft_is_entry"] else paid / units
            units, paid = units + side * order["amount"], paid + side * order["amount"] * price
        # What was bought in the crash and sold again has left no mark on it.
        assert trade["stop_loss_abs"] == pytest.approx(0.7 * paid / units, rel=2e-3)


def test_a_share_that_has_fallen_to_nothing_enters_nothing(datadir, tmp_path, monkeypatch):
    monkeypatch.setattr("quorum.playbooks.allocation.FALLS_FROM", -2.0)
    monkeypatch.setattr("quorum.playbooks.allocation.FALLS_TO", -1.0)
    nothing = {"allocation": {"derisk_share": 0.0}}
    books = settings("trend", "washout")["playbooks"] | nothing
    # The guards keep the peak; that of the day never refuses here.
    guards = {"preset": "off", "day": {"enabled": True, "max_loss": 100.0}}
    assert traded(datadir, tmp_path, playbooks=books, guards=guards)["trades"].empty


def test_an_order_found_at_the_exchange_is_given_back_to_the_playbook_that_placed_it(both):
    books, pair = both["playbooks"], PAIRS[0]
    at = (CRASH + pd.Timedelta(minutes=10)).to_pydatetime()
    bid = published(both, pair, "washout_bid", CRASH)
    close = published(both, pair, "close", CRASH)
    assert books.tag_of_entry(pair, at, bid) == "washout"
    assert books.tag_of_entry(pair, at, close) == "trend"
    fallen = pd.Timestamp("2023-06-15 12:00", tz="UTC").to_pydatetime()
    assert books.tag_of_entry(pair, fallen, close) is None


def test_a_shallow_fall_leaves_the_bid_unfilled(washout):
    for pair in PAIRS:
        table = washout["tables"][pair]
        low = table.columns["low"][table.row_at(int(SHALLOW.timestamp() * 1000))]
        assert published(washout, pair, "washout_bid", SHALLOW) < low


def test_a_consensus_leaves_the_pair_to_a_playbook(datadir, tmp_path):
    result = traded(datadir, tmp_path, "consensus", "trend", heads={})
    trades = result["trades"]
    assert (trades["enter_tag"] == "trend").any()
    for _, trade in trades[trades["enter_tag"] != "trend"].iterrows():
        opened = trade["open_date"]
        vetoed = trade["is_short"]
        assert vetoed or published(result, trade["pair"], "trend_forecast", opened) <= 0.0
