"""Candle files: what backtests and training can read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from quorum.candles import timeframe_ms
from quorum.doctor.base import Finding, Level, Setup, Span

#: Without these most heads abstain.
NEEDED = ("higher 4h", "higher 1d", "funding_rate", "mark")
#: Series of other coins; that one of them was listed later is no defect.
OF_OTHERS = ("context", "universe")
#: Funding is published every eight hours [ms].
LONGEST_GAP = 8 * 3_600_000


def _day(time: float) -> str:
    return f"{datetime.fromtimestamp(time / 1000, tz=UTC):%Y-%m-%d}"


def candles(setup: Setup) -> Iterator[Finding]:
    """Every pair needs its own candles, and enough of them."""
    own = [span for span in setup.series if span.role == "base"]
    if not any(span.rows for span in own):
        what = "none of these pairs" if setup.datadir.is_dir() else "no such folder"
        yield Finding(
            Level.HINT,
            "no candles are on disk: a bot needs none, a backtest and training do",
            f"{setup.datadir}: {what}",
            _download(setup),
        )
        return
    missing = [span.pair for span in own if span.rows == 0]
    if missing:
        yield Finding(
            Level.PROBLEM,
            f"{len(missing)} of {len(own)} pairs have no candles: they cannot be backtested",
            f"{setup.datadir}: {', '.join(missing)}",
            _download(setup),
        )
    startup = setup.strategy.values.get("startup_candle_count", 0) if setup.strategy else 0
    short = [span for span in own if 0 < span.rows <= startup]
    if short:
        yield Finding(
            Level.PROBLEM,
            f"{len(short)} pairs have no more candles than the start-up takes ({startup})",
            ", ".join(f"{span.pair} {span.rows}" for span in short),
            "download more history",
        )
    there = [span for span in own if span.rows > startup]
    if there:
        first, last = max(s.first for s in there), min(s.last for s in there)
        yield Finding(
            Level.OK,
            f"{len(there)} pairs have candles, all of them from {_day(first)} to {_day(last)}",
            str(setup.datadir),
        )


def informative(setup: Setup) -> Iterator[Finding]:
    """Heads abstain where the series they read are not there, or not over the whole history."""
    by_role: dict[str, list[Span]] = defaultdict(list)
    base = {span.pair: span for span in setup.series if span.role == "base" and span.rows}
    for span in setup.series:
        if span.role != "base" and span.pair in base:
            by_role[span.role].append(span)
    good = 0
    of_others = {}
    for role, spans in by_role.items():
        missing = [s.pair for s in spans if s.rows == 0]
        good += not missing
        if missing and role.startswith(OF_OTHERS):
            of_others[role] = spans[0]
        elif missing:
            one = spans[0]
            yield Finding(
                Level.WARNING if role in NEEDED else Level.HINT,
                f"{role} ({one.timeframe} {one.candle_type}) is missing for {len(missing)} of "
                f"{len(spans)} pairs: what reads it abstains",
                f"{setup.datadir}: {', '.join(missing)}",
                _download(setup, one.timeframe, one.candle_type),
            )
    if of_others:
        coins = sorted({role.split()[1] for role in of_others})
        timeframes = " ".join(sorted({span.timeframe for span in of_others.values()}))
        yield Finding(
            Level.HINT,
            f"the market as a whole is judged without {', '.join(coins)}",
            f"{setup.datadir}: no candles of {', '.join(of_others)}",
            _download(setup, timeframes, "futures" if setup.futures else "")
            + f" -p {' '.join(coins)}, each with its quote currency",
        )
    late = {
        role: [s for s in spans if s.rows and _lacks(s, base[s.pair])]
        for role, spans in by_role.items()
        if not role.startswith(OF_OTHERS)
    }
    if any(late.values()):
        named = (
            f"{role} of {', '.join(s.pair for s in short)}" for role, short in late.items() if short
        )
        yield Finding(
            Level.HINT,
            "some series are shorter than the candles they go with: what reads them abstains there",
            f"{setup.datadir}: {'; '.join(named)}",
        )
    if good:
        yield Finding(Level.OK, f"{good} of {len(by_role)} other series are there for every pair")


def _lacks(span: Span, base: Span) -> bool:
    """Whether a series begins later or ends earlier than the candles, by over a candle or two."""
    slack = 2 * max(timeframe_ms(span.timeframe), timeframe_ms(base.timeframe), LONGEST_GAP)
    return span.first > base.first + slack or span.last < base.last - slack


def _download(setup: Setup, timeframes: str = "", kind: str = "") -> str:
    timeframes = timeframes or f"{setup.value('timeframe', '1h')} 4h 1d"
    words = ["freqtrade download-data", f"-t {timeframes}", "--timerange 20230101-"]
    if setup.futures and kind != "spot":
        words.append(f"--trading-mode futures --candle-types {kind or 'futures mark funding_rate'}")
    return " ".join(words)
