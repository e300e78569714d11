"""Inputs of the page that other steps compute; each may be absent, and its section then hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quorum.evidence.bootstrap import Interval
from quorum.learning.evidence_document import Evidence
from quorum.simulation.hybrid_evidence import Made
from quorum.typing import Floats


@dataclass(frozen=True)
class RandomEntries:
    """The same trades at random times, with the same exits.

    Attributes
    ----------
    measure, unit : str
        What is compared, for example ``profit per trade`` in ``R``.
    actual : float
        Of the real entries, simulated in the same way.
    samples : ndarray of shape (n_runs,), float64
        Of each random run.
    note : str
        How near the simulation comes to the host's trades.
    """

    measure: str
    unit: str
    actual: float
    samples: Floats
    note: str = ""


@dataclass(frozen=True)
class Variant:
    """What is made with one part left out, and by the part alone where that has a meaning.

    Attributes
    ----------
    name : str
    trades, alone_trades : int
    profit, alone_profit : float
        Total profit as a share of the capital.
    multiple, alone_multiple : float
        Mean profit in units of risk (R).
    """

    name: str
    trades: int
    profit: float
    multiple: float
    alone_trades: int = 0
    alone_profit: float = float("nan")
    alone_multiple: float = float("nan")


@dataclass(frozen=True)
class Ablation:
    """What every part of one kind is worth.

    Attributes
    ----------
    title : str
        What the parts are: ``head``, ``context``, ``guard``.
    whole : Variant
        With nothing left out.
    variants : sequence of Variant
    note : str
    """

    title: str
    whole: Variant
    variants: Sequence[Variant]
    note: str = ""


@dataclass(frozen=True)
class Window:
    """One step of a walk forward: trained or tuned before ``test_start``, tested from it on.

    Times in milliseconds since the epoch; ``metrics`` by name, higher or lower is better as the
    name says.
    """

    train_start: int
    test_start: int
    test_end: int
    metrics: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """Metrics of a walk that share a scale: what they measure, and their names."""

    title: str
    measures: Sequence[str]


@dataclass(frozen=True)
class Walk:
    """A walk forward: its windows in order, what it was of, and what is drawn of it."""

    title: str
    windows: Sequence[Window]
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Learned:
    """The models of a run: what was measured of their chain on candles they had not seen.

    Attributes
    ----------
    chain : str
    vintages : int
    evidence : Evidence or None
        None where none was saved with the chain.
    """

    chain: str
    vintages: int
    evidence: Evidence | None


@dataclass(frozen=True)
class Trials:
    """The search a result was picked from: how many were tried, and what that leaves of it.

    Attributes
    ----------
    count : int
        Different settings that were tried.
    deflated : float
        Chance that the Sharpe ratio is above what the best of so many would show by luck.
    """

    count: int
    deflated: float


@dataclass(frozen=True)
class Inputs:
    """Everything other steps computed of a run."""

    random: RandomEntries | None = None
    ablations: Sequence[Ablation] = ()
    walks: Sequence[Walk] = ()
    models: Learned | None = None
    trials: Trials | None = None
    hybrid: Sequence[Made] = ()
