"""The causality certificate: no column ever rewrites what it once said.

Three questions are answered for every feature, vote, reading and signal column:

* **Look-ahead.** Recompute on every prefix of a stretch of candles, as if the future did not
  exist yet, and compare *all* rows with the full run, bit for bit. A value that differs was
  rewritten.
* **Publication.** Rebuild the market from raw series in which every row that was not yet public
  at a moment is another, and compare all rows up to that moment. A value that differs was read
  before it was published.
* **Start-up.** Recompute on what a live bot has - only the last ``startup`` candles of every
  timeframe, and of everything else what was published since - and compare the last row.
  Recursive indicators remember their start; the difference must have faded by then.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np

from quorum.candles import Candles, timeframe_ms
from quorum.market import HigherTimeframe, Market, Published
from quorum.measured import outcomes_of
from quorum.pipeline import Evaluation, Predictor, evaluate
from quorum.settings import Settings
from quorum.signals import Decider, SignalTable, signal_table
from quorum.typing import Floats

#: Difference under which a recursive indicator counts as settled, as a share of the column's
#: mean size. Votes and signals are rounded to what they mean and must be identical.
STARTUP_TOLERANCE = 1e-4
#: The same for the columns of playbooks. The slowest mean of the trend forecast spans 768 candles
#: of 4h, of which a bot has 1,400: the difference moves a forecast by a tenth of a point, rarely
#: by one, where a trade is changed by a quarter of its size.
PLAYBOOK_TOLERANCE = 0.2


#: Moments after which raw series are changed: candles in a row at both ends of the stretch (after
#: the first ones a day and, on 1h, a week is still completed) and the last settlements of funding.
MOMENTS = 24
SETTLEMENTS = 3
SETTLEMENT_MS = 8 * 3_600_000
#: Builds a market from raw series of which nothing later than a moment is as it was.
Rebuild: TypeAlias = Callable[[int], Market]


class Models(Predictor, Decider, Protocol):
    """Trained models: what they predict, and what they make of signals."""


@dataclass
class ColumnReport:
    """What was found for one column.

    Attributes
    ----------
    lag : int or None
        Confirmation lag in candles of the column's timeframe; None for votes and signals,
        which take over the lags of what they read.
    compared : int
        Values compared in the look-ahead test.
    rewritten : int
        Values that later candles changed.
    early : int
        Values that changed with raw data which had not been published.
    startup : float
        Largest difference of the last row for a history of ``startup`` candles, as a share of
        the column's mean size.
    """

    lag: int | None
    compared: int = 0
    rewritten: int = 0
    early: int = 0
    startup: float = 0.0


@dataclass
class Certificate:
    """The result of :func:`certify`."""

    pair: str
    prefixes: int
    starts: int
    moments: int = 0
    columns: dict[str, ColumnReport] = field(default_factory=dict)

    @property
    def rewritten(self) -> int:
        """Rewritten values in all columns."""
        return sum(report.rewritten for report in self.columns.values())

    @property
    def early(self) -> int:
        """Values in all columns that were read before they were published."""
        return sum(report.early for report in self.columns.values())

    @property
    def unsettled(self) -> dict[str, float]:
        """Columns that still remember where the history began."""
        return {
            name: report.startup
            for name, report in self.columns.items()
            if report.startup > startup_tolerance(name)
        }

    @property
    def clean(self) -> bool:
        """Whether nothing was rewritten or read early, and everything had settled."""
        return self.rewritten == 0 and self.early == 0 and not self.unsettled


def startup_tolerance(column: str) -> float:
    """Return how much of its start a column may remember: votes and signals nothing."""
    if column.startswith("playbook"):
        return PLAYBOOK_TOLERANCE
    return STARTUP_TOLERANCE if column.startswith(("feature", "reading")) else 0.0


def all_columns(
    result: Evaluation, settings: Settings, models: Decider | None = None
) -> dict[str, Floats]:
    """Return every column of an evaluation by name: features, votes, readings, signals."""
    out: dict[str, Floats] = {f"feature {name}": v for name, v in result.features.items()}
    for name, votes in {**result.votes, **result.apart}.items():
        out[f"vote {name} direction"] = votes.direction.astype(np.float64)
        out[f"vote {name} probability"] = votes.probability
        out[f"vote {name} confidence"] = votes.confidence
        out[f"vote {name} reason"] = votes.reason.astype(np.float64)
        out[f"vote {name} available"] = votes.available.astype(np.float64)
        out.update({f"reading {name} {key}": v for key, v in votes.readings.items()})
    out.update({f"context {name}": values for name, values in result.context.items()})
    out.update({f"management {name}": values for name, values in result.management.items()})
    out.update({f"playbook {name}": values for name, values in result.playbooks.items()})
    table = signal_table(result, settings, models)
    c = table.consensus
    out["signal entry"] = table.entry.astype(np.float64)
    out["signal band"] = table.band.astype(np.float64)
    out["signal agreeing"] = c.agreeing.astype(np.float64)
    out["signal available"] = c.available.astype(np.float64)
    out["signal probability"] = c.probability
    out["signal confidence"] = c.confidence
    out["signal confluence"] = c.confluence
    out.update(_outcomes(table, result.market, settings))
    return out


def _outcomes(table: SignalTable, market: Market, settings: Settings) -> dict[str, Floats]:
    """Return what measured confidence goes by: results in R at the candle that settled them."""
    known = outcomes_of(table, market, settings)
    row = np.searchsorted(market.close_time, known.known_at)
    columns = {}
    for name, side in (("long", 1), ("short", -1)):
        own = known.direction == side
        settled, returned = np.zeros(len(market)), np.zeros(len(market))
        np.add.at(settled, row[own], known.weight[own])
        np.add.at(returned, row[own], known.r[own])
        columns[f"outcome {name} settled"] = settled
        columns[f"outcome {name} r"] = returned
    return columns


def certify(
    market: Market,
    settings: Settings,
    models: Models | None = None,
    *,
    rebuild: Rebuild | None = None,
    stretch: int = 200,
    warmup: int = 1600,
    startup: int | None = None,
    starts: int = 8,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Certificate:
    """Recompute a stretch of candles prefix by prefix and from later starts.

    Parameters
    ----------
    market : Market
        Its last ``warmup + stretch`` candles are used.
    settings : Settings
    models : Models, optional
        Trained models, which must not remember what they predicted.
    rebuild : callable, optional
        Builds the market anew from raw series of which nothing is as it was later than a moment;
        what is read before it is published is not looked for without it.
    stretch : int, default 200
        Prefixes tested: the history grows candle by candle over this many candles.
    warmup : int, default 1600
        Candles before the stretch.
    startup : int, optional
        History of a live bot, for the start-up test; left out when None.
    starts : int, default 8
        Start-up comparisons, spread over the stretch.
    on_step : callable
        Told how many of how many recomputations are done.
    """
    n = len(market)
    stretch = min(stretch, max(n - 1, 0))
    if startup is not None:
        warmup = max(warmup, 2 * startup)
    first = max(0, n - stretch - warmup)
    window = market.since(first)
    evaluation = evaluate(window, settings, models)
    full = all_columns(evaluation, settings, models)
    lags = _lags(evaluation)
    certificate = Certificate(market.pair, stretch, 0)
    certificate.columns = {name: ColumnReport(lags.get(name)) for name in full}
    rows = range(len(window) - stretch, len(window))
    changed = [] if rebuild is None else _moments(window, rows)
    later = [row for row in _spread(rows, starts) if startup is not None and row >= startup]
    total = len(rows) + len(changed) + len(later)
    done = itertools.count(1)

    def columns_of(part: Market) -> dict[str, Floats]:
        on_step(next(done), total)
        return all_columns(evaluate(part, settings, models), settings, models)

    for row in rows:
        _look_ahead(certificate, columns_of(window.head(row)), full, row, lags)
    if rebuild is not None:
        for row in changed:
            other = rebuild(int(window.close_time[row - 1])).since(first)
            _publication(certificate, columns_of(other), full, row)
    if startup is not None:
        for row in later:
            late = columns_of(as_live(market.head(first + row), startup))
            _start_up(certificate, late, full, row, startup)
    certificate.moments, certificate.starts = len(changed), len(later)
    return certificate


Columns: TypeAlias = Mapping[str, Floats]


def _look_ahead(
    certificate: Certificate, part: Columns, full: Columns, row: int, lags: Mapping[str, int]
) -> None:
    """Compare the columns of a prefix of ``row`` candles; either may have some of its own."""
    for name in part.keys() | full.keys():
        report = certificate.columns.setdefault(name, ColumnReport(lags.get(name)))
        report.compared += row
        report.rewritten += _different(_rows(part, name, row), _rows(full, name, row))


def _publication(certificate: Certificate, other: Columns, full: Columns, row: int) -> None:
    """Compare the columns of a market whose raw series change after candle ``row - 1``."""
    for name, report in certificate.columns.items():
        report.early += _different(_rows(other, name, row), _rows(full, name, row))


def _start_up(
    certificate: Certificate, late: Columns, full: Columns, row: int, startup: int
) -> None:
    """Compare the last row of a history of ``startup`` candles that ends with ``row - 1``."""
    for name, report in certificate.columns.items():
        last = float(_rows(late, name, startup)[-1])
        column = full.get(name, np.full(row, np.nan))
        report.startup = max(report.startup, _deviation(last, column, row - 1))


def as_live(market: Market, startup: int) -> Market:
    """Return a market as a bot has it that was started now.

    The host gives it the last ``startup`` candles of every timeframe; weeks are made of its
    days. Of what is published it is left no more than came since its base candles begin.
    """
    late = market.since(max(0, len(market) - startup))
    began = int(late.candles.time[0]) if len(late) else 0

    def recent(candles: Candles, count: int = startup) -> Candles:
        return candles.tail(max(0, len(candles) - count))

    higher = {}
    for timeframe, series in late.higher.items():
        days = timeframe_ms(timeframe) // timeframe_ms("1d")
        candles = recent(series.candles, startup // max(1, days))
        gone = len(series.candles) - len(candles)
        higher[timeframe] = HigherTimeframe(candles, np.maximum(series.row - gone, -1))
    published = {}
    for name, values in late.published.items():
        kept = values.known_at >= began
        published[name] = Published(values.known_at[kept], values.value[kept])
    return replace(
        late,
        higher=higher,
        published=published,
        context={name: recent(candles) for name, candles in late.context.items()},
        universe={name: recent(candles) for name, candles in late.universe.items()},
    )


def _lags(evaluation: Evaluation) -> dict[str, int]:
    columns = evaluation.features.columns
    return {f"feature {name}": column.lag for name, column in columns.items()}


def _rows(columns: Columns, name: str, count: int) -> Floats:
    """Return the first ``count`` values of a column, NaN where a failed part left it out."""
    column = columns.get(name)
    return column[:count] if column is not None else np.full(count, np.nan)


def _moments(market: Market, rows: range) -> list[int]:
    """Return how many candles had closed at each moment that raw series are changed after."""
    settled = [row for row in rows if market.close_time[row - 1] % SETTLEMENT_MS == 0]
    half = MOMENTS // 2
    return sorted({*rows[:half], *rows[-half:], *settled[-SETTLEMENTS:]})


def _spread(rows: range, count: int) -> list[int]:
    """Return ``count`` of ``rows``, evenly spread."""
    picks = np.linspace(0, len(rows) - 1, min(count, len(rows)))
    return [rows[int(i)] for i in picks]


def _different(part: Floats, full: Floats) -> int:
    """Count the values that are not identical (NaN equals NaN)."""
    same = (part == full) | (np.isnan(part) & np.isnan(full))
    return int(len(same) - np.count_nonzero(same))


def _deviation(value: float, column: Floats, row: int) -> float:
    """Return how far a value is from the column's own at ``row``, in mean sizes of the column.

    Infinite where one of the two is NaN.
    """
    reference = float(column[row])
    if value == reference or (np.isnan(value) and np.isnan(reference)):
        return 0.0
    if np.isnan(value) or np.isnan(reference):
        return float("inf")
    size = float(np.nanmean(np.abs(column)))
    return abs(value - reference) / size if size > 0 else float("inf")


def summary(certificate: Certificate) -> Iterator[tuple[str, int, int, int, int, float]]:
    """Yield per group: name, columns, largest lag, rewritten, read early, start-up difference."""
    groups: dict[str, list[ColumnReport]] = {}
    for name, report in certificate.columns.items():
        kind, _, rest = name.partition(" ")
        group = f"{kind} {rest.split()[0]}" if kind in ("vote", "reading") else kind
        groups.setdefault(group, []).append(report)
    for group, reports in groups.items():
        yield (
            group,
            len(reports),
            max((r.lag for r in reports if r.lag is not None), default=0),
            sum(r.rewritten for r in reports),
            sum(r.early for r in reports),
            max(r.startup for r in reports),
        )
