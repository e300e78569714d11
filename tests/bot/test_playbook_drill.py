"""Trend and washout live, through a crash, with kills while bids rest and after they filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from backtests import small_market
from cascades import CRASH, draw_cascades
from live_exchange import Drill

from quorum.heads import HEADS

PAIRS = ("ETH/USDT:USDT", "SOL/USDT:USDT")
HOUR = pd.Timedelta(hours=1)
QUORUM = {
    "playbooks": {
        "consensus": {"enabled": False},
        "trend": {"enabled": True},
        "washout": {"enabled": True},
    },
    "heads": {head.name: {"enabled": head.name == "technical"} for head in HEADS},
    "leverage": 2.0,
}


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_cascades(small_market(tmp_path_factory.mktemp("drill") / "market"))


def filled(trade: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return [o for o in trade["orders"] if o["ft_order_tag"] == tag and (o["filled"] or 0) > 0]


def held(drill: Drill) -> dict[str, float]:
    """Return the coins of every position of the test account, by symbol."""
    return {symbol: p["amount"] for symbol, p in drill.account()["positions"].items()}


def test_additions_and_their_exits_survive_kills_in_a_crash(datadir: Path, tmp_path: Path):
    begin = CRASH - 3 * HOUR + pd.Timedelta(minutes=20)
    options = {"orders": True, "pairs": PAIRS, "throttle": 600, "config": {"quorum": QUORUM}}
    with Drill(tmp_path, datadir, begin, **options) as drill:
        drill.start_bot()
        drill.run_until(CRASH - HOUR / 2, timeout=300)
        before = {t["pair"]: t["amount"] for t in drill.trades() if t["is_open"]}
        assert set(before) == set(PAIRS)
        # Bids rest: the bot dies, and price reaches them while it is gone.
        assert all(any(o["ft_is_open"] for o in t["orders"]) for t in drill.trades())
        drill.bot.kill()
        drill.start_bot()
        drill.run_until(CRASH + HOUR * 0.99, timeout=300)
        drill.bot.kill()
        drill.start_bot()
        drill.run_until(CRASH + 4 * HOUR + pd.Timedelta(minutes=40), timeout=300)
        trades = [t for t in drill.trades() if t["is_open"]]
        assert sorted(t["pair"] for t in trades) == sorted(PAIRS)
        for trade in trades:
            bought, sold = filled(trade, "washout"), filled(trade, "washout_over")
            assert len(bought) == len(sold) == 1
            assert pd.Timestamp(bought[0]["order_date"], tz="UTC").floor("h") == CRASH
            assert sold[0]["filled"] == pytest.approx(bought[0]["filled"])
            assert pd.Timestamp(sold[0]["order_date"], tz="UTC").floor("h") == CRASH + 4 * HOUR
            # What the trend held before the crash it holds after it, but for its own steps.
            own = filled(trade, "trend")
            out = sum(o["filled"] for o in filled(trade, "trend_trimmed"))
            assert trade["amount"] == pytest.approx(sum(o["filled"] for o in own) - out)
            # Each hour one bid, at its own price.
            bids = [o for o in trade["orders"] if o["ft_order_tag"] == "washout"]
            hours = [pd.Timestamp(o["order_date"]).floor("h") for o in bids]
            assert len(hours) == len(set(hours)) >= 3
        assert held(drill) == pytest.approx(
            {t["pair"].split("/")[0] + "USDT": t["amount"] for t in trades}
        )
