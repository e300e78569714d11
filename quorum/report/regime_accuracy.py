"""Accuracy: how often the regimes read are the regimes a synthetic market was made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quorum.candles import epoch_ms
from quorum.context.regime import REGIMES, Regime, View
from quorum.errors import DataError
from quorum.features.table import Features
from quorum.market import Frames, Market, build_market
from quorum.replay.candle_files import read_candle_file
from quorum.replay.datadir import DataDirectory
from quorum.replay.synthetic import TRUTH
from quorum.typing import Floats, Ints

#: The coarse view each regime belongs to: a quiet market is a range.
COARSE = {
    "strong_bull": View.TRENDING,
    "weak_bull": View.TRENDING,
    "bull_range": View.RANGING,
    "bear_range": View.RANGING,
    "weak_bear": View.TRENDING,
    "strong_bear": View.TRENDING,
    "high_volatility": View.VOLATILE,
    "low_volatility": View.RANGING,
}
#: Probability that a regime ruled out to the last digit is scored with.
LEAST = 1e-6


@dataclass(frozen=True)
class RegimeAccuracy:
    """How well one pair's regimes were read.

    Attributes
    ----------
    pair : str
    confusion : ndarray of shape (8, 8), int64
        Hours by true regime (rows) and regime read (columns), in the order of ``REGIMES``.
    coarse : ndarray of shape (3, 3), int64
        The same for the coarse view, in the order of :class:`View`.
    unknown : int
        Hours without a reading.
    stated : float
        Mean probability that the rules gave the regime they named: equal to the accuracy if
        the probabilities can be taken at their word.
    log_loss : float
        Mean of minus the logarithm of the probability given to the truth.
    """

    pair: str
    confusion: Ints
    coarse: Ints
    unknown: int
    stated: float
    log_loss: float

    @property
    def hours(self) -> int:
        """Hours with a reading."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of hours whose regime was named right."""
        return _share(self.confusion.trace(), self.hours)

    @property
    def majority(self) -> float:
        """What always naming the most frequent regime of these hours would reach."""
        return _share(self.confusion.sum(axis=1).max(), self.hours)

    @property
    def recall(self) -> Floats:
        """Share of each regime's hours that was named right, shape (8,), NaN without hours."""
        hours = self.confusion.sum(axis=1)
        return np.where(hours > 0, self.confusion.diagonal() / np.maximum(hours, 1), np.nan)

    @property
    def balanced(self) -> float:
        """Mean recall: every regime counts the same; guessing reaches 1/8."""
        return float(np.nanmean(self.recall)) if self.hours else float("nan")

    @property
    def coarse_accuracy(self) -> float:
        """Share of hours whose coarse view was right."""
        return _share(self.coarse.trace(), self.coarse.sum())

    @property
    def coarse_majority(self) -> float:
        """What always naming the most frequent coarse view would reach."""
        return _share(self.coarse.sum(axis=1).max(), self.coarse.sum())


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def regime_accuracy(
    datadir: Path, pairs: Sequence[str] | None = None, adjuster: Regime | None = None
) -> list[RegimeAccuracy]:
    """Compare the regimes read with the truth of a synthetic market, hour by hour.

    The truth is the whole market's: bitcoin follows it closely, other coins add noise and moves
    of their own. An hour's reading is what was known at its close.

    Parameters
    ----------
    datadir : Path
        Made by ``quorum market``.
    pairs : sequence of str, optional
        Futures pairs; by default all, bitcoin first.
    adjuster : Regime, default the rules with their default settings

    Returns
    -------
    list of RegimeAccuracy
        One per pair.

    Raises
    ------
    DataError
        If the directory has no truth (a random walk has none), or a pair no 1h candles.
    """
    truth = read_candle_file(datadir / TRUTH)
    named = truth["regime"].map({name: i for i, name in enumerate(REGIMES)})
    if named.isna().any():
        unknown = sorted(set(truth["regime"][named.isna()].astype(str)))
        raise DataError(f"{datadir / TRUTH}: {', '.join(unknown)} is no regime")
    hours, codes = epoch_ms(truth["date"]), np.asarray(named, dtype=np.int64)
    regime, data = adjuster or Regime(), DataDirectory(datadir)
    return [score(_market(data, pair), regime, hours, codes) for pair in pairs or _pairs(data)]


def _pairs(data: DataDirectory) -> list[str]:
    """Return the futures pairs with 1h candles, bitcoin first."""
    pairs = [p for p in data.pairs("futures") if data.find(p, "1h", "futures") is not None]
    return sorted(pairs, key=lambda pair: not pair.startswith("BTC/"))


def _market(data: DataDirectory, pair: str) -> Market:
    base = data.find(pair, "1h", "futures")
    if base is None:
        raise DataError(f"{data.path}: no 1h futures candles of {pair}")
    longer = {timeframe: data.find(pair, timeframe, "futures") for timeframe in ("4h", "1d")}
    higher = {timeframe: series.read() for timeframe, series in longer.items() if series}
    return build_market(pair, "1h", Frames(base.read(), higher))


def score(market: Market, adjuster: Regime, hours: Ints, truth: Ints) -> RegimeAccuracy:
    """Compare one market's regimes with the truth.

    Parameters
    ----------
    market : Market
        On 1h candles.
    adjuster : Regime
    hours : ndarray of shape (n_hours,), int64
        Opening times, milliseconds since the epoch, increasing.
    truth : ndarray of shape (n_hours,), int64
        Code of each hour's regime.
    """
    columns = adjuster.columns(market, Features(len(market)))
    time = market.candles.time
    row = np.minimum(np.searchsorted(hours, time), len(hours) - 1)
    told = hours[row] == time
    known = told & np.isfinite(columns["regime"]) & np.isfinite(columns["regime_view"])
    true, read = truth[row[known]], columns["regime"][known].astype(np.int64)
    view = columns["regime_view"][known].astype(np.int64)
    given = np.column_stack([columns[f"regime_{name}"][known] for name in REGIMES])
    of_truth = np.maximum(given[np.arange(len(true)), true], LEAST)
    views = np.array([COARSE[name] for name in REGIMES], dtype=np.int64)
    return RegimeAccuracy(
        pair=market.pair,
        confusion=_table(true, read, len(REGIMES)),
        coarse=_table(views[true], view, len(View)),
        unknown=int((told & ~known).sum()),
        stated=_share(columns["regime_probability"][known].sum(), len(true)),
        log_loss=_share(-np.log(of_truth).sum(), len(true)),
    )


def _table(true: Ints, read: Ints, size: int) -> Ints:
    """Count pairs of true and read codes."""
    counts = np.bincount(true * size + read, minlength=size * size)
    return counts.reshape(size, size).astype(np.int64)


def describe(results: Sequence[RegimeAccuracy]) -> str:
    """Return the results in words and the first pair's confusion matrix, for a terminal."""
    lines = [
        f"{r.pair:16} regimes {r.accuracy:.1%} right, mean per regime {r.balanced:.1%} "
        f"(always the most frequent {r.majority:.1%}, chance {1 / len(REGIMES):.1%}); "
        f"coarse view {r.coarse_accuracy:.1%} ({r.coarse_majority:.1%}); "
        f"stated {r.stated:.1%}; {r.hours} hours, {r.unknown} unknown"
        for r in results
    ]
    if results:
        first = results[0]
        lines += ["", f"{first.pair}: hours by truth (rows) and reading (columns), % of the row"]
        lines.append(" " * 16 + "".join(f"{_short(name):>8}" for name in REGIMES) + "   share")
        for name, counts in zip(REGIMES, first.confusion, strict=True):
            total = max(int(counts.sum()), 1)
            cells = "".join(f"{100 * count / total:8.0f}" for count in counts)
            lines.append(f"{name:16}{cells}{_share(counts.sum(), first.hours):8.1%}")
    return "\n".join(lines)


def _short(name: str) -> str:
    """Abbreviate a regime's name: ``s.bull``, ``bull.r``, ``high.v``."""
    first, second = name.split("_")
    return f"{first[0]}.{second}" if first in ("strong", "weak") else f"{first}.{second[0]}"
