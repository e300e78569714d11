"""Cards: every trade with the candles around it, packed for the browser to draw on demand.

Candles are kept once per pair, only those that some trade shows, each price as one of 65,536
steps on a logarithmic scale between the pair's lowest and highest: a step is far less than a
pixel, and a candle takes eight bytes. What is written as a number beside the chart is exact.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from quorum.candles import Candles, timeframe_ms
from quorum.context.base import told
from quorum.entry import Signal
from quorum.report.page.ledger import entry_notional, fees_of, ms, plain
from quorum.report.page.run import PageSettings, Run
from quorum.report.trades import TradeRecord
from quorum.signals import SignalTable
from quorum.typing import Bools

#: Steps of the logarithmic price scale.
STEPS = 65_535
MINUTE_MS = 60_000
#: Published columns that make a zone: name, lower and upper edge.
ZONES = (
    ("bullish order block", "bull_ob_bottom", "bull_ob_top"),
    ("bearish order block", "bear_ob_bottom", "bear_ob_top"),
    ("discount under", "zone_discount_edge", "zone_discount_edge"),
    ("premium over", "zone_premium_edge", "zone_premium_edge"),
)
#: What a trade's row holds, in order.
FIELDS = (
    "pair", "side", "placed", "entered", "closed", "open", "close", "profit", "ratio", "r",
    "notional", "fees", "funding", "best", "worst", "exit", "tag", "fills", "signal",
)  # fmt: skip
#: What a signal's row holds, in order.
SIGNAL_FIELDS = (
    "entry", "stop", "stopKind", "ladder", "shares", "probability", "confidence", "confluence",
    "agreeing", "heads", "band", "quality", "promised", "ratio", "risk", "size", "votes", "facts",
    "reasons", "zones", "expected", "promisedBy", "measured", "reward", "why",
    "warnings",
)  # fmt: skip


class Words:
    """Strings kept once, referred to by number."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def __call__(self, word: str) -> int:
        """Return the number of a string."""
        return self._known.setdefault(word, len(self._known))

    def listed(self) -> list[str]:
        """Return all strings, by number."""
        return list(self._known)


def cards_payload(run: Run, settings: PageSettings) -> dict[str, Any]:
    """Pack all trades of a run for the browser.

    Returns
    -------
    dict
        ``fields`` and ``signalFields`` name what a row of ``trades`` and its signal hold; texts
        are numbers into ``words``; times are minutes since the epoch; ``pairs`` hold the candles.
    """
    words = Words()
    pairs = list(dict.fromkeys(trade.pair for trade in run.trades))
    number = {pair: i for i, pair in enumerate(pairs)}
    return {
        "fields": FIELDS,
        "signalFields": SIGNAL_FIELDS,
        "trades": [_trade(trade, number[trade.pair], run, words) for trade in run.trades],
        "pairs": [_pair(pair, run, settings) for pair in pairs],
        "words": words.listed(),
        "currency": run.currency,
        "step": timeframe_ms(run.timeframe) // MINUTE_MS,
        "before": settings.before,
        "after": settings.after,
        "longest": settings.longest,
        "end": run.last // MINUTE_MS,
    }


def _short(value: float | None, digits: int = 7) -> float | None:
    """Return a number with so many significant digits, None for one that is not known."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _trade(trade: TradeRecord, pair: int, run: Run, words: Words) -> list[Any]:
    entered, closed = ms(trade)
    signal = trade.signal
    return [
        pair,
        trade.direction,
        int(trade.opened.timestamp() * 1000) // MINUTE_MS,
        entered // MINUTE_MS,
        closed // MINUTE_MS if closed >= 0 else None,
        _short(trade.open_rate),
        _short(trade.close_rate),
        _short(trade.profit, 6),
        _short(trade.profit_ratio, 5),
        _short(trade.r_multiple, 4),
        _short(entry_notional(trade), 6),
        _short(fees_of(trade), 4),
        _short(trade.funding, 4),
        _short(trade.best),
        _short(trade.worst),
        words(plain(trade.exit_reason) if trade.closed is not None else "still open"),
        words(plain(next((f.tag for f in trade.fills if f.entry), None))),
        [
            [
                int(f.at.timestamp() * 1000) // MINUTE_MS,
                _short(f.price),
                _short(f.amount, 5),
                int(f.entry),
                words(plain(f.tag)),
            ]
            for f in trade.fills
        ],
        None if signal is None else _signal(signal, run.tables.get(trade.pair), words),
    ]


def _signal(signal: Signal, table: SignalTable | None, words: Words) -> list[Any]:
    return [
        _short(signal.entry_price),
        _short(signal.stop_loss),
        words(plain(signal.stop_kind)),
        [_short(price) for price in signal.ladder],
        [_short(share, 3) for share in signal.ladder_shares],
        _short(signal.consensus_probability, 4),
        _short(signal.consensus_confidence, 4),
        _short(signal.confluence_score, 3),
        signal.agreeing_heads,
        signal.total_heads,
        words(plain(signal.confidence_band)),
        words(signal.signal_quality),
        _short(signal.expected_win_rate, 3),
        _short(signal.risk_reward_ratio, 4),
        _short(signal.risk_amount, 5),
        _short(signal.position_size_pct, 4),
        [
            [
                words(name),
                vote.direction,
                _short(vote.probability, 3),
                _short(vote.confidence, 3),
                [words(plain(code)) for code in vote.reason.split("+") if code],
            ]
            for name, vote in signal.votes.items()
        ],
        [
            words(_fact(key, value))
            for key, value in signal.context.items()
            if value is not None and not isinstance(value, dict)
        ],
        [words(_reason(reason)) for reason in signal.reasons],
        [] if table is None else _zones(signal, table, words),
        _short(signal.expected_r, 4),
        words(signal.promised_by),
        _short(signal.measured_confidence, 4),
        _short(signal.reward_amount, 5),
        signal.reasoning,
        [words(text) for text in signal.warnings],
    ]


def _fact(key: str, value: Any) -> str:
    return f"{plain(key)}: {told(value)}"


def _reason(reason: str) -> str:
    return plain(reason).replace("=", " ")


def _zones(signal: Signal, table: SignalTable, words: Words) -> list[Any]:
    """Return the zones known at the close of the signal's candle."""
    row = table.row_at(int(signal.timestamp.timestamp() * 1000))
    if row is None:
        return []
    found = []
    for name, lower, upper in ZONES:
        low, high = (table.columns.get(edge) for edge in (lower, upper))
        if low is not None and high is not None and np.isfinite(low[row] + high[row]):
            found.append([words(name), _short(float(low[row])), _short(float(high[row]))])
    return found


def shown_rows(candles: Candles, trades: Sequence[TradeRecord], settings: PageSettings) -> Bools:
    """Tell which candles some trade's card shows, shape (n_candles,)."""
    shown = np.zeros(len(candles), dtype=np.bool_)
    for trade in trades:
        entered, closed = ms(trade)
        a = int(np.searchsorted(candles.time, entered, side="right")) - 1
        b = len(candles) if closed < 0 else int(np.searchsorted(candles.time, closed, side="right"))
        end = min(b + settings.after, a + settings.longest)
        shown[max(0, a - settings.before) : max(0, end)] = True
    return shown


def _pair(pair: str, run: Run, settings: PageSettings) -> dict[str, Any]:
    """Pack the candles of one pair that its trades show."""
    packed: dict[str, Any] = {"name": pair}
    candles = run.candles.get(pair)
    if candles is None or len(candles) == 0:
        return packed
    shown = shown_rows(candles, [t for t in run.trades if t.pair == pair], settings)
    rows = np.flatnonzero(shown)
    if len(rows) == 0:
        return packed
    low = math.log(float(candles.low[rows].min()))
    step = max((math.log(float(candles.high[rows].max())) - low) / STEPS, 1e-12)
    prices = np.column_stack([getattr(candles, n)[rows] for n in ("open", "high", "low", "close")])
    steps = np.clip(np.round((np.log(prices) - low) / step), 0, STEPS).astype("<u2")
    # Runs of neighbouring candles: where each begins in time, and how many there are.
    begins = np.flatnonzero(np.diff(candles.time[rows], prepend=-1) != candles.step)
    lengths = np.diff(np.append(begins, len(rows)))
    packed.update(
        low=low,
        logStep=step,
        runs=[
            [int(candles.time[rows[b]]) // MINUTE_MS, int(n)]
            for b, n in zip(begins, lengths, strict=True)
        ],
        data=base64.b64encode(steps.tobytes()).decode("ascii"),
    )
    return packed
