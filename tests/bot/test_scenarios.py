"""The four scenarios of spec E, through the callbacks of the real strategy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pytest
from backtests import backtesting, small_market
from published import agreeing, published

from quorum.entry import Signal

PAIR = "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def datadir(tmp_path_factory):
    return small_market(tmp_path_factory.mktemp("data") / "market")


class Entry:
    """One entry as the host asks for it, callback by callback."""

    def __init__(self, strategy: Any, frame: pd.DataFrame) -> None:
        self.strategy = strategy
        frame = strategy.advise_entry(frame, {"pair": PAIR})
        self.frame = strategy.advise_exit(frame, {"pair": PAIR})
        self.at = (self.frame["date"].iloc[0] + pd.Timedelta(hours=1)).to_pydatetime()

    @property
    def side(self) -> str | None:
        row = self.frame.iloc[0]
        return "long" if row["enter_long"] else "short" if row["enter_short"] else None

    def rate(self, price: float) -> float:
        return self.strategy.custom_entry_price(
            pair=PAIR, trade=None, current_time=self.at, proposed_rate=price,
            entry_tag=None, side=self.side,
        )  # fmt: skip

    def stake(self, rate: float) -> float:
        return self.strategy.custom_stake_amount(
            pair=PAIR, current_time=self.at, current_rate=rate, proposed_stake=1000.0,
            min_stake=5.0, max_stake=1e9, leverage=1.0, entry_tag=None, side=self.side,
        )  # fmt: skip

    def confirm(self, rate: float) -> bool:
        return self.strategy.confirm_trade_entry(
            pair=PAIR, order_type="limit", time_in_force="GTC", rate=rate,
            amount=self.signal().position_size_quote / rate,
            current_time=self.at, entry_tag=None, side=self.side,
        )  # fmt: skip

    def signal(self) -> Signal:
        return self.strategy.desk._pending[PAIR]


@contextmanager
def entry(datadir, tmp_path, frame: pd.DataFrame, **quorum: Any) -> Iterator[Entry]:
    # 100,000 of capital: the wallet's tradable part is all of it.
    changes = {"tradable_balance_ratio": 1.0, "quorum": quorum}
    with backtesting(datadir, tmp_path, **changes) as bt:
        bt._set_strategy(bt.strategylist[0])
        yield Entry(bt.strategy, frame)


def test_scenario_1_excellent_long_at_once(datadir, tmp_path):
    frame = published([agreeing(7, 0.80, 0.78)], close=43250.0, atr=300.0, zone_position=0.3)
    with entry(datadir, tmp_path, frame) as e:
        assert e.side == "long"
        assert e.rate(43250.0) == 43250.0
        assert e.stake(43250.0) == pytest.approx(2700.0)
        assert e.signal().signal_quality == "excellent"
        assert e.signal().take_profit == pytest.approx(44600.0)
        assert e.confirm(43250.0)


def test_scenario_2_halved_long_that_waits_for_a_pullback(datadir, tmp_path):
    # .68 of four heads lies under the default threshold of a valid vote (.70 + .02).
    frame = published(
        [agreeing(4, 0.65, 0.66)],
        atr=1.0,
        zone_position=0.72,
        liquidation_below=0.03,
        liquidation_below_mass=0.05,
    )
    loose = {"consensus": {"min_confidence": 0.6}}
    with entry(datadir, tmp_path, frame, **loose) as e:
        assert e.side == "long"
        rate = e.rate(100.0)
        assert rate == pytest.approx(99.7)
        assert e.stake(rate) == pytest.approx(575.0)
        signal = e.signal()
        assert signal.consensus_confidence == pytest.approx(0.68)
        assert signal.signal_quality == "acceptable"
        assert signal.position_size_pct == pytest.approx(0.575)
        assert signal.liquidation_risk_detected is True
        assert signal.entry_strategy == "wait_pullback"
        assert signal.entry_zone_status == "premium"
        assert signal.risk_reward_ratio == pytest.approx(2.0)
        assert e.confirm(rate)


def test_scenario_3_short_against_the_crowd_is_boosted_but_keeps_its_ratio(datadir, tmp_path):
    frame = published(
        [agreeing(5, 0.70, 0.73, side=-1)],
        close=47800.0,
        atr=300.0,
        zone_position=0.91,
        premium=0.008,
        crowd=1.0,
    )
    with entry(datadir, tmp_path, frame) as e:
        assert e.side == "short"
        assert e.rate(47800.0) == 47800.0
        assert e.stake(47800.0) == pytest.approx(2080.0)
        signal = e.signal()
        assert signal.consensus_confidence == pytest.approx(0.78)
        assert signal.position_size_pct == pytest.approx(2.08)
        assert signal.stop_loss == pytest.approx(48250.0)
        assert signal.take_profit == pytest.approx(46675.0)
        assert signal.risk_reward_ratio == pytest.approx(2.5)
        assert signal.extreme_leverage_detected is True
        assert any("1.1" in reason for reason in signal.reasons)
        assert e.confirm(47800.0)


def test_scenario_4_is_refused_and_the_reason_says_so(datadir, tmp_path):
    frame = published(
        [agreeing(4, 0.65, 0.65)], liquidation_below=0.015, liquidation_below_mass=0.1
    )
    loose = {"consensus": {"min_confidence": 0.6}}
    with entry(datadir, tmp_path, frame, **loose) as e:
        assert e.side == "long"
        e.stake(100.0)
        assert e.signal().consensus_confidence == pytest.approx(0.67)
        assert e.signal().veto == "liquidation_cluster"
        assert not e.confirm(100.0)
        assert e.strategy.desk.refused == {"liquidation_cluster": 1}
