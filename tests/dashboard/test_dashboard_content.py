"""What pages say: bands of a backtest, advisors, trades, positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from page_runs import made_run
from served import backtest_source, client

from quorum.advisors.ledger import Ledger
from quorum.advisors.record import Record
from quorum.dashboard.bands import LEVELS, bands
from quorum.dashboard.finished import BacktestSource
from quorum.dashboard.pages.advisors import advisors_of
from quorum.dashboard.pages.performance import SETTINGS, against_backtest
from quorum.dashboard.positions import open_positions
from quorum.report.page.measures import measure
from quorum.state import Store


def test_bands_hold_as_many_runs_as_they_say():
    rng = np.random.default_rng(3)
    history = rng.normal(0.001, 0.01, 500)
    ends = np.array(
        [bands(rng.normal(0.001, 0.01, 60), history, 400).percentile for _ in range(80)]
    )
    assert 0.35 < ends.mean() < 0.65
    assert np.mean((ends > 0.05) & (ends < 0.95)) > 0.75
    found = bands(np.full(60, 0.02), history)
    assert found.percentile == 1.0
    assert found.levels.shape == (len(LEVELS), 60)
    assert (np.diff(found.levels, axis=0) >= 0).all()


def test_a_run_longer_than_its_backtest_has_bands_to_its_end():
    found = bands(np.zeros(50), np.full(20, 0.01))
    assert found.levels.shape == (len(LEVELS), 50)
    assert found.levels[0, -1] == pytest.approx(1.01**50 - 1)


def test_a_bot_is_held_against_its_backtest_and_a_backtest_against_nothing():
    source = backtest_source(60)
    snapshot = source.snapshot()
    measures = measure(snapshot.run, SETTINGS)
    assert against_backtest(snapshot, measures) is None
    live = replace(snapshot, live=True, backtest=made_run(80, seed=2))
    drawn = against_backtest(live, measures)
    assert drawn is not None
    assert drawn.series[-1][0] == "the bot"
    assert drawn.series[-1][2][-1] == pytest.approx(
        100 * (np.prod(1 + measures.returns) - 1), abs=1e-3
    )
    with client(BacktestSource(made_run(0), dict)) as found:
        assert "nothing to judge" in found.get("/performance").text


def test_a_position_is_worth_what_was_paid_and_what_the_price_has_done_since():
    run = made_run(1)
    (trade,) = run.trades
    entry, half = trade.fills[0], trade.fills[1]
    still_open = replace(trade, closed=None, fills=(entry, half), funding=0.0)
    (found,) = open_positions(replace(run, trades=(still_open,)))
    price = float(run.candles[trade.pair].close[-1])
    gained = trade.direction * (
        half.amount * (half.price - entry.price)
        + (entry.amount - half.amount) * (price - entry.price)
    )
    assert found.amount == entry.amount - half.amount
    assert found.floating == pytest.approx(gained)
    assert trade.signal is not None
    risk = abs(trade.open_rate - trade.signal.stop_loss) * entry.amount
    assert found.r_multiple == pytest.approx(gained / risk)
    assert found.playbook == "consensus"
    named = replace(still_open, fills=(replace(entry, tag="washout 3"), half))
    assert open_positions(replace(run, trades=(named,)))[0].playbook == "washout"


def record(number: int, provider: str, lean: float, status: str = "answered") -> Record:
    """Return an answer about timeframes of one candle."""
    at = 1_700_000_000_000 + number // 2 * 14_400_000
    numbers = {"BTC/USDT:USDT": [lean] * 4 + [0.8] * 4} if status == "answered" else {}
    return Record(
        id=f"{number:064x}", question=f"{number + 1000:064x}", kind="timeframes", version=1,
        provider=provider, model="m-1", model_asked="m", role="technician", pair="BTC/USDT:USDT",
        candle=at, asked_at=at + 1000, known_at=at + 3000, status=status, numbers=numbers,
        system="s", user=f"u{number}", tokens_in=900, tokens_out=100, cost=0.01,
    )  # fmt: skip


def test_advisors_are_counted_paid_and_compared(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'state.sqlite'}")
    ledger = Ledger(store)
    leans = (1, 1, 1, -1, 1, 1)
    for number, lean in enumerate(leans):
        ledger.append(record(number, ("openai", "gemini")[number % 2], lean))
    ledger.append(record(6, "gemini", 0, "refused"))
    snapshot = replace(backtest_source(5).snapshot(), store=store)
    found = advisors_of(snapshot)
    by = {advisor.provider: advisor for advisor in found.advisors}
    assert (by["openai"].asked, by["openai"].answered) == (3, 3)
    assert by["gemini"].failures == {"refused": 1}
    assert by["openai"].cost == pytest.approx(0.03)
    assert by["openai"].tokens == 3000
    assert (found.agreement, found.compared) == (pytest.approx(2 / 3), 3)


def test_without_advisors_the_page_says_so():
    with client(backtest_source(5)) as found:
        assert "No advisor has been asked" in found.get("/advisors").text
        assert found.get("/api/v1/advisors").json()["advisors"] == []
        assert found.get("/api/v1/advisors/answers").json() == []


def test_trades_are_listed_a_page_at_a_time_and_numbered_as_in_card():
    with client(backtest_source(250)) as found:
        first = found.get("/trades").text
        assert "151 to 250 of 250" in first
        assert 'href="/trades?before=151"' in first
        assert "51 to 150 of 250" in found.get("/trades?before=151").text
        assert found.get("/trades/251").status_code == 404
        assert found.get("/pairs/NONE/USDT").status_code == 404
        newest = found.get("/api/v1/trades?limit=1").json()[0]
        assert newest["opened"] == max(
            t["opened"] for t in found.get("/api/v1/trades?limit=1000").json()
        )


def test_the_api_is_described():
    with client(backtest_source(5)) as found:
        schema = found.get("/api/v1/openapi.json").json()
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path in ("signals", "decisions", "trades", "portfolio", "guards", "advisors", "models"):
        assert f"/api/v1/{path}" in schema["paths"]
    assert "order_id" in schema["components"]["schemas"]["TradeAlert"]["properties"]
