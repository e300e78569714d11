"""Levels that fill in the candle of their entry stand apart: a candle does not prove them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from exported import exported
from page_runs import made_run
from typer.testing import CliRunner

from quorum.cli import app
from quorum.report.page.blocks import percent
from quorum.report.page.inputs import Inputs
from quorum.report.page.measures import measure
from quorum.report.page.run import PageSettings
from quorum.report.page.verdict import judge
from quorum.report.trades import Fill, filled_at_once

SETTINGS = PageSettings(runs=100)


def at_once(trade, tag: str = "ladder_1", price: float = 1.02, later: int = 0):
    """Return the trade with half of it out at a price, at the moment of the entry or later."""
    entry = next(fill for fill in trade.fills if fill.entry)
    price = entry.price * (price if trade.direction > 0 else 2 - price)
    half = Fill(entry.at + timedelta(hours=later), price, entry.amount / 2, False, tag)
    return replace(trade, fills=(entry, half, trade.fills[-1]), open_rate=entry.price)


@pytest.fixture(scope="module")
def run():
    return made_run(200)


@pytest.mark.parametrize(
    ("tag", "counts"),
    [("ladder_1", True), ("roi", True), ("stop_loss", False), ("time_stop", False)],
)
def test_only_levels_count_and_only_in_the_candle_of_the_entry(run, tag, counts):
    for trade in run.trades[:20]:
        entry = next(fill for fill in trade.fills if fill.entry)
        gain = 0.02 * entry.price * entry.amount / 2
        found = filled_at_once(at_once(trade, tag))
        assert found == (pytest.approx(gain) if counts else 0.0)
        assert filled_at_once(at_once(trade, tag, later=1)) == 0.0


def test_a_profit_that_candles_do_not_prove_is_no_profit(run):
    better = replace(run, trades=tuple(
        replace(at_once(t, price=1.05), profit=abs(t.profit) * 0.1 + 1.0) for t in run.trades
    ))  # fmt: skip
    m = measure(better, SETTINGS)
    gained = sum(map(filled_at_once, better.trades))
    assert m.profit > 0 > m.conservative
    assert m.conservative == pytest.approx(m.profit - gained)
    verdict = judge(better, m, Inputs(), SETTINGS)
    assert verdict.headline == "It earns money only by fills that its candles do not prove."
    assert any("that is how it is judged" in sentence for sentence in verdict.sentences)
    rows = {row[0].text: row[1].text for row in verdict.table.cells()}
    share = percent(m.conservative / run.capital, 2, sign=True)
    assert rows["profit without fills of a level in the entry candle"] == share


def test_the_trades_command_says_what_is_left(tmp_path_factory):
    backtest = exported(tmp_path_factory.getbasetemp())
    out = CliRunner().invoke(app, ["trades", "-r", str(backtest.result)]).output
    same = [
        t for t in backtest.trades
        if any(
            not o["ft_is_entry"] and o["ft_order_tag"].startswith(("ladder_", "roi"))
            and o["order_filled_timestamp"] == t["orders"][0]["order_filled_timestamp"]
            for o in t["orders"]
        )
    ]  # fmt: skip
    assert (f"without what {len(same)} trades took" in " ".join(out.split())) == bool(same)
