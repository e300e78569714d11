"""Sources: what a bot reads of the market and a backtest here does not, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator

from quorum.doctor.base import Finding, Level, Setup, Span


def sources(setup: Setup) -> Iterator[Finding]:
    """On futures a bot is given the premium index and no spot candles; the disk may differ."""
    if not setup.futures:
        yield Finding(Level.OK, "on spot a bot and a backtest read the same series")
        return
    traded = {span.pair for span in setup.series if span.role == "base" and span.rows}
    premium, spot = (_of(setup, role, traded) for role in ("premium_index", "spot"))
    without = [span.pair for span in premium if not span.rows]
    if without:
        yield Finding(
            Level.HINT,
            "a bot reads the premium index, a backtest without its candles takes the premium from "
            "spot, mark or funding: the derivatives head may vote otherwise",
            f"{setup.datadir}: no premiumIndex of {', '.join(without)}",
            "freqtrade download-data --trading-mode futures --candle-types premiumIndex -t 1h "
            f"-p {' '.join(without)}",
        )
    there = [span.pair for span in spot if span.rows]
    if there:
        yield Finding(
            Level.HINT,
            "backtests read spot candles that a bot on futures is not given",
            f"{setup.datadir}: spot candles of {', '.join(there)}; quorum.market.spot = True",
            "set quorum.market.spot to false, and both judge without",
        )
    if not without and not there:
        yield Finding(Level.OK, "a bot and a backtest read the same series")


def _of(setup: Setup, role: str, pairs: set[str]) -> list[Span]:
    return [span for span in setup.series if span.role == role and span.pair in pairs]
