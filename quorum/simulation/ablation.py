"""Ablation: what the strategy would have made without each of its parts, in seconds.

Heads and adjusters are judged with the guards off, so that every signal counts and one variant's
bad week does not silence the rest of its years; the guards are judged among themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from quorum.errors import DataError
from quorum.evidence.forecasts import overlapping_mean
from quorum.evidence.performance import drawdown, profit_factor
from quorum.settings import Settings
from quorum.simulation.book import Book, open_book
from quorum.simulation.material import Material
from quorum.simulation.portfolio import PortfolioSettings, Run, run_portfolio

#: Tiers of the guards (spec G1-G4).
TIERS = ("position", "day", "system", "drawdown")
#: Candles over which the results of trades hang together.
OVERLAP = 24
FULL, WITHOUT_HEAD, HEAD_ALONE = "full", "without head", "head alone"
WITHOUT_ADJUSTER, GUARDS, WITHOUT_GUARD = "without adjuster", "guards", "without guard"


@dataclass(frozen=True)
class Row:
    """What one variant made.

    Attributes
    ----------
    kind : str
        ``"full"``, ``"without head"``, ``"head alone"`` (a quorum of one), ``"without adjuster"``,
        ``"guards"`` (all of them on) or ``"without guard"``.
    name : str
        The head, adjuster or tier; empty for the whole strategy.
    trades : int
    profit : float
        After all costs, quote currency.
    profit_percent : float
        Of the wallet.
    profit_factor, win_rate, mean_r : float
        NaN without trades; infinite without losses.
    mean_r_low, mean_r_high : float
        Interval of 95 % around the mean, with trades at the same time not counted as independent.
    max_drawdown : float
        Of the balance after closed trades [%].
    """

    kind: str
    name: str
    trades: int
    profit: float
    profit_percent: float
    profit_factor: float
    win_rate: float
    mean_r: float
    mean_r_low: float
    mean_r_high: float
    max_drawdown: float


@dataclass(frozen=True)
class Variant:
    """One variant: the parts that are in force."""

    kind: str
    name: str
    heads: tuple[str, ...]
    alone: bool = False
    adjuster_off: str = ""
    settings: Settings | None = None
    guards: bool = False


def books_of(
    materials: Sequence[Material],
    settings: Settings,
    heads: tuple[str, ...] | None = None,
    *,
    alone: bool = False,
    adjuster_off: str = "",
) -> list[Book]:
    """Follow the entries of a variant.

    Parameters
    ----------
    heads : tuple of str, default all
        Heads that vote; the others count as if they did not exist.
    alone : bool, default False
        A quorum of one: a valid vote (C2) is the consensus.
    adjuster_off : str, default none
        Adjuster whose effects are left out.
    """
    books = []
    for m in materials:
        table = m.table
        if heads is not None and heads != table.votes.heads:
            consensus = settings.consensus
            if alone:
                consensus = consensus.model_copy(update={"quorum": 1})
            table = m.decide(heads, consensus)
        rows = np.flatnonzero(table.entry)
        context = m.context(rows, table.entry[rows])
        if adjuster_off:
            context = context.without(adjuster_off)
        books.append(open_book(m.pair, table, m.candles, settings, m.venue, context, m.reference))
    return books


def summarise(run: Run, wallet: float, step: int, kind: str = FULL, name: str = "") -> Row:
    """Return the figures of a run; ``step`` is the length of a candle, milliseconds."""
    profit = np.array([t.profit for t in run.trades])
    r = np.array([t.r for t in run.trades])
    candle = np.array([t.ordered for t in run.trades], dtype=np.int64) // step
    mean = overlapping_mean(r, candle, OVERLAP)
    equity = wallet + np.concatenate([[0.0], np.cumsum(profit)])
    n = len(profit)
    return Row(
        kind=kind,
        name=name,
        trades=n,
        profit=float(profit.sum()),
        profit_percent=100 * float(profit.sum()) / wallet,
        profit_factor=float(profit_factor(profit)) if n else np.nan,
        win_rate=float((profit > 0).mean()) if n else np.nan,
        mean_r=mean.estimate,
        mean_r_low=mean.low,
        mean_r_high=mean.high,
        max_drawdown=100 * float(np.max(np.abs(drawdown(equity)))),
    )


def variants(settings: Settings) -> Iterator[Variant]:
    """Yield every variant of the settings, the whole strategy first."""
    heads = tuple(head.name for head in settings.enabled_heads())
    yield Variant(FULL, "", heads)
    for head in heads:
        rest = tuple(name for name in heads if name != head)
        if rest:
            yield Variant(WITHOUT_HEAD, head, rest)
    for head in heads:
        yield Variant(HEAD_ALONE, head, (head,), alone=True)
    for adjuster in settings.enabled_adjusters():
        yield Variant(WITHOUT_ADJUSTER, adjuster.name, heads, adjuster_off=adjuster.name)
    guards = settings.guards
    tiers = [tier for tier in TIERS if getattr(guards, tier).enabled]
    if tiers:
        yield Variant(GUARDS, "", heads, guards=True)
    for tier in tiers if len(tiers) > 1 else ():
        off = getattr(guards, tier).model_copy(update={"enabled": False})
        without = settings.model_copy(update={"guards": guards.model_copy(update={tier: off})})
        yield Variant(WITHOUT_GUARD, tier, heads, settings=without, guards=True)


def ablate(
    materials: Sequence[Material],
    settings: Settings,
    account: PortfolioSettings | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Run every variant over the same candles.

    Parameters
    ----------
    materials : sequence of Material
        One per pair, in the order in which the host asks them.
    settings : Settings
        Those of the materials.
    account : PortfolioSettings, default the defaults
        ``guards`` is set by the variants.
    tell : callable, optional
        Told the name of each variant before it runs.

    Returns
    -------
    list of Row
        The whole strategy first.

    Raises
    ------
    DataError
        Without materials.
    """
    if not materials:
        raise DataError("ablation: there is no pair to look at")
    account = account or PortfolioSettings()
    step = materials[0].candles.step
    rows: list[Row] = []
    full: list[Book] | None = None
    for v in variants(settings):
        tell(f"{v.kind} {v.name}".strip())
        whole = v.heads == materials[0].table.votes.heads and not v.adjuster_off
        if not whole or v.alone or full is None:
            books = books_of(
                materials, settings, v.heads, alone=v.alone, adjuster_off=v.adjuster_off
            )
            full = books if full is None else full
        else:
            books = full
        purse = account.model_copy(update={"guards": v.guards})
        run = run_portfolio(books, v.settings or settings, purse)
        rows.append(summarise(run, account.wallet, step, v.kind, v.name))
    return rows


def to_json(rows: Sequence[Row]) -> str:
    """Return rows as JSON; what is not a number is null."""

    def plain(value: object) -> object:
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return json.dumps([{k: plain(v) for k, v in asdict(row).items()} for row in rows], indent=1)
