"""Runs made by hand for the page: trades at known prices on generated candles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
from markets import START, candle_frame
from published import agreeing, published, table_of

from quorum.candles import Candles, candles_from_frame
from quorum.entry import Account, Signal, draw_up
from quorum.learning.evidence_document import (
    Baseline,
    Bin,
    Evidence,
    FeatureWeight,
    Figures,
    Importance,
    ModelEvidence,
    Range,
    Trades,
    Turn,
)
from quorum.report.page.inputs import Learned
from quorum.report.page.run import Run
from quorum.report.trades import Fill, TradeRecord
from quorum.settings import Settings

PAIRS = tuple(f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA"))
FEE = 0.0005
HOUR = 3_600_000
FIRST = int(START.timestamp() * 1000)


@cache
def signal_template(side: int = 1) -> Signal:
    """Return a signal of seven heads with zones around it."""
    votes = [*agreeing(7, 0.80, 0.78, side)[:8], (-side, 0.6, 0.55)]
    frame = published([votes], close=100.0, atr=1.0, zone_position=0.5)
    return draw_up(table_of(frame), 0, PAIRS[0], 100.0, Account(100_000.0), Settings())


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def trade_on(
    candles: Candles,
    pair: str,
    row: int,
    hours: int,
    side: int,
    *,
    amount: float = 10.0,
    funding: float = 0.0,
    confidence: float = 0.8,
    signalled: bool = True,
) -> TradeRecord:
    """Enter at the open of one candle, half out half way, the rest out at the open of a later."""
    end = row + hours
    middle = row + hours // 2
    entry, half, leave = (float(candles.open[r]) for r in (row, middle, end))
    opened, closed = moment(int(candles.time[row])), moment(int(candles.time[end]))
    out = 0.5 * amount
    fills = (
        Fill(opened, entry, amount, True, "7/9 high"),
        Fill(moment(int(candles.time[middle])), half, out, False, "ladder_1"),
        Fill(closed, leave, out, False, "trailing_stop_loss"),
    )
    gross = side * out * (half + leave - 2 * entry)
    profit = gross - FEE * sum(f.price * f.amount for f in fills) + funding
    signal = None
    if signalled:
        risk = 0.01 * entry
        signal = signal_template(side).model_copy(
            update={
                "symbol": pair,
                "entry_price": entry,
                "stop_loss": entry - side * risk,
                "ladder": (entry + side * 2 * risk, entry + side * 3 * risk),
                "ladder_shares": (0.7, 0.3),
                "consensus_confidence": confidence,
                "confidence_band": "very_high" if confidence >= 0.85 else "high",
                "risk_amount": risk * amount,
                "timestamp": opened - timedelta(hours=1),
                "regime": ("weak_bull", "bear_range")[row % 2],
            }
        )
    span = slice(row, end + 1)
    low, high = float(candles.low[span].min()), float(candles.high[span].max())
    return TradeRecord(
        pair=pair,
        direction=side,
        opened=opened,
        closed=closed,
        open_rate=entry,
        close_rate=leave,
        profit=profit,
        profit_ratio=profit / (amount * entry),
        funding=funding,
        best=high if side > 0 else low,
        worst=low if side > 0 else high,
        exit_reason=("stop_loss", "roi")[int(profit > 0)],
        fills=fills,
        signal=signal,
    )


def made_run(
    trades: int, *, candles: int = 2000, pairs: int = 3, seed: int = 0, signalled: bool = True
) -> Run:
    """Return a run of random trades without any edge on generated candles."""
    rng = np.random.default_rng(seed)
    series = {
        pair: candles_from_frame(candle_frame(candles, seed=seed + i), "1h")
        for i, pair in enumerate(PAIRS[:pairs])
    }
    made = [
        trade_on(
            series[pair],
            pair,
            int(rng.integers(100, candles - 120)),
            int(rng.integers(2, 40)),
            int(rng.choice([-1, 1])),
            confidence=float(rng.uniform(0.7, 0.95)),
            funding=float(rng.normal(0, 0.02)),
            signalled=signalled,
        )
        for pair in rng.choice(PAIRS[:pairs], trades)
    ]
    first = next(iter(series.values()))
    return Run(
        name="made.zip",
        kind="backtest",
        trades=tuple(sorted(made, key=lambda t: (t.opened, t.pair))),
        refused={"loss_streak": 30, "first_target_under_min_rr": 700},
        first=int(first.time[100]),
        last=int(first.time[-1]),
        timeframe="1h",
        currency="USDT",
        capital=100_000.0,
        pairs=PAIRS[:pairs],
        futures=True,
        section={},
        candles=series,
    )


def _range(estimate: float, half: float = 0.02) -> Range:
    return Range(estimate=estimate, low=estimate - half, high=estimate + half)


def _bins(miss: float) -> tuple[Bin, ...]:
    promised = np.linspace(0.1, 0.9, 9)
    return tuple(
        Bin(promised=p, realised=p + miss, low=p + miss - 0.05, high=p + miss + 0.05, count=100)
        for p in promised.tolist()
    )


def figures_of(auc: float, rows: int = 1000) -> Figures:
    """Return the figures of a signal model with some AUC."""
    trades = Trades(count=40, mean_r=_range(-0.05), total_r=-2.0, win_rate=0.4)
    base = Baseline(log_loss=0.7, brier=0.5, auc=Range(estimate=0.5))
    return Figures(
        rows=rows, days=200, log_loss=_range(0.69), brier=_range(0.49), auc=_range(auc),
        direction_auc=_range(auc), gain_on_majority=_range(0.01), gain_on_momentum=_range(0.0),
        ece_before=0.18, ece_after=0.023, coverage=0.1, precision=_range(0.6), trades=trades,
        leaning=trades, baselines={"majority": base, "shuffled": base},
    )  # fmt: skip


def chain_evidence(chain: str = "chain-1", starts: tuple[int, ...] = ()) -> Evidence:
    """Return what was measured of a chain with a model of each kind but regimes."""
    weights = (
        FeatureWeight(name="rsi_14", gain=0.3, shap=0.25, top=1.0),
        FeatureWeight(name="atr_pct", gain=0.2, shap=0.15, top=0.5),
    )
    turns = tuple(
        Turn(valid_from=at, rows=100, auc=_range(0.55), gain_on_majority=_range(0.01, 0.05))
        for at in starts
    )
    models = {
        name: ModelEvidence(
            name=name, classes=(-1, 0, 1), covered=0.65,
            periods={"2023": figures_of(0.58), "2024": figures_of(0.51), "total": figures_of(0.55)},
            turns=turns, reliability=_bins(0.02), reliability_before=_bins(-0.12),
            importance=Importance(features=weights, vintages=3, rank_correlation=0.8),
            findings=("it has no skill",),
        )
        for name in ("signal", "ensemble", "meta")
    }  # fmt: skip
    return Evidence(
        chain=chain, timeframe="1h", pairs=PAIRS, first=FIRST, last=FIRST + 900 * HOUR,
        threshold=0.65, level=0.95, block_days=5.0, models=models,
        conclusions=("no model pays after costs",),
    )  # fmt: skip


def chain_learned() -> Learned:
    return Learned("chain-1", 3, chain_evidence())
